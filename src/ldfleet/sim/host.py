"""A simulated host as a remote shell sees it: commands become processes, run by one of the engines, and are counted."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .engines import port, powershell, scripts
from .engines.powershell import Script
from .engines.real import RealPowerShell
from .ldplayer import boot
from .ldplayer.world import World
from .machine import doors, secrets
from .machine.doors import Door
from .machine.power import Interrupted
from .machine.process import CommandLine, Output, Process, Runspace
from .machine.system import ADMINISTRATORS, REMOTE_MANAGEMENT_USERS
from .machine.windows import Answer, Caller, Program, Task
from .modules import table
from .programs import commands


@dataclass(frozen=True)
class HostCounters:
    """``batches``: bootstraps run; ``replays``: of these, how many an old answer served; ``powershell_starts``: by remote shells, also those inside
    one another; ``task_starts``: PowerShells that the task scheduler started on the desktop."""

    batches: int = 0
    replays: int = 0
    powershell_starts: int = 0
    task_starts: int = 0


@dataclass
class SimHost:
    """A machine. ``engine`` None is the port; ``powershell_start_seconds``: real seconds that each PowerShell takes to start; ``doors``: whether its
    services, listeners and firewall decide who comes in."""

    world: World
    users: dict[str, str] = field(default_factory=dict)
    engine: RealPowerShell | None = None
    powershell_start_seconds: float = 0.0
    doors: bool = False
    counters: HostCounters = HostCounters()

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.world.launch_task = self._start_task
        self.world.wrong_password = self._wrong_password
        if not self.world.system.started:
            boot.start_up(self.world)  # it was down when its simulator ended

    @property
    def name(self) -> str:
        """The computer name."""
        return self.world.name

    def admits(self, user: str) -> bool:
        """Administrators and WinRM's own group come over the network, unless they are disabled (process.Machine)."""
        accounts = self.world.system.accounts
        own = self.world.system.account(user)
        return own is not None and accounts[own].enabled and bool({ADMINISTRATORS, REMOTE_MANAGEMENT_USERS} & set(accounts[own].groups))

    def knock(self, door: Door, client: str) -> bool:
        """Whether the machine is up, and the door open (process.Machine)."""
        return self.world.power.knock() and self.hears(door, client)

    def hears(self, door: Door, client: str) -> bool:
        """Whether the door is open (process.Machine)."""
        return not self.doors or doors.is_open(self.world.system, door, client)

    def watch(self, act: Callable[[], None]) -> None:
        """Have something done when it goes down (process.Machine)."""
        self.world.power.watch(act)

    def _wrong_password(self, account: str) -> bool:
        known = self.users.get(account)
        return known is not None and not secrets.same(self.world.system.secrets, f"lsa {boot.DEFAULT_PASSWORD}", known)

    def spawn(self, command: CommandLine) -> Process:
        """Start a command (process.Machine)."""
        default_shell = command.through == "powershell"
        script = powershell.given(command.text, 1) if default_shell else powershell.script(command.text)
        job = self.world.new_job()
        caller = _caller(command.user, job)
        if script is None:
            return _Thread(lambda _data: self._plain(command, caller), wants_input=False, ended=lambda: self.world.end_job(job))
        return _Thread(
            lambda data: self._powershell(script, command, data, caller),
            wants_input=script.bootstrap or script.runner,
            ended=lambda: self.world.end_job(job),
        )

    def open_runspace(self, user: str) -> Runspace:
        """Start the PowerShell of a PSRP session (process.Machine)."""
        self.count(starts=1)
        time.sleep(self.powershell_start_seconds)
        return _Runspace(self, _caller(user, self.world.new_job()))

    def install(self, programs: Mapping[str, Program]) -> None:
        """Put further programs into the world, by their full Windows path."""
        self.world.install(programs)
        if self.engine is not None:
            self.engine.lay(self.world, list(programs))

    def count(self, batches: int = 0, replays: int = 0, starts: int = 0, tasks: int = 0) -> None:
        """Add to the counters."""
        with self._lock:
            now = self.counters
            self.counters = replace(
                now,
                batches=now.batches + batches,
                replays=now.replays + replays,
                powershell_starts=now.powershell_starts + starts,
                task_starts=now.task_starts + tasks,
            )

    def _plain(self, command: CommandLine, caller: Caller) -> Output:
        return self._finished(commands.run(self.world, command.text, caller, command.through == "cmd"))

    def _powershell(self, script: Script, command: CommandLine, data: bytes, caller: Caller) -> Output:
        self.count(starts=script.starts)
        time.sleep(self.powershell_start_seconds * script.starts)
        if len(command.text) > commands.CMD_LIMIT and command.through == "cmd":
            return Output(b"", b"The command line is too long.\r\n", 1)
        output = self.run(script, data, caller)
        if command.through == "powershell" and output.exit_code and not _EXIT.search(command.text):
            return replace(output, exit_code=1)  # powershell -c tells of a program only whether it failed
        return output

    def run(self, script: Script, data: bytes, caller: Caller) -> Output:
        """Run a script in a PowerShell that has started."""
        if script.runner:
            text, code = table.run(self.world, self.users, data, caller)
            return Output(f"{text}\r\n".encode("ascii"), b"", code)
        if not script.bootstrap:
            return self._raw(script.text, caller)
        self.count(batches=1)
        if self.engine is not None:
            return self.engine.run(script.text, data, self.world, caller)
        said = port.answer(self.world, data.decode("ascii"), caller)
        self.count(replays=said.replayed, tasks=said.tasks)
        time.sleep(self.powershell_start_seconds * said.tasks)
        return Output(said.text.encode("ascii"), b"", 0)

    def _start_task(self, caller: Caller, task: Task) -> None:
        """What the task scheduler does: the program runs by itself, and its exit code is the task's result."""

        def work() -> None:
            script = powershell.script(f"{task.program} {task.arguments}")
            if script is not None and self.engine is not None:
                self.count(tasks=1)
                time.sleep(self.powershell_start_seconds)
                output = self.engine.run(script.text, b"", self.world, caller)
            else:
                output = self._finished(commands.run(self.world, f'"{task.program}" {task.arguments}', caller, through_cmd=False))
            task.last_result = output.exit_code or 0

        threading.Thread(target=work, daemon=True).start()

    def _raw(self, text: str, caller: Caller) -> Output:
        """Scripts that are one plain command, as people type them; more would need a PowerShell."""
        known = scripts.answer(self.world, _EXIT.sub("", text), caller)
        if known is not None:
            return self._finished(known)
        line = _GET_CONTENT.sub("type ", _EXIT.sub("", text).strip())
        if "\n" in line or any(mark in line for mark in "$;|{}()@`"):
            return Output(b"", b"simulated host: this engine runs single commands and ldfleet's own agent, no other PowerShell\r\n", 1)
        return self._finished(commands.run(self.world, line.removeprefix("&").strip().replace("'", '"'), caller, through_cmd=False))

    def _finished(self, answer: Answer) -> Output:
        self.world.clock.sleep(answer.seconds or 0.0)
        return Output(answer.stdout, answer.stderr, answer.exit_code)


#: The cmdlet with which roles read a file; what it prints is what cmd's own command prints.
_GET_CONTENT = re.compile(r"(?i)\AGet-Content (?:-Path )?")
#: With which Ansible's psrp plugin ends a command, so that its exit code is told.
_EXIT = re.compile(r"(?i)\s*[;\n]\s*exit \$LASTEXITCODE\s*\Z")


def _caller(user: str, job: int) -> Caller:
    return Caller(user.rsplit("\\", 1)[-1], 0, job)


class _Runspace:
    """A PowerShell that is there already. What is started in it ends with it."""

    def __init__(self, host: SimHost, caller: Caller) -> None:
        self._host = host
        self._caller = caller

    @property
    def codepage(self) -> int:
        return self._host.world.spec.oemcp

    def run(self, script: str) -> Process:
        found = powershell.given(script, 0)
        return _Thread(lambda data: self._inside(found, data), wants_input=found.bootstrap or found.runner, ended=lambda: None)

    def close(self) -> None:
        self._host.world.end_job(self._caller.job)

    def _inside(self, script: Script, data: bytes) -> Output:
        self._host.count(starts=script.starts)
        time.sleep(self._host.powershell_start_seconds * script.starts)
        return self._host.run(script, data, self._caller)


class _Thread:
    """A process: it runs in a thread of its own as soon as it has its input, and hands over all of its output when it is done."""

    def __init__(self, work: Callable[[bytes], Output], wants_input: bool, ended: Callable[[], None]) -> None:
        self._work = work
        self._ended = ended
        self._input = bytearray()
        self._done = threading.Event()
        self._output: Output | None = None
        self._lock = threading.Lock()
        self._started = False
        if not wants_input:
            self._start()

    def feed(self, data: bytes, end: bool) -> None:
        with self._lock:
            self._input += data
        if end:
            self._start()

    def read(self, timeout: float) -> Output:
        if not self._done.wait(timeout):
            return Output()
        with self._lock:
            output, self._output = self._output, Output(exit_code=self._output.exit_code if self._output else None)
        return output or Output()

    def kill(self) -> None:
        with self._lock:
            if not self._done.is_set():
                self._output = Output(b"", b"", -1073741510)  # STATUS_CONTROL_C_EXIT, as a terminated command reports
                self._done.set()
        self._ended()

    def _start(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            output = self._work(bytes(self._input))
        except Interrupted:
            return  # whoever waited for it was cut off
        with self._lock:
            if not self._done.is_set():
                self._output = output
                self._done.set()
