"""A reader's terminal: what a page tells one to type is typed into one bash, in a copy of the checkout that holds nothing of it but links.

Commands of a page that need Windows hosts of the reader's own get simulated ones: `inventories/example` there leads to them. What runs until Ctrl-C is
left running until the page is done.
"""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import rig
from ldfleet.sim.farm import USER, Farm

#: What the pages tell the reader to put in for the password.
READERS_PASSWORD = "..."
_OWN = (".cache", ".git", ".venv", "inventories")
_LIMIT_SECONDS = 150


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
    shutil.copytree(rig.ROOT / "inventories", folder / "inventories")
    return folder


@contextmanager
def readers_hosts(here: Path, folder: Path) -> Iterator[None]:
    """The two hosts of `inventories/example`, simulated, with the certificate that the reader has carried over."""
    with rig.farm(folder, hosts=2, prefix="ws-", https=True, password=READERS_PASSWORD) as farm:
        (here / "inventories" / "example" / "simulated.yml").write_text(yaml.safe_dump(_addresses(farm)), encoding="utf-8")
        (here / "WS-01.cer").write_bytes(ssl.PEM_cert_to_DER_cert(farm.server.certificate.read_text(encoding="ascii")))
        yield


def _addresses(farm: Farm) -> dict[str, object]:
    hosts = {
        host.name.lower(): {"ansible_host": "127.0.0.1", "ansible_port": endpoint.https_port, "ansible_user": USER}
        for host, endpoint in zip(farm.hosts, farm.endpoints, strict=True)
    }
    return {"ldplayer": {"hosts": hosts}}


def type_in(here: Path, lines: Sequence[str]) -> list[Typed]:
    """Type the lines one after the other, and return what each printed."""
    script = ["running=()"]
    for number, line in enumerate(lines):
        script += (
            _background(line, number) if line.startswith("ldfleet sim") else [f"{{ {line}\n}} >out.{number} 2>&1; echo $? >code.{number}"]
        )
    script.append('for pid in "${running[@]}"; do kill -INT "$pid"; wait "$pid"; done')
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment.update(ANSIBLE_HOME=str(here / ".cache" / "ansible"), COLUMNS="80")
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=here, env=environment, check=True, timeout=_LIMIT_SECONDS)
    return [_typed(here, number, line) for number, line in enumerate(lines)]


def _background(line: str, number: int) -> list[str]:
    return [
        # bash gives a background job SIGINT ignored unless job control is on.
        "set -m",
        f"{line} >out.{number} 2>&1 &",
        "running+=($!)",
        "set +m",
        f"for _ in {{1..600}}; do grep -q {shlex.quote('running until Ctrl-C')} out.{number} && break; sleep 0.05; done",
    ]


def _typed(here: Path, number: int, line: str) -> Typed:
    code = here / f"code.{number}"
    return Typed(
        line,
        int(code.read_text(encoding="ascii")) if code.exists() else None,
        (here / f"out.{number}").read_text(encoding="utf-8"),
    )
