"""WS-Man shells and their commands on one host: requests in, answers or faults out, quotas kept. No socket; processes are process.Process."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

from . import soap
from .process import CommandLine, Machine, Output, Process
from .soap import Fault, Request, Stream


class Refused(Exception):
    """The request ends in a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


@dataclass(frozen=True)
class Quotas:
    """The documented defaults of winrm/config/winrs (newer Windows allows far more): small, so that leaks are seen. Seconds, KiB."""

    shells_per_user: int = 30
    processes_per_shell: int = 25
    idle_seconds: float = 7200.0
    max_timeout_seconds: float = 60.0
    max_envelope_kb: int = 500


@dataclass
class _Command:
    process: Process
    held: Output = field(default_factory=Output)


@dataclass
class _Shell:
    user: str
    codepage: int
    directory: str | None
    environment: dict[str, str]
    used: float
    commands: dict[str, _Command] = field(default_factory=dict)


#: Room for the envelope around base64 text, and the ratio of base64.
_ENVELOPE_ROOM = 4096


class Shells:
    """All shells of one host. ``handle`` may be called from any thread; a Receive blocks there."""

    def __init__(self, machine: Machine, quotas: Quotas) -> None:
        self._machine = machine
        self._quotas = quotas
        self._lock = threading.Lock()
        self._shells: dict[str, _Shell] = {}

    def handle(self, request: Request, user: str, client: str) -> bytes:
        """Answer one request of an authenticated user. Raises Refused."""
        if request.resource == soap.CONFIG and request.action == "Get":
            return soap.configuration(request, self._quotas.max_envelope_kb)
        if request.resource != soap.CMD:
            raise Refused(soap.NO_RESOURCE)
        if request.action == "Create":
            return self._create(request, user, client)
        if request.action == "Delete":
            return self._delete(request)
        shell = self._shell(request)
        if request.action == "Command":
            return self._command(request, shell)
        if request.action == "Send":
            return self._send(request, shell)
        if request.action == "Receive":
            return self._receive(request, shell)
        if request.action == "Signal":
            return self._signal(request, shell)
        raise Refused(soap.NO_ACTION)

    def close(self) -> None:
        """End everything."""
        with self._lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            _end(shell)

    @property
    def open_shells(self) -> int:
        """How many shells are open: leaks show here."""
        with self._lock:
            return len(self._shells)

    def _create(self, request: Request, user: str, client: str) -> bytes:
        shell_id = str(uuid.uuid4()).upper()
        codepage = request.options.get("WINRS_CODEPAGE", "437")
        now = time.monotonic()
        with self._lock:
            idle = [key for key, shell in self._shells.items() if now - shell.used > self._quotas.idle_seconds]
            gone = [self._shells.pop(key) for key in idle]
            if sum(shell.user == user for shell in self._shells.values()) >= self._quotas.shells_per_user:
                raise Refused(soap.SHELL_QUOTA)
            self._shells[shell_id] = _Shell(user, int(codepage) if codepage.isdigit() else 437, request.directory, request.environment, now)
        for shell in gone:
            _end(shell)
        return soap.created(request, shell_id, user, client)

    def _delete(self, request: Request) -> bytes:
        with self._lock:
            shell = self._shells.pop(request.shell_id, None)
        if shell is None:
            raise Refused(soap.NO_SHELL)
        _end(shell)
        return soap.answer(request, "")

    def _shell(self, request: Request) -> _Shell:
        with self._lock:
            shell = self._shells.get(request.shell_id)
            if shell is None:
                raise Refused(soap.NO_SHELL)
            shell.used = time.monotonic()
            return shell

    def _command(self, request: Request, shell: _Shell) -> bytes:
        with self._lock:
            if len(shell.commands) >= self._quotas.processes_per_shell:
                raise Refused(soap.PROCESS_QUOTA)
        command = CommandLine(
            text=request.command,
            user=shell.user,
            codepage=shell.codepage,
            skip_cmd=request.options.get("WINRS_SKIP_CMD_SHELL") == "TRUE",
            piped=request.options.get("WINRS_CONSOLEMODE_STDIN") != "TRUE",
            cwd=shell.directory,
            environment=shell.environment,
        )
        command_id = str(uuid.uuid4()).upper()
        process = self._machine.spawn(command)
        with self._lock:
            shell.commands[command_id] = _Command(process)
        return soap.started(request, command_id)

    def _find(self, request: Request, shell: _Shell) -> _Command:
        with self._lock:
            command = shell.commands.get(request.command_id)
        if command is None:
            raise Refused(soap.NO_SHELL)
        return command

    def _send(self, request: Request, shell: _Shell) -> bytes:
        command = self._find(request, shell)
        for piece in request.streams:
            command.process.feed(piece.data, piece.end)
        return soap.answer(request, "<rsp:SendResponse/>")

    def _receive(self, request: Request, shell: _Shell) -> bytes:
        command = self._find(request, shell)
        held = command.held
        if not held.stdout and not held.stderr and held.exit_code is None:
            held = command.process.read(min(request.timeout, self._quotas.max_timeout_seconds))
        if not held.stdout and not held.stderr and held.exit_code is None:
            raise Refused(soap.TIMED_OUT)
        room = max(1024, (request.max_envelope - _ENVELOPE_ROOM) * 3 // 4)
        stdout, stderr = held.stdout[:room], held.stderr[: max(0, room - len(held.stdout))]
        command.held = Output(held.stdout[len(stdout) :], held.stderr[len(stderr) :], held.exit_code)
        rest = bool(command.held.stdout or command.held.stderr)
        pieces = [Stream(name, data, False) for name, data in (("stdout", stdout), ("stderr", stderr)) if data]
        return soap.received(request, pieces, None if rest else held.exit_code)

    def _signal(self, request: Request, shell: _Shell) -> bytes:
        if request.signal in ("terminate", "ctrl_c", "ctrl_break"):
            with self._lock:
                command = shell.commands.pop(request.command_id, None)
            if command is not None:
                command.process.kill()
        return soap.answer(request, "<rsp:SignalResponse/>")


def _end(shell: _Shell) -> None:
    for command in shell.commands.values():
        command.process.kill()
