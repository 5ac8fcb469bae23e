"""Apps and shell commands as `ansible-playbook` runs them, over real WinRM: check, do, again, undo; what they cost; what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apks
import pytest
import yaml

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.quirks import FOREVER
from ldfleet.sim.ldplayer.world import World

GAME = {"name": "scout", "package": "com.example.game"}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A host with an emulator that runs and lets adb in, as a person would have made it."""
    with rig.farm(tmp_path / "farm") as made:
        world = made.hosts[0].world
        world.add("scout")
        world.edit(world.find("scout"), {"basicSettings.adbDebug": 1})
        world.launch(world.find("scout"))
        world.settle()
        yield made


def _world(farm: Farm) -> World:
    return farm.hosts[0].world


def _run(farm: Farm, folder: Path, module: str, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
    return rig.ansible(farm.inventory("basic"), folder, module, arguments, *options).one()


def _versions(farm: Farm, title: str = "scout") -> dict[str, str]:
    return {name: package.version_name for name, package in _world(farm).find(title).guest.packages.items()}


def test_emulator_app_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    """A look each, and the work beside the proof: two round trips at the most."""
    with apks.shelf() as shelf:
        data = apks.apk()
        wanted = {**GAME, "source": shelf.put("game.apk", data), "sha256": apks.sha256(data), "state": "started"}
        planned = _run(farm, tmp_path, "emulator_app", wanted, "--check", "--diff")
        assert (planned["changed"], planned["round_trips"], _versions(farm), shelf.asked) == (True, 1, {}, [])
        done = _run(farm, tmp_path, "emulator_app", wanted, "--diff")
        assert (done["changed"], done["round_trips"], _versions(farm)) == (True, 2, {"com.example.game": "1.4"})
        assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
        assert [action["action"] for action in done["actions"]] == ["install", "run_app"]
        assert _world(farm).find("scout").guest.front == "com.example.game"
        again = _run(farm, tmp_path, "emulator_app", wanted)
        assert (again["changed"], again["actions"], again["round_trips"], len(shelf.asked)) == (False, [], 1, 1)
        gone = _run(farm, tmp_path, "emulator_app", {**GAME, "state": "absent"})
        assert (gone["changed"], gone["round_trips"], _versions(farm)) == (True, 2, {})
    assert "ldfleet" not in [e["name"] for e in gone["emulators"] if e["owned"]]


def test_an_update_from_the_host_and_from_a_share(farm: Farm, tmp_path: Path) -> None:
    drive = _world(farm).drive
    for place, version in (("C:\\apks\\game.apk", ("1.5", 15)), ("\\\\files\\apks\\game.apk", ("1.6", 16))):
        file = drive.local(place)
        file.parent.mkdir(parents=True)
        file.write_bytes(apks.apk(code=version[1], version=version[0]))
        done = _run(farm, tmp_path, "emulator_app", {**GAME, "source": place, "state": "latest"})
        assert (done["changed"], _versions(farm)) == (True, {"com.example.game": version[0]}), done
        assert not _run(farm, tmp_path, "emulator_app", {**GAME, "source": place, "state": "latest"})["changed"]
    kept = _run(farm, tmp_path, "emulator_app", {**GAME, "version": "16"})
    assert not kept["changed"]
    (scout,) = [emulator for emulator in kept["emulators"] if emulator["name"] == "scout"]
    assert [(app["version_name"], app["version_code"], app["running"]) for app in scout["apps"]] == [("1.6", "16", False)]


def test_emulator_shell_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    wanted = {"name": "scout", "cmd": "echo 'made' > /sdcard/made", "creates": "/sdcard/made"}
    planned = _run(farm, tmp_path, "emulator_shell", wanted, "--check")
    assert (planned["changed"], planned["round_trips"]) == (True, 1)
    assert _world(farm).find("scout").guest.files == {}
    done = _run(farm, tmp_path, "emulator_shell", wanted)
    assert (done["changed"], done["rc"], done["round_trips"], done["actions"]) == (True, 0, 2, planned["actions"])
    assert _world(farm).find("scout").guest.files == {"/sdcard/made": b"made\n"}
    again = _run(farm, tmp_path, "emulator_shell", wanted)
    assert (again["changed"], again["actions"], again["round_trips"]) == (False, [], 1)
    undo = {"name": "scout", "cmd": "rm /sdcard/made", "removes": "/sdcard/made"}
    assert _run(farm, tmp_path, "emulator_shell", undo)["changed"]
    assert not _run(farm, tmp_path, "emulator_shell", undo)["changed"]
    assert _world(farm).find("scout").guest.files == {}


def test_emulator_shell_tells_status_and_output(farm: Farm, tmp_path: Path) -> None:
    failed = _run(farm, tmp_path, "emulator_shell", {"name": "scout", "cmd": "echo a; nope", "fail_on_error": True})
    assert failed["failed"]
    assert (failed["rc"], failed["stdout_lines"]) == (127, ["a", "/system/bin/sh: nope: not found"])
    assert "the command ended with 127" in failed["msg"]
    asked = _run(
        farm,
        tmp_path,
        "emulator_shell",
        {"name": "scout", "cmd": "printf 'no line end';exit 3", "fail_on_error": False, "changes": False},
        "--check",
    )
    assert (asked["rc"], asked["stdout"], asked["changed"], asked.get("failed", False)) == (3, "no line end", False, False)
    pressed = _run(farm, tmp_path, "emulator_shell", {"name": "scout", "action": {"key": "call.input", "value": "Größe & %PATH%"}})
    assert (pressed["rc"], pressed["changed"]) == (0, True)
    assert _world(farm).find("scout").guest.typed == ["text Größe & %PATH%"]
    journal = (_world(farm).drive.local("C:\\ProgramData\\ldfleet\\journal.jsonl")).read_text(encoding="utf-8")
    assert "nope" not in journal


def test_apps_of_an_entry_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    """A look where nothing changes; the apps come when the emulators run, and the proof that an app is in front after that."""
    with apks.shelf() as shelf:
        data = apks.apk()
        app = {"package": "com.example.game", "source": shelf.put("game.apk", data), "sha256": apks.sha256(data), "state": "started"}
        entry = {"name": "farm", "count": 3, "adb": "local", "state": "running", "apps": [app], "ready": {"package": "com.example.game"}}
        arguments = {"emulators": [entry], "time_slice": 600}
        planned = _run(farm, tmp_path, "emulators", arguments, "--check", "--diff")
        done = _run(farm, tmp_path, "emulators", arguments, "--diff")
        assert not done.get("failed"), done["msg"]
        assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
        assert len(shelf.asked) == 1  # one download for all of a host
        again = _run(farm, tmp_path, "emulators", arguments)
        assert (again["changed"], again["actions"], again["round_trips"]) == (False, [], 1)
    told = [c for e in again["emulators"] for c in e.get("conditions", ()) if c["type"] == "Apps"]
    assert [condition["status"] for condition in told] == ["True"] * 3
    assert all(_versions(farm, f"farm-00{n}") == {"com.example.game": "1.4"} for n in range(3))
    stopped = _run(farm, tmp_path, "emulators", {"emulators": [{**entry, "state": "stopped"}]})
    told = [c for e in stopped["emulators"] for c in e.get("conditions", ()) if c["type"] == "Apps"]
    assert {(condition["status"], condition["reason"]) for condition in told} == {("Unknown", "AppsUnchecked")}
    gone = _run(farm, tmp_path, "emulators", {"emulators": [], "purge": True, "max_destroy": 3})
    assert gone["changed"]
    assert _world(farm).titles() == ["LDPlayer", "scout"]


# ---- bad words and bad guests ---------------------------------------------------------------------------------------------------------


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((rig.ROOT / "tests" / "cases" / "bad-input" / name).read_text(encoding="utf-8"))
    return found


def _told(farm: Farm, folder: Path, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """What each case says instead of what it should, all cases of a module in one play."""
    wrong = {}
    for module in dict.fromkeys(case["module"] for case in cases):
        mine = [case for case in cases if case["module"] == module]
        inventory = farm.inventory("basic")
        (connection,) = inventory["ldplayer"]["hosts"].values()
        inventory["ldplayer"]["hosts"] = {f"case-{n:02d}": {**connection, "case": case["arguments"]} for n, case in enumerate(mine)}
        play = rig.ansible(inventory, folder, module, "{{ case }}", "--forks", "1")
        assert "Traceback" not in play.output
        for number, case in enumerate(mine):
            result = play.results[f"case-{number:02d}"]
            positions = [result.get("msg", "").find(part) for part in case["says"]]
            if not result.get("failed") or -1 in positions or positions != sorted(positions):
                wrong[case["why"]] = result.get("msg", result)
            assert case.get("never", "\0") not in str({key: value for key, value in result.items() if key != "invocation"})
    return wrong


def test_wrong_words_are_named_before_anything_is_sent(farm: Farm, tmp_path: Path) -> None:
    batches = farm.hosts[0].counters.batches
    assert _told(farm, tmp_path, _cases("invented-app-words.yml")) == {}
    assert farm.hosts[0].counters.batches == batches


def test_guests_that_cannot_be_worked_with_are_named_with_the_reason(farm: Farm, tmp_path: Path) -> None:
    world = _world(farm)
    world.quirks.starts["deaf"] = ["deaf", FOREVER]
    for title, adb in (("deaf", 1), ("off", 0), ("idle", 1), ("twin", 1), ("twin", 1)):
        index = world.add(title)
        world.edit(world.instances[index], {"basicSettings.adbDebug": adb})
        if title in ("deaf", "off"):
            world.launch(world.instances[index])
    world.settle()
    cases = _cases("invented-guests.yml")
    wrong = _told(farm, tmp_path, [case for case in cases if not case.get("nobody")])
    world.log_off()
    assert {**wrong, **_told(farm, tmp_path, [case for case in cases if case.get("nobody")])} == {}
