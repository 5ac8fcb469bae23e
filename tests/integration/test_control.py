"""emulator_control as `ansible-playbook` runs it: what reaches LDPlayer, that check mode does nothing, and that only what runs is acted on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.wire.faults import WireFault


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        world = made.hosts[0].world
        world.add("scout")
        world.launch(world.find("scout"))
        world.settle()
        yield made


def _run(farm: Farm, folder: Path, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
    play = rig.ansible(farm.inventory(), folder, "emulator_control", arguments, *options)
    assert "Traceback" not in play.output
    return play.one()


def test_check_does_nothing_and_a_run_reports_and_does_the_same_each_time(farm: Farm, tmp_path: Path) -> None:
    offline = {"name": "scout", "action": "network", "network": "offline"}
    world = farm.hosts[0].world
    planned = _run(farm, tmp_path, offline, "--check", "--diff")
    assert (planned["changed"], world.find("scout").guest.online, planned["round_trips"]) == (True, True, 1)
    done = _run(farm, tmp_path, offline, "--diff")
    assert (done["actions"], done["diff"], done["round_trips"]) == (planned["actions"], planned["diff"], 2)
    assert not world.find("scout").guest.online
    assert _run(farm, tmp_path, offline)["changed"]
    _run(farm, tmp_path, {**offline, "network": "connect"})
    assert world.find("scout").guest.online


def test_reboot_waits_until_the_old_one_is_gone(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = world.find("scout").vm_pid
    assert _run(farm, tmp_path, {"name": "scout", "action": "reboot"})["changed"]
    assert world.find("scout").vm_pid not in (-1, before)
    assert [words[0] for words in world.commands() if words[0] in ("quit", "launch", "reboot")] == ["quit", "launch"]


def test_an_act_whose_answer_is_lost_may_have_been_done_and_the_advice_says_so(farm: Farm, tmp_path: Path) -> None:
    """No further look can tell, so nobody is told to run it again without looking."""
    farm.endpoints[0].wire.inject(WireFault("Receive", "lost_reply", after=1, times=1000))
    told = _run(farm, tmp_path, {"name": "scout", "action": "shake"})["msg"]
    assert "the answer to a batch was lost" in told
    assert told.endswith("It may have been done all the same: look before you run it again")
