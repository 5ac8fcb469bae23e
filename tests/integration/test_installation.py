"""The module installation as `ansible-playbook` runs it: laying, upgrading, repairing, adopting and removing an LDPlayer on a simulated host."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import installation, laying
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.programs.files import SEVEN_ZIP

OLD, NEW, FOURTEEN = "9.0.79.2", "9.1.20.0", "14.0.26.1"
SHARE = r"\\files\ldplayer\ldplayer-{}.zip"
BARE = Spec.bare("server2022", desktop_user="player")


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=BARE) as made:
        laid.share(tmp_path / "farm" / "shares", (OLD, NEW, FOURTEEN))
        yield made


def wish(version: str = OLD, **more: Any) -> dict[str, Any]:
    """Options for a release on the share."""
    digest = hashlib.sha256(laid.package(version)).hexdigest()
    found = {"ldplayer_version": int(version.split(".")[0]), "release": version, "source": SHARE.format(version), "sha256": digest, **more}
    return {name: value for name, value in found.items() if value is not None}


def run(farm: Farm, folder: Path, arguments: dict[str, Any], *options: str, module: str = "installation") -> dict[str, Any]:
    play = rig.ansible(farm.inventory(), folder, module, arguments, *options)
    assert "Traceback" not in play.output
    return play.one()


def test_four_steps_from_nothing_and_back(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    planned = run(farm, tmp_path, wish(), "--check", "--diff")
    assert (planned["changed"], planned["installation"]["present"], planned["round_trips"]) == (True, False, 1)
    assert not world.drive.local(r"C:\LDPlayer").exists()
    done = run(farm, tmp_path, wish(), "--diff")
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
    assert done["installation"] == {
        "ldplayer_version": 9, "install_dir": r"C:\LDPlayer\LDPlayer9", "present": True, "managed": True, "release": OLD,
        "sha256": wish()["sha256"], "emulators": 0, "free_bytes": 400_000_000_000, "desktop_user": r"SIM-01\player",
        "data_dir": r"C:\LDPlayer\LDPlayer9\vms", "data_free_bytes": 400_000_000_000,
    }  # fmt: skip
    again = run(farm, tmp_path, wish())
    assert (again["changed"], again["actions"], again["round_trips"]) == (False, [], 1)
    made = run(farm, tmp_path, {"name": "scout", "state": "running"}, module="emulator")
    assert made["changed"], made
    assert world.titles() == ["scout"]
    refused = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert (refused["errors"][0]["code"], world.titles()) == ("Guarded", ["scout"])
    assert "holds 1 emulator, which would go with it, and max_destroy is 0" in refused["msg"]
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent", "max_destroy": 1, "running": "stop"})
    assert [step["action"] for step in gone["actions"]] == ["stop", "remove"], gone
    assert not world.drive.local(r"C:\LDPlayer\LDPlayer9").exists()
    assert run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})["changed"] is False
    assert not any("ldplayer9" in key.lower() for key, _name, _value in world.registry.entries())


def test_an_upgrade_keeps_every_emulator_and_waits_until_told_to_stop_them(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    run(farm, tmp_path, wish())
    run(farm, tmp_path, {"name": "scout", "state": "running", "memory": 2048}, module="emulator")
    before = world.config_path(world.find("scout").index).read_bytes()
    refused = run(farm, tmp_path, wish(NEW))
    assert "cannot be changed while it runs: 'scout'" in refused["msg"]
    assert world.spec.version == OLD
    done = run(farm, tmp_path, wish(NEW, running="stop"))
    assert [step["action"] for step in done["actions"]] == ["stop", "upgrade"], done
    assert (done["installation"]["release"], done["installation"]["emulators"]) == (NEW, 1)
    assert run(farm, tmp_path, {"name": "scout", "state": "running", "memory": 2048}, module="emulator")["changed"]
    assert (world.spec.version, world.titles()) == (NEW, ["scout"])
    assert b"phoneIMEI" in before
    assert world.config(world.find("scout").index) != {}
    assert run(farm, tmp_path, wish(NEW, running="stop"))["changed"] is False


def test_what_was_unpacked_before_a_mark_was_made_goes_with_absent(farm: Farm, tmp_path: Path) -> None:
    world, away = farm.hosts[0].world, {"ldplayer_version": 9, "state": "absent"}
    left = world.drive.local("C:\\LDPlayer\\LDPlayer9.ldfleet-new")
    (left / "vms").mkdir(parents=True)
    planned = run(farm, tmp_path, away, "--check")
    assert planned["actions"][0]["reason"] == "C:\\LDPlayer\\LDPlayer9.ldfleet-new is left over"
    assert (run(farm, tmp_path, away)["actions"], left.exists()) == (planned["actions"], False)
    assert run(farm, tmp_path, away)["changed"] is False


def test_what_was_begun_and_cut_off_is_healed_by_the_next_run(tmp_path: Path) -> None:
    """The controller dies at any batch, before or after the host did it; a disk fills up; then all is as if nothing had been."""
    for cut in ("before", "after"):
        for at in range(1, 5):
            folder = tmp_path / f"{cut}{at}"
            world = rig.world(folder, BARE)
            laid.share(folder / "shares", (OLD,))
            direct = rig.Direct(world, {at: cut})
            wanted = _wanted(wish())
            with pytest.raises(rig.ControllerDied):
                rig.talk(direct, laying.talk(wanted))
            world.clock.sleep(3600)  # its lease has run out
            healed = rig.talk(direct, laying.talk(wanted))
            assert healed["installation"]["managed"], (cut, at)
            assert rig.talk(direct, laying.talk(wanted))["changed"] is False, (cut, at)
            assert not world.drive.local(r"C:\LDPlayer\LDPlayer9.ldfleet-new").exists()


def test_a_full_disk_says_so_and_a_rerun_heals(tmp_path: Path) -> None:
    world = rig.world(tmp_path, BARE)
    laid.share(tmp_path / "shares", (OLD,))
    direct, wanted = rig.Direct(world), _wanted(wish())
    world.disk_free = 500
    with pytest.raises(FleetError, match=r"MB free, and unpacking needs about"):
        rig.talk(direct, laying.talk(wanted))
    assert not world.drive.local(r"C:\LDPlayer\LDPlayer9").exists()
    world.disk_free = 10**9
    assert rig.talk(direct, laying.talk(wanted))["changed"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "has not the sha256 000000"),
        ({"source": SHARE.format("9.9.9")}, r"\\files\ldplayer\ldplayer-9.9.9.zip cannot be read on the host"),
        ({"source": r"C:\nowhere\ldplayer.7z"}, "cannot be read on the host"),
        ({"source": "http://127.0.0.1:9/ldplayer.zip"}, "could not be fetched (FetchFailed"),
        ({"source": "ldplayer.zip"}, "a full path on a drive or a share is wanted"),
        ({"source": r"C:\ldplayer.msi"}, "one of .zip, .7z, .exe is wanted"),
        ({"source": "https://user:secret@files.example.net/ldplayer.zip"}, "an address holds no user and no password"),
        ({"sha256": "12"}, "64 hexadecimal digits are wanted"),
        ({"sha256": None}, "sha256 is missing"),
        ({"install_dir": "C:\\"}, "a folder of its own is wanted, not a whole drive"),
        ({"install_dir": r"C:\Windows\LDPlayer"}, "it is one of Windows' own folders"),
        ({"install_dir": r"\\files\ldplayer"}, "a folder on a drive of the host is wanted"),
        ({"install_dir": r"C:\LDPlayer|x"}, "it holds what no folder's name can"),
        ({"ldplayer_version": 4}, "takes one of 5, 9, 14"),
        ({"release": "9; rm"}, "letters, digits, dots and dashes are wanted"),
        ({"timeout": 5}, "60 to 7200 seconds is wanted"),
        ({"max_destroy": -1}, "0 or more is wanted"),
    ],
)
def test_what_cannot_be_is_one_clear_message_and_nothing_is_touched(farm: Farm, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    done = run(farm, tmp_path, wish(**change))
    assert done["failed"]
    assert says in done["msg"]
    assert "secret" not in done["msg"]
    assert not farm.hosts[0].world.drive.local(r"C:\LDPlayer").exists()


def test_somebody_elses_is_left_alone_until_it_is_adopted(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        laid.share(tmp_path / "farm" / "shares", (NEW,))
        world = farm.hosts[0].world
        left = run(farm, tmp_path, wish(NEW))
        assert (left["changed"], left["installation"]["managed"], left["installation"]["present"]) == (False, False, True)
        assert run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent", "max_destroy": 9})["errors"][0]["code"] == "Foreign"
        assert run(farm, tmp_path, wish(NEW, state="repaired"))["errors"][0]["code"] == "Foreign"
        titles = world.titles()
        taken = run(farm, tmp_path, wish(NEW, adopt=True))
        assert (taken["changed"], taken["installation"]["managed"], world.titles()) == (True, True, titles), taken


def test_a_folder_with_other_things_is_refused(farm: Farm, tmp_path: Path) -> None:
    place = farm.hosts[0].world.drive.local(r"C:\Games")
    place.mkdir()
    (place / "saves.dat").write_text("mine")
    assert "it holds 'saves.dat'" in run(farm, tmp_path, wish(install_dir=r"C:\Games"))["msg"]
    assert [file.name for file in place.iterdir()] == ["saves.dat"]


def test_two_versions_lie_side_by_side_and_each_has_its_own_emulators(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    for version in (OLD, FOURTEEN):
        assert run(farm, tmp_path, wish(version))["changed"]
    assert (
        "holds LDPlayer 9, and LDPlayer 14 is wanted there"
        in run(farm, tmp_path, wish(FOURTEEN, install_dir=r"C:\LDPlayer\LDPlayer9"))["msg"]
    )
    for number in (9, 14):
        run(farm, tmp_path, {"name": f"of{number}", "ldplayer_version": number}, module="emulator")
    assert (world.titles(), world.beside[0].titles()) == (["of9"], ["of14"])
    gone = run(farm, tmp_path, {"ldplayer_version": 14, "state": "absent", "max_destroy": 1})
    assert gone["changed"], gone
    assert world.titles() == ["of9"]


def test_nobody_logged_on_is_told_and_never_means_the_accounts_own(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11")) as farm:
        laid.share(tmp_path / "farm" / "shares", (OLD,))
        assert "nobody is logged on" in run(farm, tmp_path, wish())["msg"]
        assert run(farm, tmp_path, wish(desktop_session="never"))["changed"]


def _wanted(arguments: dict[str, Any]) -> installation.Wish:
    return installation.wish(options.checked(spec("installation"), arguments))


@pytest.mark.parametrize(("suffix", "make"), [(".7z", laid.package), (".exe", laid.installer)])
def test_seven_zip_unpacks_where_it_is_installed(farm: Farm, tmp_path: Path, suffix: str, make: Callable[[str], bytes]) -> None:
    packed = make(OLD)
    (tmp_path / "farm" / "shares" / "files" / "ldplayer" / f"ldplayer{suffix}").write_bytes(packed)
    wanted = wish(source=rf"\\files\ldplayer\ldplayer{suffix}", sha256=hashlib.sha256(packed).hexdigest())
    assert "needs 7-Zip on the host, and there is none" in run(farm, tmp_path, wanted)["msg"]
    farm.hosts[0].install(SEVEN_ZIP)
    assert run(farm, tmp_path, wanted)["installation"]["present"] is True
    assert run(farm, tmp_path, {"name": "scout"}, module="emulator")["changed"]
