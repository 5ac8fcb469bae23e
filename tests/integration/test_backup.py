"""emulator_backup as `ansible-playbook` runs it: check, do, again, undo; rotation; and what happens when LDPlayer or the disk fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.world import World

FOLDER = "C:\\backups\\ld"
GOLDEN = {"name": "golden", "folder": FOLDER}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        rig.ansible(made.inventory(), tmp_path, "emulator", {"name": "golden", "resolution": "960x540@160"})
        yield made


def _run(farm: Farm, folder: Path, arguments: dict[str, Any], *options: str, module: str = "emulator_backup") -> dict[str, Any]:
    play = rig.ansible(farm.inventory(), folder, module, arguments, *options)
    assert "Traceback" not in play.output
    return play.one()


def _world(farm: Farm) -> World:
    return farm.hosts[0].world


def _files(farm: Farm) -> list[str]:
    folder = _world(farm).drive.local(FOLDER)
    return sorted(path.name for path in folder.glob("*.ldbk")) if folder.is_dir() else []


def _said(farm: Farm, word: str) -> list[tuple[str, ...]]:
    return [words for words in _world(farm).commands() if words[:1] == (word,)]


def _config(farm: Farm, title: str = "golden") -> dict[str, Any]:
    world = _world(farm)
    return dict(world.config(world.find(title).index) or {})


def test_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    planned = _run(farm, tmp_path, GOLDEN, "--check", "--diff")
    assert (planned["changed"], _files(farm), planned["round_trips"]) == (True, [], 1)
    done = _run(farm, tmp_path, GOLDEN, "--diff")
    assert (done["actions"], done["diff"], done["round_trips"]) == (planned["actions"], planned["diff"], 2)
    (file,) = _files(farm)
    assert re.fullmatch(r"golden-[0-9a-f]{8}-\d{8}T\d{6}Z\.ldbk", file)
    assert [backup["file"] for backup in done["backups"]] == [file]
    again = _run(farm, tmp_path, GOLDEN)
    assert (again["changed"], again["round_trips"], _files(farm)) == (False, 1, [file])
    undo = {**GOLDEN, "state": "absent"}
    assert _run(farm, tmp_path, undo, "--check")["actions"] == _run(farm, tmp_path, undo)["actions"]
    assert _files(farm) == []
    assert not _run(farm, tmp_path, undo)["changed"]


def test_a_running_one_is_refused_or_stopped_and_started_again(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, {"name": "golden", "state": "running"}, module="emulator")
    assert "'golden' runs, and a backup needs it stopped. Stop it first, or say stop: true" in _run(farm, tmp_path, GOLDEN)["msg"]
    done = _run(farm, tmp_path, {**GOLDEN, "stop": True})
    assert [action["action"] for action in done["actions"]] == ["stop", "backup", "start"]
    assert len(_files(farm)) == 1
    world = _world(farm)
    assert world.phase(world.find("golden"))[0] == 1
    assert not _run(farm, tmp_path, {"name": "golden"}, module="emulator")["changed"]  # the note for a controller that dies is gone again
    assert _run(farm, tmp_path, {**GOLDEN, "stop": True})["changed"]  # what runs changes
    assert not _run(farm, tmp_path, {**GOLDEN, "stop": True, "max_age": 24})["changed"]


def test_rotation_keeps_the_newest_and_never_another_emulators(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, {"name": "LDPlayer", "folder": FOLDER})
    for fps in (10, 20, 30, 40):
        _run(farm, tmp_path, {"name": "golden", "fps": fps}, module="emulator")
        planned = _run(farm, tmp_path, {**GOLDEN, "keep": 2}, "--check")
        done = _run(farm, tmp_path, {**GOLDEN, "keep": 2})
        assert done["actions"] == planned["actions"]
        assert done["round_trips"] <= 3
    files = _files(farm)
    assert [file[:7] for file in files] == ["LDPlaye", "golden-", "golden-"]
    assert [action["action"] for action in done["actions"]] == ["backup", "remove"]
    assert [backup["file"] for backup in done["backups"]] == sorted(files[1:], reverse=True)
    assert [action["action"] for action in _run(farm, tmp_path, {**GOLDEN, "keep": 1})["actions"]] == ["remove"]


def test_a_restore_puts_the_data_back_and_title_identity_and_display_right(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, GOLDEN)
    _run(farm, tmp_path, {"name": "other", "resolution": "540x960@240", "fps": 20}, module="emulator")
    before = _config(farm, "other")
    (file,) = _files(farm)
    wanted = {"name": "other", "folder": FOLDER, "state": "restored", "file": file}
    planned = _run(farm, tmp_path, wanted, "--check")
    assert _config(farm, "other") == before
    done = _run(farm, tmp_path, wanted)
    assert (done["actions"], done["round_trips"]) == (planned["actions"], 3)
    after = _config(farm, "other")
    kept = [
        key for key in before if key.startswith("propertySettings.phoneI") or "resolution" in key or key.endswith(("Name", "macAddress"))
    ]
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert after["basicSettings.fps"] == 60  # the backup's
    assert _world(farm).titles() == ["LDPlayer", "golden", "other"]
    assert not _run(farm, tmp_path, wanted)["changed"]
    assert _run(farm, tmp_path, {**wanted, "force": True})["changed"]
    assert [words[-1] for words in _said(farm, "restore")] == [f"{FOLDER}\\{file}"] * 2


def test_the_newest_whole_one_is_restored_into_a_running_emulator(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, GOLDEN)
    _run(farm, tmp_path, {"name": "golden", "state": "running"}, module="emulator")
    done = _run(farm, tmp_path, {**GOLDEN, "state": "restored", "stop": True})
    assert [action["action"] for action in done["actions"]] == ["stop", "restore", "start"]
    world = _world(farm)
    assert world.phase(world.find("golden"))[0] == 1
