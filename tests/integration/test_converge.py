"""The modules as `ansible-playbook` runs them, over real WinRM: what they do, what they cost, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.wire.faults import WireFault

GAME = {"cpu": 2, "memory": 2048, "fps": 30}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        yield made


def _batches(farm: Farm) -> int:
    return farm.hosts[0].counters.batches


def _run(farm: Farm, folder: Path, module: str, arguments: dict[str, Any], *options: str, transport: str = "ntlm", **more: Any) -> rig.Play:
    return rig.ansible(farm.inventory(transport), folder, module, arguments, *options, **more)


def _said(farm: Farm, word: str) -> list[tuple[str, ...]]:
    return [words for words in farm.hosts[0].world.commands() if words[:1] == (word,)]


# ---- what a converge costs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 50])
def test_round_trips_and_exchanges_are_few_and_do_not_grow_with_emulators(farm: Farm, tmp_path: Path, count: int) -> None:
    """3 batches where emulators are created, 2 where settings change, 1 where nothing does: at most 10 exchanges over NTLM, 7 over Basic."""
    entry = {"name": "farm", "count": count, "state": "stopped", **GAME}
    slow = {"time_slice": 600}  # creating 50 emulators is 20 s of LDPlayer's own work
    made = _run(farm, tmp_path, "emulators", {"emulators": [entry], **slow}).one()
    assert (made["changed"], made["round_trips"]) == (True, 3)
    changed = _run(farm, tmp_path, "emulators", {"emulators": [{**entry, "cpu": 4, "fps": 20}], **slow}).one()
    assert (changed["changed"], changed["round_trips"]) == (True, 2)
    wire = farm.endpoints[0].wire
    for transport, most in (("ntlm", 10), ("basic", 7)):
        before, starts = _batches(farm), farm.hosts[0].counters.powershell_starts
        wire.reset()
        same = _run(farm, tmp_path, "emulators", {"emulators": [{**entry, "cpu": 4, "fps": 20}]}, transport=transport).one()
        assert (same["changed"], same["round_trips"]) == (False, 1)
        assert _batches(farm) - before == 1
        assert farm.hosts[0].counters.powershell_starts - starts == 1
        assert wire.counters.requests <= most


@pytest.mark.parametrize("core", ["2.16", "2.17", "2.18", None])
def test_every_supported_core_starts_one_powershell_a_batch(farm: Farm, tmp_path: Path, core: str | None) -> None:
    if core is not None and core not in rig.CORES:
        pytest.skip(f"ansible-core {core} is not laid out (make setup does it)")
    play = _run(farm, tmp_path, "emulator", {"name": "scout", **GAME}, core=core)
    assert (play.code, play.one()["changed"], play.one()["round_trips"]) == (0, True, 3), play.output
    assert farm.hosts[0].counters.powershell_starts == _batches(farm) == 3
    again = _run(farm, tmp_path, "emulator", {"name": "scout", **GAME}, "--check", "--diff", core=core)
    assert (again.code, again.one()["changed"]) == (0, False), again.output


# ---- at most once -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lost_reply", "truncate"])
@pytest.mark.parametrize("at", ["Command", "Send", "Receive"])
def test_an_answer_that_is_lost_is_fetched_again_and_add_is_never_done_twice(farm: Farm, tmp_path: Path, at: str, kind: Any) -> None:
    farm.endpoints[0].wire.inject(WireFault(at, kind, after=1))  # after the look: in the batch that creates
    play = _run(farm, tmp_path, "emulator", {"name": "scout", **GAME}, transport="basic")
    assert play.code == 0, play.output
    assert _said(farm, "add") == [("add", "--name", "scout")]
    assert farm.hosts[0].world.titles() == ["LDPlayer", "scout"]
    if at == "Receive":
        assert farm.hosts[0].counters.replays == 1


def test_a_host_that_is_gone_after_the_work_is_named_and_a_rerun_finishes(farm: Farm, tmp_path: Path) -> None:
    farm.endpoints[0].wire.inject(WireFault("any", "drop", after=10, times=1000))
    play = _run(farm, tmp_path, "emulator", {"name": "scout", **GAME}, transport="basic")
    assert play.code != 0
    assert "Traceback" not in play.output
    farm.endpoints[0].wire.heal()
    held = _run(farm, tmp_path, "emulator", {"name": "scout", **GAME})
    assert "is at work here until" in held.one()["msg"]
    farm.hosts[0].world.clock.sleep(600)  # the lease of the run that was cut off runs out
    assert _run(farm, tmp_path, "emulator", {"name": "scout", **GAME}).code == 0
    assert _said(farm, "add") == [("add", "--name", "scout")]


# ---- check, do, again, undo ---------------------------------------------------------------------------------------------------------


def test_emulator_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    undo = {"name": "scout", "state": "absent"}
    done = rig.four_steps(farm, tmp_path, "emulator", {"name": "scout", "state": "running", **GAME}, undo)[1].one()
    (scout,) = [emulator for emulator in done["emulators"] if emulator["name"] == "scout"]
    assert (scout["state"], scout["owned"], scout["settings"]["fps"], scout["adb_serial"]) == ("running", True, 30, "emulator-5556")
    assert {c["type"]: (c["status"], c["reason"]) for c in scout["conditions"]} == {
        "Synced": ("True", "InSync"),
        "Running": ("True", "Running"),
        "Ready": ("Unknown", "NotAsked"),  # adb is off
    }


def test_emulators_check_do_again_undo(farm: Farm, tmp_path: Path) -> None:
    entries = [
        {"name": "golden", "state": "stopped", **GAME},
        {"name": "farm", "count": 3, "clone_from": "golden", "cpu": 1, "state": "running"},
    ]
    arguments = {"emulators": entries, "profiles": {}, "defaults": {"root": True}}
    done = rig.four_steps(farm, tmp_path, "emulators", arguments, {"emulators": [], "purge": True, "max_destroy": 4})[1].one()
    assert [action["action"] for action in done["actions"]] == ["create", "clone", "clone", "clone", "start", "start", "start"]
    ids = {emulator["settings"].get("imei") for emulator in done["emulators"]}
    assert len(ids) == 5  # LDPlayer's own one, the source, and three clones: no two alike


def test_a_lower_count_removes_from_the_highest_and_only_as_many_as_allowed(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, "emulators", {"emulators": [{"name": "farm", "count": 4}]})
    refused = _run(farm, tmp_path, "emulators", {"emulators": [{"name": "farm", "count": 1}], "max_destroy": 2})
    assert "would remove 3 emulators ('farm-003', 'farm-002', 'farm-001'), and max_destroy is 2" in refused.one()["msg"]
    assert len(farm.hosts[0].world.titles()) == 5
    assert _run(farm, tmp_path, "emulators", {"emulators": [{"name": "farm", "count": 1}], "max_destroy": 3}).code == 0
    assert farm.hosts[0].world.titles() == ["LDPlayer", "farm-000"]
    assert [words[2] for words in _said(farm, "remove")] == ["4", "3", "2"]


def test_protect_is_remembered_and_keeps(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, "emulator", {"name": "scout", "protect": True})
    kept = _run(farm, tmp_path, "emulator", {"name": "scout", "state": "absent"})
    assert kept.code == 0
    assert [hold["reason"] for hold in kept.one()["holds"]] == ["Protected"]
    assert farm.hosts[0].world.titles() == ["LDPlayer", "scout"]
    _run(farm, tmp_path, "emulator", {"name": "scout", "protect": False})
    assert _run(farm, tmp_path, "emulator", {"name": "scout", "state": "absent"}).one()["changed"]


def test_a_running_emulator_is_changed_by_stop_change_and_start(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, "emulator", {"name": "scout", "state": "running"})
    done = _run(farm, tmp_path, "emulator", {"name": "scout", "cpu": 3, "fps": 20}).one()
    assert [action["action"] for action in done["actions"]] == ["stop", "configure", "start"]
    (scout,) = [emulator for emulator in done["emulators"] if emulator["name"] == "scout"]
    assert (scout["state"], scout["settings"]["cpu"], scout["settings"]["fps"]) == ("running", 3, 20)


def test_a_chinese_host_with_its_own_titles(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", spec=Spec.chinese()) as farm:
        done = _run(farm, tmp_path, "emulators", {"emulators": [{"name": "雷电模拟器", "cpu": 2}, {"name": "农场", "count": 2, "fps": 30}]})
        assert done.code == 0, done.output
        assert farm.hosts[0].world.titles() == ["雷电模拟器", "农场-000", "农场-001"]
        assert not _run(farm, tmp_path, "emulators", {"emulators": [{"name": "农场", "count": 2, "fps": 30}]}).one()["changed"]


def test_emulator_info_tells_all_and_changes_nothing(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, "emulators", {"emulators": [{"name": "farm", "count": 2, **GAME}]})
    starts = len(farm.hosts[0].world.commands())
    seen = _run(farm, tmp_path, "emulator_info", {}).one()
    assert [emulator["name"] for emulator in seen["emulators"]] == ["LDPlayer", "farm-000", "farm-001"]
    assert (seen["changed"], seen["round_trips"], seen["host"]["install_dir"]) == (False, 1, "C:\\LDPlayer\\LDPlayer9")
    assert farm.hosts[0].world.commands()[starts:] == [("list2",)]
    assert [e["name"] for e in _run(farm, tmp_path, "emulator_info", {"owned": False}).one()["emulators"]] == ["LDPlayer"]
    assert [e["name"] for e in _run(farm, tmp_path, "emulator_info", {"names": ["farm-001"]}).one()["emulators"]] == ["farm-001"]


def test_emulator_info_tells_what_was_done_here(farm: Farm, tmp_path: Path) -> None:
    _run(farm, tmp_path, "emulator", {"name": "scout", **GAME})
    _run(farm, tmp_path, "emulator", {"name": "scout", "state": "absent"})
    (farm.hosts[0].world.drive.local("C:\\ProgramData\\ldfleet\\journal.jsonl")).open("a").write('{"half a li')
    told = _run(farm, tmp_path, "emulator_info", {"journal": 3}).one()
    assert [entry["steps"][0].split(":")[0] for entry in told["journal"]] == ["configure scout", "remove scout"]
    assert told["round_trips"] == 2


# ---- what cannot work on this way is refused ----------------------------------------------------------------------------------------


def test_become_and_async_are_refused_with_the_reason(farm: Farm, tmp_path: Path) -> None:
    become = {"become": True, "become_method": "ansible.builtin.runas", "become_user": "other"}
    play = _run(farm, tmp_path, "emulator_info", {}, task=become)
    assert "become does not work with this module" in play.one()["msg"]
    play = _run(farm, tmp_path, "emulator_info", {}, task={"async": 60, "poll": 1})
    assert play.code != 0
    assert "does not support async" in play.output
    assert _batches(farm) == 0
