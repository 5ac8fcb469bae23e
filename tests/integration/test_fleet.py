"""The life of a fleet, through real doors: from nothing to running, up, down, changed in waves, drained, lost, interrupted. Nothing is lost on the way."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fleets
import rig
from fleets import Site, told
from ldfleet.fleet import Fleet, FleetFailed, Watch
from ldfleet.plans import BadPlan, load
from ldfleet.runs import HostResult, TaskStarted


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with fleets.site(tmp_path) as made:
        yield made


ALL = [f"farm-{number:03d}" for number in range(6)]


def test_a_fleet_from_nothing_up_down_and_changed(site: Site) -> None:
    site.agreed()
    assert site.titles() == {
        "sim-01": ["FARM-000", "FARM-003"],
        "sim-02": ["FARM-001", "FARM-004"],
        "sim-03": ["FARM-002", "FARM-005"],
    }
    before = site.batches()
    again = site.apply()
    assert (again.steps, again.faults) == ((), ())
    assert [after - b for after, b in zip(site.batches(), before, strict=True)] == [1, 1, 1]  # one round trip where nothing differs

    site.pool(replicas=8)
    site.agreed()
    assert site.replicas() == [*ALL, "farm-006", "farm-007"]

    site.pool(replicas=6)
    site.agreed()
    assert site.replicas() == ALL  # the surplus is stopped, and still there
    assert sum(map(len, site.titles().values())) == 8

    site.pool(on_scale_down="remove")
    with pytest.raises(FleetFailed, match=r"would remove 2 emulators .*max_destroy is 0") as refused:
        site.fleet.plan()
    assert [fault.code for fault in refused.value.faults] == ["Guarded"]
    assert sum(map(len, site.titles().values())) == 8
    site.words["max_destroy"] = "25%"
    site.agreed()
    assert sum(map(len, site.titles().values())) == 6


def _waves(site: Site, names: list[str]) -> list[list[str]]:
    """Apply, and tell which replicas each wave took down."""
    waves: list[list[str]] = []
    site.fleet.apply(restart=names, watch=_stops(waves)).wait(170)
    return [sorted(wave) for wave in waves]


def _stops(waves: list[list[str]]) -> Watch:
    def watch(event: object) -> None:
        if isinstance(event, TaskStarted) and event.name == "Begin the wave":
            waves.append([])
        if isinstance(event, HostResult) and event.module == "emulators" and waves:
            waves[-1] += [action["name"] for action in event.result.get("actions", ()) if action["action"] == "stop"]

    return watch


def test_a_changed_profile_comes_in_waves_to_a_canary_first(site: Site) -> None:
    site.agreed()
    site.words["profiles"]["game"]["memory"] = 2048
    site.pool(update={"max_unavailable": "34%", "partition": 5})
    planned = site.fleet.plan()
    assert {step.emulator for step in planned.steps} == {"farm-005"}
    assert planned.pools["farm"]["updated"] == 0  # what the partition keeps is not up to date either, and the canary not yet
    assert _waves(site, []) == [["farm-005"]]
    assert site.fleet.plan().pools["farm"]["updated"] == 1

    site.pool(update={"max_unavailable": "34%"})
    assert _waves(site, []) == [["farm-003", "farm-004"], ["farm-001", "farm-002"], ["farm-000"]]
    assert site.fleet.plan().in_sync


def test_a_restart_goes_in_waves_too_and_changes_nothing(site: Site) -> None:
    site.agreed()
    pids = {
        title: site.world(n).find(title).launched for n, titles in enumerate(site.titles().values(), 1) for title in map(str.lower, titles)
    }
    assert _waves(site, ["farm"]) == [["farm-004", "farm-005"], ["farm-002", "farm-003"], ["farm-000", "farm-001"]]
    after = {
        title: site.world(n).find(title).launched for n, titles in enumerate(site.titles().values(), 1) for title in map(str.lower, titles)
    }
    assert pids.keys() == after.keys()
    assert not [title for title in pids if pids[title] == after[title]]
    assert site.fleet.plan().in_sync
    with pytest.raises(FleetFailed, match="restart names 'frm'; did you mean farm"):
        site.fleet.restart(["frm"]).wait(60)


def test_a_second_play_of_the_same_run_begins_anew(site: Site) -> None:
    """What the first one registered is still there: of sim-03, that it had no part in the last wave."""
    site.agreed()
    plays = "".join(
        f"- import_playbook: ldfleet.ldplayer.restart\n  vars: {{ldplayer_restart: {names}}}\n"
        for names in (["farm"], ["farm-002", "farm-005"])
    )
    (site.folder / "twice.yml").write_text(plays, encoding="utf-8")
    done = rig.playbook(site.write(), site.folder, str(site.folder / "twice.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    launches = [words for host in site.farm.hosts for words in host.world.commands() if words[0] == "launch"]
    assert len(launches) == 6 + 6 + 2


def test_a_replica_that_does_not_come_back_stops_its_pool_and_nothing_else(site: Site) -> None:
    site.agreed()
    site.words["profiles"]["game"]["memory"] = 2048
    site.pool(update={"max_unavailable": 2, "progress_deadline": 30})
    site.world(3).quirks.starts = {"farm-005": ["hang"] * 20}
    done = site.apply()
    assert done.code == 4
    texts = [str(fault) for fault in done.faults]
    assert any("farm-005" in text and "StartHangs" in text and "(Deadline: after 29 s" in text for text in texts), texts
    assert any("the rollout stopped: 4 of 6 keep what they had, because farm-005 on sim-03" in text for text in texts)
    assert [name for name in site.replicas() if name != "farm-005"] == ALL[:5]
    site.world(3).quirks.starts = {}
    assert not site.apply().faults  # one that hangs is cured, which no plan can tell
    assert site.fleet.plan().in_sync
    assert site.replicas() == ALL


def test_a_probe_that_nobody_passes_takes_down_no_more_than_one_wave_and_is_no_success(site: Site) -> None:
    site.agreed()
    site.words["vars"].update(ldplayer_start_timeout=10, ldplayer_remedies=0)
    site.words["profiles"]["game"].update(memory=2048, ready={"shell": "getprop ro.nothing", "matches": "everything"})
    waves: list[list[str]] = []
    done = site.fleet.apply(watch=_stops(waves)).wait(170)
    assert [sorted(wave) for wave in waves if wave] == [["farm-004", "farm-005"]]
    assert done.code == 4
    assert any("the rollout stopped: 4 of 6 keep what they had" in str(fault) for fault in done.faults)
    assert site.replicas() == ALL


def test_a_host_that_does_not_answer_holds_what_is_missing_and_a_lost_one_lets_go(site: Site) -> None:
    site.agreed()
    site.unplug(2)
    told = rig.playbook(site.write(), site.folder, "ldfleet.ldplayer.status")
    assert "farm-000" in told.stdout
    assert "no attribute" not in told.stdout + told.stderr
    site.pool(replicas=7)
    held = site.apply()
    assert held.code == 4
    assert any("sim-02" in str(fault) and "could not be asked" in str(fault) for fault in held.faults)
    assert any(hold.reason == "Unknown" and "farm-001" in hold.name for hold in held.holds)
    assert site.titles()["sim-01"] + site.titles()["sim-03"] == ["FARM-000", "FARM-003", "FARM-002", "FARM-005"]

    site.host(2, lost=True)
    site.agreed()
    assert site.replicas() == sorted([*ALL, "farm-006", "farm-001", "farm-004"])  # those of the lost host still run there, unseen

    site.plug_in(2)
    site.host(2, lost=False)
    back = site.apply()
    assert {hold.reason for hold in back.holds} == {"Twice"}
    assert site.replicas() == [*ALL, "farm-006"]  # none runs twice
    assert len(site.titles()["sim-02"]) == 2  # and none was removed


def test_a_drained_host_gives_up_its_replicas_as_the_pool_says(site: Site) -> None:
    site.agreed()
    site.host(1, drain=True)
    waiting = site.agreed()
    assert [hold.reason for hold in waiting.holds] == ["Waits", "Waits"]
    assert site.titles()["sim-01"] == ["FARM-000", "FARM-003"]

    world = site.world(1)
    instance = world.find("farm-003")
    identity = [(world.config(instance.index) or {})[f"propertySettings.{key}"] for key in ("phoneIMEI", "macAddress")]
    instance.guest.files["/sdcard/score.txt"] = b"42"
    site.pool(on_move="backup", move_folder="\\\\files\\ldfleet")
    moved = site.agreed()
    assert [step.action for step in moved.steps] == ["move", "move"]
    assert site.titles()["sim-01"] == []
    assert site.replicas() == ALL
    number = next(n for n, titles in enumerate(site.titles().values(), 1) if "FARM-003" in titles)
    there = site.world(number)
    arrived = there.find("farm-003")
    assert arrived.guest.files["/sdcard/score.txt"] == b"42"  # all that it was
    assert [(there.config(arrived.index) or {})[f"propertySettings.{key}"] for key in ("phoneIMEI", "macAddress")] == identity

    site.host(1, drain=False)
    site.host(number, drain=True)
    site.pool(on_move="recreate")
    with pytest.raises(FleetFailed, match="max_destroy is 0"):
        site.fleet.plan()
    site.words["max_destroy"] = 3
    site.agreed()
    assert site.titles()[f"sim-{number:02d}"] == []
    assert site.replicas() == ALL


def test_a_move_that_is_killed_at_any_stage_loses_nothing_and_is_ended_by_the_next_run(tmp_path: Path) -> None:
    """The controller dies without a word; between two runs no replica is without its data, and none is there twice as a whole one."""
    with fleets.site(tmp_path, hosts=2, replicas=1) as site:
        site.pool(on_move="backup", move_folder="\\\\files\\ldfleet")
        site.agreed()
        here, there = 1, 2
        site.world(here).find("farm-000").guest.files["/sdcard/score.txt"] = b"42"
        for stage in range(1, 6):
            site.host(here, drain=True)
            site.host(there, drain=False)
            _killed_at(site, stage)
            assert _scores(site), stage
            done = site.apply()
            assert not done.faults, (stage, done.faults)
            assert site.fleet.plan().in_sync
            assert site.titles() == {f"sim-{here:02d}": [], f"sim-{there:02d}": ["FARM-000"]}, stage
            assert _scores(site) == [b"42"]
            here, there = there, here


def test_a_copy_that_does_not_prove_itself_gives_way_to_the_one_that_it_was_to_replace(tmp_path: Path) -> None:
    with fleets.site(tmp_path, hosts=2, replicas=1) as site:
        site.pool(on_move="backup", move_folder="\\\\files\\ldfleet")
        site.agreed()
        site.host(1, drain=True)
        site.world(2).quirks.starts = {"farm-000": ["hang"] * 20}
        failed = site.apply()
        assert [fault.code for fault in failed.faults] == ["NotConverged"]
        assert "farm-000: could not be moved: its copy on sim-02 is not well: StartHangs" in str(failed.faults[0])
        assert site.titles() == {"sim-01": ["FARM-000"], "sim-02": ["farm-000"]}  # it runs where it was, and nowhere else
        site.world(2).quirks.starts = {}
        assert not site.apply().faults
        assert site.titles() == {"sim-01": [], "sim-02": ["FARM-000"]}


def _killed_at(site: Site, stage: int) -> None:
    """Apply, and kill the controller when it has begun the stage and its hosts are at it."""
    applying = site.fleet.apply()
    begun = 0
    for event in applying.events():
        begun += isinstance(event, TaskStarted) and event.name == "Begin the stage"
        if begun == stage and isinstance(event, TaskStarted) and event.name == "Carry the emulators over":
            applying.cancel(0)
            break
    assert applying.wait(60).cancelled


def _scores(site: Site) -> list[bytes]:
    """What the guests of the replica keep, wherever it is."""
    found = [
        world.find("farm-000").guest.files.get("/sdcard/score.txt") for world in map(site.world, (1, 2)) if "farm-000" in world.titles()
    ]
    return [data for data in found if data is not None]


def test_a_saved_plan_is_carried_out_as_it_is_or_refused_with_the_reason(site: Site, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    made = site.fleet.plan()
    made.save(saved)
    assert load(saved) == made
    assert "ldfleet-sim" not in saved.read_text(encoding="utf-8")  # the hosts' password

    text = saved.read_text(encoding="utf-8")
    saved.write_text(text.replace("farm-000", "farm-001"), encoding="utf-8")
    with pytest.raises(BadPlan, match="was changed after it was made"):
        load(saved)
    saved.write_text("[]", encoding="utf-8")
    with pytest.raises(BadPlan, match="is no saved plan of this version"):
        load(saved)
    with pytest.raises(BadPlan, match=r"was made for .*, and this is other\.yml"):
        Fleet(Path("other.yml")).apply(made)
    site.pool(replicas=5)
    with pytest.raises(FleetFailed, match="other words than those that the fleet file has now") as other:
        site.fleet.apply(made).wait(60)
    assert other.value.faults[0].code == "Stale"
    site.pool(replicas=6)

    site.world(2).add("hers")
    done = site.fleet.apply(made).wait(170)
    assert [str(fault) for fault in done.faults] == [
        "sim-02: was left out, because it has changed since the plan was made. Make a new plan"
    ]
    assert told(done) == [item for item in told(made) if item[0] != "sim-02"]
    assert site.titles()["sim-02"] == []
    assert done.code == 3 or done.code == 4
    assert site.fleet.apply(made).wait(170).code == 3  # now every host has moved


def test_nothing_secret_is_told_or_kept(site: Site, tmp_path: Path) -> None:
    password = site.words["vars"].pop("ansible_password")
    site.words["vars"]["ansible_password"] = "{{ hush }}"
    artifacts = tmp_path / "artifacts"
    seen: list[str] = []
    fleet = replace(site.fleet, secrets={"hush": password}, artifacts=artifacts)
    assert not fleet.plan(watch=lambda event: seen.append(repr(event))).faults
    assert not fleet.apply(watch=lambda event: seen.append(repr(event))).wait(170).faults
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(site.farm.folder)}
    assert any(path.name == "stdout" for path in kept)
    assert not [path for path, data in kept.items() if password.encode() in data]
    assert not [event for event in seen if password in event]


def test_cancelled_hosts_finish_what_they_are_at_and_give_back_their_leases(site: Site) -> None:
    applying = site.fleet.apply()
    for event in applying.events():
        if isinstance(event, TaskStarted) and event.name == "Keep the emulators as declared":
            break
    applying.cancel()
    done = applying.wait(120)
    assert done.cancelled
    site.agreed()  # no lease is in the way, and the run goes on from there
    assert site.replicas() == ALL


def test_imported_hosts_have_an_empty_plan_and_strangers_stay(site: Site, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from ldfleet.cli import app

    for number in (1, 2):
        world = site.world(number)
        for title, cpu in (("golden", 4), ("worker-1", 2), ("worker-2", 2), ("private", 1)):
            world.add(title)
            world.edit(world.find(title), {"advancedSettings.cpuCount": cpu, "advancedSettings.memorySize": 2048})
    del site.words["pools"], site.words["profiles"]
    site.write()
    before = {number: _bytes(site, number) for number in (1, 2, 3)}
    result = CliRunner().invoke(app, ["import", "--file", str(site.path), "--only", "[gw]*"])
    assert result.exit_code == 0, result.output
    assert "6 emulators of 2 hosts" in result.output
    assert {number: _bytes(site, number) for number in (1, 2, 3)} == before  # no emulator was touched
    planned = Fleet(site.path).plan()
    assert planned.in_sync
    assert {name: host.owned for name, host in planned.hosts.items()} == {"sim-01": 3, "sim-02": 3, "sim-03": 0}
    text = site.path.read_text(encoding="utf-8")
    assert re.search(r"profile: cpu2", text)
    assert "private" not in text


def _bytes(site: Site, number: int) -> dict[str, bytes]:
    world = site.world(number)
    return {world.title(instance): world.config_path(instance.index).read_bytes() for instance in world.visible()}


def test_drift_is_told_from_edits(site: Site) -> None:
    site.agreed()
    site.pool(replicas=7)
    assert site.fleet.plan().steps
    assert site.fleet.drift().in_sync  # the file was edited, and no host came away from what was applied
    world = site.world(1)
    world.remove(world.find("farm-003"))
    drifted = site.fleet.drift()
    assert {step.emulator for step in drifted.steps} == {"farm-003"}
    assert json.loads(json.dumps(drifted.json()))["counts"]["add"] == 1


def _by_api(site: Site) -> None:
    assert site.apply().code == 0


def _by_program(site: Site) -> None:
    command = [sys.executable, "-m", "ldfleet", "apply", "--file", str(site.write()), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["code"] == 0


def _by_playbook(site: Site, core: str | None = None) -> None:
    done = rig.playbook(site.write(), site.folder, "ldfleet.ldplayer.converge", core=core)
    assert done.returncode == 0, done.stdout + done.stderr


def _private(site: Site) -> Path:
    """A folder as ansible-runner takes it, with the project's inventory."""
    folder = Path(tempfile.mkdtemp(dir=site.folder))
    for room in ("inventory", "project"):
        (folder / room).mkdir()
    (folder / "inventory" / "fleet.yml").write_bytes(site.write().read_bytes())
    return folder


def _runner(site: Site, *words: str, given: bytes = b"") -> bytes:
    command, environment = [str(rig.BIN / "ansible-runner"), *words], rig.environment(site.folder)
    done = subprocess.run(command, input=given, capture_output=True, timeout=170, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _by_runner(site: Site) -> None:
    """As AWX does it."""
    _runner(site, "run", str(_private(site)), "-p", "ldfleet.ldplayer.converge")


def _elsewhere(site: Site) -> None:
    """On another machine: what `transmit` packs, `worker` runs, and `process` reads."""
    packed = _runner(site, "transmit", str(_private(site)), "-p", "ldfleet.ldplayer.converge")
    elsewhere, here = (Path(tempfile.mkdtemp(dir=site.folder)) for _ in range(2))
    _runner(site, "process", str(here), given=_runner(site, "worker", "--private-data-dir", str(elsewhere), given=packed))
    (status,) = here.rglob("status")
    assert status.read_text() == "successful"


_DOORS: dict[str, Callable[[Site], None]] = {
    "api": _by_api,
    "program": _by_program,
    "playbook": _by_playbook,
    "runner": _by_runner,
    "elsewhere": _elsewhere,
    **{core: functools.partial(_by_playbook, core=core) for core in rig.CORES},
}
_MUTATORS = {"add", "copy", "modify", "rename", "launch", "quit", "remove"}


def test_every_door_gives_the_same_result(tmp_path: Path) -> None:
    """The Python API, the program, ansible-playbook on every supported release, ansible-runner as AWX calls it, and ansible-runner elsewhere."""
    seen = {}
    for name, door in _DOORS.items():
        with fleets.site(tmp_path / name, hosts=2, replicas=3) as site:
            door(site)
            site.words["profiles"]["game"]["memory"] = 2048
            site.pool(replicas=4)
            door(site)
            seen[name] = [[words for words in host.world.commands() if words[0] in _MUTATORS] for host in site.farm.hosts]
    assert sum(map(len, seen["api"])) == 4 * 3 + 3 * 3  # each is added, set and launched, and three are stopped, set and launched again
    assert {name for name, commands in seen.items() if commands != seen["api"]} == set()


def test_a_hostile_title_moves_no_cursor(site: Site) -> None:
    site.world(1).add("a\x1b[2Jb\u202ec")
    site.pool(replicas=1)
    command = [sys.executable, "-m", "ldfleet", "status", "--emulators", "--file", str(site.write())]
    done = subprocess.run(command, capture_output=True, timeout=170, check=False)
    assert done.returncode == 0
    assert "a\\x1b[2Jb\\u202ec" in done.stdout.decode()
    assert b"\x1b" not in done.stdout + done.stderr
