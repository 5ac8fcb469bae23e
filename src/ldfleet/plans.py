"""A fleet's plan and what came of it, as values: what a person is shown, what is saved and read again. Nothing is run here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: The form of a saved plan; another one is refused.
FORMAT = 1

#: What a step is to a reader: the columns of a plan's summary.
_KINDS = {
    "create": "add",
    "clone": "add",
    "configure": "change",
    "rename": "change",
    "heal": "change",
    "install": "change",
    "uninstall": "change",
    "run_app": "change",
    "stop_app": "change",
    "start": "start",
    "stop": "stop",
    "kill": "stop",
    "remove": "remove",
    "adopt": "note",
    "record": "note",
    "backup": "note",
    "move": "move",
}


class BadPlan(Exception):
    """A saved plan that cannot be carried out, and why."""


@dataclass(frozen=True)
class Step:
    """One step on one host. ``text``: the whole of it in a line; ``reason``: why it is there."""

    host: str
    emulator: str
    action: str
    text: str
    reason: str = ""

    @property
    def kind(self) -> str:
        """add, change, start, stop, remove, move, or note (only ldfleet's own records, and backups)."""
        return _KINDS.get(self.action, "change")


@dataclass(frozen=True)
class Hold:
    """What is left as it is although the file says more. ``fails``: that is a fault."""

    name: str
    reason: str
    message: str
    fails: bool = True


@dataclass(frozen=True)
class Fault:
    """What went wrong. ``code``: one word, such as Unreachable; ``owner``: who can mend it (yours, host, ours)."""

    code: str
    about: str
    problem: str
    advice: str = ""
    owner: str = "ours"
    host: str = ""

    @property
    def subject(self) -> str:
        """What it is about, with the host where that is another thing."""
        return f"{self.host}: {self.about}" if self.host and self.host.lower() != self.about.lower() else self.about or self.host

    def said(self, subject: str) -> str:
        """It in a sentence, of one thing or of several alike."""
        if self.code == "BadOption":  # its words read on from the option's name
            return f"{subject} {self.problem}" + (f"; {self.advice}" if self.advice else "")
        return (f"{subject}: {self.problem}" if subject else self.problem) + (f". {self.advice}" if self.advice else "")

    def __str__(self) -> str:
        return self.said(self.subject)


@dataclass(frozen=True)
class Host:
    """What was seen of a host. ``problem``: why nothing was; ``emulators``: as the modules report them."""

    name: str
    problem: str = ""
    emulators: tuple[Mapping[str, Any], ...] = ()
    owned: int = 0
    running: int = 0
    desktop: bool = True
    free_bytes: int = -1
    digest: str = ""


@dataclass(frozen=True)
class Plan:
    """What would be done. ``waves``: how many, for the changes of running replicas. ``decision`` and ``fingerprint`` are the modules' own words,
    which ``apply`` hands back to them."""

    fleet: str
    made: str
    steps: tuple[Step, ...] = ()
    holds: tuple[Hold, ...] = ()
    faults: tuple[Fault, ...] = ()
    hosts: Mapping[str, Host] = field(default_factory=dict)
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def in_sync(self) -> bool:
        """Nothing to do, and nothing wrong."""
        return not self.steps and not self.faults

    @property
    def waves(self) -> int:
        """In how many waves changes come to running replicas; 0 where none is taken down for one."""
        return max((len(waves) for waves in self.decision.get("waves", {}).values()), default=0)

    def counts(self) -> dict[str, int]:
        """How many emulators are added, changed, restarted, started, stopped, removed, kept and held."""
        by_emulator: dict[tuple[str, str], set[str]] = {}
        for step in self.steps:
            by_emulator.setdefault((step.host, step.emulator), set()).add(step.kind)
        kinds = list(by_emulator.values())
        return {
            "add": sum("add" in own for own in kinds),
            "change": sum("change" in own and "add" not in own for own in kinds),
            "restart": sum({"stop", "start"} <= own for own in kinds),
            "start": sum("start" in own and not own & {"stop", "add"} for own in kinds),
            "stop": sum("stop" in own and not own & {"start", "remove"} for own in kinds),
            "remove": sum("remove" in own for own in kinds),
            "move": sum("move" in own for own in kinds),
            "kept": sum(hold.reason == "Protected" for hold in self.holds) + len(self.decision.get("kept", ())),
            "held": sum(hold.reason != "Protected" for hold in self.holds),
        }

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        data = asdict(self)
        return {"format": FORMAT, **data, "counts": self.counts(), "in_sync": self.in_sync}

    def save(self, path: Path) -> None:
        """Write it for ``apply``. It holds no secret, and a mark by which an edit of it is seen."""
        body = {"format": FORMAT, **asdict(self)}
        path.write_text(json.dumps({**body, "sha256": _mark(body)}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(path: Path) -> Plan:
    """Read a saved plan. Raises BadPlan."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadPlan(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadPlan(f"{path} is no saved plan: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise BadPlan(f"{path} is no saved plan of this version of ldfleet (format {found}, {FORMAT} is wanted); make a new one")
    mark = data.pop("sha256", None)
    if mark != _mark(data):
        raise BadPlan(f"{path} was changed after it was made; a plan is carried out as it was shown, or made anew")
    return Plan(
        data["fleet"],
        data["made"],
        tuple(Step(**step) for step in data["steps"]),
        tuple(Hold(**hold) for hold in data["holds"]),
        tuple(Fault(**fault) for fault in data["faults"]),
        {name: Host(**{**host, "emulators": tuple(host["emulators"])}) for name, host in data["hosts"].items()},
        data["pools"],
        data["decision"],
        data["fingerprint"],
    )


def _mark(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What came of carrying a plan out. ``steps``: what was done."""

    steps: tuple[Step, ...] = ()
    holds: tuple[Hold, ...] = ()
    faults: tuple[Fault, ...] = ()
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def code(self) -> int:
        """The exit code of DESIGN section 8: 0 as declared, 1 error, 3 stale plan, 4 partly applied, 5 stopped by a guard or another holder."""
        return code_of(self.faults, bool(self.steps))

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "code": self.code}


def code_of(faults: Iterable[Fault], done: bool) -> int:
    """The exit code for what went wrong. ``done``: something was carried out."""
    codes = [fault.code for fault in faults]
    if not codes:
        return 0
    if all(code == "Stale" for code in codes):
        return 3
    if not done and any(code in ("Guarded", "Held") for code in codes):
        return 5
    return 4 if done or any(code in _PARTLY for code in codes) else 1


#: Faults of single hosts and emulators, beside which the rest of the fleet was carried on.
_PARTLY = frozenset({"NotConverged", "Unreachable", "Unreadable", "ReplyLost", "NotInstalled", "Held", "Cancelled", "Stale"})


def steps_of(host: str, result: Mapping[str, Any], reasons: Mapping[str, str]) -> list[Step]:
    """The steps that a result of the module emulators tells. ``reasons``: of the fleet, by title, in place of the module's own for what goes."""
    return [_step(host, action, reasons.get(str(action["name"]))) for action in result.get("actions", ())]


def _step(host: str, action: Mapping[str, Any], reason: str | None) -> Step:
    own, text = str(action.get("reason", "")), str(action["text"])
    if reason is not None and own and text.endswith(own):
        own, text = reason, text.removesuffix(own) + reason
    return Step(host, str(action["name"]), str(action["action"]), text, own)


def with_moves(steps: Iterable[Step], decision: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps by which a replica moves from host to host, told as one."""
    moves = {str(move["title"]): move for move in decision.get("moves", ()) if move["how"] == "backup"}
    rest = [
        step
        for step in steps
        if step.emulator not in moves or step.host not in (moves[step.emulator]["source"], moves[step.emulator]["target"])
    ]
    told = [
        Step(str(move["source"]), title, "move", f"move {title}: to {move['target']}, by backup and restore", "leaves its host")
        for title, move in sorted(moves.items())
    ]
    return tuple(sorted([*rest, *told], key=lambda step: step.host))


def faults_of(host: str, result: Mapping[str, Any]) -> list[Fault]:
    """What a failed result tells, by its own list of errors or else by its message."""
    listed = [
        Fault(str(error["code"]), str(error["about"]), str(error["problem"]), str(error["advice"]), str(error["owner"]), host)
        for error in result.get("errors", ())
    ]
    return listed or [
        Fault("Unreachable" if result.get("unreachable") else "Failed", host, str(result.get("msg", "it failed")), "", "host")
    ]


def holds_of(listed: Sequence[Mapping[str, Any]]) -> list[Hold]:
    """From the modules' words, of replicas and of emulators."""
    return [Hold(str(h.get("title", h.get("name"))), str(h["reason"]), str(h["message"]), bool(h.get("fails", True))) for h in listed]
