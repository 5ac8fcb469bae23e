"""The plan, by cases: what is wanted and what is there on one side, the steps on the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import build
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired, plan, report

CASES = yaml.safe_load((Path(__file__).parent.parent / "cases/plan/invented-cases.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_plan(case: dict[str, Any]) -> None:
    wanted = desired.build(case["wanted"], purge=case.get("purge", False), max_destroy=case.get("max_destroy", 0))
    made = plan.make(wanted, build.seen(case["host"], case.get("acp", 1252)))
    assert [report.sentence(step) for step in made.steps] == case["plan"]
    assert list(made.waits) == case.get("waits", [])
    assert [hold.reason for hold in made.holds] == case.get("holds", [])
    texts = [str(refusal) for refusal in made.refusals]
    assert len(texts) == len(case.get("refusals", []))
    assert all(part in text for part, text in zip(case.get("refusals", []), texts, strict=True)), texts


def test_surplus_is_removed_from_the_highest_number() -> None:
    wanted = desired.build([{"name": "farm", "count": 8}], max_destroy=9)
    made = plan.make(wanted, build.seen([{"name": f"farm-{n:03d}"} for n in (3, 11, 9, 8, 10, *range(3))]))
    assert [step.name for step in made.steps if step.verb is plan.Verb.REMOVE] == ["farm-011", "farm-010", "farm-009", "farm-008"]
