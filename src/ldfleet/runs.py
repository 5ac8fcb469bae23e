"""Playbooks through ansible-runner: the package's only door to Ansible, and the only importer of ansible_runner.

A run gets a private folder of its own, in memory where the system has such a place, that is removed at its end. Secrets go through pipes: they
stand in no file, no option and no variable of the environment that this module makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

COLLECTION = "ldfleet.ldplayer"
#: Events that a reader who does not read leaves behind; older ones are dropped and counted.
_KEPT_EVENTS = 10_000
#: Seconds that hosts have to finish what they do and to give back their leases, before a cancelled run is killed. A batch takes a time slice (30 s).
GRACE = 90.0
#: The variable that names the file whose existence tells the modules to stop (see plugin_utils/_action.py).
_CANCEL = "ldplayer_cancel"


@dataclass(frozen=True)
class HostResult:
    """What a task of this collection returned for one host. ``status``: ok, changed, failed or unreachable; ``task``: its name; ``module``: without
    the collection's name."""

    host: str
    status: str
    result: Mapping[str, Any]
    task: str = ""
    module: str = ""


@dataclass(frozen=True)
class TaskStarted:
    """Ansible begins a task on its hosts."""

    name: str


@dataclass(frozen=True)
class Said:
    """A piece of Ansible's output. ``event``: what ansible-runner calls it (``runner_on_file_diff``); ``host``: whose it is, or empty."""

    event: str
    host: str
    text: str


Event = TaskStarted | HostResult | Said


@dataclass(frozen=True)
class Run:
    """``code``: the exit code of ansible-playbook. ``hosts``: the last result of each host, for tasks of this collection only. ``errors``: what Ansible
    said on its own (about an inventory that it cannot read). ``cancelled``: it was told to stop."""

    code: int
    hosts: Mapping[str, HostResult] = field(default_factory=dict)
    errors: str = ""
    cancelled: bool = False

    def changed(self) -> list[str]:
        """Hosts that report a change."""
        return [name for name, host in self.hosts.items() if host.result.get("changed")]


@dataclass(frozen=True)
class Order:
    """What to run: a playbook of the collection, on which inventories.

    ``options``: further options of ansible-playbook (``--check``). ``secrets``: variables that nobody may read but Ansible. ``vault_password``: opens
    vaulted values. ``reader``: the inventory plugin that reads the files; without one, whichever can. ``timeout``: seconds after which the run is
    cancelled. ``artifacts``: a folder in which the output of the last ``keep`` runs stays. Relative paths of inventories start at the current folder.
    """

    playbook: str
    inventory: Sequence[Path]
    options: Sequence[str] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    vault_password: str | None = None
    forks: int = 50
    reader: str | None = None
    timeout: float | None = None
    artifacts: Path | None = None
    keep: int = 10


class Job:
    """A playbook that runs. Its events can be read as they come, from this thread or from asyncio, and need not be read at all."""

    def __init__(self, order: Order, watch: Callable[[Event], None] | None = None, kept: int = _KEPT_EVENTS) -> None:
        """Start it. ``watch`` is given every event, in the job's own thread. ``kept``: how many events wait for who reads them; ``dropped`` counts the
        older ones, which are gone."""
        self._order = order
        self._watch = watch
        self._events: deque[Event] = deque(maxlen=kept)
        self._news = threading.Condition()
        self._stop_by: float | None = None
        self._began = time.monotonic()
        self._cancelled = False
        self._flag: Path | None = None
        self.dropped = 0
        thread = ThreadPoolExecutor(1, f"ldfleet-{order.playbook}")
        self._done = thread.submit(self._work)
        self._done.add_done_callback(self._ended)
        thread.shutdown(wait=False)

    def wait(self, timeout: float | None = None) -> Run:
        """The run, when it is over. Raises TimeoutError when it is not after ``timeout`` seconds; it goes on then."""
        return self._done.result(timeout)

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._done.done()

    def cancel(self, grace: float = GRACE) -> None:
        """Let every host finish the batch that it is at and give back its lease; after ``grace`` seconds the run is killed. Returns at once."""
        with self._news:
            self._cancelled = True
            self._stop_by = time.monotonic() + grace
            if self._flag is not None:
                self._flag.touch()

    def events(self) -> Iterator[Event]:
        """Every event from now on until the run is over, those that wait included."""
        while (event := self._next(None)) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The same for asyncio."""
        import asyncio

        while (event := await asyncio.to_thread(self._next, None)) is not None:
            yield event

    def __await__(self) -> Any:
        """The run, for asyncio."""
        import asyncio

        return asyncio.wrap_future(self._done).__await__()

    def _next(self, timeout: float | None) -> Event | None:
        with self._news:
            while not self._events:
                if self._done.done():
                    return None
                self._news.wait(timeout)
            return self._events.popleft()

    def _tell(self, event: Event) -> None:
        if self._watch is not None:
            self._watch(event)
        with self._news:
            self.dropped += len(self._events) == self._events.maxlen
            self._events.append(event)
            self._news.notify_all()

    def _work(self) -> Run:
        with tempfile.TemporaryDirectory(prefix="ldfleet-run-", dir=_memory()) as folder:
            return self._played(Path(folder))

    def _ended(self, _run: Future[Run]) -> None:
        with self._news:
            self._news.notify_all()

    def _played(self, folder: Path) -> Run:
        order = self._order
        hosts: dict[str, HostResult] = {}
        own_words: deque[str] = deque(maxlen=200)

        def on_event(event: Mapping[str, Any]) -> bool:
            for told in _told(event):
                if isinstance(told, HostResult):
                    hosts[told.host] = told
                if isinstance(told, Said) and told.event in ("verbose", "warning", "error"):
                    own_words.append(told.text)
                self._tell(told)
            return False  # nothing is kept on disk

        with self._news:
            self._flag = folder / "cancel"
            if self._cancelled:
                self._flag.touch()
        kept = {"artifact_dir": str(order.artifacts.resolve()), "rotate_artifacts": order.keep} if order.artifacts is not None else {}
        with contextlib.ExitStack() as pipes:
            runner = ansible_runner.run(
                private_data_dir=str(folder),
                ident=time.strftime("%Y%m%dT%H%M%S-") + folder.name[-8:],
                playbook=f"{COLLECTION}.{order.playbook}",
                cmdline=shlex.join(self._words(folder, pipes)),
                extravars={**order.variables, _CANCEL: str(self._flag)},
                envvars=_environment(order),
                event_handler=on_event,
                status_handler=_forget_environment,
                cancel_callback=self._over,  # without one, the runner replaces the signal handlers of this process for good
                settings={"suppress_ansible_output": True, "suppress_output_file": order.artifacts is None, "pexpect_timeout": 1},
                quiet=True,
                **kept,
            )
        return Run(int(runner.rc), hosts, "\n".join(own_words), self._cancelled)

    def _words(self, folder: Path, pipes: contextlib.ExitStack) -> list[str]:
        """Options of ansible-playbook, with the pipes through which it reads its secrets."""
        order = self._order
        words = [word for path in order.inventory for word in ("-i", str(path.resolve()))]
        if order.secrets:
            words += ["-e", f"@{pipes.enter_context(_pipe(folder / 'secrets', json.dumps(dict(order.secrets))))}"]
        if order.vault_password is not None:
            words += ["--vault-password-file", str(pipes.enter_context(_pipe(folder / "vault", order.vault_password)))]
        return [*words, *order.options]

    def _over(self) -> bool:
        """Whether the runner shall kill the run now."""
        if self._order.timeout is not None and self._stop_by is None and time.monotonic() - self._began > self._order.timeout:
            self.cancel()
        return self._stop_by is not None and time.monotonic() > self._stop_by


def play(
    playbook: str,
    inventory: Sequence[Path],
    options: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    show: Callable[[Said], None] | None = None,
) -> Run:
    """Run one of the collection's playbooks to its end. ``show`` is given Ansible's output as it comes."""

    def watch(event: Event) -> None:
        if show is not None and isinstance(event, Said):
            show(event)

    return Job(Order(playbook, inventory, options, variables or {}), watch).wait()


def _memory() -> str | None:
    """A place that is no disk, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - TemporaryDirectory makes a folder of its own there


def _forget_environment(status: Mapping[str, Any], runner_config: Any) -> None:
    """ansible-runner writes the whole environment of the run, passwords included, into a file (runner.py, 2.4.3)."""
    if status.get("status") == "running":
        (Path(runner_config.artifact_dir) / "command").unlink(missing_ok=True)


@contextlib.contextmanager
def _pipe(path: Path, text: str) -> Iterator[Path]:
    """A named pipe that gives a text to whoever reads it first, and to nobody when the block is over."""
    os.mkfifo(path, 0o600)
    over = threading.Event()

    def feed() -> None:
        while not over.wait(0.05):
            try:
                end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                continue
            with os.fdopen(end, "w", encoding="utf-8") as stream:
                stream.write(text)
            return

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        over.set()
        thread.join()


def printable(value: Any) -> Any:
    """A value from a host as it may be shown: no character in it moves a cursor, changes a colour or turns the direction of writing."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in value)
    if isinstance(value, Mapping):
        return {str(printable(key)): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value


def _told(event: Mapping[str, Any]) -> Iterator[Event]:
    """What an event of ansible-runner means here."""
    kind, data = str(event.get("event")), event.get("event_data") or {}
    if kind == "playbook_on_task_start":
        yield TaskStarted(str(data.get("task") or data.get("name") or ""))
    if event.get("stdout"):
        yield Said(kind, str(data.get("host") or ""), str(event["stdout"]).replace("\r\n", "\n"))
    status = _STATUS.get(kind)
    action = str(data.get("resolved_action") or data.get("task_action") or "")
    if status is not None and action.startswith(f"{COLLECTION}."):
        result = printable(data.get("res") or {})
        changed = status == "ok" and result.get("changed")
        yield HostResult(
            str(data.get("host")), "changed" if changed else status, result, str(data.get("task") or ""), action.rpartition(".")[2]
        )


_STATUS = {"runner_on_ok": "ok", "runner_on_failed": "failed", "runner_on_unreachable": "unreachable"}


def _environment(order: Order) -> dict[str, str]:
    """Ansible's settings for our runs: the checkout's collection where there is one, else the one on sys.path."""
    settings = {
        "ANSIBLE_FORKS": str(order.forks),
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_NOCOWS": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_FORCE_COLOR" if sys.stdout.isatty() else "ANSIBLE_NOCOLOR": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    if order.reader is not None:
        settings["ANSIBLE_INVENTORY_ENABLED"] = order.reader
    found = collections()
    if found is not None:
        settings["ANSIBLE_COLLECTIONS_PATH"] = found
    return settings


def collections() -> str | None:
    """Ansible's search path for a checkout's collection and those that it depends on; None where Ansible finds them by itself, as where this is installed."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".build" / "ansible_collections").is_dir():
        return None
    return os.pathsep.join((str(checkout / ".build"), str(checkout / ".cache" / "collections")))


def collection_here() -> Path:
    """Where the collection lies that this package was made with, there or not."""
    checkout = Path(__file__).parents[2] / ".build"
    home = checkout if (checkout / "ansible_collections").is_dir() else Path(__file__).parents[1]
    return (home / "ansible_collections" / Path(*COLLECTION.split("."))).resolve()
