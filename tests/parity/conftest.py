"""One host on each engine: the Python port, PowerShell on Linux, PowerShell on the Windows API. The tests' own encoder shares nothing with the product."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ldfleet.sim.engines import powershell
from ldfleet.sim.farm import Farm, Plan
from ldfleet.sim.host import SimHost
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.machine.process import CommandLine
from ldfleet.sim.machine.windows import Answer, Caller

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol.md"
AGENT = ROOT / "plugins" / "module_utils" / "_agent.ps1"

Json = dict[str, Any]


class Gate:
    """A program that stands still until the test lets it go: no clock decides then which of two batches is first."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, _world: Any, _arguments: Any, _raw: str, _caller: Caller) -> Answer:
        self.entered.set()
        self.open.wait(60)
        return Answer(0, b"through")


@dataclass
class Asker:
    """Sends batches to one host and decodes what comes back."""

    host: SimHost
    engine: str
    home: str
    gate: Gate
    noise: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    def program(self, name: str) -> str:
        """The path of one of the programs that were installed for tests: args, say, counter, gate."""
        return f"{self.home}\\{name}.exe"

    def __call__(self, *ops: Json, pack: bool = False, agent: str | None = None, **batch: Any) -> Json:
        """One batch; the reply as it came. ``agent``: another text to run than the agent's."""
        sent = whole(*ops, **batch)
        request: Json = {"agent": agent or AGENT.read_text(encoding="ascii")}
        if pack:
            request["packed"] = base64.b64encode(gzip.compress(json.dumps(sent).encode())).decode()
        else:
            request["batch"] = sent
        (reply,) = self._answers(request)
        return reply

    def many(self, batches: list[Any]) -> list[Json]:
        """Several batches, whole and as they are."""
        return self.requests([{"batch": batch} for batch in batches])

    def requests(self, requests: list[Json]) -> list[Json]:
        """Several requests without the agent's text. A PowerShell takes seconds to start: one runs the agent for a dozen of them.

        (Under Wine .NET dies when it collects compiled script blocks, so no PowerShell may compile the agent too often.)
        """
        if self.engine == "port":
            return [self._answers({"agent": "", **request})[0] for request in requests]
        loop = "param($request) foreach ($one in $request.requests) { & ([ScriptBlock]::Create($request.inner)) $one }"
        inner = AGENT.read_text(encoding="ascii")
        dozens = [requests[start : start + 12] for start in range(0, len(requests), 12)]
        return [reply for dozen in dozens for reply in self._answers({"agent": loop, "inner": inner, "requests": dozen})]

    def _answers(self, request: Json) -> list[Json]:
        process = self.host.spawn(CommandLine(_command(), "Administrator"))
        process.feed(json.dumps(request).encode("ascii") + b"\n", True)
        output = process.read(120)
        out = output.stdout.decode("ascii")
        self.noise.append(output.stderr.decode("utf-8", "replace"))
        bodies = [found[2] for found in re.finditer(r"#ldfleet-begin ([0-9a-f]*)#(.*?)#ldfleet-end \1#", out, re.DOTALL)]
        assert bodies, out + self.noise[-1]
        self.bodies += bodies
        return [json.loads(body if body.startswith("{") else gzip.decompress(base64.b64decode(body))) for body in bodies]

    def local(self, windows: str) -> Path:
        """The file behind a Windows path."""
        return self.host.world.drive.local(windows)


def whole(*ops: Json, **batch: Any) -> Json:
    """A batch with every key."""
    common = {
        "protocol": 1,
        "id": secrets.token_hex(16),
        "slice_ms": 30_000,
        "lock_ms": 20_000,
        "once": False,
        "desktop": "never",
        "note": None,
    }
    return {**common, "ops": list(ops), **batch}


def _command() -> str:
    """The documented bootstrap, as a client sends it."""
    lines = PROTOCOL.read_text(encoding="utf-8").split("#ldfleet-bootstrap 1")[1].split("\n\n")[0].splitlines()
    script = "\n".join(["#ldfleet-bootstrap 1", *(line.strip() for line in lines if line.strip())])
    return "PowerShell -NoProfile -NonInteractive -EncodedCommand " + base64.b64encode(script.encode("utf-16-le")).decode()


def b64(data: bytes) -> str:
    """Bytes as they stand in a batch."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """And back."""
    return base64.b64decode(text)


def _print_arguments(_world: Any, arguments: Any, _raw: str, _caller: Caller) -> Answer:
    return Answer(0, "\n".join(f"[{argument}]" for argument in arguments).encode())


def _say(_world: Any, arguments: Any, _raw: str, _caller: Caller) -> Answer:
    """exit CODE, or big SIZE, or hang, or wait SECONDS, or leak, or err TEXT."""
    word, *rest = arguments or [""]
    if word == "exit":
        return Answer(int(rest[0]), b"said")
    if word == "big":
        return Answer(0, b"x" * int(rest[0]), b"y" * int(rest[0]))
    if word == "hang":
        return Answer(0, seconds=None)
    if word == "leak":
        return Answer(0, b"said", leaks_output=True)
    if word == "wait":
        return Answer(0, b"waited", seconds=float(rest[0]))
    return Answer(0, bytes.fromhex(rest[0]) if rest else b"", b"error text")


def _counter() -> Callable[..., Answer]:
    times = {"count": 0}

    def act(_world: Any, _arguments: Any, _raw: str, _caller: Caller) -> Answer:
        times["count"] += 1
        return Answer(0, f"try {times['count']}\r\n".encode())

    return act


def locale_ready() -> bool:
    """Whether glibc has the locale that makes Wine a Chinese Windows."""
    done = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False) if shutil.which("locale") else None
    return done is not None and "zh_cn.utf" in done.stdout.lower()


@pytest.fixture(scope="session", params=["port", "pwsh", pytest.param("wine", marks=pytest.mark.xdist_group("wine"))])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    name = str(request.param)
    with own_drive() if name == "wine" else contextlib.nullcontext():
        yield name


@contextlib.contextmanager
def own_drive() -> Iterator[None]:
    """A Wine drive for this run alone: its registry and code page are the whole drive's, and another run may be using the common one.

    The files are links to the common drive's (Wine replaces its own files, it does not write into them), so it takes neither time nor room.
    """
    program, common = powershell.locate("wine"), os.environ.get("LDFLEET_WINEPREFIX")
    if isinstance(program, str):
        yield  # the tests skip themselves with this reason
        return
    done = subprocess.run([str(program), "--prefix"], capture_output=True, text=True, check=True)
    prefix = Path(done.stdout.strip().splitlines()[-1]).parent
    own = prefix.with_name(f"{prefix.name}-{secrets.token_hex(4)}")
    subprocess.run(["cp", "-al", str(prefix), str(own)], check=True)
    os.environ["LDFLEET_WINEPREFIX"] = str(own)
    try:
        yield
    finally:
        shutil.rmtree(own)
        del os.environ["LDFLEET_WINEPREFIX"]
        if common is not None:
            os.environ["LDFLEET_WINEPREFIX"] = common


@pytest.fixture(scope="module")
def ask(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    yield from asker(engine, tmp_path_factory.mktemp("parity"), Spec(desktop_user="Administrator"))


def usable(engine: str, spec: Spec) -> None:
    """Skip the test, with the reason, where this machine lacks what the engine needs."""
    if engine != "port":
        found = powershell.locate(engine)
        if isinstance(found, str):
            pytest.skip(found)
        if spec.acp == 936 and engine == "wine" and not locale_ready():
            pytest.skip("the locale zh_CN.UTF-8 is missing (localedef -i zh_CN -f UTF-8 zh_CN.UTF-8)")


def asker(engine: str, folder: Path, spec: Spec) -> Iterator[Asker]:
    """A host on an engine, with a few programs that tests need."""
    usable(engine, spec)
    plan = Plan(engine=engine, spec=spec, skip=engine == "port", powershell_start=0.0)
    with Farm(plan, folder) as farm:
        host = farm.hosts[0]
        home = host.world.spec.install_dir
        gate = Gate()
        programs = {"args.exe": _print_arguments, "say.exe": _say, "counter.exe": _counter(), "gate.exe": gate}
        host.install({f"{home}\\{name}": act for name, act in programs.items()})
        yield Asker(host, engine, home, gate)
