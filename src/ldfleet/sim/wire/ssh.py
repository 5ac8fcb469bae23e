"""OpenSSH for Windows on loopback, with PowerShell as its default shell: commands by password or public key. One event loop serves all hosts.

The client that it was run against is OpenSSH's own, as Ansible's ssh connection calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from ..machine.process import CommandLine, Output, Process
from .faults import WireFault
from .server import LOOPBACK, Endpoint, PortTaken
from .ways import CLIENT_KEY, HOST_KEY, KNOWN_HOSTS

Answer = TypeVar("Answer")

#: Commands that run at the same time, on all hosts together.
_MOST = 1000
_LOOK_SECONDS = 1.0


class SshServer:
    """SSH listeners of the endpoints that have an ``ssh_port``. Keys lie in ``folder``: the hosts' own one, and one that opens every account."""

    def __init__(self, endpoints: list[Endpoint], folder: Path) -> None:
        self._endpoints = [endpoint for endpoint in endpoints if endpoint.ssh_port is not None]
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ldfleet-sim-ssh", daemon=True)
        self._listeners: list[asyncssh.SSHAcceptor] = []
        self._connections: set[asyncssh.SSHServerConnection] = set()

    def __enter__(self) -> SshServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._loop.set_default_executor(ThreadPoolExecutor(_MOST, "ldfleet-sim-ssh"))
        self._thread.start()
        with ExitStack() as begun:
            begun.callback(self.__exit__)
            self._wait(self._open(_key(self._folder / HOST_KEY), _key(self._folder / CLIENT_KEY)))
            begun.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self, own: asyncssh.SSHKey, clients: asyncssh.SSHKey) -> None:
        public = own.export_public_key().decode().strip()
        known = []
        for endpoint in self._endpoints:
            assert endpoint.ssh_port is not None
            door = _Door(endpoint, clients, self._connections)
            endpoint.machine.watch(functools.partial(self._soon, door.cut))
            try:
                listener = await asyncssh.listen(
                    LOOPBACK,
                    endpoint.ssh_port,
                    server_factory=door.enter,
                    server_host_keys=[own],
                    process_factory=door.serve,
                    encoding=None,
                )
            except OSError as error:
                raise PortTaken(
                    f"port {endpoint.ssh_port} cannot be had ({error.strerror}); name another with --port, or 0 for free ones"
                ) from error
            self._listeners.append(listener)
            endpoint.ssh_port = listener.get_port()
            known.append(f"[{LOOPBACK}]:{endpoint.ssh_port} {public}\n")
        (self._folder / KNOWN_HOSTS).write_text("".join(known), encoding="ascii")

    def _soon(self, act: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(act)

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.abort()
        for listener in self._listeners:
            await listener.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _key(path: Path) -> asyncssh.SSHKey:
    if path.exists():
        return asyncssh.read_private_key(path)
    made = asyncssh.generate_private_key("ssh-ed25519")
    path.touch(mode=0o600)
    made.write_private_key(path)
    return made


class _Door:
    """One host's way in: who may enter, and what runs there."""

    def __init__(self, endpoint: Endpoint, clients: asyncssh.SSHKey, connections: set[asyncssh.SSHServerConnection]) -> None:
        self.endpoint = endpoint
        self.clients = clients.convert_to_public()
        self.connections = connections
        self.own: set[asyncssh.SSHServerConnection] = set()

    def cut(self) -> None:
        """The machine goes down: what its clients had open is gone."""
        for connection in list(self.own):
            connection.abort()

    def enter(self) -> asyncssh.SSHServer:
        """A connection that begins."""
        return _Visitor(self)

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One command from beginning to end, or what a fault makes of it."""
        wire = self.endpoint.wire
        wire.count_action("Command")
        fault = wire.fault("Command")
        if fault is not None and fault.kind not in ("lost_reply", "truncate"):
            await asyncio.sleep(fault.seconds if fault.kind == "stall" else 0)
            process.channel.get_connection().abort()
            return
        if process.command is None:
            process.stderr.write(b"simulated host: there is no interactive shell here\r\n")
            process.exit(1)
            return
        user = str(process.get_extra_info("username"))
        running = self.endpoint.machine.spawn(CommandLine(process.command, user, through="powershell"))
        fed = asyncio.create_task(_feed(process, running))
        try:
            await self._tell(process, running, fault)
        finally:
            fed.cancel()
            running.kill()

    async def _tell(self, process: asyncssh.SSHServerProcess[bytes], running: Process, fault: WireFault | None) -> None:
        output = Output()
        while output.exit_code is None:
            output = await asyncio.to_thread(running.read, _LOOK_SECONDS)
            if fault is None and self.endpoint.machine.hears("ssh", LOOPBACK):
                self.endpoint.wire.count(bytes_out=len(output.stdout) + len(output.stderr))
                process.stdout.write(output.stdout)
                process.stderr.write(output.stderr)
        if not self.endpoint.machine.hears("ssh", LOOPBACK):
            process.channel.get_connection().abort()
            return
        if fault is not None:
            process.stdout.write(output.stdout[: len(output.stdout) // 2] if fault.kind == "truncate" else b"")
            await process.stdout.drain()
            process.channel.get_connection().abort()
            return
        process.exit(output.exit_code & 0xFFFFFFFF)


async def _feed(process: asyncssh.SSHServerProcess[bytes], running: Process) -> None:
    with contextlib.suppress(asyncssh.BreakReceived, asyncssh.SignalReceived):
        running.feed(await process.stdin.read(), True)


class _Visitor(asyncssh.SSHServer):
    """Who is at the other end of a connection."""

    def __init__(self, door: _Door) -> None:
        self._door = door
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        wire = self._door.endpoint.wire
        if not self._door.endpoint.machine.knock("ssh", LOOPBACK):
            conn.abort()
            return
        wire.count(connections=1)
        if wire.fault("Connect") is not None:
            conn.abort()
            return
        self._connection = conn
        self._door.connections.add(conn)
        self._door.own.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._door.connections.discard(self._connection)
            self._door.own.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._judged(self._door.endpoint.accounts.known(username) and key.convert_to_public() == self._door.clients)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._judged(self._door.endpoint.accounts.check(username, password))

    def _judged(self, welcome: bool) -> bool:
        if not welcome:
            self._door.endpoint.wire.count(auth_failures=1)
        return welcome
