"""The engines ``pwsh`` and ``wine``: Microsoft's PowerShell runs the agent, and the world answers for the programs that it starts.

On Linux the simulated drive is mapped: Windows paths in a batch become Linux ones on the way in and come back on the way out. Under Wine nothing is
mapped: the drive is Wine's own, and `ldconsole.exe` is a Windows program that asks the world.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import layout, operations, programs
from .forward import Forwarder
from .process import Output
from .windows import Caller
from .world import World

#: Far above any batch: what hangs here is a bug of the test that began it.
_LIMIT_SECONDS = 300


class RealPowerShell:
    """One host's engine. ``program``: pwsh or pwsh-wine (powershell.locate); ``wine``: whether it runs on the Windows API."""

    def __init__(self, program: Path, wine: bool, world: World) -> None:
        self.program = program
        self.wine = wine
        self.lay(world, [*layout.consoles(world.spec), *programs.PROGRAMS])

    def lay(self, world: World, programs: Iterable[str]) -> None:
        """Put the forwarder in the place of programs, by their Windows paths: under Wine a Windows program, on Linux a small script."""
        for path in programs:
            target = world.drive.local(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.wine:
                shutil.copyfile(self.program.parent / "forward.exe", target)
            else:
                target.write_text(_FORWARD.format(own=path), encoding="utf-8")
                target.chmod(target.stat().st_mode | stat.S_IXUSR)

    def run(self, script: str, data: bytes, world: World, caller: Caller) -> Output:
        """Run the bootstrap with its standard input (or what a task runs, without any), and return what the engine printed."""
        line = data if self.wine or not data else _mapped_in(data, world, caller)
        forwarder = Forwarder(world, caller, mapped=not self.wine)
        try:
            done = subprocess.run(
                [
                    str(self.program),
                    "-NoProfile",
                    "-NonInteractive",
                    "-EncodedCommand",
                    base64.b64encode(script.encode("utf-16-le")).decode(),
                ],
                input=line,
                capture_output=True,
                env={**self._environment(world), "LDFLEET_FORWARD": forwarder.address},
                timeout=_LIMIT_SECONDS,
                check=False,
            )
        finally:
            forwarder.close()
        out = done.stdout if self.wine else _mapped_out(done.stdout, world)
        return Output(out, done.stderr, done.returncode)

    def _environment(self, world: World) -> dict[str, str]:
        environment = {**os.environ}
        if self.wine:
            environment.update(
                WINEDLLOVERRIDES=_NATIVE, ProgramData=world.spec.programdata, LC_ALL="zh_CN.UTF-8" if world.spec.acp == 936 else "C.UTF-8"
            )
        else:
            local = world.drive.local
            environment.update(ProgramData=str(local(world.spec.programdata)), SystemRoot=str(local("C:\\Windows")))
        return environment


def wine_drive(program: Path) -> Path:
    """The Linux folder that is Wine's C:; made when it is not there yet."""
    done = subprocess.run([str(program), "--prefix"], capture_output=True, text=True, check=True, timeout=_LIMIT_SECONDS)
    return Path(done.stdout.strip().splitlines()[-1])


def lay_wine_registry(world: World) -> None:
    """Put the world's registry into Wine's."""
    with tempfile.NamedTemporaryFile(
        "w", suffix=".reg", encoding="utf-16", dir=world.drive.local("C:\\"), delete=False, newline=""
    ) as file:
        file.write("Windows Registry Editor Version 5.00\r\n\r\n")
        for key, name, value in world.registry.entries():
            if "CodePage" not in key:  # the code pages are Wine's own, by locale
                text = str(value).replace("\\", "\\\\").replace('"', '\\"')
                file.write(f'[{_HIVES[key[:4]]}{key[4:]}]\r\n"{name}"="{text}"\r\n\r\n')
    try:
        prefix = world.drive.root.parent
        environment = {**os.environ, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "DISPLAY": ""}
        command = ["wine", "reg", "import", f"C:\\{Path(file.name).name}"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_LIMIT_SECONDS)
    finally:
        Path(file.name).unlink()


#: Wine has tools of these names itself; ours, which ask the world, take their place.
_NATIVE = ",".join(path.rsplit("\\", 1)[1] for path in programs.PROGRAMS) + "=n"

_HIVES = {"HKU\\": "HKEY_USERS\\", "HKLM": "HKEY_LOCAL_MACHINE"}


#: On Linux a program of the drive is a small script that speaks forward.exe's protocol.
_FORWARD = """#!/usr/bin/env -S python3 -IS
import os, socket, struct, sys
host, port = os.environ["LDFLEET_FORWARD"].split(":")
parts = [{own!r}, " ".join(sys.argv[1:])] + sys.argv[1:]
body = b"".join(part.encode("utf-8", "surrogateescape") + b"\\0" for part in parts)
link = socket.create_connection((host, int(port)))
link.sendall(struct.pack("<I", len(body)) + body)
with link.makefile("rb") as stream:
    code, = struct.unpack("<i", stream.read(4))
    for pipe in (sys.stdout.buffer, sys.stderr.buffer):
        size, = struct.unpack("<I", stream.read(4))
        pipe.write(stream.read(size))
        pipe.flush()
sys.exit(code & 0xFF)
"""


def _mapped_in(data: bytes, world: World, caller: Caller) -> bytes:
    request = json.loads(data)
    packed = "packed" in request
    batch = json.loads(gzip.decompress(base64.b64decode(request["packed"]))) if packed else request["batch"]
    # Whose registry it is shows when the batch runs: on the desktop where there is one.
    reader = world.desktop.caller if world.desktop is not None and batch.get("desktop") != "never" else caller
    for operation in batch.get("ops", ()):
        for key in ("program", "path", "folder", "keep", "from"):
            if isinstance(operation.get(key), str):
                operation[key] = _to_linux(operation[key], world)
        if isinstance(operation.get("candidates"), list):
            operation["candidates"] = [_candidate(candidate, world, reader) for candidate in operation["candidates"]]
    if packed:
        request["packed"] = base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()
    return json.dumps(request).encode("ascii") + b"\n"


def _candidate(candidate: dict[str, Any], world: World, caller: Caller) -> dict[str, Any]:
    folders = operations.folders(world, candidate, caller)
    return {"path": _to_linux(folders[0], world) if folders else "/nonexistent"}


def _to_linux(path: str, world: World) -> str:
    name = operations.variable(path)
    if name:
        return f"{{{name}}}" + path[len(name) + 2 :].replace("\\", "/")
    try:
        return str(world.drive.local(path))
    except ValueError:
        return path


_FRAME = re.compile(r"(#ldfleet-begin [0-9a-f]*#)(.*)(#ldfleet-end [0-9a-f]*#)", re.DOTALL)


def _mapped_out(out: bytes, world: World) -> bytes:
    found = _FRAME.search(out.decode("ascii", "replace"))
    if found is None:
        return out
    body = found[2]
    document = json.loads(body if body.startswith("{") else gzip.decompress(base64.b64decode(body)))
    document["host"].update(name=world.name, acp=world.spec.acp, oemcp=world.spec.oemcp, programdata=world.spec.programdata)
    for result in document.get("results", ()):
        if "path" in result:
            result["path"] = world.drive.windows(Path(result["path"]))
        if "free_bytes" in result:
            result["free_bytes"] = world.disk_free
    text = json.dumps(document)
    return f"{found[1]}{text}{found[3]}\r\n".encode("ascii")
