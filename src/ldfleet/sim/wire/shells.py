"""WS-Man shells on one host: who has which open, quotas, and what is asked of which. No socket; what shells do is shell_cmd's and shell_psrp's."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Protocol

from ..machine.process import Machine
from . import soap
from .quotas import Quotas
from .shell_cmd import CmdShell
from .soap import Refused, Request


class Shell(Protocol):
    """An open shell of a user. Each method answers one request, or raises Refused; ``receive`` blocks until there is something to answer."""

    @property
    def user(self) -> str:
        """Whose it is."""

    @property
    def host(self) -> str:
        """The program in which it lives, as tasklist shows it."""

    def command(self, request: Request) -> bytes: ...

    def send(self, request: Request) -> bytes: ...

    def receive(self, request: Request) -> bytes: ...

    def signal(self, request: Request) -> bytes: ...

    def end(self) -> None:
        """End all that runs in it."""


class Shells:
    """All shells of one host. ``handle`` may be called from any thread; a Receive blocks there."""

    def __init__(self, machine: Machine, quotas: Quotas) -> None:
        self._machine = machine
        self._quotas = quotas
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._used: dict[str, float] = {}

    def handle(self, request: Request, user: str, client: str) -> bytes:
        """Answer one request of an authenticated user. Raises Refused."""
        if request.resource == soap.CONFIG and request.action == "Get":
            return soap.configuration(request, self._quotas.max_envelope_kb)
        if request.resource != soap.CMD and not request.resource.startswith(soap.POWERSHELL):
            raise Refused(soap.NO_RESOURCE)
        if request.action == "Create":
            return self._create(request, user, client)
        if request.action == "Delete":
            return self._delete(request)
        shell = self._shell(request)
        if request.action == "Command":
            return shell.command(request)
        if request.action == "Send":
            return shell.send(request)
        if request.action == "Receive":
            return shell.receive(request)
        if request.action == "Signal":
            return shell.signal(request)
        raise Refused(soap.NO_ACTION)

    def close(self) -> None:
        """End everything."""
        with self._lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            shell.end()

    @property
    def open_shells(self) -> int:
        """How many shells are open: leaks show here."""
        with self._lock:
            return len(self._shells)

    def hosts(self) -> list[str]:
        """The program behind each open shell: WinRS' own, and PowerShell's."""
        with self._lock:
            return [shell.host for shell in self._shells.values()]

    def _create(self, request: Request, user: str, client: str) -> bytes:
        shell_id = request.wished_id.upper() or str(uuid.uuid4()).upper()
        shell = self._open(request, user)
        now = time.monotonic()
        with self._lock:
            idle = [key for key in self._shells if now - self._used[key] > self._quotas.idle_seconds]
            gone = [self._shells.pop(key) for key in idle]
            full = sum(other.user == user for other in self._shells.values()) >= self._quotas.shells_per_user
            if not full:
                self._shells[shell_id] = shell
                self._used[shell_id] = now
        for old in gone:
            old.end()
        if full:
            shell.end()
            raise Refused(soap.SHELL_QUOTA)
        return soap.created(request, shell_id, user, client)

    def _open(self, request: Request, user: str) -> Shell:
        if request.resource == soap.CMD:
            return CmdShell(self._machine, self._quotas, user, request)
        from .shell_psrp import PsrpShell  # its library takes long to load, and most hosts are never asked for PSRP

        return PsrpShell(self._machine, self._quotas, user, request)

    def _delete(self, request: Request) -> bytes:
        with self._lock:
            shell = self._shells.pop(request.shell_id.upper(), None)
        if shell is None:
            raise Refused(soap.NO_SHELL)
        shell.end()
        return soap.answer(request, "")

    def _shell(self, request: Request) -> Shell:
        with self._lock:
            shell = self._shells.get(request.shell_id.upper())
            if shell is None:
                raise Refused(soap.NO_SHELL)
            self._used[request.shell_id.upper()] = time.monotonic()
            return shell
