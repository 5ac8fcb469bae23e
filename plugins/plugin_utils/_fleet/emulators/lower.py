# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From steps to host operations: one function a verb, and one batch a call.

Rules that hold here: the host's lease is taken first and everything needs it; emulators are addressed by index, and every batch first proves
that each index still has the title that was observed (`guard`); mutators run one after the other; a config is edited by compare-and-swap with
the old one kept; each step carries its own proof, since exit codes prove little (`add` returns the new index, `modify` returns 0 when it did
nothing). Starts are staggered, and no more than `limit` are on their way at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..._host import operations
from ..._host.operations import Operation
from ..words import install, settings
from . import apps, backups, guest, observed, ownership
from .desired import Desired, State
from .desired import Emulator as Wanted
from .observed import Emulator as Seen
from .observed import Observation, Run
from .ownership import Origin, Owned
from .plan import APP_VERBS, SOURCE_VERBS, Key, Plan, Step, Verb

#: `modify`, `rename` and `launch` return at once; 60 s is for a busy host.
_COMMAND_MS = 60_000
#: `copy` of several GB takes minutes, or returns at once and works on in the background (reports differ).
_COPY_MS = 900_000
_APPEARS_MS = 20_000
_REMOVE_MS = 180_000
#: What farms give it (one project calls backup "not working" after 120 s).
_BACKUP_MS = 600_000
#: After `quit` the processes vanish within 8 s (LDPlayer 14); after that it is hanging.
_STOP_MS = 60_000
_POLL_MS = 500
#: A start sooner than 10 s after the old processes are gone left a player without a window (LDPlayer 14).
REST_MS = 10_000
#: How long a lease outlives the batch that took it, beyond the longest that the batch can take.
_LEASE_MARGIN_MS = 30_000


@dataclass(frozen=True)
class Lowered:
    """One batch. ``proofs``: for each step the ids of its operations. ``effects``: ids of the operations that change something for a step.

    ``waits``: the operation that waits for an emulator that is on its way. ``pending``: steps of which only the proof is asked once more.
    ``releases``: this batch ends the work, so it gives the lease back.
    """

    operations: tuple[Operation, ...]
    proofs: Mapping[Step, tuple[str, ...]]
    effects: frozenset[str]
    waits: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[Step, ...] = ()
    releases: bool = False


@dataclass(frozen=True)
class Lease:
    """Who works on the host: ``token`` is this run's own, ``holder`` is for people."""

    token: str
    holder: str


def lower(
    plan: Plan,
    desired: Desired,
    seen: Observation,
    pending: Mapping[Key, Operation],
    lease: Lease,
    slice_ms: int,
    resting: Collection[str] = (),
) -> Lowered:
    """Operations for as much of the plan as one batch can hold: creations end it, since LDPlayer chooses the index.

    ``pending``: the proofs of steps whose command ran already; of these only the proof is asked again. ``resting``: emulators that were taken
    down a moment ago, in an earlier batch.
    """
    batch = _Batch(desired, seen, plan, resting)
    part = list(_first_part(plan, seen, pending))
    for step in part:
        if step.key in pending:
            batch.ask_again(step, pending[step.key])
    creating = any(step.verb in (Verb.CREATE, Verb.CLONE) for step in part)
    for name in () if creating else plan.waits:
        batch.wait(name)
    for step in part:
        if step.key not in pending:
            batch.add(step)
    return batch.lowered(lease, slice_ms, len(part) == len(plan.steps) and not creating)


def leased(work: Iterable[Operation], lease: Lease, slice_ms: int) -> tuple[Operation, ...]:
    """A batch that takes the lease, does some work, and gives it back whatever came of the work."""
    listed = list(work)
    back = operations.needing(operations.always(release(lease)[0]), "lease")
    return (_take(lease, listed, slice_ms), *(operations.needing(operation, "lease") for operation in listed), back)


def _take(lease: Lease, work: Iterable[Operation], slice_ms: int) -> Operation:
    longest = max((int(operation.get("timeout_ms", 0)) for operation in work), default=0)
    return operations.lease("lease", "take", lease.token, lease.holder, slice_ms + longest + _LEASE_MARGIN_MS)


def release(lease: Lease) -> tuple[Operation, ...]:
    """A batch that only gives the lease back."""
    return (operations.lease("release", "release", lease.token, lease.holder, 0),)


def _first_part(plan: Plan, seen: Observation, pending: Mapping[Key, Operation]) -> Iterable[Step]:
    creates = [step for step in plan.steps if step.verb in (Verb.CREATE, Verb.CLONE)]
    sources = {step.source for step in creates}
    for step in plan.steps:
        if step.key in pending:
            yield step
            continue
        if step.verb is Verb.REMOVE and any(other.verb is Verb.BACKUP and other.name == step.name for other in plan.steps):
            continue  # first the next look must show the backup
        if step.verb in APP_VERBS and not _reachable(step, plan, seen):
            continue
        alongside = step.verb in _BESIDE_CREATIONS or (step.name in sources and step.verb in SOURCE_VERBS) or _plain_stop(step, plan)
        if creates and not alongside:
            continue
        if step.verb is Verb.CLONE and (step.source is None or seen.titled(step.source) is None):
            continue
        if step.verb not in (Verb.CREATE, Verb.CLONE, Verb.HEAL) and seen.titled(step.name) is None and not _renamed(step, plan):
            continue
        yield step


#: What may stand in a batch with creations; all else waits until the new emulators have an index, and then goes in one batch with theirs.
_BESIDE_CREATIONS = frozenset({Verb.ADOPT, Verb.RECORD, Verb.HEAL, Verb.CREATE, Verb.CLONE})


def _reachable(step: Step, plan: Plan, seen: Observation) -> bool:
    """Whether an app's step can be done now: what is announced for after a start is planned anew when the emulator runs and was asked."""
    emulator = seen.titled(step.name)
    starts = any(other.verb is Verb.START and other.name == step.name for other in plan.steps)
    return emulator is not None and emulator.run is Run.RUNNING and not starts and step.changes[0].before is not None


def _plain_stop(step: Step, plan: Plan) -> bool:
    return step.verb is Verb.STOP and not any(
        other.name == step.name and other.verb in (Verb.CONFIGURE, Verb.RENAME, Verb.START, Verb.REMOVE) for other in plan.steps
    )


def _renamed(step: Step, plan: Plan) -> bool:
    return any(other.verb in (Verb.RENAME, Verb.ADOPT) and other.name == step.name and other.source is not None for other in plan.steps)


#: Asking through adb takes 55 ms on LDPlayer 14; a boot takes 20 s.
_ASK_MS = 1000


def _proof(wanted: Wanted) -> tuple[str, str]:
    """What to ask an emulator's guest, and the pattern of a good answer."""
    if wanted.ready.package is not None:
        return guest.in_front(wanted.ready.package)
    if wanted.ready.shell is not None:
        return guest.exact(wanted.ready.shell), wanted.ready.matches
    return guest.BOOTED, guest.BOOTED_ANSWER


def questions(desired: Desired) -> tuple[observed.Asked, ...]:
    """What to ask the guests that shall be running, so that one that runs and does not answer is seen, and about apps those that may run."""
    asked: dict[tuple[str, str], list[_Whom]] = {}
    for wanted, whom in _everybody(desired):
        if wanted.state is State.RUNNING:
            asked.setdefault(_proof(wanted), []).append(whom)
    ready = [_question(command, answer, whom) for (command, answer), whom in asked.items()]
    folders = backups.asks(desired.backup_folder) if desired.backup_folder is not None else ()
    return (*ready, *_app_questions(desired), *folders)


def _app_questions(desired: Desired) -> Iterable[observed.Asked]:
    asked: dict[str, list[_Whom]] = {}
    every = [
        (wanted, whom) for wanted, whom in _everybody(desired) if wanted.apps and wanted.state in (State.RUNNING, State.PRESENT)
    ]  # fmt: skip
    for wanted, whom in every:
        command = apps.question([app.package for app in wanted.apps], any(app.hashed for app in wanted.apps))
        asked.setdefault(command, []).append(whom)
    yield from (_question(command, None, whom) for command, whom in asked.items())
    yield from apps.asks(app for wanted, _ in every for app in wanted.apps)


#: A title, and whether it stands for a family.
_Whom = tuple[str, bool]


def _everybody(desired: Desired) -> Iterable[tuple[Wanted, _Whom]]:
    yield from ((wanted, (wanted.name, False)) for wanted in desired.emulators)
    yield from ((wanted, (wanted.name, True)) for wanted in desired.families)


def _question(command: str, answer: str | None, whom: Iterable[_Whom]) -> observed.Question:
    listed = list(whom)
    titles, families = ({name for name, family in listed if family is wanted} for wanted in (False, True))
    return observed.Question(command, answer, frozenset(titles), frozenset(families))


class _Batch:
    """The batch while it grows: operations, and which earlier operation of the same emulator the next one needs."""

    def __init__(self, desired: Desired, seen: Observation, plan: Plan, resting: Collection[str]) -> None:
        self.resting = resting
        self.desired = desired
        self.seen = seen
        self.restarted = {(step.name, step.attempt) for step in plan.steps if step.verb in (Verb.STOP, Verb.KILL)}
        self.under_way: list[Operation] = []
        self.launched = False
        self.guarded: dict[int, str] = {}
        self.operations: list[Operation] = []
        self.proofs: dict[Step, list[str]] = {}
        self.waits: dict[str, str] = {}
        self.pending: list[Step] = []
        self.before: dict[str, str] = {}
        self.records = dict(seen.records)
        self.sources = {step_name: title for step_name, title in ((e.name, e.renamed_from) for e in desired.emulators) if title}

    def add(self, step: Step) -> None:
        _LOWER[step.verb](self, step)

    def ask_again(self, step: Step, proof: Operation) -> None:
        """Only the proof of a step whose command ran in an earlier batch."""
        again = {key: value for key, value in proof.items() if key != "needs"}
        if step.verb is Verb.START:
            self.under_way.append(again)
        else:
            self.operations.append(again)
        self.before[step.name] = proof["id"]
        self.pending.append(step)

    def lowered(self, lease: Lease, slice_ms: int, whole: bool) -> Lowered:
        self.flush(0)
        work = [*self.operations, *self._sweep(), *apps.sweep(self.seen, (app for wanted in self.desired.emulators for app in wanted.apps))]
        head = [
            _take(lease, work, slice_ms),
            operations.find("ld", [{"path": self.seen.install}], install.CONSOLE),
        ]
        if self.guarded:
            rows = [self.guarded[index] for index in sorted(self.guarded)]
            head.append(operations.execute("guard", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, match=rows))
        tail = release(lease) if whole else ()
        asked = questions(self.desired)
        return Lowered(
            (*head, *(operations.needing(operation, "lease") for operation in work), *tail, *observed.look_again(asked, self.seen.host)),
            {step: tuple(ids) for step, ids in self.proofs.items()},
            frozenset(id for ids in self.proofs.values() for id in self._effects(ids)),
            self.waits,
            tuple(self.pending),
            whole,
        )

    def flush(self, room: int) -> None:
        """Wait for the emulators that have been on their way longest, until no more than ``room`` are."""
        while len(self.under_way) > room:
            self.operations.append(self.under_way.pop(0))

    def _effects(self, ids: list[str]) -> list[str]:
        """LDPlayer's commands and its config; ldfleet's own record only where a step is nothing else."""
        kinds = {operation["id"]: operation for operation in self.operations}
        real = [id for id in ids if kinds[id]["op"] in ("exec", "fetch") or kinds[id].get("path", "").startswith(install.CONFIG_FOLDER)]
        return real or ids

    def wait(self, name: str) -> None:
        emulator = self.emulator(name)
        if emulator is not None:
            operation = self.ready(f"{emulator.index}.wait", name, emulator, row_of(emulator), emulator.said is None)
            self.under_way.append(operations.needing(operation, self.guard(emulator)))
            self.waits[name] = operation["id"]

    def emulator(self, name: str) -> Seen | None:
        return self.seen.titled(name) or (self.seen.titled(self.sources[name]) if name in self.sources else None)

    def of(self, step: Step) -> Seen:
        """The emulator of a step that needs one; _first_part has left out steps without."""
        emulator = self.emulator(step.name)
        assert emulator is not None
        return emulator

    def guard(self, emulator: Seen) -> str:
        self.guarded[emulator.index] = row_of(emulator)
        return "guard"

    def put(self, step: Step, *added: Operation) -> None:
        """Append operations of a step: each needs the one before, the first needs what came before for this emulator."""
        for operation in added:
            needs = self.before.get(step.name)
            self.operations.append(operations.needing(operation, needs) if needs else operation)
            self.before[step.name] = operation["id"]
            self.proofs.setdefault(step, []).append(operation["id"])

    def record(self, id: str, record: Owned) -> Operation:
        data = record.data()
        operation = operations.write(
            id, ownership.path(self.seen.install, record.title), data, self.records.get(record.title, "absent"), parents=True
        )
        self.records[record.title] = hashlib.sha256(data).hexdigest()
        return operation

    def forget(self, id: str, title: str) -> Operation:
        return operations.remove(id, ownership.path(self.seen.install, title), self.records.pop(title))

    def ready(self, id: str, name: str, emulator: Seen, row: str, before_apps: bool) -> Operation:
        """Waits until an emulator can be worked with: the user's own proof, else Android's word, else (adb is off) what list2 says.

        Where apps are declared and not looked at yet (``before_apps``), Android's word is enough: the user's proof may be one of them."""
        question = self._question(name, emulator)
        wanted = self.desired.named().get(name)
        if question is not None and before_apps and wanted is not None and wanted.apps:
            question = guest.BOOTED, guest.BOOTED_ANSWER
        if question is None:
            return self.until(id, row + RUNNING, self.desired.starting.timeout * 1000)
        command, answer = question
        arguments = ["adb", "--index", str(emulator.index), "--command", command]
        timeout = self.desired.starting.timeout * 1000
        return operations.until(id, install.PROGRAM, arguments, observed.QUERY_TIMEOUT_MS, answer, _ASK_MS, timeout)

    def _question(self, name: str, emulator: Seen) -> tuple[str, str] | None:
        wanted = self.desired.named().get(name)
        adb = wanted.settings.get("adb") if wanted is not None else None
        listens = adb in ("local", "remote") if adb is not None else observed.has_adb(emulator.config)
        return _proof(wanted) if wanted is not None and listens else None

    def until(self, id: str, pattern: str, deadline_ms: int) -> Operation:
        return operations.until(id, install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, pattern, _POLL_MS, deadline_ms)

    def forms(self, title: str) -> str:
        """A pattern for a title that list2 has not printed yet."""
        return "(?:" + "|".join(operations.literal(form) for form in observed.possible_bytes(title, self.seen.host)) + ")"

    def console(self, id: str, *arguments: str, timeout_ms: int = _COMMAND_MS, exits: tuple[int, ...] | None = (0,)) -> Operation:
        return operations.execute(id, install.PROGRAM, arguments, timeout_ms, exits)

    def owned(self, step: Step, emulator: Seen) -> Owned:
        wanted = self.desired.named().get(step.name)
        protect = (
            bool(wanted.protect) if wanted is not None and wanted.protect is not None else bool(emulator.owned and emulator.owned.protect)
        )
        now = self.seen.host.time_ms
        record = emulator.owned or Owned(emulator.title, self.seen.install, Origin.ADOPTED, since_ms=now)
        arrived = record.origin is Origin.MOVING and wanted is not None and not wanted.moving
        return replace(record, protect=protect, origin=Origin.CREATED if arrived else record.origin)

    def _sweep(self) -> list[Operation]:
        """Records whose emulator is gone (removed by hand) would make a later namesake ours. One whose config is unreadable may still be
        there under another title."""
        if any(emulator.config is not None and emulator.config.problem for emulator in self.seen.emulators):
            return []
        stale = [title for title in self.seen.stale if self.records.get(title) == self.seen.records.get(title)]
        return [self.forget(f"stale.{number}", title) for number, title in enumerate(sorted(stale))]


def row_of(emulator: Seen) -> str:
    """The beginning of an emulator's row as it was printed."""
    return f"(?m)^{emulator.index},{operations.literal(emulator.raw_title)},"


# Tails of a list2 row after the title, for ten and for seven columns.
_SIZE = r"(?:,\d+,\d+,\d+)?\r?$"
STOPPED = r" ?-?\d+, ?-?\d+, ?0, ?-1, ?-1" + _SIZE
RUNNING = r" ?-?\d+, ?-?\d+, ?1, ?[1-9]\d*, ?[1-9]\d*" + _SIZE


def _adopt(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    batch.put(step, operations.needing(batch.record(f"{emulator.index}.adopt", batch.owned(step, emulator)), batch.guard(emulator)))


def _record(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    record = batch.owned(step, emulator)
    record = replace(record, resume=record.resume and _resumes(batch, step) and emulator.run is Run.STOPPED)
    batch.put(step, operations.needing(batch.record(f"{emulator.index}.record", record), batch.guard(emulator)))


def _stop(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    stop = [
        operations.needing(batch.console(f"{emulator.index}.quit", "quit", "--index", str(emulator.index)), batch.guard(emulator)),
        batch.until(f"{emulator.index}.stopped", row_of(emulator) + STOPPED, _STOP_MS),
    ]
    if _resumes(batch, step):
        stop.insert(0, batch.record(f"{emulator.index}.mark", replace(batch.owned(step, emulator), title=emulator.title, resume=True)))
    batch.put(step, *stop)


def _resumes(batch: _Batch, step: Step) -> bool:
    """A running emulator whose state is not declared is started again after a change: remembered on the host before it is stopped."""
    wanted = batch.desired.named().get(step.name)
    return wanted is not None and wanted.state.value == "present"


def _create(batch: _Batch, step: Step) -> None:
    made = batch.console(f"{_slug(step)}.add", "add", "--name", step.name, timeout_ms=_COMMAND_MS, exits=None)
    _appear(batch, step, made, Origin.CREATED, _APPEARS_MS)


def _clone(batch: _Batch, step: Step) -> None:
    source = batch.seen.titled(step.source or "")
    assert source is not None
    made = batch.console(f"{_slug(step)}.copy", "copy", "--name", step.name, "--from", str(source.index), timeout_ms=_COPY_MS, exits=None)
    ready = batch.before.get(source.title)
    _appear(batch, step, operations.needing(made, batch.guard(source), *([ready] if ready else [])), Origin.CLONED, _COPY_MS)


def _slug(step: Step) -> str:
    return "n" + hashlib.sha256(step.name.encode()).hexdigest()[:12]


def _appear(batch: _Batch, step: Step, made: Operation, origin: Origin, deadline_ms: int) -> None:
    """The exit code of add and copy is the new index (and 0 may mean that nothing was made), so only list2 proves it."""
    there = batch.until(f"{_slug(step)}.there", rf"(?m)^\d+,{batch.forms(step.name)},", deadline_ms)
    wanted = batch.desired.named()[step.name]
    origin = Origin.MOVING if wanted.moving else origin
    record = Owned(step.name, batch.seen.install, origin, bool(wanted.protect), since_ms=batch.seen.host.time_ms)
    batch.put(step, made, there, batch.record(f"{_slug(step)}.record", record))


def _rename(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    index = emulator.index
    old = batch.owned(step, emulator)
    batch.put(
        step,
        operations.needing(batch.console(f"{index}.rename", "rename", "--index", str(index), "--title", step.name), batch.guard(emulator)),
        batch.until(f"{index}.renamed", f"(?m)^{index},{batch.forms(step.name)},", _APPEARS_MS),
        batch.record(f"{index}.record", replace(old, title=step.name, resume=_resumes(batch, step) and emulator.run is not Run.STOPPED)),
        batch.forget(f"{index}.forget", emulator.title),
        operations.remove(f"{index}.unkeep", ownership.known_good(batch.seen.install, emulator.title), "any"),
    )


def _configure(batch: _Batch, step: Step) -> None:
    """The file first, while its hash is the one observed; `modify` afterwards rewrites it and keeps unknown keys."""
    emulator = batch.of(step)
    index, found = emulator.index, emulator.config
    changes = {change.option: change.after for change in step.changes}
    edits = settings.file_edits(changes)
    arguments = settings.modify_arguments(changes)
    first = batch.guard(emulator)
    if edits and found is not None:
        keep = ownership.known_good(batch.seen.install, emulator.title)
        path = f"{install.CONFIG_FOLDER}\\{found.name}"
        batch.put(step, operations.needing(operations.write(f"{index}.config", path, found.edited(edits), found.sha256, keep=keep), first))
    if arguments:
        batch.put(step, operations.needing(batch.console(f"{index}.modify", "modify", "--index", str(index), *arguments), first))
    if found is not None:
        _keep(batch, index, step.name, found.name)


def _start(batch: _Batch, step: Step) -> None:
    """One launch at a time (two at once hung the guests of a hosted server), the next one after the stagger. An emulator that was taken down
    in this batch rests first, and is back before another one is taken down."""
    emulator = batch.of(step)
    index = emulator.index
    restarted = (step.name, step.attempt) in batch.restarted
    row = row_of(emulator) if emulator.title == step.name else f"(?m)^{index},{batch.forms(step.name)},"
    batch.flush(batch.desired.starting.limit - 1)
    if restarted or step.name in batch.resting:
        batch.put(step, operations.pause(f"{index}.rest", REST_MS))
    elif batch.desired.starting.stagger and (batch.launched or any(other.run is Run.CHANGING for other in batch.seen.emulators)):
        batch.operations.append(operations.pause(f"{index}.stagger", batch.desired.starting.stagger * 1000))
    if not batch.launched and not any(other.run is not Run.STOPPED for other in batch.seen.emulators):
        batch.operations += _orphans()
    batch.launched = True
    batch.put(step, operations.needing(batch.console(f"{index}.launch", "launch", "--index", str(index)), batch.guard(emulator)))
    ready = operations.needing(batch.ready(f"{index}.ready", step.name, emulator, row, True), f"{index}.launch")
    batch.proofs[step].append(ready["id"])
    batch.before[step.name] = ready["id"]
    batch.under_way.append(ready)
    if restarted:
        batch.flush(0)
    if _resumes(batch, step):
        batch.flush(0)
        batch.put(step, batch.record(f"{index}.resumed", replace(batch.owned(step, emulator), title=step.name, resume=False)))


def _orphans() -> list[Operation]:
    """Where no VM runs, network processes that are left over keep every new guest without a network (`VBoxNetDHCP` after a fast restart)."""
    system = r"{systemroot}\System32"
    none = operations.execute("idle", rf"{system}\tasklist.exe", ["/FO", "CSV", "/NH"], _COMMAND_MS, (0,), [r"(?is)\A(?!.*BoxHeadless)"])
    words = ["/F", "/IM", "VBoxNetDHCP.exe", "/IM", "VBoxNetNAT.exe"]
    return [none, operations.needing(operations.execute("orphans", rf"{system}\taskkill.exe", words, _COMMAND_MS), "idle")]


def _kill(batch: _Batch, step: Step) -> None:
    """Only the process ids that list2 gave, and only while they are LDPlayer's own programs: an id may be somebody else's by now."""
    emulator = batch.of(step)
    index = emulator.index
    system = r"{systemroot}\System32"
    victims = [(emulator.pid, _PLAYER), (emulator.vm_pid, _MACHINE)]
    kills: list[Operation] = []
    for number, (pid, image) in enumerate((pid, image) for pid, image in victims if pid > 0):
        named = operations.execute(
            f"{index}.process{number}", rf"{system}\tasklist.exe", ["/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"], _COMMAND_MS, (0,),
            [rf'(?mi)^"{image}","{pid}"'],
        )  # fmt: skip
        kill = operations.execute(f"{index}.kill{number}", rf"{system}\taskkill.exe", ["/PID", str(pid), "/T", "/F"], _COMMAND_MS)
        kills += [operations.needing(named, batch.guard(emulator)), operations.needing(kill, named["id"])]
    for operation in kills:
        batch.operations.append(operation)
        batch.proofs.setdefault(step, []).append(operation["id"])
    gone = operations.needing(batch.until(f"{index}.gone", row_of(emulator) + STOPPED, _STOP_MS), batch.guard(emulator))
    batch.operations.append(gone)
    batch.proofs.setdefault(step, []).append(gone["id"])
    batch.before[step.name] = gone["id"]


_PLAYER, _MACHINE = r"dnplayer\.exe", r"L\w*BoxHeadless\.exe"


def _heal(batch: _Batch, step: Step) -> None:
    emulator = batch.seen.titled(step.source or step.name)
    assert emulator is not None
    assert emulator.config is not None
    path = f"{install.CONFIG_FOLDER}\\{emulator.config.name}"
    kept = ownership.known_good(batch.seen.install, step.name)
    restored = operations.copy(f"{emulator.index}.heal", kept, path, emulator.config.sha256)
    batch.put(step, operations.needing(restored, batch.guard(emulator)))


def _keep(batch: _Batch, index: int, title: str, config: str) -> None:
    """A copy of a config that was good a moment ago, for the day on which LDPlayer cuts it. No step depends on it."""
    kept = ownership.known_good(batch.seen.install, title)
    copied = operations.copy(f"{index}.keep", f"{install.CONFIG_FOLDER}\\{config}", kept, "any", parents=True)
    batch.operations.append(operations.needing(copied, batch.before[title]))


def _backup(batch: _Batch, step: Step) -> None:
    """The file proves it, in the next look. Nothing is known of what the command exits with."""
    emulator, folder = batch.of(step), batch.desired.backup_folder or ""
    words = ["backup", "--index", str(emulator.index), "--file", f"{folder}\\{backups.file_name(step.name, batch.seen.host.time_ms)}"]
    made = batch.console(f"{emulator.index}.backup", *words, timeout_ms=_BACKUP_MS, exits=None)
    if not batch.seen.listings[backups.asks(folder)[0]].values["exists"]:
        readme = operations.write(f"{emulator.index}.folder", f"{folder}\\{backups.README}", backups.README_TEXT, "any", parents=True)
        batch.put(step, operations.needing(readme, batch.guard(emulator)))
    batch.put(step, operations.needing(made, batch.guard(emulator)))


def _remove(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    index = emulator.index
    row = f"{index},{operations.literal(emulator.raw_title)},"
    gone = rf"(?s)\A(?!{row})(?!.*\n{row})\d+,"  # an empty list2 proves nothing
    batch.put(
        step,
        operations.needing(batch.console(f"{index}.remove", "remove", "--index", str(index), timeout_ms=_REMOVE_MS), batch.guard(emulator)),
        batch.until(f"{index}.gone", gone, _APPEARS_MS),
        *([batch.forget(f"{index}.forget", emulator.title)] if emulator.title in batch.records else []),
        operations.remove(f"{index}.unkeep", ownership.known_good(batch.seen.install, emulator.title), "any"),
    )


def _app(batch: _Batch, step: Step) -> None:
    emulator = batch.of(step)
    package = step.changes[0].option
    app = next(app for app in batch.desired.named()[step.name].apps if app.package == package)
    needs = [batch.guard(emulator)]
    if step.verb is Verb.INSTALL and app.download:
        fetched = apps.fetch(app)
        if not any(operation["id"] == fetched["id"] for operation in batch.operations):
            batch.operations.append(fetched)
        batch.proofs.setdefault(step, []).append(fetched["id"])
        needs.append(fetched["id"])
    work = apps.act(step.verb.value, emulator.index, app, apps.at_source(app, batch.seen), batch.seen.host.programdata)
    batch.put(step, *(operations.needing(operation, *needs) for operation in work))


_LOWER: Mapping[Verb, Callable[[_Batch, Step], None]] = {
    Verb.ADOPT: _adopt,
    Verb.RECORD: _record,
    Verb.HEAL: _heal,
    Verb.STOP: _stop,
    Verb.KILL: _kill,
    Verb.CREATE: _create,
    Verb.CLONE: _clone,
    Verb.RENAME: _rename,
    Verb.CONFIGURE: _configure,
    Verb.START: _start,
    Verb.BACKUP: _backup,
    Verb.REMOVE: _remove,
    **dict.fromkeys(APP_VERBS, _app),
}
