"""Files between host and guest: both ends are equal in the end or the task says what arrived, whatever LDPlayer does on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import files
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError, NotConverged, Refused
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE
from ldfleet.sim.ldplayer.world import World

HOST, GUEST = "C:\\files\\a b's.txt", "/sdcard/Download/ü b's.txt"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = rig.world(tmp_path)
    made.add("scout")
    made.edit(made.find("scout"), {"basicSettings.adbDebug": 1})
    made.launch(made.find("scout"))
    made.settle()
    folder = made.drive.local("C:\\files")
    folder.mkdir()
    (folder / "a b's.txt").write_bytes(b"content" * 1000)
    return made


def _do(world: World, check: bool = False, **given: Any) -> dict[str, Any]:
    arguments = {"name": "scout", "host_path": HOST, "guest_path": GUEST, **given}
    wish = files.wish(options.checked(spec("emulator_file"), arguments))
    return rig.talk(rig.Direct(world), files.talk(wish, ANYWHERE), check)


def test_push_is_proved_and_then_nothing_is_left_to_do(world: World) -> None:
    guest = world.find("scout").guest
    planned = _do(world, check=True, action="push")
    assert (planned["changed"], GUEST in guest.files) == (True, False)
    done = _do(world, action="push")
    assert (done["actions"], guest.files[GUEST]) == (planned["actions"], b"content" * 1000)
    assert not _do(world, action="push")["changed"]
    guest.files[GUEST] = b"other"
    assert _do(world, action="push")["changed"]


def test_pull_is_proved_and_then_nothing_is_left_to_do(world: World) -> None:
    world.find("scout").guest.files[GUEST] = b"from the guest"
    path = world.drive.local(HOST)
    assert _do(world, action="pull", host_path="C:\\files\\new.txt")["changed"]
    assert _do(world, action="pull")["changed"]
    assert path.read_bytes() == b"from the guest"
    assert not _do(world, action="pull")["changed"]


def test_a_picture_comes_to_the_host_and_leaves_nothing_in_the_guest(world: World) -> None:
    shot = {"action": "screenshot", "host_path": "C:\\files\\shot.png", "guest_path": None}
    before = dict(world.find("scout").guest.files)
    for _ in range(2):
        assert _do(world, **shot)["changed"]
    assert world.drive.local("C:\\files\\shot.png").read_bytes().startswith(b"\x89PNG")
    assert world.find("scout").guest.files == before


@pytest.mark.parametrize("action", ["push", "pull"])
@pytest.mark.parametrize(("quirk", "says"), [({"transfer_cut_times": 1}, "perhaps half of it, arrived"), ({"hang": 1}, "said Timeout")])
def test_what_did_not_arrive_whole_is_told_and_a_rerun_mends_it(world: World, action: str, quirk: dict[str, int], says: str) -> None:
    world.find("scout").guest.files[GUEST] = b"from the guest"
    world.quirks.transfer_cut_times = quirk.get("transfer_cut_times", 0)
    world.quirks.hang_commands = {action} if "hang" in quirk else set()
    with pytest.raises(NotConverged) as failed:
        _do(world, action=action)
    assert says in str(failed.value)
    world.quirks.hang_commands = set()
    assert _do(world, action=action)["changed"]
    assert not _do(world, action=action)["changed"]


def test_a_full_disk_is_seen(world: World) -> None:
    world.find("scout").guest.files[GUEST] = b"x" * 100_000
    world.disk_free = 50_000
    with pytest.raises(NotConverged) as failed:
        _do(world, action="pull")
    assert "Is there room on the other side?" in str(failed.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"action": "push", "host_path": "C:\\files\\none.txt"}, "there is no C:\\files\\none.txt"),
        ({"action": "pull", "guest_path": "/sdcard/none"}, "there is no /sdcard/none in 'scout'"),
        ({"action": "pull", "host_path": "C:\\nowhere\\a.txt"}, "there is no folder C:\\nowhere"),
        ({"action": "push", "name": "LDPlayer"}, "'LDPlayer' is stopped, and only a guest that runs has files"),
        ({"action": "push", "name": "nobody"}, "it has no emulator called 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_refused(world: World, given: dict[str, Any], says: str) -> None:
    world.find("scout").guest.files[GUEST] = b"x"
    with pytest.raises(Refused) as refused:
        _do(world, **given)
    assert says in str(refused.value)


def test_without_adb_nothing_can_be_proved(world: World) -> None:
    world.add("mute")
    world.launch(world.find("mute"))
    world.settle()
    with pytest.raises(Refused) as refused:
        _do(world, name="mute", action="push")
    assert "adb of 'mute' is off, so nothing can be proven" in str(refused.value)


def test_a_guest_that_is_silent_is_not_taken_for_one_without_the_file(world: World) -> None:
    world.find("scout").ailment = "deaf"
    with pytest.raises(FleetError) as failed:
        _do(world, action="push")
    assert "does not answer as it should" in str(failed.value)
