"""A reader's terminal: what a page tells one to type is typed into one bash, in a copy of the checkout that holds nothing of it but links.

Commands of a page that need Windows hosts of the reader's own get simulated ones: `inventories/example` there leads to them. What runs until Ctrl-C is
left running until the page is done. Simulated hosts take ports that are free here; where they are printed, they are told as the reader's would be, and
so is the time of day.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import rig
from ldfleet.project import SIM_PORT
from ldfleet.sim.farm import USER, Farm

#: What the pages tell the reader to put in for the password.
READERS_PASSWORD = "..."
_OWN = (".cache", ".git", ".venv", "inventories")
_LIMIT_SECONDS = 150
#: Simulated hosts that a page may start.
_HOSTS = 8


@dataclass(frozen=True)
class Typed:
    """What became of one command. ``code``: None when it ran until the end of the page."""

    line: str
    code: int | None
    output: str


def checkout(folder: Path) -> Path:
    """A folder that looks like the checkout, with an inventory folder of its own."""
    for entry in rig.ROOT.iterdir():
        if entry.name not in _OWN:
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(rig.BIN.parent)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "collections").symlink_to(rig.ROOT / ".cache" / "collections")
    shutil.copytree(rig.ROOT / "inventories", folder / "inventories")
    return folder


@contextmanager
def readers_hosts(here: Path, folder: Path) -> Iterator[None]:
    """The two hosts of `inventories/example`, simulated, with the certificate that the reader has carried over."""
    with rig.farm(folder, hosts=2, prefix="ws-", https=True, password=READERS_PASSWORD) as farm:
        (here / "inventories" / "example" / "simulated.yml").write_text(yaml.safe_dump(_addresses(farm)), encoding="utf-8")
        shutil.copy(farm.server.certificate, here / "WS-01.cer")
        yield


def _addresses(farm: Farm) -> dict[str, object]:
    hosts = {
        host.name.lower(): {"ansible_host": "127.0.0.1", "ansible_port": endpoint.https_port, "ansible_user": USER}
        for host, endpoint in zip(farm.hosts, farm.endpoints, strict=True)
    }
    return {"ldplayer": {"hosts": hosts}}


def type_in(here: Path, lines: Sequence[str]) -> list[Typed]:
    """Type the lines one after the other, and return what each printed."""
    port = _free_ports()
    script = ["running=()", "code=0"]
    for number, typed in enumerate(lines):
        line = _with_ports(typed, SIM_PORT, port)
        script += _background(here, line, number) if line.startswith("ldfleet sim") else _foreground(here, line, number)
    script.append('for pid in "${running[@]}"; do kill -INT "$pid"; wait "$pid"; done')
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment.update(ANSIBLE_HOME=str(here / ".cache" / "ansible"), COLUMNS="80")
    environment.update(LDFLEET_SIM_PORT=str(port), LDFLEET_SIM_POWERSHELL_START="0")
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=here, env=environment, check=True, timeout=_LIMIT_SECONDS)
    return [_typed(here, number, line, port) for number, line in enumerate(lines)]


def _foreground(here: Path, line: str, number: int) -> list[str]:
    """``$?`` is that of the line before, as in a terminal."""
    out, code = (shlex.quote(str(here / f"{word}.{number}")) for word in ("out", "code"))
    return [f"( exit $code )\n{{ {line}\n}} >{out} 2>&1; code=$?; echo $code >{code}"]


def _background(here: Path, line: str, number: int) -> list[str]:
    out = shlex.quote(str(here / f"out.{number}"))
    return [
        # bash gives a background job SIGINT ignored unless job control is on.
        "set -m",
        f"{line} >{out} 2>&1 &",
        "running+=($!)",
        "set +m",
        f"for _ in {{1..600}}; do grep -q {shlex.quote('running until Ctrl-C')} {out} && break; sleep 0.05; done",
    ]


def _free_ports() -> int:
    """The first of some that are free next to each other, below those that systems hand out."""
    while True:
        first = random.randrange(16000, 30000)
        with ExitStack() as stack:
            try:
                for port in range(first, first + _HOSTS):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first


def told(text: str) -> str:
    """A text without what differs from day to day."""
    return re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "2026-01-01 12:00:00", text)


def _typed(here: Path, number: int, line: str, port: int) -> Typed:
    code = here / f"code.{number}"
    output = (here / f"out.{number}").read_text(encoding="utf-8")
    return Typed(line, int(code.read_text(encoding="ascii")) if code.exists() else None, _with_ports(output, port, SIM_PORT))


def _with_ports(text: str, old: int, new: int) -> str:
    """Ports of simulated hosts that begin at ``old``, as if they began at ``new``."""
    return re.sub(r"\b\d{5}\b", lambda found: str(int(found[0]) - old + new) if 0 <= int(found[0]) - old < _HOSTS else found[0], text)
