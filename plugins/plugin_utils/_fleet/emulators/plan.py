# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan: the ordered steps, each with its reason, that lead from an observation to the desired state. A value, made by one function.

The rules of DESIGN section 6 that concern what is done (not how) stand here: unknown is not absent, only what is owned is removed, removals
come last and are counted, protected ones stay, refusals before anything is touched.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..words.errors import Guarded, Refused
from ..words.options import shown
from ..words.settings import AUTO, IDENTITY_KEYS, SETTINGS, Value
from . import apps, backups, identity, observed, ownership
from .apps import App, Todo, Trouble
from .desired import Desired, State
from .desired import Emulator as Wanted
from .observed import Emulator as Seen
from .observed import Observation, Run
from .ownership import Origin


class Verb(enum.Enum):
    """What one step does. RECORD: only ldfleet's own record changes (protect, resume). HEAL: a garbled config is replaced by the kept good one.
    KILL: an emulator's processes are ended the hard way (only as a remedy). From INSTALL on: apps of an emulator that runs (see APP_VERBS)."""

    ADOPT = "adopt"
    RECORD = "record"
    HEAL = "heal"
    STOP = "stop"
    KILL = "kill"
    CREATE = "create"
    CLONE = "clone"
    RENAME = "rename"
    CONFIGURE = "configure"
    START = "start"
    BACKUP = "backup"
    REMOVE = "remove"
    INSTALL = "install"
    UNINSTALL = "uninstall"
    RUN_APP = "run_app"
    STOP_APP = "stop_app"


#: Steps whose one change names an app. Where its ``before`` is unknown, the emulator is yet to be started: whether the step is needed shows then.
APP_VERBS = frozenset({Verb.INSTALL, Verb.UNINSTALL, Verb.RUN_APP, Verb.STOP_APP})

#: What is done to the source of a clone before it is copied: a copy has what its source had at that moment.
SOURCE_VERBS = frozenset({Verb.STOP, Verb.RENAME, Verb.CONFIGURE})


@dataclass(frozen=True)
class Change:
    """One setting. ``before`` is None where it is unknown."""

    option: str
    before: Value | None
    after: Value


@dataclass(frozen=True)
class Step:
    """``source``: what is cloned or renamed; of HEAL and a second REMOVE the title under which the emulator is shown. ``changes``: of
    CONFIGURE, and what a new emulator gets. ``attempt``: 0, or the number of the remedy that it belongs to."""

    verb: Verb
    name: str
    reason: str
    changes: tuple[Change, ...] = ()
    source: str | None = None
    attempt: int = 0

    @property
    def key(self) -> Key:
        """What makes it the same step in a later plan: the values seen before may have moved."""
        return self.verb, self.name, tuple(change.option for change in self.changes), self.attempt


Key = tuple[Verb, str, tuple[str, ...], int]


@dataclass(frozen=True)
class Hold:
    """An emulator that the plan leaves alone, and why. ``fails``: the task fails for it when everything else is done. ``condition``: what of
    the emulator cannot be said to hold because of it."""

    name: str
    reason: str
    message: str
    fails: bool = True
    condition: str = "Synced"


@dataclass(frozen=True)
class Plan:
    """``waits``: emulators that are on their way already. ``refusals``: with any of these nothing at all may be done."""

    steps: tuple[Step, ...] = ()
    waits: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    refusals: tuple[Refused, ...] = ()

    @property
    def done(self) -> bool:
        """Nothing to do and nothing to wait for."""
        return not self.steps and not self.waits


def make(desired: Desired, seen: Observation) -> Plan:
    """Compare and order. Pure and total: whatever forbids the plan stands in its refusals."""
    removals, holds = _removals(desired, seen)
    wanted = [_Pair(emulator, _existing(emulator, seen)) for emulator in desired.emulators if emulator.state is not State.ABSENT]
    refusals = [
        *_duplicates(desired, seen, removals),
        *(refusal for pair in wanted for refusal in _pair_refusals(pair, desired, seen)),
        *_absent_refusals(desired, seen),
        *_guard(desired, seen, removals),
    ]
    steps: list[Step] = []
    waits: list[str] = []
    renewed = identity.giving_way(desired, seen)
    for pair in wanted:
        _existing_steps(pair, renewed.get(pair.wanted.name, ()), desired, seen, steps, waits, holds)
    missing = [pair.wanted for pair in wanted if pair.seen is None and not pair.wanted.guest_only]
    masked = _masked(desired, seen)
    if masked:
        healed = {emulator.name: step for emulator in missing if (step := _unmasking(emulator, masked, seen)) is not None}
        steps += healed.values()
        holds += [_may_be(emulator, masked) for emulator in missing if emulator.name not in healed]
        missing = []
    creations = [_creation(emulator) for emulator in missing]
    starts = [emulator for emulator in missing if emulator.state is State.RUNNING]
    if _no_desktop(desired, seen):
        holds += [_needs_desktop(emulator.name, "started", seen) for emulator in starts]
        starts = []
    steps += [Step(Verb.START, emulator.name, "is new") for emulator in starts]
    for emulator in missing:
        _new_apps(emulator, emulator in starts, seen, steps, holds)
    for seen_emulator, reason in removals:
        no_room = _no_room(desired, seen_emulator, seen)
        if no_room is not None:
            holds.append(no_room)
            continue
        if seen_emulator.run is not Run.STOPPED:
            if _no_desktop(desired, seen):
                holds.append(_needs_desktop(seen_emulator.title, "stopped", seen))
                continue
            steps.append(Step(Verb.STOP, seen_emulator.title, "is to be removed"))
        if desired.backup_folder is not None and backups.needed(seen, seen_emulator, desired.backup_folder):
            steps.append(Step(Verb.BACKUP, seen_emulator.title, "is to be removed, and changed after its last backup"))
        steps.append(Step(Verb.REMOVE, seen_emulator.title, reason))
    declared = {emulator.name: position for position, emulator in enumerate(desired.emulators)}
    holds.sort(key=lambda hold: declared.get(hold.name, len(declared)))  # in the user's order, whether an emulator is there yet or not
    return Plan(tuple(_ordered(steps, creations, {seen.title for seen, _ in removals})), tuple(waits), tuple(holds), tuple(refusals))


def _no_room(desired: Desired, emulator: Seen, seen: Observation) -> Hold | None:
    folder = desired.backup_folder
    if folder is None or not backups.needed(seen, emulator, folder):
        return None
    size, free = backups.room(seen, emulator, folder)
    if free < 0 or free >= size:
        return None
    told = f"a backup of {shown(emulator.title)} may need {size} bytes (the size of its disks), and the drive of {folder} has {free} free"
    return Hold(emulator.title, "NoRoomForBackup", f"{told}; it was not removed")


@dataclass(frozen=True)
class _Pair:
    wanted: Wanted
    seen: Seen | None


def _existing(wanted: Wanted, seen: Observation) -> Seen | None:
    found = seen.titled(wanted.name)
    return found if found or wanted.renamed_from is None else seen.titled(wanted.renamed_from)


def _ordered(steps: list[Step], creations: list[Step], doomed: set[str]) -> Iterable[Step]:
    """Records first, then what only stops, then what makes a source ready to be cloned, then creations (clones last: their source may be
    new), then each emulator's own stop-rename-configure-start in one piece, so that no more than one is down at a time, then apps, and
    removals at the end."""
    reworked = {step.name for step in steps if step.verb in (Verb.RENAME, Verb.CONFIGURE, Verb.START)}
    sources = {step.source for step in creations}

    def rank(step: Step) -> int:
        if step.verb in (Verb.ADOPT, Verb.RECORD, Verb.HEAL):
            return 0
        if step.name in doomed:
            return 7
        if step.verb in APP_VERBS:
            return 6
        if step.verb is Verb.STOP and step.name not in reworked:
            return 1
        if step.name in sources and step.verb in SOURCE_VERBS:
            return 2
        return {Verb.CREATE: 3, Verb.CLONE: 4}.get(step.verb, 5)

    return sorted([*creations, *steps], key=rank)


def _no_desktop(desired: Desired, seen: Observation) -> bool:
    return desired.desktop_needed and seen.host.place != "desktop"


def _needs_desktop(name: str, done: str, seen: Observation) -> Hold:
    # A launch from session 0 dies with the remote shell, and quit from there does not reach the desktop (LDPlayer 9 on a hosted server).
    return Hold(
        name,
        "NoInteractiveSession",
        f"nobody is logged on at {seen.host.name}, so {shown(name)} cannot be {done}; log on at its console (automatic logon keeps it so)",
    )


def _existing_steps(
    pair: _Pair,
    renewed: tuple[str, ...],
    desired: Desired,
    host: Observation,
    steps: list[Step],
    waits: list[str],
    holds: list[Hold],
) -> None:
    wanted, seen = pair.wanted, pair.seen
    if seen is None:
        return
    name = wanted.name
    if wanted.guest_only:
        _app_steps(pair, False, desired, host, steps, waits, holds)
        return
    resuming = wanted.state is State.PRESENT and seen.owned is not None and seen.owned.resume
    _record_steps(wanted, seen, steps)
    if seen.config is not None and seen.config.problem and (wanted.settings or wanted.apps or wanted.state is State.RUNNING):
        if seen.run is Run.STOPPED and seen.owned is not None and ownership.key(host.install, seen.title) in host.kept:
            steps.append(_heal(name, seen))
            return
        holds.append(
            Hold(
                name,
                "ConfigUnreadable",
                f"{seen.config.name} cannot be understood: {seen.config.problem}; nothing of {shown(name)} was changed",
            )
        )
        return
    changes = (*_changes(wanted.settings, seen), *(Change(option, seen.settings.get(option), AUTO) for option in renewed))
    if changes and seen.config is None and all(SETTINGS[change.option].flag is None for change in changes):
        options = ", ".join(change.option for change in changes)
        holds.append(
            Hold(name, "ConfigMissing", f"LDPlayer has written no config for {shown(name)} yet, so {options} cannot be set; start it once")
        )
        changes = ()
    renames = seen.title != name
    up = seen.run is not Run.STOPPED
    wants_up = wanted.state is State.RUNNING or resuming or (wanted.state is State.PRESENT and up)
    again = up and desired.restart.get(name) == seen.pid  # the player that was to go is still there
    rework = bool(changes) or renames or again
    stops = up and (rework or wanted.state is State.STOPPED)
    starts = wants_up and (not up or rework)
    if (stops or starts) and _no_desktop(desired, host):
        done = "restarted for its changes" if stops and starts else "stopped" if stops else "started"
        holds.append(_needs_desktop(name, done, host))
        if stops:
            return
        starts = False
    if stops:
        steps.append(Step(Verb.STOP, name, _stop_reason(changes, renames, wanted.state)))
    if renames:
        steps.append(Step(Verb.RENAME, name, f"is called {shown(seen.title)}", source=seen.title))
    if changes:
        steps.append(Step(Verb.CONFIGURE, name, "differs", changes))
    if starts:
        steps.append(Step(Verb.START, name, _start_reason(resuming, up, again and not changes and not renames)))
    elif (wanted.state is State.RUNNING or resuming) and (seen.run is Run.CHANGING or (seen.run is Run.RUNNING and seen.ready is False)):
        waits.append(name)
    _app_steps(pair, starts, desired, host, steps, waits, holds)


def _app_steps(
    pair: _Pair, starts: bool, desired: Desired, host: Observation, steps: list[Step], waits: list[str], holds: list[Hold]
) -> None:
    """What is to be done with the apps of an emulator that is there, now if it runs, or once it has been started (``starts``)."""
    wanted, seen = pair.wanted, pair.seen
    if not wanted.apps or seen is None:
        return
    if not starts and (seen.run is not Run.RUNNING or wanted.state is State.STOPPED):
        holds.append(_not_running(wanted, desired, host))
        return
    if not _listens(wanted, seen):
        holds.append(_adb_off(wanted))
        return
    found = apps.understood(seen.said) if seen.said is not None else None
    if found is None and not starts:
        waits += [wanted.name] if wanted.name not in waits else []
        return
    mine: list[Step] = []
    for app in wanted.apps:
        at_source = apps.at_source(app, host)
        said = apps.after_start(app, found, at_source) if starts or found is None else apps.todo(app, found, at_source)
        if isinstance(said, Trouble):
            holds.append(Hold(wanted.name, said.reason, said.message, condition="Apps"))
        else:
            mine += [_app_step(wanted, app, todo) for todo in said]
    if mine and _no_desktop(desired, host):
        holds.append(_needs_desktop(wanted.name, "given its apps", host))
        return
    steps += mine


def _new_apps(wanted: Wanted, starts: bool, host: Observation, steps: list[Step], holds: list[Hold]) -> None:
    """The same for an emulator that is yet to be made."""
    if not wanted.apps:
        return
    source = host.titled(wanted.clone_from) if wanted.clone_from is not None else None
    if not starts:
        holds.append(_unchecked(wanted))
    elif not _listens(wanted, source) and (source is not None or wanted.clone_from is None):
        holds.append(_adb_off(wanted))
    else:
        for app in wanted.apps:
            said = apps.after_start(app, None, apps.at_source(app, host))
            steps += [_app_step(wanted, app, todo) for todo in said] if not isinstance(said, Trouble) else []


def _app_step(wanted: Wanted, app: App, todo: Todo) -> Step:
    reason = "is to be looked at once it runs" if todo.before is None else "differs"
    return Step(Verb(todo.verb), wanted.name, reason, (Change(app.package, todo.before, todo.after),))


def _listens(wanted: Wanted, seen: Seen | None) -> bool:
    """Whether the guest can be asked, once the settings are as wanted."""
    declared = wanted.settings.get("adb")
    return declared in ("local", "remote") if declared is not None else seen is not None and observed.has_adb(seen.config)


def _adb_off(wanted: Wanted) -> Hold:
    return Hold(
        wanted.name,
        "AdbOff",
        f"apps of {shown(wanted.name)} can be seen only through adb, which is off; declare it with adb: local",
        condition="Apps",
    )


def _unchecked(wanted: Wanted) -> Hold:
    return Hold(wanted.name, "AppsUnchecked", f"apps of {shown(wanted.name)} are looked at when it runs", fails=False, condition="Apps")


def _not_running(wanted: Wanted, desired: Desired, host: Observation) -> Hold:
    """No fault of a declared emulator, whose apps are looked at when it runs; one for a task about nothing but an app."""
    if not wanted.guest_only:
        return _unchecked(wanted)
    if _no_desktop(desired, host):
        return _needs_desktop(wanted.name, "asked about its apps, which takes one that runs", host)
    return Hold(
        wanted.name, "NotRunning", f"{shown(wanted.name)} does not run, and apps can be seen and changed only while it does; start it first"
    )


def _stop_reason(changes: tuple[Change, ...], renames: bool, state: State) -> str:
    if state is State.STOPPED:
        return "shall be stopped"
    return "settings act at the next start" if changes else "a running emulator would write its old title back" if renames else _RESTART


_RESTART = "is to be restarted"


def _start_reason(resuming: bool, up: bool, again: bool) -> str:
    if up:
        return _RESTART if again else "was running before the change"
    return "was running before a change that was broken off" if resuming else "shall be running"


def _record_steps(wanted: Wanted, seen: Seen, steps: list[Step]) -> None:
    if seen.owned is None:
        steps.append(
            Step(
                Verb.ADOPT, wanted.name, "exists, and ldfleet does not own it yet", source=seen.title if seen.title != wanted.name else None
            )
        )
        return
    if seen.owned.origin is Origin.MOVING and not wanted.moving:
        steps.append(Step(Verb.RECORD, wanted.name, "has come from another host"))
    elif wanted.protect is not None and wanted.protect != seen.owned.protect:
        steps.append(Step(Verb.RECORD, wanted.name, "protect is to be remembered" if wanted.protect else "protect is to be forgotten"))
    elif seen.owned.resume and (seen.run is Run.RUNNING or wanted.state is State.STOPPED):
        steps.append(Step(Verb.RECORD, wanted.name, "a change that was broken off has ended"))


def _changes(wanted: Mapping[str, Value], seen: Seen) -> tuple[Change, ...]:
    values = seen.config.values if seen.config else {}
    return tuple(
        Change(option, SETTINGS[option].current(values), value)
        for option, value in wanted.items()
        if SETTINGS[option].differs(values, value)
    )


def _masked(desired: Desired, seen: Observation) -> list[Seen]:
    """Emulators whose title cannot be told: their config names it, cannot be understood, and nobody knows the title that list2 gives them
    instead (LDPlayer 9 has cut configs at a kill during exit; whether list2 then shows the default title was not measured)."""
    named = desired.named()
    return [
        emulator
        for emulator in seen.emulators
        if emulator.config is not None and emulator.config.problem and emulator.owned is None and emulator.title not in named
    ]


def _unmasking(wanted: Wanted, masked: list[Seen], seen: Observation) -> Step | None:
    """The garbled config whose own words (an IMEI, a MAC) stand in the good one that was kept of this emulator: it is this emulator. One that is
    shown under another one's title is left: steps go by title, so the other one's config would be replaced."""
    kept = seen.kept.get(ownership.key(seen.install, wanted.name))
    if kept is None or wanted.name not in seen.records:
        return None
    marks = [str(kept.values[key]) for key in IDENTITY_KEYS if len(str(kept.values.get(key, ""))) >= _LONG_ENOUGH]
    for emulator in masked:
        assert emulator.config is not None
        alone = emulator.title not in seen.duplicates()
        if alone and emulator.run is Run.STOPPED and any(mark.encode() in emulator.config.data for mark in marks):
            return _heal(wanted.name, emulator)
    return None


#: Characters of an identity value that no two emulators share by chance.
_LONG_ENOUGH = 12


def _heal(name: str, seen: Seen) -> Step:
    assert seen.config is not None
    shown_as = seen.title if seen.title != name else None
    return Step(
        Verb.HEAL, name, f"{seen.config.name} cannot be understood ({seen.config.problem}), and a good one was kept", source=shown_as
    )


def _may_be(wanted: Wanted, masked: list[Seen]) -> Hold:
    """Unknown is not absent: what seems to be missing is not made anew while it may be there."""
    first = masked[0]
    assert first.config is not None
    return Hold(
        wanted.name,
        "ConfigUnreadable",
        f"{shown(wanted.name)} is not to be seen, and it may be the emulator shown as {shown(first.title)}, whose {first.config.name} cannot "
        f"be understood: {first.config.problem}; nothing was created",
    )


def _creation(wanted: Wanted) -> Step:
    changes = tuple(Change(option, None, value) for option, value in wanted.settings.items())
    verb = Verb.CREATE if wanted.clone_from is None else Verb.CLONE
    return Step(verb, wanted.name, "does not exist", changes, wanted.clone_from)


def _removals(desired: Desired, seen: Observation) -> tuple[list[tuple[Seen, str]], list[Hold]]:
    """What goes, in the order in which it goes, with its reason; protected ones become holds that do not fail the task."""
    named = desired.named()
    needed = {title for emulator in desired.emulators for title in (emulator.clone_from, emulator.renamed_from) if title is not None}
    explicit: list[tuple[Seen, str]] = []
    guarded: list[tuple[int, Seen, str]] = []
    for emulator in seen.emulators:
        wanted = named.get(emulator.title)
        if wanted is not None:
            if wanted.state is State.ABSENT and emulator.owned is not None:
                explicit.append((emulator, "shall be absent"))
        elif emulator.owned is not None and emulator.title not in needed:
            surplus = _surplus(desired, emulator.title)
            if surplus is not None:
                guarded.append((-surplus[1], emulator, f"is above count {surplus[0]}"))
            elif desired.purge:
                guarded.append((1, emulator, "is owned and no longer named"))
    ordered = [*explicit, *((emulator, reason) for _, emulator, reason in sorted(guarded, key=lambda item: (item[0], item[1].title)))]
    holds: list[Hold] = []
    kept: list[tuple[Seen, str]] = []
    for emulator, reason in ordered:
        wanted = named.get(emulator.title)
        protect = wanted.protect if wanted is not None and wanted.protect is not None else bool(emulator.owned and emulator.owned.protect)
        if protect:
            holds.append(Hold(emulator.title, "Protected", f"{shown(emulator.title)} {reason}, but it is protected and stays", fails=False))
        else:
            kept.append((emulator, reason))
    return kept, holds


def _surplus(desired: Desired, title: str) -> tuple[int, int] | None:
    for count in desired.counts:
        number = count.number(title)
        if number is not None and number >= count.count:
            return count.count, number
    return None


def _guard(desired: Desired, seen: Observation, removals: list[tuple[Seen, str]]) -> Iterable[Refused]:
    named = desired.named()
    counted = [emulator.title for emulator, _ in removals if emulator.title not in named]
    if len(counted) > desired.max_destroy:
        listed = ", ".join(shown(title) for title in counted[:10]) + (f" and {len(counted) - 10} more" if len(counted) > 10 else "")
        yield Guarded(
            seen.host.name,
            f"the plan would remove {len(counted)} emulator{'s'[: len(counted) > 1]} ({listed}), and max_destroy is {desired.max_destroy}",
            f"Say max_destroy: {len(counted)} to allow it",
        )


def _absent_refusals(desired: Desired, seen: Observation) -> Iterable[Refused]:
    for wanted in desired.emulators:
        found = seen.titled(wanted.name)
        if wanted.state is State.ABSENT and found is not None and found.owned is None and not wanted.protect:
            yield Refused(
                _about(wanted, seen),
                "exists, but ldfleet neither created nor adopted it, and removes only what it owns",
                "Adopt it first (state: present), or remove it in LDPlayer",
            )


def _about(wanted: Wanted, seen: Observation) -> str:
    return f"{seen.host.name}: {wanted.where + ' ' if wanted.where else ''}{shown(wanted.name)}"


def _duplicates(desired: Desired, seen: Observation, removals: list[tuple[Seen, str]]) -> Iterable[Refused]:
    touched = {emulator.title for emulator, _ in removals}
    for wanted in desired.emulators:
        touched |= {title for title in (wanted.name, wanted.clone_from, wanted.renamed_from) if title is not None}
    for title in sorted(seen.duplicates() & touched):
        indexes = ", ".join(str(emulator.index) for emulator in seen.emulators if emulator.title == title)
        yield Refused(
            seen.host.name,
            f"several emulators are called {shown(title)} (index {indexes}), so it cannot be told which is meant",
            "Rename all but one in LDPlayer",
        )


def _pair_refusals(pair: _Pair, desired: Desired, seen: Observation) -> Iterable[Refused]:
    wanted, about = pair.wanted, _about(pair.wanted, seen)
    if wanted.guest_only:
        if pair.seen is None:
            yield Refused(about, "the host has no such emulator", "Create it first (emulator with state: running), or mend the name")
        return
    if pair.seen is None or pair.seen.title != wanted.name:
        problem = _page_problem(wanted.name, seen)
        if problem:
            yield Refused(about, problem, "Choose a title that this host can hold")
    if pair.seen is not None and wanted.renamed_from is not None and seen.titled(wanted.renamed_from) not in (None, pair.seen):
        yield Refused(
            about,
            f"exists, and so does {shown(wanted.renamed_from)} that it is to be renamed from",
            "Drop renamed_from, or remove one of the two",
        )
    if pair.seen is None and wanted.clone_from is not None:
        yield from _source_refusals(wanted.clone_from, about, desired, seen)


def _source_refusals(source: str, about: str, desired: Desired, seen: Observation) -> Iterable[Refused]:
    declared = desired.named().get(source)
    found = seen.titled(source)
    if found is None:
        if declared is None or declared.state is State.ABSENT:
            yield Refused(about, f"clone_from names {shown(source)}, and the host has no such emulator", "Create it first, or name another")
        elif declared.state is State.RUNNING:
            yield Refused(
                about,
                f"clone_from names {shown(source)}, which shall be running",
                "A source must be stopped: declare it with state: stopped",
            )
    elif found.run is not Run.STOPPED and (declared is None or declared.state is not State.STOPPED):
        yield Refused(about, f"clone_from names {shown(source)}, which is running", "Stop it, or declare it with state: stopped")


def _page_problem(title: str, seen: Observation) -> str | None:
    """Characters outside the host's ANSI code page become ? or a look-alike (a full-width quote turns into a quote after our quoting)."""
    page = seen.host.acp
    encoding = "ascii" if page == 0 else "cp936" if page == 936 else observed.codec(page)
    try:
        title.encode(encoding)
    except UnicodeEncodeError as error:
        what = f"code page {page}" if page else "code page, which is unknown (plain ASCII is safe),"
        return f"the host's ANSI {what} cannot hold {shown(title[error.start])}"
    return None
