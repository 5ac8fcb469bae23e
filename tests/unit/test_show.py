"""What a reader at a terminal is told: the same words wherever they are read, and nothing that tells nothing."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console

from ldfleet import show
from ldfleet.plans import Fault, Hold, Host, Outcome, Plan, Step, steps_of

WAITS = Hold("farm-001", "Unknown", "'farm-001' may be elsewhere " + "x" * 200)


def told(tell: Callable[[Console], None]) -> list[str]:
    stream = io.StringIO()
    tell(Console(file=stream, width=80, color_system=None))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def of(**fields: object) -> Plan:
    return Plan("fleet.yml", "", **fields)  # type: ignore[arg-type]


def test_a_sentence_is_a_line_however_long() -> None:
    (line, summary) = told(lambda to: show.plan(of(holds=(WAITS,)), to))
    assert line == f"! farm-001: {WAITS.message.replace(chr(39) + 'farm-001' + chr(39), 'it')} [Unknown]"
    assert summary == "Nothing to do: 1 held."


def test_a_hold_that_is_a_fault_is_told_once() -> None:
    fault = Fault("NotConverged", WAITS.name, f"{WAITS.reason}: {WAITS.message}")
    lines = told(lambda to: show.outcome(Outcome(holds=(WAITS,), faults=(fault,)), to))
    assert [line.partition(":")[0] for line in lines] == ["error", "Done"]


def test_replicas_that_run_and_do_not_answer_are_not_called_in_sync() -> None:
    emulator = {"name": "farm-000", "state": "running", "conditions": [{"type": "Ready", "status": "False"}]}
    hosts = {"ws-01": Host("ws-01", emulators=(emulator,))}
    lines = told(lambda to: show.plan(of(hosts=hosts, decision={"at": {"farm-000": "ws-01"}}), to))
    assert lines == ["! farm-000: run, and do not answer as they should [NotReady]", "Nothing to do: 1 not ready."]
    assert told(lambda to: show.plan(of(), to)) == ["In sync: nothing to do."]


def test_remedies_of_one_emulator_are_one_row() -> None:
    kill = Step("ws-01", "farm-000", "kill", "kill farm-000: remedy 2 for StartHangs")
    lines = told(lambda to: show.outcome(Outcome(steps=(kill, kill)), to))
    assert lines[2] == "x   ws-01   farm-000    kill: remedy 2 for StartHangs"
    assert lines[-1] == "Done: 2 steps on 1 host; the fleet is as declared."


def test_what_goes_has_the_fleets_reason() -> None:
    action = {"name": "farm-005", "action": "remove", "text": "remove farm-005: shall be absent", "reason": "shall be absent"}
    (step,) = steps_of("ws-01", {"actions": [action]}, {"farm-005": "is above replicas 3"})
    assert (step.text, step.reason) == ("remove farm-005: is above replicas 3", "is above replicas 3")
    (step,) = steps_of("ws-01", {"actions": [action]}, {})
    assert step.text == action["text"]
