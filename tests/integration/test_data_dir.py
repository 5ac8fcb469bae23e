"""A data directory apart from LDPlayer's folder, as `ansible-playbook` runs it on simulated hosts: module and role, fresh, kept, refused, cut off, gone."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sites import said

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import installation, laying, marks
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.windows import Answer

OLD, NEW, FOURTEEN = "9.0.79.2", "9.1.20.0", "14.0.26.1"
SHARE = r"\\files\ldplayer\ldplayer-{}.zip"
BARE = Spec.bare("server2022", desktop_user="player")
NINE = r"C:\LDPlayer\LDPlayer9"
DATA = r"D:\emulators"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=BARE) as made:
        made.hosts[0].world.drive.add("D")
        made.hosts[0].world.further_free["D"] = 900 * 10**9
        laid.share(tmp_path / "farm" / "shares", (OLD, NEW, FOURTEEN))
        yield made


@pytest.fixture
def world(farm: Farm) -> World:
    return farm.hosts[0].world


def wish(version: str = OLD, **more: Any) -> dict[str, Any]:
    """Options for a release on the share, with the data directory."""
    digest = hashlib.sha256(laid.package(version)).hexdigest()
    told = {"ldplayer_version": int(version.split(".")[0]), "release": version, "source": SHARE.format(version), "sha256": digest}
    return {name: value for name, value in {**told, "data_dir": DATA, **more}.items() if value is not None}


def run(farm: Farm, folder: Path, arguments: dict[str, Any], *options: str, module: str = "installation") -> dict[str, Any]:
    play = rig.ansible(farm.inventory(), folder, module, arguments, *options)
    assert "Traceback" not in play.output
    return play.one()


def actions(result: dict[str, Any]) -> list[str]:
    return [step["action"] for step in result.get("actions", ())]


def names(world: World, folder: str) -> list[str]:
    """What a folder holds, or nothing where there is none."""
    local = world.drive.local(folder)
    return sorted(entry.name for entry in local.iterdir()) if local.is_dir() else []


def test_fresh_its_emulators_lie_there_and_all_else_goes_on_as_before(farm: Farm, world: World, tmp_path: Path) -> None:
    planned = run(farm, tmp_path, wish(), "--check")
    assert (actions(planned), planned["round_trips"]) == (["link", "install"], 1)
    assert not world.drive.local(DATA).exists()
    done = run(farm, tmp_path, wish())
    assert (done["actions"], done["changed"]) == (planned["actions"], True)
    assert (done["installation"]["data_dir"], done["installation"]["data_free_bytes"]) == (DATA, 900 * 10**9)
    # What the package has for vms came through the link.
    assert (world.drive.target(world.drive.local(rf"{NINE}\vms")), names(world, DATA)) == (DATA, ["config"])
    data = [value for _key, name, value in world.registry.entries() if name == "DataDir"]
    assert set(data) == {f"{NINE}\\vms\\"}
    again = run(farm, tmp_path, wish())
    assert (again["changed"], again["actions"], again["round_trips"]) == (False, [], 1)

    made = run(farm, tmp_path, {"name": "scout", "state": "running"}, module="emulator")
    assert (made["changed"], made["host"]["free_bytes"]) == (True, 898 * 10**9), made
    assert (names(world, DATA), world.disk_free) == (["config", "leidian0"], 400 * 10**9)
    # Said no longer, and upgraded: it stays where it is.
    assert run(farm, tmp_path, wish(data_dir=None))["changed"] is False
    upgraded = run(farm, tmp_path, wish(NEW, data_dir=None, running="stop"))
    assert actions(upgraded) == ["stop", "upgrade"], upgraded
    assert (upgraded["installation"]["data_dir"], upgraded["installation"]["emulators"]) == (DATA, 1)
    assert run(farm, tmp_path, wish(NEW))["changed"] is False  # its note has it still
    assert run(farm, tmp_path, wish(NEW, state="repaired"))["changed"] is True
    assert (world.titles(), names(world, DATA)) == (["scout"], ["config", "leidian0"])
    assert run(farm, tmp_path, wish(NEW))["changed"] is False
    assert "D: has" in json.dumps(run(farm, tmp_path, {}, module="host_info")["findings"])


def test_absent_counts_through_the_link_and_leaves_what_is_not_ldplayers(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    run(farm, tmp_path, {"name": "scout"}, module="emulator")
    world.drive.local(rf"{DATA}\notes.txt").write_text("mine")
    refused = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert "holds 1 emulator, which would go with it, and max_destroy is 0" in refused["msg"]
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent", "max_destroy": 1})
    assert actions(gone) == ["remove"], gone
    assert rf"of {DATA} goes what is LDPlayer's, and what else lies there stays" in gone["actions"][0]["reason"]
    assert (world.drive.local(NINE).exists(), names(world, DATA)) == (False, ["notes.txt"])
    assert run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})["changed"] is False


def test_what_cannot_be_removed_keeps_the_link_by_which_the_next_run_finds_it(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    for name in ("one", "two"):
        run(farm, tmp_path, {"name": name}, module="emulator")
    world.drive.local(rf"{DATA}\leidian1\busy.log").touch()
    world.held.add("busy.log")
    away = {"ldplayer_version": 9, "state": "absent", "max_destroy": 2}
    stuck = run(farm, tmp_path, away)
    assert (stuck["errors"][0]["code"], "disk.1 said Locked" in stuck["msg"]) == ("NotConverged", True), stuck
    assert (names(world, DATA), world.drive.target(world.drive.local(rf"{NINE}\vms"))) == (["leidian1"], DATA)
    world.held.clear()
    assert run(farm, tmp_path, {**away, "max_destroy": 0})["errors"][0]["code"] == "Guarded"
    assert run(farm, tmp_path, away)["changed"] is True
    assert (names(world, "D:\\"), world.drive.local(NINE).exists()) == ([], False)


def test_absent_takes_the_data_directory_along_where_nothing_else_lies_in_it(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert (gone["changed"], world.drive.local(DATA).exists(), world.drive.local("D:\\").exists()) == (True, False, True), gone


@pytest.mark.parametrize("declared", [None, DATA])
def test_through_a_link_that_somebody_else_made_nothing_is_removed(farm: Farm, world: World, tmp_path: Path, declared: str | None) -> None:
    """Anybody may write to folders at the top of drive C:, and the removal runs with the rights of an administrator."""
    run(farm, tmp_path, wish(data_dir=declared))
    vms, system = world.drive.local(rf"{NINE}\vms"), world.drive.local(r"C:\Windows\System32")
    vms.unlink() if declared else shutil.rmtree(vms)
    for name in ("config", "leidian0"):
        (system / name).mkdir()
    vms.symlink_to(system, target_is_directory=True)
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert "System32', and not by ldfleet, so what lies there stays" in gone["actions"][0]["reason"], gone
    assert ((system / "config").is_dir(), (system / "leidian0").is_dir(), world.drive.local(NINE).exists()) == (True, True, False)
    assert names(world, DATA) == (["config"] if declared else [])


def test_emulators_of_an_ldplayer_that_is_gone_are_taken_back(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    run(farm, tmp_path, {"name": "scout", "memory": 2048}, module="emulator")
    # As after a fresh Windows: drive C: holds nothing of it any more.
    world.drive.local(rf"{NINE}\vms").unlink()
    for name in ("LDPlayer", "ProgramData\\ldfleet"):
        shutil.rmtree(world.drive.local(f"C:\\{name}"))
    world.look_after_folder()
    assert world.titles() == []
    world.drive.local(rf"{DATA}\config\leidians.config").write_text('{"mine": 1}')
    taken = run(farm, tmp_path, wish())
    assert world.drive.local(rf"{DATA}\config\leidians.config").read_text() == '{"mine": 1}'
    assert "which holds 1 emulator already" in taken["actions"][0]["reason"], taken
    found = run(farm, tmp_path, {}, module="emulator_info")
    assert [(one["name"], one["settings"]["memory"]) for one in found["emulators"]] == [("scout", 2048)]


def _emulator_in(folder: Path) -> None:
    (folder / "leidian0").mkdir(parents=True)


def test_disks_are_never_moved(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    run(farm, tmp_path, {"name": "scout"}, module="emulator")
    refused = run(farm, tmp_path, wish())
    assert rf"{NINE}\vms is a folder of its own with 1 emulator, and {DATA} is wanted" in refused["msg"]
    assert "Disks are never moved" in refused["msg"]
    assert (world.titles(), world.drive.local(DATA).exists()) == (["scout"], False)
    # By hand, as it says.
    world.drive.local(rf"{NINE}\vms").rename(world.drive.local(DATA))
    done = run(farm, tmp_path, wish())
    assert actions(done) == ["link"], done
    assert run(farm, tmp_path, wish())["changed"] is False
    assert [one["name"] for one in run(farm, tmp_path, {}, module="emulator_info")["emulators"]] == ["scout"]


def test_vms_without_emulators_is_kept_aside_and_its_settings_go_along(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    world.drive.local(rf"{NINE}\vms\config\leidians.config").write_text("{}")
    done = run(farm, tmp_path, wish())
    assert (actions(done), done["round_trips"]) == (["link"], 2), done
    assert "is kept as vms.ldfleet-before" in done["actions"][0]["reason"]
    assert world.drive.local(rf"{DATA}\config\leidians.config").read_text() == "{}"
    assert names(world, rf"{NINE}\vms.ldfleet-before") == ["config"]
    assert run(farm, tmp_path, wish())["changed"] is False


def test_nothing_is_linked_while_something_runs(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    world.install({r"C:\Windows\System32\tasklist.exe": _players_window})
    world.drive.local(rf"{NINE}\ldconsole.exe").unlink()  # what runs is then told by its processes
    refused = run(farm, tmp_path, wish())
    assert "cannot be changed while it runs: 'dnmultiplayer.exe'" in refused["msg"]
    assert not world.drive.local(DATA).exists()


def _players_window(_machine: Any, _words: Any, _raw: str, _caller: Any) -> Answer:
    return Answer(0, b'"dnmultiplayer.exe","77","Console","1","9,000 K"\r\n')


def test_a_link_that_somebody_made_is_noted_or_refused_and_left_where_nothing_is_said(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    vms = world.drive.local(rf"{NINE}\vms")
    vms.rename(world.drive.local(r"D:\by hand"))
    world.drive.join(vms, world.drive.local(r"D:\by hand"))
    assert run(farm, tmp_path, wish(data_dir=None))["changed"] is False
    refused = run(farm, tmp_path, wish())
    assert rf"{NINE}\vms leads to 'D:\by hand', and {DATA} is wanted" in refused["msg"]
    noted = run(farm, tmp_path, wish(data_dir="D:/by hand/"))
    assert (actions(noted), noted["round_trips"]) == (["note"], 2), noted
    assert run(farm, tmp_path, wish(data_dir=r"D:\by hand"))["changed"] is False


def test_a_data_directory_whose_drive_is_gone_is_told_and_nothing_is_made(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    away = world.drive.local("D:\\")
    away.rename(away.with_name("unplugged"))
    assert rf"{NINE}\vms leads to {DATA}, which is not there" in run(farm, tmp_path, wish())["msg"]
    assert run(farm, tmp_path, wish(data_dir=None))["changed"] is False
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert (gone["changed"], world.drive.local(NINE).exists()) == (True, False), gone
    assert "which is not there now, so what lies there stays" in gone["actions"][0]["reason"]
    assert [entry.name for entry in (away.with_name("unplugged")).iterdir()] == ["emulators"]


def test_emulators_whose_drive_is_away_are_neither_made_anew_nor_forgotten(farm: Farm, world: World, tmp_path: Path) -> None:
    """LDPlayer lists nothing then, and its configs are not there: unknown is not absent."""
    run(farm, tmp_path, wish())
    run(farm, tmp_path, {"name": "scout"}, module="emulator")
    drive = world.drive.local("D:\\")
    drive.rename(drive.with_name("unplugged"))
    world.look_after_folder()
    for arguments in (
        {"emulators": [{"name": "scout"}]},
        {"emulators": [{"name": "other"}]},
        {"emulators": [], "purge": True, "max_destroy": 5},
    ):
        refused = run(farm, tmp_path, arguments, module="emulators")
        assert refused["errors"][0]["code"] == "Unreadable", refused
        assert r"vms\config is not there, and emulators are on record" in refused["msg"]
    assert names(world, r"C:\ProgramData\ldfleet\owned") != []


def test_a_folder_in_anothers_is_refused_and_does_not_go_with_it(farm: Farm, world: World, tmp_path: Path) -> None:
    inner = {"install_dir": r"C:\LDPlayer\LDPlayer9\inner", "data_dir": None}
    run(farm, tmp_path, wish(data_dir=None))
    refused = run(farm, tmp_path, wish(FOURTEEN, **inner))
    assert r"overlaps the folder of another LDPlayer, C:\LDPlayer\LDPlayer9" in refused["msg"]
    (mark,) = world.drive.local(r"C:\ProgramData\ldfleet\installs").iterdir()
    document = json.loads(mark.read_text())
    (mark.parent / "0123456789abcdef.json").write_text(json.dumps({**document, "install_dir": inner["install_dir"]}))
    kept = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent", "max_destroy": 9})
    assert (kept["errors"][0]["code"], "take off the inner one first" in kept["msg"]) == ("Refused", True), kept


def test_a_mark_that_leads_into_windows_is_no_mark(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    (mark,) = world.drive.local(r"C:\ProgramData\ldfleet\installs").iterdir()
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "data_dir": r"C:\Windows\System32"}))
    gone = run(farm, tmp_path, {"ldplayer_version": 9, "state": "absent"})
    assert (gone["errors"][0]["code"], "one of Windows' own folders" in gone["msg"]) == ("Unreadable", True), gone


def test_a_mark_alone_does_not_make_a_folder_ldplayers(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    (mark,) = world.drive.local(r"C:\ProgramData\ldfleet\installs").iterdir()
    planted = mark.with_name(marks.file(r"C:\payroll"))
    planted.write_text(json.dumps({**json.loads(mark.read_text()), "install_dir": r"C:\payroll"}))
    book = world.drive.local(r"C:\payroll\2026.xlsx")
    book.parent.mkdir()
    book.touch()
    away = {"ldplayer_version": 9, "install_dir": r"C:\payroll", "state": "absent", "max_destroy": 9}
    kept = run(farm, tmp_path, away)
    assert (kept["errors"][0]["code"], book.exists()) == ("Refused", True), kept
    assert r"C:\payroll holds '2026.xlsx' and nothing that is known to be LDPlayer's" in kept["msg"]
    book.unlink()
    assert run(farm, tmp_path, away)["changed"] is True
    assert not planted.exists()


def test_what_was_kept_once_is_not_kept_over(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish(data_dir=None))
    world.drive.local(rf"{NINE}\vms.ldfleet-before").mkdir()
    refused = run(farm, tmp_path, wish())
    assert "would be kept as vms.ldfleet-before, and there is one beside it already" in refused["msg"]
    assert not world.drive.local(DATA).exists()


@pytest.mark.parametrize(
    ("there", "data", "says"),
    [
        ("D:\\photos\\cat.jpg", "D:\\photos", "holds 'cat.jpg', which is not LDPlayer's"),
        ("D:\\LDPlayer\\dnplayer.exe", "D:\\LDPlayer\\vms", "belongs to the LDPlayer in 'D:"),
        ("D:\\LDPlayer\\dnplayer.exe", "D:\\LDPlayer", "holds 'dnplayer.exe', which is not LDPlayer's"),
        ("D:\\dnplayer.exe", "D:\\vms", "belongs to the LDPlayer in 'D:"),
        ("", "E:\\emulators", "is not there, and neither is drive E:, as far as Windows tells"),
    ],
)
def test_a_folder_that_is_anothers_is_refused_before_anything_is_touched(
    farm: Farm, world: World, tmp_path: Path, there: str, data: str, says: str
) -> None:
    if there:
        world.drive.local(there).parent.mkdir(parents=True, exist_ok=True)
        world.drive.local(there).touch()
    assert says in run(farm, tmp_path, wish(data_dir=data))["msg"]
    assert not world.drive.local(r"C:\LDPlayer").exists()


def test_a_link_is_no_data_directory(farm: Farm, world: World, tmp_path: Path) -> None:
    world.drive.local(r"D:\real").mkdir()
    world.drive.join(world.drive.local(DATA), world.drive.local(r"D:\real"))
    assert f"{DATA} is itself a link, to 'D:" in run(farm, tmp_path, wish())["msg"]


@pytest.mark.parametrize("data", [DATA, "d:/EMULATORS/", rf"{DATA}\inner", "D:\\"])
def test_two_ldplayers_never_share_one_by_the_hosts_notes(farm: Farm, world: World, tmp_path: Path, data: str) -> None:
    run(farm, tmp_path, wish())
    refused = run(farm, tmp_path, wish(FOURTEEN, data_dir=data))
    wanted = "a folder of its own is wanted, not a whole drive" if data == "D:\\" else "belongs to the LDPlayer in 'C:"
    assert wanted in refused["msg"]
    assert not world.drive.local(r"C:\LDPlayer\LDPlayer14").exists()


def test_two_ldplayers_never_share_one_that_somebody_linked_by_hand(farm: Farm, world: World, tmp_path: Path) -> None:
    run(farm, tmp_path, wish())
    run(farm, tmp_path, wish(FOURTEEN, data_dir=None))
    vms = world.drive.local(r"C:\LDPlayer\LDPlayer14\vms")
    shutil.rmtree(vms)
    world.drive.join(vms, world.drive.local(DATA))
    assert "belongs to the LDPlayer in 'C:" in run(farm, tmp_path, wish(FOURTEEN))["msg"]
    assert run(farm, tmp_path, wish())["changed"] is False


def test_a_note_that_cannot_be_understood_may_name_it(farm: Farm, world: World, tmp_path: Path) -> None:
    note = world.drive.local(r"C:\ProgramData\ldfleet\installs\0123456789abcdef.json")
    note.parent.mkdir(parents=True)
    note.write_text("[]")
    assert "of another LDPlayer cannot be understood" in run(farm, tmp_path, wish())["msg"]
    assert run(farm, tmp_path, wish(data_dir=None))["changed"] is True


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("emulators", "a full path on a drive or a share is wanted"),
        (r"\\files\emulators", "a folder on a drive of the host is wanted"),
        ("D:\\", "a folder of its own is wanted, not a whole drive"),
        (r"C:\Windows\emulators", "it is one of Windows' own folders"),
        (NINE, "a folder beside it is wanted"),
        (rf"{NINE}\vms", "a folder beside it is wanted"),
        (r"c:/ldplayer", "a folder beside it is wanted"),
        (rf"{NINE}.ldfleet-new\x", "LDPlayer is unpacked in"),
        (r"D:\a%PATH%", "would take one of % ^ & ! , ; = in"),
        ("D:\\a&calc", "would take one of % ^ & ! , ; = in"),
        ('D:\\a" & calc "', "it holds what no folder's name can"),
        (r"D:\con", "none that means a device"),
    ],
)
def test_what_cannot_hold_emulators_is_told_before_the_host_is_asked(data: str, says: str) -> None:
    with pytest.raises(options.BadOptions, match=rf"data_dir.*{re.escape(says)}"):
        _wanted(wish(data_dir=data))


def _wanted(arguments: dict[str, Any]) -> installation.Wish:
    return installation.wish(options.checked(spec("installation"), arguments))


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_cut_off_at_any_batch_the_next_run_ends_as_if_nothing_had_been(tmp_path: Path, state: str, cut: str) -> None:
    for at in range(1, 5 if state == "present" else 2):
        folder = tmp_path / f"{at}"
        world = rig.world(folder, BARE)
        world.drive.add("D")
        world.further_free["D"] = 10**12
        laid.share(folder / "shares", (OLD,))
        wanted = _wanted(wish()) if state == "present" else _wanted({"ldplayer_version": 9, "state": "absent", "max_destroy": 1})
        if state == "absent":
            rig.talk(rig.Direct(world), laying.talk(_wanted(wish())))
            _emulator_in(world.drive.local(DATA))
        direct = rig.Direct(world, {at: cut})
        with pytest.raises(rig.ControllerDied):
            rig.talk(direct, laying.talk(wanted))
        world.clock.sleep(3600)  # its lease has run out
        rig.talk(direct, laying.talk(wanted))
        assert rig.talk(direct, laying.talk(wanted))["changed"] is False, at
        assert world.drive.local(DATA).exists() == (state == "present")
        assert (world.drive.target(world.drive.local(rf"{NINE}\vms")) == DATA) == (state == "present")


ROLE = """
- hosts: ldplayer
  gather_facts: false
  roles: [ldfleet.ldplayer.ldplayer]
"""


def play(farm: Farm, folder: Path, variables: dict[str, Any], *options: str, core: str | None = None) -> Any:
    (folder / "role.yml").write_text(ROLE)
    (folder / "inventory.json").write_text(json.dumps(farm.inventory()))
    return rig.playbook(folder / "inventory.json", folder, str(folder / "role.yml"), "-e", json.dumps(variables), *options, core=core)


def _variables(version: str, **more: Any) -> dict[str, Any]:
    told = wish(version, data_dir=None)
    return {"version": told["ldplayer_version"], "source": told["source"], "sha256": told["sha256"], **more}


@pytest.mark.parametrize("core", [None, *rig.CORES])
def test_the_role_passes_it_on_alone_and_for_each_of_several(farm: Farm, world: World, tmp_path: Path, core: str | None) -> None:
    one = {f"ldplayer_{name}": value for name, value in _variables(OLD, data_dir=DATA).items()}
    planned = play(farm, tmp_path, one, "--check", "--diff", core=core)
    done = play(farm, tmp_path, one, "--diff", core=core)
    assert done.returncode == 0, done.stdout + done.stderr
    for told in (planned, done):
        assert rf"+link LDPlayer 9: {NINE}\vms shall lead to {DATA}" in told.stdout.replace("\\\\", "\\")
    assert "changed=0" in play(farm, tmp_path, one, core=core).stdout
    both = [_variables(OLD, data_dir=DATA), _variables(FOURTEEN, data_dir=r"D:\fourteen")]
    added = play(farm, tmp_path, {"ldplayer_installations": both}, core=core)
    assert added.returncode == 0, added.stdout + added.stderr
    assert (names(world, DATA), names(world, r"D:\fourteen")) == (["config"], ["config"])
    gone = play(farm, tmp_path, {"ldplayer_installations": both, "ldplayer_state": "absent"}, core=core)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert names(world, "D:\\") == []


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_the_role_refuses_a_list_in_which_two_would_share_one(farm: Farm, world: World, tmp_path: Path, options: tuple[str, ...]) -> None:
    both = [_variables(OLD, data_dir=DATA), _variables(FOURTEEN, data_dir="d:/emulators")]
    done = play(farm, tmp_path, {"ldplayer_installations": both}, *options)
    assert done.returncode != 0
    assert "would be shared; give each LDPlayer a data directory (data_dir) of its own" in said(done)
    assert not world.drive.local(r"C:\LDPlayer").exists()


@pytest.mark.parametrize(
    ("declared", "shared"),
    [
        ([{"version": 9, "data_dir": "D:\\a"}, {"version": 14, "data_dir": "D:\\b"}], []),
        ([{"version": 9}, {"version": 14, "data_dir": ""}], []),
        ([{"version": "9", "data_dir": "D:\\a"}, {"version": 14, "data_dir": "d:/A/"}], ["D:\\a", "d:/A/"]),
        ([{"version": 9, "data_dir": "D:\\a"}, {"version": 14, "data_dir": "D:\\a\\b"}], ["D:\\a", "D:\\a\\b"]),
        ([{"version": 9}, {"version": 14, "data_dir": f"{NINE}\\vms"}], [f"{NINE}\\vms"]),
        ([{"version": 9, "install_dir": "E:\\LD"}, {"version": 14, "data_dir": "E:\\"}], ["E:\\"]),
    ],
)
def test_the_filter_tells_what_would_be_shared(declared: list[dict[str, Any]], shared: list[str]) -> None:
    assert sorted(installation.shared_data_dirs(declared)) == shared
