"""What goes wrong with apps: downloads that fail, are cut off or are something else, full disks, installs that do nothing. Each is named, none is guessed."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apks
import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome

DATA = apks.apk(padding=600_000)
PACKAGE = "com.example.game"
DOWNLOADS = "C:\\ProgramData\\ldfleet\\downloads"


@pytest.fixture
def direct(tmp_path: Path) -> rig.Direct:
    world = rig.world(tmp_path / "host")
    world.add("scout")
    world.edit(world.find("scout"), {"basicSettings.adbDebug": 1})
    world.launch(world.find("scout"))
    world.settle()
    direct = rig.Direct(world)
    assert not rig.apply(direct, rig.wanted([{"name": "scout"}])).failures  # adopted, so that steps below are about apps only
    direct.runs = 0
    return direct


@pytest.fixture
def shelf() -> Iterator[apks.Shelf]:
    with apks.shelf() as found:
        yield found


def _apply(direct: rig.Direct, **app: Any) -> Outcome:
    return rig.apply(direct, rig.wanted([{"name": "scout", "apps": [{"package": PACKAGE, **app}]}]))


def _apps(direct: rig.Direct) -> list[str]:
    return list(direct.world.find("scout").guest.packages)


def _why(outcome: Outcome) -> str:
    (failure,) = outcome.failures
    return str(failure)


def _downloads(direct: rig.Direct) -> dict[str, int]:
    folder = direct.world.drive.local(DOWNLOADS)
    return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}


def test_a_download_that_is_not_there(direct: rig.Direct, shelf: apks.Shelf) -> None:
    outcome = _apply(direct, source=f"{shelf.address}/nothing.apk", sha256="0" * 64)
    assert "install of com.example.game was carried out and did not take: HttpStatus: the server answered 404" in _why(outcome)
    assert (len(shelf.asked), _apps(direct)) == (1, [])


def test_a_download_with_another_hash_is_fetched_once_and_not_kept(direct: rig.Direct, shelf: apks.Shelf) -> None:
    outcome = _apply(direct, source=shelf.put("game.apk", DATA), sha256="0" * 64)
    assert "Mismatch: what came has another hash than wanted" in _why(outcome)
    assert (len(shelf.asked), _apps(direct), _downloads(direct)) == (1, [], {})
    assert not [words for words in direct.world.commands() if words[0] == "installapp"]


def test_a_download_that_is_cut_off_goes_on_where_it_ended(direct: rig.Direct, shelf: apks.Shelf) -> None:
    """In the same run, and after it: nothing comes twice."""
    shelf.cuts = [262_144, 200_000]
    outcome = _apply(direct, source=shelf.put("game.apk", DATA), sha256=apks.sha256(DATA))
    assert (outcome.failures, _apps(direct)) == ((), [PACKAGE])
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for _path, asked in shelf.asked]
    assert starts[0] == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(starts)), starts


def test_a_download_that_is_always_cut_off_is_given_up_and_a_rerun_finishes_it(direct: rig.Direct, shelf: apks.Shelf) -> None:
    shelf.cuts = [100_000] * 3
    source = shelf.put("game.apk", DATA)
    assert "FetchFailed" in _why(_apply(direct, source=source, sha256=apks.sha256(DATA)))
    assert not _apply(direct, source=source, sha256=apks.sha256(DATA)).failures
    assert _apps(direct) == [PACKAGE]


@pytest.mark.parametrize("left", [b"\0" * 100_000, bytes(len(DATA))], ids=["shorter", "as long"])
def test_what_is_left_of_another_download_is_dropped_and_the_file_comes_anew(direct: rig.Direct, shelf: apks.Shelf, left: bytes) -> None:
    """A power cut can leave zeros; they are not blamed on the source."""
    part = direct.world.drive.local(f"{DOWNLOADS}\\{apks.sha256(DATA)}.apk.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    outcome = _apply(direct, source=shelf.put("game.apk", DATA), sha256=apks.sha256(DATA))
    assert (outcome.failures, outcome.extra, _apps(direct)) == ((), (), [PACKAGE])


def test_a_full_disk(direct: rig.Direct, shelf: apks.Shelf) -> None:
    direct.world.disk_free = 300_000
    outcome = _apply(direct, source=shelf.put("game.apk", DATA), sha256=apks.sha256(DATA))
    assert "DiskFull: There is not enough space on the disk." in _why(outcome)
    direct.world.disk_free = 10**12
    assert not _apply(direct, source=shelf.put("game.apk", DATA), sha256=apks.sha256(DATA)).failures


def test_an_app_that_does_not_appear_is_told_with_what_the_guest_said(direct: rig.Direct, shelf: apks.Shelf) -> None:
    direct.world.quirks.install_ignored_times = 1
    source = shelf.put("game.apk", DATA)
    outcome = _apply(direct, source=source, sha256=apks.sha256(DATA))
    assert "install of com.example.game was carried out and did not take: " in _why(outcome)
    assert "the answer still was" in _why(outcome)
    assert not _apply(direct, source=source, sha256=apks.sha256(DATA)).failures


def test_an_older_version_is_refused_by_android_and_told(direct: rig.Direct) -> None:
    drive = direct.world.drive
    for name, code in (("new", 20), ("old", 10)):
        drive.local(f"C:\\{name}.apk").write_bytes(apks.apk(code=code, version=str(code)))
    assert not _apply(direct, source="C:\\new.apk", version="20").failures
    assert "INSTALL_FAILED_VERSION_DOWNGRADE" in _why(_apply(direct, source="C:\\old.apk", version="10"))


def test_a_real_app_is_refused_by_the_simulator_in_clear_words(direct: rig.Direct) -> None:
    direct.world.drive.local("C:\\real.apk").write_bytes(b"PK\x05\x06" + b"\0" * 18)
    assert "the simulator installs no real APK" in str(_apply(direct, source="C:\\real.apk").failures[0])


def test_a_source_of_another_package_does_not_count(direct: rig.Direct) -> None:
    direct.world.drive.local("C:\\other.apk").write_bytes(apks.apk("com.example.other"))
    assert "install of com.example.game was carried out and did not take" in _why(_apply(direct, source="C:\\other.apk"))


def test_a_guest_without_package_service_is_unknown_and_never_empty(direct: rig.Direct) -> None:
    """Launched by a person a moment ago: the apps are waited for, not taken for missing."""
    world = direct.world
    world.quit(world.find("scout"))
    world.settle()
    world.launch(world.find("scout"))
    world.clock.sleep(12)  # list2 says that Android has started, and adb does not answer yet
    outcome = _apply(direct, state="absent")
    assert (outcome.failures, outcome.plan.waits, outcome.plan.steps) == ((), ("scout",), ())
    assert not [words for words in world.commands() if words[0] == "uninstallapp"]


def test_a_person_s_emulator_that_never_answers_is_not_restarted(direct: rig.Direct) -> None:
    world = direct.world
    world.find("scout").ailment = "deaf"
    outcome = rig.apply(direct, rig.wanted([{"name": "scout", "apps": [{"package": PACKAGE}]}]))
    assert "GuestSilent" in _why(outcome)
    assert not [words for words in world.commands() if words[0] in ("quit", "launch")]


def test_old_downloads_are_swept_and_what_is_needed_stays(direct: rig.Direct, shelf: apks.Shelf) -> None:
    folder = direct.world.drive.local(DOWNLOADS)
    folder.mkdir(parents=True)
    now = direct.world.clock.now()
    for name, age in (("a" * 64 + ".apk", 8), ("b" * 64 + ".apk.part", 8), ("c" * 64 + ".apk", 6), (apks.sha256(DATA) + ".apk", 30)):
        (folder / name).write_bytes(DATA)
        os.utime(folder / name, (now - age * 86_400,) * 2)
    assert not _apply(direct, source=shelf.put("game.apk", DATA), sha256=apks.sha256(DATA)).failures
    assert sorted(_downloads(direct)) == sorted(["c" * 64 + ".apk", apks.sha256(DATA) + ".apk"])
    assert shelf.asked == []


@pytest.mark.parametrize("how", ["before", "after", "lost"])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_cut_at_any_round_trip_and_a_rerun_give_the_same_apps(direct: rig.Direct, shelf: apks.Shelf, how: str, cut: int) -> None:
    app = {"source": shelf.put("game.apk", DATA), "sha256": apks.sha256(DATA), "state": "started"}
    direct.cuts[cut] = how
    with contextlib.suppress(rig.ControllerDied):
        _apply(direct, **app)
    direct.cuts.clear()
    direct.world.clock.sleep(3600)
    assert not _apply(direct, **app).failures
    assert direct.world.find("scout").guest.front == PACKAGE
    assert len(shelf.asked) == 1
    assert len([words for words in direct.world.commands() if words[0] == "installapp"]) == 1


def test_apps_and_their_data_go_along_with_a_clone_and_away_with_a_removal(direct: rig.Direct) -> None:
    world = direct.world
    world.drive.local("C:\\game.apk").write_bytes(apks.apk())
    assert not _apply(direct, source="C:\\game.apk").failures
    world.find("scout").guest.files["/data/data/com.example.game/save"] = b"level 7"
    assert not rig.apply(direct, rig.wanted([{"name": "scout", "state": "stopped"}, {"name": "twin", "clone_from": "scout"}])).failures
    assert world.find("twin").guest.files == {"/data/data/com.example.game/save": b"level 7"}
    kept = rig.world(world.folder)  # the host survives its restart
    assert list(kept.find("twin").guest.packages) == [PACKAGE]
    assert not rig.apply(direct, rig.wanted([{"name": "scout", "state": "absent"}])).failures
    assert not rig.apply(direct, rig.wanted([{"name": "scout"}])).failures
    assert world.find("scout").guest.packages == {}
