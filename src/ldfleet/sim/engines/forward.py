"""The loopback server behind the forwarder programs: a Windows program started by a real PowerShell asks here what it shall print.

Protocol (little endian): request u32 length, then UTF-8 strings each ended by NUL: own path, raw command line, arguments; reply i32 exit code, then
stdout and stderr, each as u32 length and bytes. Where paths are mapped, one byte more says that a child keeps the program's pipes, until the line ends:
forward.exe, which Wine runs, can leave none behind.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..ldplayer.world import World
    from ..machine.windows import Caller

_LARGEST_REQUEST = 1_048_576


class Forwarder:
    """One listener for one PowerShell: what it starts is started by ``caller``. ``mapped``: it has Linux paths, which the world gets as Windows ones."""

    def __init__(self, world: World, caller: Caller, mapped: bool) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.world = world
        self._server.caller = caller
        self._server.mapped = mapped
        self._server.closing = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, for LDFLEET_FORWARD."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening. What still keeps pipes lets them go: their reader, the PowerShell, has ended."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    world: World
    caller: Caller
    mapped: bool
    closing: threading.Event


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        head = self.rfile.read(4)
        if len(head) < 4:
            return
        (size,) = struct.unpack("<I", head)
        if size > _LARGEST_REQUEST:
            return
        path, raw, *arguments = self.rfile.read(size).decode("utf-8", "surrogateescape").split("\0")[:-1]
        world, leaks = self.server.world, False
        if self.server.mapped:
            arguments = [_windows(world, argument) for argument in arguments]
        answer = world.run_program(path, arguments, raw, self.server.caller)
        if answer is None:
            reply = struct.pack("<i", 9009), b"", b"no such program in the simulated world\r\n"
        else:
            if answer.seconds is None:
                self.connection.settimeout(None)
                self.rfile.read(1)  # the program never ends by itself: wait until it is killed
                return
            world.clock.sleep(answer.seconds)
            reply, leaks = (struct.pack("<i", answer.exit_code), answer.stdout, answer.stderr), answer.leaks_output
        self.wfile.write(reply[0] + struct.pack("<I", len(reply[1])) + reply[1] + struct.pack("<I", len(reply[2])) + reply[2])
        if leaks and self.server.mapped:
            self.wfile.write(b"\1")
            self.server.closing.wait()


def _windows(world: World, argument: str) -> str:
    root = str(world.drive.root)
    return world.drive.windows(Path(argument)) if argument.startswith(root) else argument
