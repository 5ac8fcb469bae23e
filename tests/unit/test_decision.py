"""A fleet's decision as JSON: what a saved plan still stands for, and how a run ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import build
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision, look
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.look import Look
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOption, Several, Stale

WORDS = build.words({"hosts": {"a": {}, "b": {}}, "pools": {"farm": {"replicas": 3}, "lab": {"replicas": 1}}})
CHANGED = ["stop", "configure", "start"]
LOOKS = build.looks(
    {"a": [{"name": "farm-000", "steps": CHANGED}, "farm-002", "farm-003"], "b": [{"name": "farm-001", "steps": CHANGED}, "lab-000"]}
)


def _placed(
    looks: dict[str, Look], saved: dict[str, Any] | None = None, restart: tuple[str, ...] = (), words: Any = WORDS
) -> dict[str, Any]:
    return decision.place(decision.fleet(words, *build.SPECS), looks, words, saved, restart, checking=False)


def _first(looks: dict[str, Look], placed: dict[str, Any]) -> dict[str, Any]:
    return decision.course(decision.fleet(WORDS, *build.SPECS), placed["decision"], None, looks, {}).wave(0, checking=False)


def test_a_decision_survives_json() -> None:
    placed = _placed(LOOKS, restart=("lab",))
    assert json.loads(json.dumps(placed)) == placed
    assert placed["waves"] == [0, 1]
    assert decision.written(decision.read(placed["decision"])) == placed["decision"]


def test_a_saved_plan_is_carried_out_without_the_hosts_that_moved() -> None:
    saved = _placed(LOOKS, restart=("lab-000", "farm-002"))
    moved = {**LOOKS, "b": replace(LOOKS["b"], digest="other")}
    placed = _placed(moved, saved)
    assert placed["stale"] == {"b": "it has changed since the plan was made"}
    assert set(_first(moved, placed)["hosts"]) == {"a"}


@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_saved_plan_is_carried_out_on_some_hosts_only(gone: str) -> None:
    saved = _placed(LOOKS, restart=("lab", "farm-002"))
    limited = {**LOOKS, gone: Look(problem=look.LEFT_OUT)}
    placed = _placed(limited, saved)
    assert placed["stale"] == {}
    assert gone not in _first(limited, placed)["hosts"]


def test_a_plan_of_another_fleet_is_refused() -> None:
    with pytest.raises(Stale, match="was made for other words"):
        _placed(LOOKS, {**_placed(LOOKS), "fingerprint": "x"})


def test_who_is_to_be_restarted_must_be_there() -> None:
    with pytest.raises(BadOption, match=r"restart names 'fram'; did you mean farm\?"):
        _placed(LOOKS, restart=("fram",))


def test_what_is_wrong_in_the_end_is_told_host_by_host() -> None:
    fleet, looks = decision.fleet(WORDS, *build.SPECS), {**LOOKS, "b": Look(problem="no route to host")}
    placed = _placed(looks)
    with pytest.raises(Several) as caught:
        decision.course(fleet, placed["decision"], None, looks, {}).finish(looks, {})
    assert [str(failure).partition(" (")[0] for failure in caught.value.failures] == [
        "b: could not be asked: no route to host. Its emulators are taken to be as they were",
        "farm-001: Unknown: 'farm-001' may be on a host that could not be asked",
        "lab-000: Unknown: 'lab-000' may be on a host that could not be asked",
    ]


def test_hosts_that_were_left_out_are_no_fault() -> None:
    fleet, looks = decision.fleet(WORDS, *build.SPECS), {**LOOKS, "b": Look(problem=look.LEFT_OUT)}
    told = decision.course(fleet, _placed(looks)["decision"], None, looks, {}).finish(looks, {})
    assert [hold["reason"] for hold in told["holds"]] == ["Unknown", "Unknown"]
