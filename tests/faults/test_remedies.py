"""LDPlayer misbehaves, one way at a time: each is detected, named, and cured within the budget, or given up with the evidence. Waits reach their deadline."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.quirks import FOREVER
from ldfleet.sim.ldplayer.world import World


@pytest.fixture(params=["9.0.79.2", "14.0.26.1"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return rig.world(tmp_path, Spec(version=request.param, install_dir=f"C:\\LDPlayer\\LDPlayer{request.param.split('.')[0]}"))


def _running(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "state": "running", "adb": "local", **more} for name in names]


def _verbs(outcome: rig.Outcome, name: str = "a") -> list[str]:
    return [step.verb.value for step in outcome.extra if step.name == name]


def _in_sync(world: World, goal: rig.desired.Desired) -> bool:
    return rig.check(rig.Direct(world), goal).plan.done


CURES = [
    (["hang"], ["stop", "start"]),
    (["no_vm"], ["stop", "start"]),
    (["deaf"], ["stop", "start"]),
    (["hang", "hang"], ["stop", "start", "kill", "start"]),
    (["no_vm", "deaf"], ["stop", "start", "kill", "start"]),
    (["silent"], []),
]


@pytest.mark.parametrize(("ailments", "cure"), CURES, ids=["-".join(ailments) for ailments, _ in CURES])
def test_a_start_that_goes_wrong_is_cured_step_by_step(world: World, ailments: list[str], cure: list[str]) -> None:
    world.quirks.starts = {"a": [*ailments]}
    goal = rig.wanted(_running("a"))
    outcome = rig.apply(rig.Direct(world), goal)
    assert not outcome.failures
    assert _verbs(outcome)[: len(cure)] == cure
    assert _in_sync(world, goal)


@pytest.mark.parametrize(
    ("ailment", "named"), [("hang", "StartHangs"), ("no_vm", "WindowWithoutVm"), ("deaf", "GuestSilent")], ids=["hang", "no_vm", "deaf"]
)
@pytest.mark.parametrize("remedies", [0, 1, 2])
def test_what_cannot_be_cured_is_given_up_after_the_budget_and_named(world: World, ailment: str, named: str, remedies: int) -> None:
    world.quirks.starts = {"a": [ailment, FOREVER]}
    goal = rig.wanted(_running("a", "b"), starting=rig.desired.Starting(remedies=remedies))
    outcome = rig.apply(rig.Direct(world), goal)
    assert [failure.about for failure in outcome.failures] == ["a"]
    assert named in str(outcome.failures[0])
    reset = (
        1 if remedies == 2 and world.spec.major >= 14 else 0
    )  # after a kill LDPlayer 14 forgets settings, and putting them back is a restart
    assert len([words for words in world.commands() if words == ("launch", "--index", "1")]) == remedies + 1 + reset
    assert world.answers(world.find("b"))


def test_a_launch_that_does_nothing_is_tried_again_and_named(world: World) -> None:
    world.quirks.launch_ignored_times = 1
    goal = rig.wanted(_running("a"))
    assert not rig.apply(rig.Direct(world), goal).failures
    world.quirks.launch_ignored_times = 99
    failed = rig.apply(rig.Direct(world), rig.wanted(_running("b")))
    assert "LaunchIgnored" in str(failed.failures[0])


def test_a_quit_that_does_nothing_is_followed_by_the_end_of_the_processes(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(_running("a")))
    world.quirks.quit_ignored_times = 99
    outcome = rig.apply(rig.Direct(world), rig.wanted([{"name": "a", "state": "stopped"}]))
    assert not outcome.failures
    assert _verbs(outcome) == ["kill"]
    assert [words[:2] for words in world.commands("taskkill.exe")][-1][0] == "/PID"


def test_a_process_id_that_is_somebody_elses_is_never_ended(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(_running("a")))
    world.quirks.quit_ignored_times = 99
    instance = world.find("a")
    world.processes = list  # type: ignore[method-assign]  # tasklist knows none of the ids that list2 still shows
    outcome = rig.apply(rig.Direct(world), rig.wanted([{"name": "a", "state": "stopped"}]))
    assert outcome.failures
    assert instance.launched is not None


def test_a_running_emulator_whose_guest_fell_silent_is_seen_and_brought_back(world: World) -> None:
    goal = rig.wanted(_running("a", "b"))
    rig.apply(rig.Direct(world), goal)
    world.settle()
    world.find("a").ailment = "deaf"
    seen = rig.check(rig.Direct(world), goal)
    assert seen.plan.waits == ("a",)
    assert not rig.apply(rig.Direct(world), goal).failures
    assert _in_sync(world, goal)


def test_the_users_own_proof_is_waited_for_also_where_the_emulator_runs_already(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(_running("a")))
    goal = rig.wanted(
        _running("a", ready={"shell": "getprop no.such.property", "matches": "^yes"}), starting=rig.desired.Starting(remedies=0)
    )
    outcome = rig.apply(rig.Direct(world), goal)
    assert "GuestSilent" in str(outcome.failures[0])


def test_orphaned_network_processes_end_before_the_first_start_and_only_then(world: World) -> None:
    world.orphan("VBoxNetDHCP.exe")
    rig.apply(rig.Direct(world), rig.wanted(_running("a")))
    assert "VBoxNetDHCP.exe" not in [process.image for process in world.processes()]
    world.orphan("VBoxNetNAT.exe")  # now in use by a
    rig.apply(rig.Direct(world), rig.wanted(_running("a", "b")))
    assert "VBoxNetNAT.exe" in [process.image for process in world.processes()]


def test_starts_are_staggered_and_no_more_than_the_limit_are_under_way(world: World) -> None:
    goal = rig.wanted([{"name": "farm", "count": 6, "state": "running", "adb": "local"}], starting=rig.desired.Starting(stagger=5, limit=2))
    assert not rig.apply(rig.Direct(world), goal).failures
    starts = [start for start in world.history if start.words[:1] == ("launch",)]
    assert len(starts) == 6
    assert all(later.at - earlier.at >= 5 for earlier, later in itertools.pairwise(starts))
    for number in range(2, 6):
        booted = next(i.launched for i in world.instances.values() if i.index == number - 1)
        assert booted is not None
        assert starts[number].at - booted >= 20  # the one two places before has started before this one is launched


def test_a_converge_of_ten_starts_takes_three_round_trips_and_one_a_slice(world: World) -> None:
    direct = rig.Direct(world)
    began = world.clock.now()
    assert not rig.apply(direct, rig.wanted([{"name": "farm", "count": 10, "state": "running", "adb": "local"}])).failures
    slices = (world.clock.now() - began) / 30
    assert direct.runs <= 3 + slices + 1


def test_a_restart_rests_until_the_old_processes_are_long_gone(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted(_running("a")))
    outcome = rig.apply(rig.Direct(world), rig.wanted(_running("a", cpu=3)))
    assert not outcome.failures
    assert not outcome.extra
    assert world.answers(world.find("a"))


def test_an_empty_emulator_that_ldplayer_makes_again_after_a_removal_goes_too(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted([{"name": "a"}]))
    world.quirks.remove_recreates_times = 1
    outcome = rig.apply(rig.Direct(world), rig.wanted([{"name": "a", "state": "absent"}]))
    assert not outcome.failures
    assert [step.reason for step in outcome.extra] == ["LDPlayer made it again, empty, after a removal"]
    assert world.titles() == ["LDPlayer"]


def test_a_removal_that_does_nothing_is_named_and_the_next_run_does_it(world: World) -> None:
    rig.apply(rig.Direct(world), rig.wanted([{"name": "a"}]))
    world.quirks.remove_ignored_times = 1
    goal = rig.wanted([{"name": "a", "state": "absent"}])
    outcome = rig.apply(rig.Direct(world), goal)
    assert "a: remove was carried out and did not take" in str(outcome.failures[0])
    assert world.titles() == ["LDPlayer", "a"]
    assert not rig.apply(rig.Direct(world), goal).failures
    assert world.titles() == ["LDPlayer"]


class StartedMeanwhile(rig.Direct):
    """A person starts the source of a clone right after ldfleet has looked."""

    def run(self, script: str, payload: bytes) -> str:
        said = super().run(script, payload)
        if self.runs == 1:
            self.world.launch(self.world.find("golden"))
            self.world.settle(30)
        return said


@pytest.mark.parametrize(("refuses", "titles"), [(False, ["LDPlayer", "golden", "a"]), (True, ["LDPlayer", "golden"])])
def test_a_source_that_was_started_meanwhile_is_copied_or_refused_and_then_named(world: World, refuses: bool, titles: list[str]) -> None:
    rig.apply(rig.Direct(world), rig.wanted([{"name": "golden"}]))
    world.quirks.copy_refuses_running = refuses
    outcome = rig.apply(StartedMeanwhile(world), rig.wanted([{"name": "a", "clone_from": "golden"}]))
    assert len([words for words in world.commands() if words[0] == "copy"]) == 1
    assert world.titles() == titles
    told = [str(failure) for failure in outcome.failures]
    assert ["clone_from names 'golden', which is running. Stop it" in text for text in told] == [True] * refuses


def test_a_host_under_load_takes_longer_and_comes_to_the_same(world: World) -> None:
    world.quirks.slow_seconds = 4.0
    goal = rig.wanted(_running("a", cpu=2))
    outcome = rig.apply(rig.Direct(world), goal)
    assert not outcome.failures
    assert not outcome.extra
    assert _in_sync(world, goal)


def test_what_ldplayer_makes_again_stays_where_another_emulator_has_its_title(world: World) -> None:
    """Removed by its title, the other one would go instead, which no plan showed."""
    rig.apply(rig.Direct(world), rig.wanted([{"name": "mine"}, {"name": "a"}]))
    world.rename(world.find("mine"), f"LDPlayer-{world.find('a').index}")
    world.quirks.remove_recreates_times = 1
    outcome = rig.apply(rig.Direct(world), rig.wanted([{"name": "a", "state": "absent"}]))
    assert not outcome.extra
    assert [words for words in world.commands() if words[0] == "remove"] == [("remove", "--index", "2")]
    assert world.titles() == ["LDPlayer", "LDPlayer-2", "LDPlayer-2"]
