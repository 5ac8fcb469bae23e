"""The cmd shell of WS-Man: commands with their streams. No socket; processes are process.Process."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field

from ..machine.process import CommandLine, Machine, Output, Process
from . import soap
from .quotas import Quotas
from .soap import Refused, Request, Stream


@dataclass
class _Command:
    process: Process
    held: Output = field(default_factory=Output)


class CmdShell:
    """One shell (shells.Shell)."""

    host = "winrshost.exe"

    def __init__(self, machine: Machine, quotas: Quotas, user: str, request: Request) -> None:
        codepage = request.options.get("WINRS_CODEPAGE", "437")
        self.user = user
        self._machine = machine
        self._quotas = quotas
        self._codepage = int(codepage) if codepage.isdigit() else 437
        self._directory = request.directory
        self._environment = request.environment
        self._lock = threading.Lock()
        self._commands: dict[str, _Command] = {}

    def command(self, request: Request) -> bytes:
        with self._lock:
            if len(self._commands) >= self._quotas.processes_per_shell:
                raise Refused(soap.PROCESS_QUOTA)
        command = CommandLine(
            text=request.command,
            user=self.user,
            codepage=self._codepage,
            through="nothing" if request.options.get("WINRS_SKIP_CMD_SHELL") == "TRUE" else "cmd",
            piped=request.options.get("WINRS_CONSOLEMODE_STDIN") != "TRUE",
            cwd=self._directory,
            environment=self._environment,
        )
        command_id = str(uuid.uuid4()).upper()
        process = self._machine.spawn(command)
        with self._lock:
            self._commands[command_id] = _Command(process)
        return soap.started(request, command_id)

    def send(self, request: Request) -> bytes:
        command = self._find(request)
        for piece in request.streams:
            command.process.feed(piece.data, piece.end)
        return soap.answer(request, "<rsp:SendResponse/>")

    def receive(self, request: Request) -> bytes:
        command = self._find(request)
        held = command.held
        if not held.stdout and not held.stderr and held.exit_code is None:
            held = command.process.read(min(request.timeout, self._quotas.max_timeout_seconds))
        if not held.stdout and not held.stderr and held.exit_code is None:
            raise Refused(soap.TIMED_OUT)
        room = request.room
        stdout, stderr = held.stdout[:room], held.stderr[: max(0, room - len(held.stdout))]
        command.held = Output(held.stdout[len(stdout) :], held.stderr[len(stderr) :], held.exit_code)
        rest = bool(command.held.stdout or command.held.stderr)
        pieces = [Stream(name, data, False) for name, data in (("stdout", stdout), ("stderr", stderr)) if data]
        return soap.received(request, pieces, None if rest else held.exit_code)

    def signal(self, request: Request) -> bytes:
        if request.signal in ("terminate", "ctrl_c", "ctrl_break"):
            with self._lock:
                command = self._commands.pop(request.command_id, None)
            if command is not None:
                command.process.kill()
        return soap.answer(request, "<rsp:SignalResponse/>")

    def end(self) -> None:
        for command in self._commands.values():
            command.process.kill()

    def _find(self, request: Request) -> _Command:
        with self._lock:
            command = self._commands.get(request.command_id)
        if command is None:
            raise Refused(soap.NO_SHELL)
        return command
