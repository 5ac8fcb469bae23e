"""Backups when LDPlayer, the disk or a file fails: nothing good is lost, nothing bad is put back, and each failure says what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import backup
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import NotConverged, Refused
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.settings import IDENTITY_KEYS
from ldfleet.sim.ldplayer.world import World

FOLDER = "C:\\backups\\ld"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = rig.world(tmp_path)
    _emulator(made)
    return made


def _emulator(world: World, **settings: Any) -> None:
    assert not rig.apply(rig.Direct(world), rig.wanted([{"name": "golden", **settings}])).failures


def _run(world: World, name: str = "golden", **wish: Any) -> dict[str, Any]:
    return rig.talk(rig.Direct(world), backup.talk(backup.Wish(name, FOLDER, **wish), ANYWHERE))


def _files(world: World) -> list[str]:
    folder = world.drive.local(FOLDER)
    return sorted(path.name for path in folder.glob("*.ldbk")) if folder.is_dir() else []


def _said(world: World, word: str) -> list[tuple[str, ...]]:
    return [words for words in world.commands() if words[:1] == (word,)]


def _config(world: World) -> dict[str, Any]:
    return dict(world.config(world.find("golden").index) or {})


@pytest.mark.parametrize(
    ("quirk", "says"),
    [
        ({"backup_writes_nothing_times": 1}, "no backup came of it (every command reported success)"),
        ({"backup_hangs_times": 1}, "the backup is no good, and was removed again: it is no 7z archive (backup said Timeout"),
        ({"hang_commands": {"backup"}}, "no backup came of it (backup said Timeout"),
    ],
)
def test_a_backup_that_fails_is_told_and_the_older_one_stays(world: World, quirk: dict[str, Any], says: str) -> None:
    _run(world)
    before = _files(world)
    _emulator(world, fps=20)
    for name, value in quirk.items():
        setattr(world.quirks, name, value)
    with pytest.raises(NotConverged) as failed:
        _run(world, keep=1)
    assert says in str(failed.value)
    assert _files(world) == before
    world.quirks.hang_commands = set()
    assert _run(world, keep=1)["changed"]
    assert len(_files(world)) == 1


def test_what_another_program_holds_is_not_taken_for_bad(world: World) -> None:
    """A scanner looks into each new file of 2 GB: none is removed for it, neither the new one nor an older one."""
    world.held = {"*.ldbk"}
    with pytest.raises(NotConverged) as failed:
        _run(world, keep=1)
    (first,) = _files(world)
    assert f"whether {first} is good cannot be told: the host could not read it (Locked). It stays. Run again" in str(failed.value)
    _emulator(world, fps=20)
    world.held = {first}
    made = _run(world, keep=1)
    assert [backup.get("problem") for backup in made["backups"]] == [None, "the host could not read it (Locked)"]
    world.held = set()
    _run(world, keep=1)
    assert len(_files(world)) == 1


@pytest.mark.parametrize("spellings", [("C:\\", "C:/"), ("C:\\b\\ld\\", "C:/b//ld")])
def test_a_folder_is_the_same_in_each_spelling_and_may_be_the_root_of_a_drive(world: World, spellings: tuple[str, str]) -> None:
    def run(folder: str, **more: Any) -> bool:
        given = options.checked(spec("emulator_backup"), {"name": "golden", "folder": folder, **more})
        return bool(rig.talk(rig.Direct(world), backup.talk(backup.wish(given), ANYWHERE))["changed"])

    assert [run(folder) for folder in spellings] == [True, False]
    assert [run(folder, state="restored") for folder in spellings] == [True, False]


def test_a_running_one_comes_back_also_when_its_backup_fails(world: World) -> None:
    world.launch(world.find("golden"))
    world.settle()
    world.quirks.backup_writes_nothing_times = 1
    with pytest.raises(NotConverged):
        _run(world, stop=True)
    assert world.phase(world.find("golden"))[0] == 1


def test_a_controller_that_dies_in_the_middle_leaves_word_that_it_ran(world: World) -> None:
    world.launch(world.find("golden"))
    world.settle()
    world.quirks.launch_ignored_times = 1
    with pytest.raises(NotConverged) as failed:
        _run(world, stop=True)
    assert "it was stopped, and did not come back" in str(failed.value)
    assert not rig.apply(rig.Direct(world), rig.wanted([{"name": "golden"}])).failures
    assert world.phase(world.find("golden"))[0] == 1


def test_a_disk_without_room_is_refused_before(world: World) -> None:
    world.disk_free = 1_900_000_000
    with pytest.raises(Refused) as refused:
        _run(world)
    assert "may need 2.0 GB (the size of its disks), and the drive of C:\\backups\\ld has 1.9 GB free" in str(refused.value)
    assert _said(world, "backup") == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "it is no 7z archive"),
        (lambda path: _cut(path, 1000), "it was cut off: it has 1000 bytes"),
        (lambda path: _flip(path, 20), "the header of its archive is damaged"),
    ],
)
def test_a_corrupt_file_is_never_restored(world: World, damage: Any, says: str) -> None:
    _run(world)
    (file,) = _files(world)
    damage(world.drive.local(f"{FOLDER}\\{file}"))
    before = _config(world)
    with pytest.raises(Refused) as refused:
        _run(world, state="restored", file=file)
    assert f"{file} cannot be restored: {says}" in str(refused.value)
    with pytest.raises(Refused) as refused:
        _run(world, state="restored")
    assert "holds no whole backup of 'golden'" in str(refused.value)
    assert (_config(world), _said(world, "restore")) == (before, [])


def test_a_file_that_only_ldplayer_finds_corrupt_is_seen_by_the_disks_and_not_remembered(world: World) -> None:
    _run(world)
    path = world.drive.local(f"{FOLDER}\\{_files(world)[0]}")
    _flip(path, path.stat().st_size - 1)
    for _ in range(2):
        with pytest.raises(NotConverged) as failed:
            _run(world, state="restored")
        assert "its disks are as they were before the restore" in str(failed.value)


def test_a_restore_without_its_rename_is_seen(world: World) -> None:
    _run(world)
    rig.apply(rig.Direct(world), rig.wanted([{"name": "other"}]))
    world.quirks.hang_commands = {"rename"}
    with pytest.raises(NotConverged) as failed:
        _run(world, "other", state="restored", file=_files(world)[0])
    assert "its title was not put right after the restore (rename said Timeout" in str(failed.value)
    assert "Call the emulator of index 2 so again in LDPlayer" in str(failed.value)


def test_who_an_emulator_is_outlives_a_restore_that_was_broken_off(world: World) -> None:
    """The second run sees the other one's identity in the config, and puts back the one that was written down before the first."""
    _run(world)
    (file,) = _files(world)
    rig.apply(rig.Direct(world), rig.wanted([{"name": "other"}]))
    before = world.config(world.find("other").index)
    world.quirks.modify_ignored_times = 1
    with pytest.raises(NotConverged) as failed:
        _run(world, "other", state="restored", file=file)
    assert "imei, imsi, sim_serial, android_id, mac still are those of the backup" in str(failed.value)
    assert _run(world, "other", state="restored", file=file)["changed"]
    after = world.config(world.find("other").index)
    assert before is not None
    assert after is not None
    assert {key: after[key] for key in IDENTITY_KEYS if key in before} == {key: before[key] for key in IDENTITY_KEYS if key in before}
    assert not _run(world, "other", state="restored", file=file)["changed"]


def test_an_emulator_that_was_made_anew_is_restored_again(world: World) -> None:
    """What is remembered is about the one of before, which is gone with its disks."""
    _run(world)
    assert _run(world, state="restored")["changed"]
    rig.apply(rig.Direct(world), rig.wanted([{"name": "golden", "state": "absent"}]))
    world.clock.sleep(60)
    _emulator(world)
    assert _run(world, state="restored")["changed"]
    assert not _run(world, state="restored")["changed"]


def test_what_is_not_owned_is_not_overwritten_and_what_is_not_there_is_told(world: World) -> None:
    _run(world, "LDPlayer")
    for name, wish, says in (
        ("LDPlayer", {"state": "restored"}, "ldfleet neither created nor adopted 'LDPlayer'"),
        ("nobody", {}, "it has no emulator called 'nobody'"),
        ("golden", {"state": "restored", "file": "x.ldbk"}, "there is no x.ldbk in C:\\backups\\ld"),
    ):
        with pytest.raises(Refused) as refused:
            _run(world, name, **wish)
        assert says in str(refused.value)


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def _flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
