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
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..ldplayer import layout
from ..ldplayer.world import World
from ..machine.process import Output
from ..machine.windows import Caller
from ..programs import admin, probe
from . import operations
from .forward import Forwarder
from .wine import Seat

#: Far above any batch: what hangs here is a bug of the test that began it.
_LIMIT_SECONDS = 300


class RealPowerShell:
    """One host's engine. ``program``: pwsh or pwsh-wine (powershell.locate); ``seat``: its place in Wine's drive, None on Linux.

    ``addresses``: where the programs of each PowerShell that runs now ask the world.
    """

    def __init__(self, program: Path, seat: Seat | None, world: World) -> None:
        self.program = program
        self.seat = seat
        self.addresses: set[str] = set()
        self.lay(world, [*layout.consoles(world.spec), *admin.PROGRAMS, *probe.PROGRAMS])

    def lay(self, world: World, programs: Iterable[str]) -> None:
        """Put the forwarder in the place of programs, by their Windows paths: under Wine a Windows program, on Linux a small script."""
        for path in programs:
            target = world.drive.local(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.seat is not None:
                shutil.copyfile(self.program.parent / "forward.exe", target)
            else:
                target.write_text(_FORWARD.format(own=path), encoding="utf-8")
                target.chmod(target.stat().st_mode | stat.S_IXUSR)

    def close(self) -> None:
        """Leave Wine's drive."""
        if self.seat is not None:
            self.seat.close()

    def run(self, script: str, data: bytes, world: World, caller: Caller) -> Output:
        """Run the bootstrap with its standard input (or what a task runs, without any), and return what the engine printed."""
        forwarder = Forwarder(world, caller, mapped=self.seat is None)
        self.addresses.add(forwarder.address)
        try:
            if self.seat is not None:
                # Wine takes ProgramData from its own registry, whatever the environment says.
                script = f"[Environment]::SetEnvironmentVariable('ProgramData','{world.spec.programdata}')\n{script}"
                return self._run(script, data, {**self.seat.environment, "WINEDLLOVERRIDES": _NATIVE, "LDFLEET_FORWARD": forwarder.address})
            local = world.drive.local
            environment = {
                **os.environ,
                "LDFLEET_FORWARD": forwarder.address,
                "ProgramData": str(local(world.spec.programdata)),
                "SystemRoot": str(local("C:\\Windows")),
            }
            mapping = _Mapping(world, caller)
            output = self._run(script, mapping.way_in(data) if data else data, environment)
            return Output(mapping.way_out(output.stdout), output.stderr, output.exit_code)
        finally:
            self.addresses.discard(forwarder.address)
            forwarder.close()

    def _run(self, script: str, data: bytes, environment: Mapping[str, str]) -> Output:
        done = subprocess.run(
            [str(self.program), "-NoProfile", "-NonInteractive", "-EncodedCommand", base64.b64encode(script.encode("utf-16-le")).decode()],
            input=data,
            capture_output=True,
            env=environment,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        return Output(done.stdout, done.stderr, done.returncode)


#: Wine has tools of these names itself; ours, which ask the world, take their place.
_NATIVE = ",".join(path.rsplit("\\", 1)[1] for path in (*admin.PROGRAMS, *probe.PROGRAMS)) + "=n"


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
    if stream.read(1) and not os.fork():
        link.recv(1)
        os._exit(0)
sys.exit(code & 0xFF)
"""


_FRAME = re.compile(r"(#ldfleet-begin ([0-9a-f]*)#)(.*?)(#ldfleet-end \2#)", re.DOTALL)


class _Mapping:
    """One batch's way to Linux and back. What is no batch at all passes as it is: the agent shall refuse it."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world = world
        self._caller = caller
        self._found: dict[str, str] = {}
        self._read: dict[str, str] = {}

    def way_in(self, data: bytes) -> bytes:
        """Windows paths become Linux ones."""
        request = json.loads(data)
        packed = "packed" in request
        try:
            batch = json.loads(gzip.decompress(base64.b64decode(request["packed"]))) if packed else request.get("batch")
        except (ValueError, OSError, EOFError, zlib.error):
            return data
        operations_ = batch.get("ops") if isinstance(batch, dict) else None
        if isinstance(batch, dict) and self._world.desktop is not None and batch.get("desktop") != "never":
            self._caller = self._world.desktop.caller  # whose registry it is: the batch will run on the desktop
        for operation in operations_ if isinstance(operations_, list) else ():
            if isinstance(operation, dict):
                self._operation(operation)
        if packed:
            request["packed"] = base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()
        return json.dumps(request).encode("ascii") + b"\n"

    def _operation(self, operation: dict[str, Any]) -> None:
        for key in ("program", "path", "folder", "keep", "from"):
            if isinstance(operation.get(key), str):
                operation[key] = self._path(operation[key])
        if operation.get("link"):
            self._read[str(operation.get("id"))] = str(operation.get("folder"))
        if operation.get("op") == "find" and isinstance(operation.get("candidates"), list):
            operation["candidates"] = [self._candidate(candidate, str(operation.get("file"))) for candidate in operation["candidates"]]

    def _candidate(self, candidate: Any, file: str) -> Any:
        """Linux has no registry: the folder that the world's registry names, of several the one that holds the file."""
        if not isinstance(candidate, dict) or not (candidate.keys() & {"path", "registry"}):
            return candidate
        folders = operations.folders(self._world, candidate, self._caller)
        if not folders:
            return {"path": "/nonexistent"}
        chosen = next((folder for folder in folders if operations.holds(self._world, folder, file)), folders[0])
        path = self._path(chosen)
        self._found[path] = operations.plain(chosen)
        return {"path": path}

    def _path(self, path: str) -> str:
        name = operations.variable(path)
        if name:
            return f"{{{name}}}" + path[len(name) + 2 :].replace("\\", "/")
        try:
            return str(self._world.drive.local(path))
        except ValueError:
            if not re.match(r"[A-Za-z]:[\\/]", path):
                return path
            # A name that Windows does not take, and a drive that is not there, must be neither of these on Linux by chance.
            return "/\0" + re.sub(r"[\\/]", "", path[3:]) if path[0] in "Cc" else "/proc/no-such-drive/" + Path(path).name

    @staticmethod
    def _place(folder: str, found: Mapping[str, str]) -> Path:
        """A folder of the batch, whose variable was found by an operation of it."""
        name = operations.variable(folder)
        return Path(found[name] + folder[len(name) + 2 :] if name else folder)

    def way_out(self, out: bytes) -> bytes:
        """What the host says of itself and where it found things, in Windows' words."""
        return _FRAME.sub(self._frame, out.decode("ascii", "replace")).encode("ascii", "replace")

    def _frame(self, found: re.Match[str]) -> str:
        body, world = found[3], self._world
        document = json.loads(body if body.startswith("{") else gzip.decompress(base64.b64decode(body)))
        document["host"].update(name=world.name, acp=world.spec.acp, oemcp=world.spec.oemcp, programdata=world.spec.programdata)
        places = {result["id"]: result["path"] for result in document.get("results", ()) if "path" in result}
        for result in document.get("results", ()):
            if "path" in result:
                result.update(path=self._found.get(result["path"], result["path"]), free_bytes=world.disk_free)
            elif "free_bytes" in result:
                result["free_bytes"] = world.disk_free
            if result.get("link"):
                result["link"] = world.drive.led(self._place(self._read[result["id"]], places), result["link"])
        text = json.dumps(document)
        if len(text) > 20_000:
            text = base64.b64encode(gzip.compress(text.encode())).decode()
        return f"{found[1]}{text}{found[4]}"
