"""global_settings as `ansible-playbook` runs it: check, do, again, undo; and what happens when LDPlayer does not do its part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.windows import SYSTEM32, Answer

FILE = "C:\\LDPlayer\\LDPlayer9\\vms\\config\\leidians.config"
WANTED = {"fps": 20, "clean_mode": False, "updates": False, "start_interval": 8}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        yield made


def _run(farm: Farm, folder: Path, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
    return rig.ansible(farm.inventory(), folder, "global_settings", arguments, *options).one()


def _bytes(world: World) -> bytes:
    return world.drive.local(FILE).read_bytes()


def test_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = _bytes(world)
    planned = _run(farm, tmp_path, WANTED, "--check", "--diff")
    assert (planned["changed"], _bytes(world)) == (True, before)
    done = _run(farm, tmp_path, WANTED, "--diff")
    assert (done["actions"], done["diff"], done["round_trips"]) == (planned["actions"], planned["diff"], 2)
    assert done["settings"] == {"fps": 20, "audio": True, "fast_play": True, "clean_mode": False, "updates": False, "start_interval": 8}
    values = json.loads(_bytes(world))
    assert values == {
        **json.loads(before), "framesPerSecond": 20, "cleanMode": False, "nextCheckupdateTime": 9999999999999999, "batchStartInterval": 8,
    }  # fmt: skip
    again = _run(farm, tmp_path, WANTED)
    assert (again["changed"], again["actions"], again["round_trips"]) == (False, [], 1)
    undone = _run(farm, tmp_path, {"fps": 60, "clean_mode": True, "updates": True})
    assert (undone["changed"], undone["settings"]["updates"]) == (True, True)


def test_the_file_is_left_alone_while_an_emulator_runs_and_what_ldplayer_sets_itself_is_not(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    world.launch(world.find("LDPlayer"))
    world.settle()
    before = _bytes(world)
    refused = _run(farm, tmp_path, WANTED)
    assert "updates, start_interval can be changed only while no emulator runs, and 'LDPlayer' runs. Stop them first" in refused["msg"]
    assert (refused["errors"][0]["code"], _bytes(world)) == ("Refused", before)
    assert _run(farm, tmp_path, {"fps": 20})["settings"]["fps"] == 20


def test_an_open_window_of_ldplayer_would_write_the_file_back(farm: Farm, tmp_path: Path) -> None:
    farm.hosts[0].world.orphan("dnmultiplayer.exe")
    assert "multi-instance window is open" in _run(farm, tmp_path, {"updates": False})["msg"]


@pytest.mark.parametrize("answer", [Answer(1, b"ERROR: Access denied\r\n"), Answer(1, seconds=None)], ids=["refused", "hangs"])
def test_a_window_that_cannot_be_looked_for_may_be_open(farm: Farm, tmp_path: Path, answer: Answer) -> None:
    world = farm.hosts[0].world
    before = _bytes(world)
    world.install({f"{SYSTEM32}\\tasklist.exe": lambda *_call: answer})
    assert "looking for LDPlayer's multi-instance window failed" in _run(farm, tmp_path, {"updates": False})["msg"]
    assert _bytes(world) == before


@pytest.mark.parametrize(
    ("damage", "arguments", "says"),
    [
        (
            lambda path: path.write_bytes(b'{"framesPerSecond": 6'),
            {"fps": 20},
            "leidians.config cannot be understood: it is not complete JSON",
        ),
        (lambda path: path.unlink(), {"updates": False}, "LDPlayer has written no leidians.config yet, so updates cannot be set"),
    ],
)
def test_a_file_that_is_damaged_or_missing_is_told(farm: Farm, tmp_path: Path, damage: Any, arguments: Any, says: str) -> None:
    damage(farm.hosts[0].world.drive.local(FILE))
    assert says in _run(farm, tmp_path, arguments)["msg"]


def test_a_command_that_changes_nothing_is_a_failure_with_what_was_found(farm: Farm, tmp_path: Path) -> None:
    farm.hosts[0].world.quirks.globalsetting_ignored_times = 1
    failed = _run(farm, tmp_path, {"fps": 20})
    assert failed["msg"].startswith("LDPlayer: the settings did not take: fps is 60 and not 20 (every command reported success)")
    assert _run(farm, tmp_path, {"fps": 20})["changed"]


def test_a_full_disk_is_told_and_the_old_file_stays(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = _bytes(world)
    world.disk_free = 0
    assert _run(farm, tmp_path, {"updates": False})["failed"]
    assert _bytes(world) == before
