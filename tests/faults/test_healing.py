"""Configs that LDPlayer cut off are healed from the kept copy, and only where it is certain whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import rig
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World


@pytest.fixture(params=[False, True], ids=["title-lost", "title-known"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    made = rig.world(tmp_path, Spec())
    made.quirks.garbled_keeps_title = request.param
    return made


GOAL = [{"name": "a", "cpu": 2, "fps": 30, "imei": "auto"}, {"name": "b", "cpu": 2}]


def test_a_truncated_config_is_healed_and_led_on_to_what_is_declared(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(GOAL))
    before = world.config(1)
    world.truncate_config("a", 400)
    goal = rig.wanted([{**GOAL[0], "fps": 20}, GOAL[1]])
    planned = rig.check(rig.Direct(world), goal)
    assert [step.verb.value for step in planned.plan.steps] == ["heal"]
    outcome = rig.apply(rig.Direct(world), goal)
    assert not outcome.failures
    assert world.titles() == ["LDPlayer", "a", "b"]
    after = world.config(1)
    assert before is not None
    assert after == {**before, "basicSettings.fps": 20}


def test_an_empty_config_tells_not_whose_it_is_so_it_is_held(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(GOAL))
    world.truncate_config("a", 0)
    outcome = rig.apply(rig.Direct(world), rig.wanted(GOAL))
    if world.quirks.garbled_keeps_title:
        assert not outcome.failures
    else:
        assert [hold.reason for hold in outcome.plan.holds] == ["ConfigUnreadable"]
        assert world.config_path(1).read_bytes() == b""
    assert len(world.titles()) == 3


def test_a_strangers_garbled_config_is_never_touched(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(GOAL))
    world.add("hers")
    world.truncate_config("hers", 300)
    before = world.config_path(3).read_bytes()
    rig.apply(rig.Direct(world), rig.wanted([*GOAL, {"name": "c"}]))
    assert world.config_path(3).read_bytes() == before


def test_another_emulator_with_the_title_that_a_garbled_one_is_shown_under_keeps_its_config(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted([GOAL[1], GOAL[0]]))
    world.rename(world.find("b"), "LDPlayer-2")
    before = world.config(1)
    world.truncate_config("a", 400)
    outcome = rig.apply(rig.Direct(world), rig.wanted([GOAL[0]]))
    assert world.config(1) == before
    if world.quirks.garbled_keeps_title:
        assert not outcome.failures
    else:
        assert [hold.reason for hold in outcome.plan.holds] == ["ConfigUnreadable"]


def test_the_kept_copy_goes_with_its_emulator(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(GOAL))
    kept = world.drive.local("C:\\ProgramData\\ldfleet\\known-good")
    assert len(list(kept.iterdir())) == 2
    rig.apply(rig.Direct(world), rig.wanted([{"name": "a", "state": "absent"}, {"name": "c", "renamed_from": "b"}]))
    assert list(kept.iterdir()) == []
