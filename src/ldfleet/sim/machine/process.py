"""What a remote shell runs and how it is spoken to. The wire (WS-Man, PSRP, SSH) sees a machine only through these types.

No socket, no XML and no LDPlayer here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .doors import Door


@dataclass(frozen=True)
class CommandLine:
    """One command as a remote shell gives it to Windows.

    ``text``: the whole command line. ``through``: what is given it: ``cmd.exe /c``, nothing (it is a program's own line), or ``powershell -c``,
    where that is OpenSSH's default shell. ``codepage``: of the shell's hidden console. ``user``: who is logged on to the shell. ``piped``:
    standard input is a pipe (False: a console without input).
    """

    text: str
    user: str
    codepage: int = 437
    through: Literal["cmd", "nothing", "powershell"] = "cmd"
    piped: bool = True
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What a process wrote since the last look, and its exit code (signed 32 bit) once it has ended, else None."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None


class Process(Protocol):
    """A running command. Every method may be called from any thread."""

    def feed(self, data: bytes, end: bool) -> None:
        """Give bytes to standard input; ``end`` closes it."""

    def read(self, timeout: float) -> Output:
        """Wait up to ``timeout`` real seconds for output or the end; an empty Output means that neither came."""

    def kill(self) -> None:
        """End it and everything it started that has not left its job. Idempotent."""


class Runspace(Protocol):
    """A PowerShell that a PSRP session keeps: scripts run in it without a further start."""

    @property
    def codepage(self) -> int:
        """In which it reads what programs print."""

    def run(self, script: str) -> Process:
        """Run a script; what it is fed are the lines of its input."""

    def close(self) -> None:
        """End it and everything that was started in it. Idempotent."""


class Machine(Protocol):
    """A host that can run commands."""

    @property
    def name(self) -> str:
        """The computer name."""

    @property
    def users(self) -> Mapping[str, str]:
        """Local accounts and their passwords."""

    def admits(self, user: str) -> bool:
        """Whether an account may come over the network."""

    def knock(self, door: Door, client: str) -> bool:
        """Whether it takes a connection now: one that is down takes none, nor does a door that is closed to the client's address."""

    def hears(self, door: Door, client: str) -> bool:
        """Whether it answers somebody who came in at that door before."""

    def watch(self, act: Callable[[], None]) -> None:
        """Have something done whenever it goes down."""

    def spawn(self, command: CommandLine) -> Process:
        """Start a command. A program that Windows cannot find is a process that ends with cmd.exe's message and exit code."""

    def open_runspace(self, user: str) -> Runspace:
        """Start the PowerShell of a PSRP session."""
