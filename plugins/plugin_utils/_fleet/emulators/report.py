# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user gets to read: a plan, an observation or an outcome as plain JSON values and as a diff. Nothing is decided here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..words.errors import FleetError
from ..words.options import shown
from . import apps, identity
from .conformance import Finding, summary
from .converge import Outcome, Round
from .lower import Lease
from .observed import Emulator, Observation, Run
from .ownership import Origin
from .plan import APP_VERBS, Change, Plan, Step, Verb

Json = dict[str, Any]

#: First port of adb for index 0; each index takes two (LDPlayer 9 and 14; the vendor's page on adb ports).
_ADB_PORT = 5554


def actions(steps: Iterable[Step]) -> list[Json]:
    """Each step as ``action``, ``name``, ``reason``, ``text`` and, where it has them, ``source`` and ``changes``."""
    return [_action(step) for step in steps]


def _action(step: Step) -> Json:
    action: Json = {"action": step.verb.value, "name": step.name, "reason": step.reason, "text": sentence(step)}
    if step.source is not None:
        action["source"] = step.source
    if step.changes:
        action["changes"] = {change.option: {"before": change.before, "after": change.after} for change in step.changes}
    return action


def sentence(step: Step) -> str:
    """One step as one line: ``configure farm-001: cpu 1 -> 2``."""
    head = f"{step.verb.value} {step.name}"
    if step.source is not None:
        head += f" from {step.source}"
    detail = ", ".join(_change(change, step.verb) for change in step.changes)
    return f"{head}: {detail}" if detail else f"{head}: {step.reason}"


def progress(batch: Round) -> str:
    """What one batch is about, in a line: ``create 4 (game-000 … spare-000), wait for game-002``."""
    names: dict[str, list[str]] = {}
    for step in batch.steps:
        names.setdefault(step.verb.value, []).append(step.name)
    if batch.waits:
        names["wait for"] = list(batch.waits)
    return ", ".join(f"{verb} {_span(listed)}" for verb, listed in names.items()) or "look"


def note(batch: Round, lease: Lease) -> Json | None:
    """What the host's journal says of a batch: who, in which run, and the steps. None for one that only gives the lease back."""
    if not batch.steps and not batch.waits:
        return None
    return {"by": lease.holder, "run": lease.token, "steps": [sentence(step) for step in batch.steps][:_NOTED]}


#: Titles that are named one by one before they are only counted.
_LISTED = 3
#: Steps of one batch that the journal keeps.
_NOTED = 100


def _span(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _LISTED else f"{len(names)} ({names[0]} … {names[-1]})"


def _change(change: Change, verb: Verb) -> str:
    if verb in (Verb.CREATE, Verb.CLONE):
        return f"{change.option} {change.after}"
    return f"{change.option} {'?' if change.before is None else change.before} -> {change.after}"


def emulators(seen: Observation, conditions: Mapping[str, list[Json]] | None = None) -> list[Json]:
    """Every emulator of a host, by index; ``conditions`` are added where there are any."""
    return [_emulator(emulator, conditions or {}) for emulator in seen.emulators]


def _emulator(emulator: Emulator, conditions: Mapping[str, list[Json]]) -> Json:
    found: Json = {
        "name": emulator.title,
        "index": emulator.index,
        "state": emulator.run.value,
        "owned": emulator.owned is not None,
        "protected": bool(emulator.owned and emulator.owned.protect),
        "settings": dict(emulator.settings),
        "adb_serial": f"emulator-{_ADB_PORT + 2 * emulator.index}",
        "adb_port": _ADB_PORT + 1 + 2 * emulator.index,
    }
    installed = apps.understood(emulator.said) if emulator.said is not None else None
    if installed is not None:
        found["apps"] = [dict(vars(app)) for app in installed.values()]
    if emulator.owned is not None and emulator.owned.origin is Origin.MOVING:
        found["moving"] = True
    if emulator.config is None:
        found["settings_problem"] = "LDPlayer has written no config yet"
    elif emulator.config.problem:
        found["settings_problem"] = emulator.config.problem
    if emulator.title in conditions:
        found["conditions"] = conditions[emulator.title]
    return found


def host(seen: Observation) -> Json:
    """What is known of the host itself."""
    return {
        "name": seen.host.name,
        "install_dir": seen.install,
        "installed": [{"ldplayer_version": one.version, "install_dir": one.folder} for one in seen.installed],
        "free_bytes": seen.free_bytes,
        "ansi_code_page": seen.host.acp,
        "oem_code_page": seen.host.oemcp,
        "powershell": seen.host.powershell,
        "time": _time(seen),
        "desktop_user": seen.host.desktop_user,
        "conditions": [_desktop(seen), *_several(seen)],
    }


def _several(seen: Observation) -> list[Json]:
    """Said only where there is a choice."""
    others = [one.folder for one in seen.installed if one.folder.lower() != seen.install.lower()]
    if not others:
        return []
    told = f"{seen.install} was taken; there are also {', '.join(others)} (ldplayer_version or install_dir says which)"
    return [_condition("SeveralInstalled", "True", "OneTaken", told, _time(seen))]


def _desktop(seen: Observation) -> Json:
    since = _time(seen)
    if seen.host.place == "desktop":
        return _condition("DesktopSession", "True", "LoggedOn", f"{seen.host.desktop_user} is logged on", since)
    return _condition("DesktopSession", "False", "NoInteractiveSession", "nobody is logged on, or desktop_session is never", since)


def conditions(plan: Plan, seen: Observation, failures: Iterable[FleetError] = (), declared: Collection[str] = ()) -> dict[str, list[Json]]:
    """``Synced``, ``Running``, ``Ready`` and, where apps are declared, ``Apps`` for each emulator that exists, by title.

    ``since`` is the time of this look: none is remembered.
    ``declared``: titles that were compared with what is wanted; of another one nobody can say that it is in sync.
    """
    failed = {failure.about: failure for failure in failures}
    open_steps = {step.name: step for step in reversed(plan.steps)}
    held = {hold.name: hold for hold in plan.holds if hold.condition == "Synced"}
    since = _time(seen)
    twins = identity.shared(seen)
    found: dict[str, list[Json]] = {}
    for emulator in seen.emulators:
        name = emulator.title
        if name in held:
            synced = ("False" if not held[name].fails else "Unknown", held[name].reason, held[name].message)
        elif name in failed:
            synced = ("False", "NotConverged", failed[name].problem)
        elif name in open_steps:
            synced = ("False", "Drifted", sentence(open_steps[name]))
        elif name in plan.waits:
            synced = ("False", "Changing", "it is on its way")
        elif name in declared:
            synced = ("True", "InSync", "as declared")
        elif emulator.owned:
            synced = ("Unknown", "NotCompared", "nothing was declared for it here")
        else:
            synced = ("Unknown", "NotManaged", "ldfleet does not own it")
        found[name] = [_condition("Synced", *synced, since), _condition("Running", *_RUNNING[emulator.run], since), _ready(emulator, since)]
        if emulator.index in twins:
            found[name].append(_condition("UniqueIdentity", "False", "SharedIdentity", _twins(twins[emulator.index]), since))
        told = _apps_told(plan, emulator, failed.get(name))
        found[name] += [_condition("Apps", *told, since)] if told is not None else []
    return found


def _apps_told(plan: Plan, emulator: Emulator, failure: FleetError | None) -> tuple[str, str, str] | None:
    """What the condition ``Apps`` says; None where no app is declared."""
    hold = next((hold for hold in plan.holds if hold.name == emulator.title and hold.condition == "Apps"), None)
    step = next((step for step in plan.steps if step.name == emulator.title and step.verb in APP_VERBS), None)
    if hold is not None:
        return "Unknown", hold.reason, hold.message
    if step is not None:
        return "False", "Drifted", sentence(step)
    if emulator.said is None:
        return None
    if failure is not None:
        return "False", "NotConverged", failure.problem
    return "True", "InSync", "as declared"


def _twins(shared: Mapping[str, tuple[str, ...]]) -> str:
    others = ", ".join(shown(title) for title in dict.fromkeys(title for titles in shared.values() for title in titles))
    return f"has the same {', '.join(shared)} as {others}"


_RUNNING = {
    Run.RUNNING: ("True", "Running", "player and VM process are there, and Android has started"),
    Run.STOPPED: ("False", "Stopped", "no process"),
    Run.CHANGING: ("Unknown", "Changing", "it is starting or stopping, or half of it is missing"),
}


def _ready(emulator: Emulator, since: str) -> Json:
    if emulator.ready is not None:
        told = (
            ("True", "GuestAnswers", "the guest gave the answer")
            if emulator.ready
            else ("False", "GuestSilent", "the guest does not answer")
        )
    elif emulator.run is not Run.RUNNING:
        told = ("False", "NotRunning", "it does not run")
    else:
        told = ("Unknown", "NotAsked", "nobody asked the guest, or its adb is off")
    return _condition("Ready", *told, since)


def _condition(kind: str, status: str, reason: str, message: str, since: str) -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message, "since": since}


def _time(seen: Observation) -> str:
    return datetime.fromtimestamp(seen.host.time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(seen: Observation) -> str:
    """SHA-256 of what was observed and can drift (titles, states, settings, ownership); equal digests need no second look."""
    facts = sorted((e.title, e.run.value, e.owned is not None, e.config.sha256 if e.config else "") for e in seen.emulators)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def diff(steps: Sequence[Step], seen: Observation) -> Json:
    """Ansible's diff of the emulators that the plan touches: what is there, and what the steps make of it."""
    before, after = [], []
    for name in sorted({step.name for step in steps}):
        own = [step for step in steps if step.name == name]
        before += _before(name, own, seen)
        after += _after(name, own, seen)
    return {"before_header": "observed", "after_header": "planned", "before": _lines(before), "after": _lines(after)}


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _label(name: str) -> str:
    return name if name.isprintable() and name.isascii() and ":" not in name and "#" not in name else shown(name)


def _before(name: str, own: list[Step], seen: Observation) -> list[str]:
    source = next((step.source for step in own if step.verb is Verb.RENAME and step.source), None)
    emulator = seen.titled(source or name)
    if emulator is None:
        return []
    lines = [f"{_label(emulator.title)}: {emulator.run.value}"]
    lines += [f"  {change.option}: {'unknown' if change.before is None else change.before}" for step in own for change in step.changes]
    lines += ["  owned: false"] if any(step.verb is Verb.ADOPT for step in own) else []
    return lines


def _after(name: str, own: list[Step], seen: Observation) -> list[str]:
    verbs = [step.verb for step in own]
    if Verb.REMOVE in verbs:
        return []
    emulator = seen.titled(name) or next((seen.titled(step.source) for step in own if step.source), None)
    state = emulator.run.value if emulator is not None and not {Verb.CREATE, Verb.CLONE} & set(verbs) else Run.STOPPED.value
    if Verb.STOP in verbs:
        state = Run.STOPPED.value
    if Verb.START in verbs:
        state = Run.RUNNING.value
    lines = [f"{_label(name)}: {state}"]
    lines += [f"  {change.option}: {change.after}" for step in own for change in step.changes]
    lines += ["  owned: true"] if Verb.ADOPT in verbs else []
    return lines


def result(outcome: Outcome, name: str, show_diff: bool) -> Json:
    """The result of a converge (or of its check): ``changed`` says that the plan has steps, and nothing else says it."""
    steps = (*outcome.plan.steps, *outcome.extra)
    found: Json = {
        "changed": bool(steps) and not outcome.plan.refusals,
        "actions": actions(steps),
        "emulators": emulators(outcome.seen, _conditions_after(outcome)),
        "host": host(outcome.seen),
        "digest": digest(outcome.seen),
        "holds": [{"name": hold.name, "reason": hold.reason, "message": hold.message} for hold in outcome.plan.holds],
    }
    if show_diff:
        found["diff"] = diff(steps, outcome.first)
    if outcome.failures:
        found.update(failed=True, msg=message(outcome, name), errors=[failure.as_dict() for failure in outcome.failures])
    return found


def info(seen: Observation, names: Sequence[str] | None, owned: bool | None) -> Json:
    """An observation for a reader: only the emulators named, only those owned or not owned."""
    listed = emulators(seen, conditions(Plan(), seen))
    if names is not None:
        listed = [emulator for emulator in listed if emulator["name"] in names]
    if owned is not None:
        listed = [emulator for emulator in listed if emulator["owned"] is owned]
    return {"changed": False, "emulators": listed, "host": host(seen), "digest": digest(seen)}


def conformance(findings: Sequence[Finding], seen: Observation) -> Json:
    """Findings for a reader, with nothing that names the host."""
    about = {
        "folder": seen.install.rpartition("\\")[2],
        "ansi_code_page": seen.host.acp,
        "oem_code_page": seen.host.oemcp,
        "powershell": seen.host.powershell,
        "place": seen.host.place,
    }
    listed = [{"fact": f.fact, "says": f.says, "verdict": f.verdict.value, "found": f.found} for f in findings]
    return {"changed": True, "findings": listed, "summary": summary(findings), "about": about}


def _conditions_after(outcome: Outcome) -> dict[str, list[Json]]:
    """Conditions after an outcome: of a check the plan itself is open, of a run only what failed."""
    if outcome.seen is outcome.first:
        return conditions(outcome.plan, outcome.seen, outcome.failures, outcome.declared)
    return conditions(Plan(holds=outcome.plan.holds), outcome.seen, outcome.failures, outcome.declared)


def message(outcome: Outcome, name: str) -> str:
    """The failures in a few lines, the host's name first."""
    lines = [str(failure) for failure in outcome.failures]
    if outcome.plan.refusals:
        return "\n".join(["Nothing was done.", *lines])
    count = len({failure.about for failure in outcome.failures})
    return "\n".join([f"{name}: {count} emulator{'s are' if count > 1 else ' is'} not as declared.", *lines])
