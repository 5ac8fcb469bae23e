# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One converge as a conversation: it yields batches, is sent replies, and ends with an outcome. No connection, and no clock but the host's.

Every batch ends with a look, so the plan is made anew from what is there, and the last one, empty, is the proof. A step whose command ran
and that the next plan still holds did not take: it is not tried again in this run, its emulator fails with the evidence, the others go on.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from .._host.batch import Reply, Result
from .._host.operations import Operation
from . import lower, observed
from .desired import Desired
from .errors import FleetError, NotConverged
from .lower import Lowered
from .observed import Observation
from .options import shown
from .plan import Plan, Step, Verb, make

#: Batches in a row in which no command ran (the guard failed, a reply was lost) before the run gives up.
_IDLE_ROUNDS = 3

_Key = tuple[Verb, str, tuple[str, ...]]


@dataclass(frozen=True)
class Round:
    """One batch to carry: its operations, and for progress the steps that it begins and the emulators that it waits for."""

    operations: tuple[Operation, ...]
    steps: tuple[Step, ...]
    waits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """``plan``: the first plan, the one that check mode reports. ``extra``: steps done beyond it, because the host moved meanwhile.

    ``first`` and ``seen``: the first and the last observation. ``failures``: one for each emulator that is not as wanted.
    """

    plan: Plan
    first: Observation
    seen: Observation
    extra: tuple[Step, ...] = ()
    failures: tuple[FleetError, ...] = ()


def check(desired: Desired, first: Observation) -> Outcome:
    """What converge would do, without doing it: the same first plan, and what is certain to fail."""
    run = _Run(make(desired, first))
    return Outcome(run.first, first, first, failures=tuple(run.certain()))


def converge(desired: Desired, first: Observation, install_dir: str | None) -> Generator[Round, Reply, Outcome]:
    """Lead a host from ``first`` to ``desired``. Send each Round's Reply; the generator returns the Outcome.

    Raises what observation() raises when a reply cannot be understood: nothing is done after that.
    """
    run = _Run(make(desired, first))
    plan, seen = run.first, first
    while not plan.refusals:
        todo = run.rest(plan)
        if todo.done or run.idle >= _IDLE_ROUNDS:
            break
        batch = lower.lower(todo, desired, seen, {key: proof for key, (proof, _since) in run.pending.items()})
        reply = yield Round(batch.operations, tuple(batch.proofs), (*batch.waits, *(step.name for step in batch.pending)))
        seen = observed.observation(reply, install_dir)
        run.note(batch, reply)
        plan = make(desired, seen)
        run.judge(plan, seen)
    return Outcome(run.first, first, seen, tuple(run.extra), tuple(run.failures(plan)))


@dataclass
class _Run:
    """What is remembered between batches.

    ``tried``: steps whose command ran, with what it answered. ``pending``: those whose proof had no time yet, and since when.
    ``waits``: since when an emulator that was on its way already is waited for. ``failed``: emulators that are given up.
    """

    first: Plan
    tried: dict[_Key, str] = field(default_factory=dict)
    pending: dict[_Key, tuple[Operation, int]] = field(default_factory=dict)
    waits: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    extra: list[Step] = field(default_factory=list)
    idle: int = 0
    obstacle: str = ""

    def rest(self, plan: Plan) -> Plan:
        """What of a plan may still be done: nothing of a failed emulator, no removal that the first plan did not show, and no
        further restart for a change once one emulator did not come back from it."""
        shown_removals = {step.name for step in self.first.steps if step.verb is Verb.REMOVE}
        halted = self._halted(plan)
        steps = tuple(
            step
            for step in plan.steps
            if step.name not in self.failed and step.name not in halted and (step.verb is not Verb.REMOVE or step.name in shown_removals)
        )
        return replace(plan, steps=steps, waits=tuple(name for name in plan.waits if name not in self.failed))

    def _halted(self, plan: Plan) -> set[str]:
        restarts = _restarts(self.first)
        if not any(name in self.failed for name in restarts):
            return set()
        return {step.name for step in plan.steps if step.verb is Verb.STOP and step.name in restarts}

    def note(self, batch: Lowered, reply: Reply) -> None:
        """Remember what ran and what it said."""
        now = reply.host.time_ms
        acted = False
        announced = self._announced()
        for step, ids in batch.proofs.items():
            results = [reply.results[id] for id in ids if id in reply.results]
            if not any(_acted(result, batch.effects) for result in results):
                continue
            acted = True
            self.tried[step.key] = _evidence(results)
            proof = next((operation for operation in batch.operations if operation["id"] in ids and operation["op"] == "until"), None)
            if proof is not None and not _decided(reply.results.get(proof["id"])):
                self.pending.setdefault(step.key, (proof, now))
            if (step.verb, step.name) not in announced:
                self.extra.append(step)
        for name, id in batch.waits.items():
            self.waits.setdefault(name, now)
            self.tried.setdefault((Verb.START, name, ()), _evidence([reply.results[id]] if id in reply.results else []))
        self.idle = 0 if acted or batch.waits or batch.pending else self.idle + 1
        self.obstacle = _evidence(list(reply.results.values()))

    def _announced(self) -> set[tuple[Verb, str]]:
        """Verb and name of the first plan's steps, with what follows from them: what is new is configured, what was stopped for a change is
        written down as back."""
        follows = {Verb.CREATE: (Verb.ADOPT, Verb.CONFIGURE), Verb.CLONE: (Verb.ADOPT, Verb.CONFIGURE), Verb.START: (Verb.RECORD,)}
        return {(verb, step.name) for step in self.first.steps for verb in (step.verb, *follows.get(step.verb, ()))}

    def judge(self, plan: Plan, seen: Observation) -> None:
        """Give up the emulators whose steps were carried out and are still in the plan, or that are waited for too long."""
        now = seen.host.time_ms
        open_steps = {step.key: step for step in plan.steps}
        for key in [key for key, (proof, since) in self.pending.items() if key not in open_steps or now - since > proof["deadline_ms"]]:
            del self.pending[key]
        for key, step in open_steps.items():
            if key in self.tried and key not in self.pending:
                self.failed.setdefault(step.name, f"{step.verb.value} was carried out and did not take: {self.tried[key]}")
        for name in plan.waits:
            if now - self.waits.get(name, now) > lower.START_MS:
                self.failed.setdefault(name, f"is still on its way after {lower.START_MS // 1000} s: {self.tried[Verb.START, name, ()]}")

    def certain(self) -> Iterator[FleetError]:
        """What fails whatever is done: refusals, else the emulators that the first plan must leave alone."""
        yield from self.first.refusals
        if not self.first.refusals:
            yield from _held(self.first)

    def failures(self, plan: Plan) -> Iterator[FleetError]:
        """Why what is left is left: refusals, holds, and one line for each emulator with open steps."""
        yield from plan.refusals
        if plan.refusals:
            return
        yield from _held(plan)
        halted = self._halted(plan)
        for name in dict.fromkeys([*(step.name for step in plan.steps), *plan.waits]):
            todo = ", ".join(step.verb.value for step in plan.steps if step.name == name) or "wait"
            if name in self.failed:
                yield NotConverged(name, self.failed[name])
            elif name in halted:
                yield NotConverged(
                    name, f"still to do: {todo}", "It was left as it is, because another emulator did not come back from the same change"
                )
            else:
                yield NotConverged(name, f"still to do: {todo}", f"The last batch said: {self.obstacle}" if self.idle else "Run again")


def _held(plan: Plan) -> Iterator[FleetError]:
    return (NotConverged(hold.name, f"{hold.reason}: {hold.message}") for hold in plan.holds if hold.fails)


def _restarts(plan: Plan) -> set[str]:
    """Emulators that a plan takes down only to change and start them again."""
    started = {step.name for step in plan.steps if step.verb is Verb.START}
    return {step.name for step in plan.steps if step.verb is Verb.STOP and step.name in started}


def _acted(result: Result, effects: frozenset[str]) -> bool:
    """Whether an operation with an effect ran. A write that found something else there than expected did nothing."""
    refused = result.problem is not None and result.problem.code == "Mismatch"
    return result.id in effects and result.ran and not refused


def _decided(proof: Result | None) -> bool:
    return proof is not None and (
        proof.ok or (proof.status == "failed" and proof.problem is not None and proof.problem.code != "SliceOver")
    )


def _evidence(results: list[Result]) -> str:
    """What the first operation that went wrong said, in one line."""
    for result in results:
        if result.problem is None:
            continue
        said = result.data("stdout").decode("utf-8", "replace").strip()
        if result.problem.code in ("Deadline", "SliceOver"):
            return f"{result.problem.code}: after {int(result.values.get('ms', 0)) // 1000} s list2 still said {_row(said, result.id)}"
        return f"{result.problem.code}: {result.problem.message}" + (f" (it printed {shown(said)})" if said else "")
    return "every command reported success"


def _row(said: str, id: str) -> str:
    """What list2 said of the emulator that an operation is about (its id begins with the index), or what it said last."""
    rows = said.splitlines() or ["nothing"]
    return shown(next((row for row in rows if row.split(",")[0] == id.split(".")[0]), rows[-1]))
