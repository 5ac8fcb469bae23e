"""Windows around LDPlayer on a simulated host: drive, registry, clock, users and their sessions, programs, jobs and scheduled tasks. No LDPlayer here.

What sessions and jobs do to programs follows Microsoft's documentation and public threads (facts of WinRM, sections 5.3 and 6): a remote shell works
in session 0, what it started dies with it, and only a task with the interactive token reaches the desktop of the user who is logged on.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clock import Clock
from .drive import Drive
from .registry import Registry, Value

#: With which the identifiers of its own accounts begin.
MACHINE_SID = "S-1-5-21-1004336348-1177238915-682003330"

SYSTEM32 = "C:\\Windows\\System32"

#: LastTaskResult: the task has not run yet (SCHED_S_TASK_HAS_NOT_RUN), is running (SCHED_S_TASK_RUNNING).
HAS_NOT_RUN, IS_RUNNING = 0x41303, 0x41301


@dataclass(frozen=True)
class Caller:
    """Who starts a program. Session 0 is that of services and remote shells. ``job``: when it ends, so do the programs in it (0: none)."""

    user: str
    session: int = 0
    job: int = 0


@dataclass(frozen=True)
class Desktop:
    """A session with a desktop. A disconnected one counts as logged on (facts of WinRM, section 6)."""

    user: str
    session: int = 1
    connected: bool = True

    @property
    def caller(self) -> Caller:
        """A program that this user starts there."""
        return Caller(self.user, self.session)


@dataclass(frozen=True)
class Answer:
    """What a program did: exit code (signed 32 bit), bytes, how long it ran (simulated seconds), and whether a child keeps its pipes open.

    ``seconds`` None: it never returns.
    """

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float | None = 0.0
    leaks_output: bool = False


@dataclass(frozen=True)
class Running:
    """One process as tasklist shows it. ``path``: of its program, empty where nobody may see it."""

    pid: int
    image: str
    session: int
    user: str
    path: str = ""


@dataclass
class Task:
    """A scheduled task, as far as its XML says what matters here. ``last_result``: LastTaskResult."""

    name: str
    user: str
    program: str
    arguments: str
    interactive: bool
    elevated: bool
    runs_on_battery: bool
    priority: int
    last_result: int = HAS_NOT_RUN


@dataclass(frozen=True)
class Start:
    """A program that was started: when (simulated Unix time), its file name, its arguments, and in which session."""

    at: float
    program: str
    words: tuple[str, ...]
    session: int


#: What stands behind an .exe: the machine, its arguments, the argument string as it was given, and who started it.
Program = Callable[[Any, Sequence[str], str, Caller], Answer]


class Windows:
    """A machine. Programs may be run from any thread; one runs at a time, as the world behind them is one."""

    def __init__(self, name: str, drive: Drive, clock: Clock, desktop: Desktop | None, admin: str = "Administrator") -> None:
        self.name = name
        self.drive = drive
        self.clock = clock
        self.registry = Registry()
        self.desktop = desktop
        self.service = Caller(admin)
        self.on_battery = False
        #: Bytes free on drive C:, and on further ones by their letters.
        self.disk_free = 2**40
        self.further_free: dict[str, int] = {}
        self.tasks: dict[str, Task] = {}
        #: Folders whose rights were set: path in lower case -> accounts that may open it (as icacls names them).
        self.rights: dict[str, frozenset[str]] = {}
        self.programs: dict[str, Program] = {}
        self.lock = threading.RLock()
        self.agent_lock = threading.Lock()
        self.history: deque[Start] = deque(maxlen=10_000)
        self.program_starts = 0
        self.program_seconds = 0.0
        #: How a task's program is started (set by the host, which knows the engine).
        self.launch_task: Callable[[Caller, Task], None] = lambda _caller, _task: None
        #: What finds the program in a file that came here later (laid.py).
        self.laid: Callable[[str], Program | None] = lambda _path: None
        #: The programs behind WinRM's open shells, and how many shells a user may have (set by the farm, which knows the listeners).
        self.shell_hosts: Callable[[], Sequence[str]] = tuple
        self.shells_per_user = 30
        #: Whether administrators get all their rights over the network (LocalAccountTokenFilterPolicy).
        self.full_token = True
        #: Whether LDPlayer's repair tool has registered the VM's service.
        self.vm_service = False
        #: Questions of ldfleet's probe (or keys of the registry) that this Windows does not answer, and the reason that it gives.
        self.unanswered: dict[str, str] = {}
        self.next_pid = 4000
        self._next_job = itertools.count(1)
        self._orphans: list[Running] = []

    # ---- users ----------------------------------------------------------------------------------------------------------------------
    def sid(self, user: str) -> str:
        """The security identifier of a local user: the built-in administrator has RID 500, others follow from 1001."""
        return f"{MACHINE_SID}-{500 if user == self.service.user else 1001}"

    def value(self, key: str, name: str, caller: Caller) -> Value | None:
        """A registry value as a program of this caller sees it: HKCU is the hive of its own user."""
        return self.registry.get(self.key(key, caller), name)

    def key(self, key: str, caller: Caller) -> str:
        """A key with HKCU resolved."""
        hive, _, rest = key.partition("\\")
        return f"HKU\\{self.sid(caller.user)}\\{rest}" if hive.upper() in ("HKCU", "HKEY_CURRENT_USER") else key

    # ---- programs -------------------------------------------------------------------------------------------------------------------
    def install(self, programs: Mapping[str, Program]) -> None:
        """Put programs behind full Windows paths, with a file at each."""
        for path, program in programs.items():
            self.programs[path.lower()] = program
            local = self.drive.local(path)
            local.parent.mkdir(parents=True, exist_ok=True)
            if not local.exists():
                local.touch()

    def run_program(self, path: str, arguments: Sequence[str], raw: str, caller: Caller) -> Answer | None:
        """Start a program by its full Windows path; None when there is none."""
        program = self.laid(path) or self.programs.get(path.lower())
        if program is None:
            return None
        with self.lock:
            self.program_starts += 1
            self.history.append(Start(self.clock.now(), path.rsplit("\\", 1)[-1], tuple(arguments), caller.session))
            answer = program(self, arguments, raw, caller)
            self.program_seconds += answer.seconds or 0.0
            return answer

    def commands(self, program: str = "ldconsole.exe") -> list[tuple[str, ...]]:
        """The arguments of every start of a program so far, in order."""
        return [start.words for start in self.history if start.program.lower() == program]

    def in_use(self, path: Path) -> bool:
        """Whether a file is a program that runs, which Windows lets nobody replace or delete."""
        return False

    def free(self, path: Path) -> int:
        """Bytes free on the drive where a file lies, or would; -1 on a share, of which Windows tells it no program that asks by a drive's letter."""
        letter = self.drive.letter(path)
        return self.disk_free if letter == "C" else self.further_free.get(letter, -1)

    def take(self, path: Path, size: int) -> None:
        """That many bytes of a file's drive are free no longer."""
        if self.drive.letter(path) == "C":
            self.disk_free -= size
        else:
            self.further_free[self.drive.letter(path)] -= size

    def touch(self, path: Path) -> None:
        """A file was changed now, by the machine's own clock."""
        now = self.clock.now()
        os.utime(path, (now, now))

    def new_pid(self) -> int:
        """A process id that is not in use."""
        self.next_pid += 4
        return self.next_pid

    def new_job(self) -> int:
        """A job for what a remote shell starts."""
        return next(self._next_job)

    def end_job(self, job: int) -> None:
        """A remote shell is gone: whatever is still in its job is ended (PowerShell #16001)."""

    def processes(self) -> list[Running]:
        """Every process that somebody may look for."""
        desktop = self.desktop
        shell = [Running(2400, "explorer.exe", desktop.session, desktop.user)] if desktop else []
        remote = [Running(1200 + 4 * number, image, 0, self.service.user) for number, image in enumerate(self.shell_hosts())]
        return [*shell, *remote, *self._orphans]

    def orphan(self, image: str, path: str = "") -> None:
        """A process that nobody waits for any more."""
        self._orphans.append(Running(self.new_pid(), image, 0, "SYSTEM", path))

    def end_processes(self) -> None:
        """The machine goes down."""
        self._orphans.clear()

    def kill(self, pid: int) -> bool:
        """End a process the hard way; False when there is none."""
        left = [process for process in self._orphans if process.pid != pid]
        found = len(left) < len(self._orphans)
        self._orphans = left
        return found

    # ---- tasks ----------------------------------------------------------------------------------------------------------------------
    def run_task(self, task: Task) -> None:
        """Run on demand. Without a session of its user, or on battery where it may not, it stays queued: nothing happens, nothing is said."""
        desktop = self.desktop
        here = desktop is not None and desktop.user.lower() == task.user.rsplit("\\", 1)[-1].lower()
        if desktop is None or not here or not task.interactive or (self.on_battery and not task.runs_on_battery):
            return
        task.last_result = IS_RUNNING
        self.launch_task(desktop.caller, task)
