"""A removal that asks for a backup first: none without a whole one, whatever fails and wherever the controller dies."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired, report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.desired import Desired
from ldfleet.sim.ldplayer.world import World

FOLDER = "C:\\backups"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = rig.world(tmp_path)
    assert not rig.apply(rig.Direct(made), rig.wanted([{"name": "farm", "count": 3}])).failures
    made.launch(made.find("farm-002"))
    made.settle()
    return made


def _goal(count: int = 1) -> Desired:
    return rig.wanted([{"name": "farm", "count": count}], max_destroy=3, backup_folder=FOLDER)


def _files(world: World) -> list[str]:
    folder = world.drive.local(FOLDER)
    return sorted(path.name[:8] for path in folder.glob("*.ldbk")) if folder.is_dir() else []


def _texts(outcome: Outcome) -> list[str]:
    return [report.sentence(step) for step in (*outcome.plan.steps, *outcome.extra)]


def test_each_one_is_backed_up_and_then_removed(world: World) -> None:
    planned = rig.check(rig.Direct(world), _goal())
    assert [step.verb.value for step in planned.plan.steps] == ["stop", "backup", "remove", "backup", "remove"]
    done = rig.apply(rig.Direct(world), _goal())
    assert not done.failures
    assert _texts(done) == _texts(planned)
    assert (world.titles(), _files(world)) == (["LDPlayer", "farm-000"], ["farm_001", "farm_002"])
    assert rig.check(rig.Direct(world), _goal()).plan.done


def test_a_backup_that_is_up_to_date_is_enough(world: World) -> None:
    for _ in range(2):
        rig.apply(rig.Direct(world), _goal(2))
        world.add("farm-002")
        rig.apply(rig.Direct(world), rig.wanted([{"name": "farm", "count": 3}]))
    assert _files(world) == ["farm_002", "farm_002"]  # the second farm-002 is another emulator: it changed after the first one's backup


@pytest.mark.parametrize(
    "quirk",
    [{"backup_writes_nothing_times": 9}, {"backup_hangs_times": 9}, {"hang_commands": {"backup"}}],
    ids=lambda quirk: next(iter(quirk)),
)
def test_without_a_whole_backup_nothing_is_removed(world: World, quirk: dict[str, Any]) -> None:
    for name, value in quirk.items():
        setattr(world.quirks, name, value)
    failed = rig.apply(rig.Direct(world), _goal())
    assert {failure.about for failure in failed.failures} == {"farm-001", "farm-002"}
    assert "backup was carried out and did not take" in str(failed.failures[0])
    assert len(world.titles()) == 4
    world.quirks.backup_writes_nothing_times = world.quirks.backup_hangs_times = 0
    world.quirks.hang_commands = set()
    assert not rig.apply(rig.Direct(world), _goal()).failures
    assert len(world.titles()) == 2


def test_a_folder_that_is_there_keeps_what_is_in_it(world: World) -> None:
    folder = world.drive.local(FOLDER)
    folder.mkdir()
    (folder / "README.txt").write_text("mine")
    assert not rig.apply(rig.Direct(world), _goal()).failures
    assert (folder / "README.txt").read_text() == "mine"
    assert _files(world) == ["farm_001", "farm_002"]


def test_the_root_of_a_drive_is_a_folder_too(world: World) -> None:
    given = {"on_remove": "backup", "backup_folder": "C:\\"}
    goal = rig.wanted([{"name": "farm", "count": 1}], max_destroy=3, backup_folder=desired.backup_folder(given))
    assert not rig.apply(rig.Direct(world), goal).failures
    assert sorted(path.name[:8] for path in world.drive.local("C:\\").glob("*.ldbk")) == ["farm_001", "farm_002"]


def test_one_whose_config_was_cut_off_is_backed_up_as_it_is(world: World) -> None:
    world.quirks.garbled_keeps_title = True
    world.truncate_config("farm-001")
    assert not rig.apply(rig.Direct(world), _goal()).failures
    assert (world.titles(), _files(world)) == (["LDPlayer", "farm-000"], ["farm_001", "farm_002"])


def test_without_room_it_is_held(world: World) -> None:
    world.disk_free = 10**9
    outcome = rig.apply(rig.Direct(world), _goal())
    assert [hold.reason for hold in outcome.plan.holds] == ["NoRoomForBackup"] * 2
    assert outcome.failures
    assert (len(world.titles()), [words for words in world.commands() if words[0] in ("backup", "remove")]) == (4, [])


@pytest.mark.parametrize("cut", range(1, 6))
@pytest.mark.parametrize("how", ["before", "after", "lost"])
def test_wherever_the_controller_dies_what_is_gone_has_a_backup(world: World, cut: int, how: str) -> None:
    direct = rig.Direct(world, {cut: how})
    with contextlib.suppress(rig.ControllerDied):
        rig.apply(direct, _goal())
    gone = {"farm-001", "farm-002"} - set(world.titles())
    assert {title.replace("-", "_") for title in gone} <= set(_files(world))
    world.clock.sleep(3600)
    assert not rig.apply(rig.Direct(world), _goal()).failures
    assert (world.titles(), set(_files(world))) == (["LDPlayer", "farm-000"], {"farm_001", "farm_002"})
