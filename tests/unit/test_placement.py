"""Placement and the waves in which it comes true, by cases: a fleet and what its hosts told on one side, what becomes of it on the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import build
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import placement, rollout
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.placement import Placement

FOLDER = Path(__file__).parents[1] / "cases" / "placement"


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


CASES = _cases("invented-cases.yml")


def _lines(placed: Placement) -> Iterator[str]:
    for title, host in placed.at.items():
        yield f"{title} new on {host}" if title in placed.created else f"{title} stays on {host}"
    yield from (f"{title} removed from {host}: {reason}" for title, host, reason in placed.removals)
    yield from (f"{move.title} moves from {move.source} to {move.target}, {move.how}" for move in placed.moves)
    yield from (f"{title} stops on {host}" for title, host in placed.surplus)


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_placement(case: dict[str, Any]) -> None:
    placed = placement.place(build.fleet(case["fleet"]), build.looks(case["looks"]))
    assert list(_lines(placed)) == case["placed"]
    wanted = case.get("holds", [])
    assert [(hold.title, hold.reason, hold.fails) for hold in placed.holds] == [(each[0], each[1], len(each) == 3) for each in wanted]
    for hold, each in zip(placed.holds, wanted, strict=True):
        assert all(part in hold.message for part in each[2]), hold.message
    texts = [str(refusal) for refusal in placed.refusals]
    assert len(texts) == len(case.get("refused", []))
    assert all(part in text for part, text in zip(case.get("refused", []), texts, strict=True)), texts


WAVES = _cases("invented-waves.yml")


@pytest.mark.parametrize("case", WAVES, ids=[case["why"] for case in WAVES])
def test_waves(case: dict[str, Any]) -> None:
    fleet, looks = build.fleet(case["fleet"]), build.looks(case["looks"])
    placed = placement.place(fleet, looks)
    rolled = rollout.plan(fleet, placed, looks, case.get("restart", ()))
    assert {pool: [list(titles) for titles in waves] for pool, waves in rolled.waves.items()} == case.get("waves", {})
    assert sorted(rolled.kept) == case.get("kept", [])
    assert rollout.busy(placed, rolled, looks, 0) == case.get("busy", [])
    progress = rollout.begin(fleet, placed, looks)
    for number, told in enumerate(case.get("then", ()), 1):
        progress = rollout.advance(fleet, placed, rolled, progress, build.looks(told), number)
    assert progress.stopped == case.get("stops", {})
    if "keeps" in case:
        assert sorted(rolled.later(len(case["then"]), progress.halted)) == case["keeps"]


def _told(words: dict[str, Any], hosts: dict[str, Any], host: str, wave: int = 0) -> list[dict[str, Any]]:
    """What the module is told of a host in a wave when all goes well."""
    fleet, looks = build.fleet(words), build.looks(hosts)
    placed = placement.place(fleet, looks)
    rolled = rollout.plan(fleet, placed, looks)
    return rollout.entries(fleet, placed, rolled.later(wave, {})).get(host, [])


def test_each_host_is_told_all_of_its_emulators_and_what_goes() -> None:
    words = {
        "defaults": {"fps": 30},
        "profiles": {"game": {"cpu": 2}},
        "hosts": {"a": {}, "b": {}},
        "emulators": {"a": [{"name": "golden", "state": "stopped"}]},
        "pools": {"farm": {"replicas": 2, "profile": "game"}, "lab": {"replicas": 1, "on_scale_down": "remove"}},
        "max_destroy": 1,
    }
    assert _told(words, {"a": ["farm-000", "farm-002", "lab-001"], "b": ["lab-000"]}, "a") == [
        {"name": "golden", "fps": 30, "state": "stopped"},
        {"name": "farm-000", "profile": "game", "state": "running"},
        {"name": "farm-002", "state": "stopped"},
        {"name": "lab-001", "state": "absent"},
    ]


def test_who_waits_for_its_wave_is_told_its_state_only() -> None:
    words = {"hosts": {"a": {}}, "pools": {"farm": {"replicas": 2}}, "defaults": {"cpu": 2}}
    hosts = {"a": [{"name": f"farm-00{number}", "steps": ["stop", "configure", "start"]} for number in range(2)]}
    changed = [{"name": f"farm-00{number}", "cpu": 2, "state": "running"} for number in range(2)]
    assert _told(words, hosts, "a", 0) == [{"name": "farm-000", "state": "running"}, changed[1]]
    assert _told(words, hosts, "a", 1) == changed


def test_who_is_recreated_goes_and_comes_in_its_wave() -> None:
    words = {"hosts": {"a": {"drain": True}, "b": {}}, "pools": {"farm": {"replicas": 2, "on_move": "recreate"}}, "max_destroy": 2}
    hosts = {"a": ["farm-000", "farm-001"], "b": []}
    running, absent = ([{"name": f"farm-00{number}", "state": state} for number in range(2)] for state in ("running", "absent"))
    assert _told(words, hosts, "a", 0) == [running[0], absent[1]]
    assert _told(words, hosts, "b", 0) == [running[1]]
    assert _told(words, hosts, "a", 1) == absent
    assert _told(words, hosts, "b", 1) == running
