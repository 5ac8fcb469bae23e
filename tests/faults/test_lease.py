"""One converge a host at a time: the second is told who works there and until when, and a dead one's lease runs out."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import Held
from ldfleet.sim.ldplayer.world import World

GOAL = [{"name": "farm", "count": 3, "cpu": 2, "state": "running", "adb": "local"}]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return rig.world(tmp_path)


def _lease(world: World) -> dict[str, Any] | None:
    path = world.drive.local("C:\\ProgramData\\ldfleet\\lease.json")
    return json.loads(path.read_text()) if path.is_file() else None


def test_the_lease_is_given_back_in_the_last_batch_and_costs_no_trip(world: World) -> None:
    direct = rig.Direct(world)
    rig.apply(direct, rig.wanted([{"name": "a", "cpu": 2}]))
    assert _lease(world) is None
    assert direct.runs == 3


def test_a_second_controller_is_told_who_works_there_and_does_nothing(world: World) -> None:
    with pytest.raises(rig.ControllerDied):
        rig.apply(rig.Direct(world, cuts={2: "after"}), rig.wanted(GOAL))
    assert _lease(world) is not None
    before = world.commands()
    with pytest.raises(Held, match=r"WS-01: 'somebody' is at work here until \d\d:\d\d:\d\d UTC"):
        rig.apply(rig.Direct(world), rig.wanted([{"name": "other"}]))
    assert [words for words in world.commands()[len(before) :] if words[0] != "list2"] == []
    assert "other" not in world.titles()


def test_the_lease_of_a_dead_controller_runs_out(world: World) -> None:
    with pytest.raises(rig.ControllerDied):
        rig.apply(rig.Direct(world, cuts={2: "after"}), rig.wanted(GOAL))
    world.clock.sleep(300)
    assert not rig.apply(rig.Direct(world), rig.wanted(GOAL)).failures
    assert world.titles() == ["LDPlayer", "farm-000", "farm-001", "farm-002"]


class _HangsOnceAdded(set[str]):
    """Commands that hang: from the first `add` on, `list2` does."""

    def __contains__(self, command: object) -> bool:
        if command == "add":
            self.add("list2")
        return super().__contains__(command)


def test_an_ldplayer_that_hangs_in_the_middle_keeps_nobody_out(tmp_path: Path) -> None:
    """The run fails; the next one is told what hangs, and not that this one is still at work."""
    with rig.farm(tmp_path / "farm") as farm:
        world = farm.hosts[0].world
        world.quirks.hang_commands = _HangsOnceAdded()
        play = rig.ansible(farm.inventory("basic"), tmp_path, "emulators", {"emulators": [{"name": "a"}]})
    assert "ldconsole list2 does not come to its end" in play.one()["msg"]
    assert _lease(world) is None


def test_half_a_lease_file_belongs_to_nobody(world: World) -> None:
    path = world.drive.local("C:\\ProgramData\\ldfleet\\lease.json")
    path.parent.mkdir(parents=True)
    path.write_text('{"token": "x", "until')
    assert not rig.apply(rig.Direct(world), rig.wanted(GOAL)).failures


def test_two_controllers_at_once_never_interleave(tmp_path: Path) -> None:
    """Both real, over WinRM: one works, the other is told so (or comes after it), and the history shows one run's commands in one piece."""
    with rig.farm(tmp_path / "farm", skip=False, speed=60.0) as farm:
        plays: dict[str, rig.Play] = {}

        def run(name: str) -> None:
            folder = tmp_path / name
            folder.mkdir()
            plays[name] = rig.ansible(farm.inventory("basic"), folder, "emulators", {"emulators": [{"name": name, "count": 3, "cpu": 2}]})

        threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world = farm.hosts[0].world
        adds = [words[2].split("-")[0] for words in world.commands() if words[0] == "add"]
        assert world.overlaps == 0
    told = [name for name, play in plays.items() if "is at work here until" in str(play.one().get("msg"))]
    done = [name for name, play in plays.items() if play.code == 0]
    assert sorted(told + done) == ["one", "two"]
    assert done
    assert adds == [name for name in dict.fromkeys(adds) for _ in range(3)]


def test_the_journal_tells_what_was_done_and_stays_bounded(world: World) -> None:
    direct = rig.Direct(world)
    rig.apply(direct, rig.wanted([{"name": "a", "cpu": 2}]))
    path = world.drive.local("C:\\ProgramData\\ldfleet\\journal.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["note"]["steps"] for line in lines] == [["create a: cpu 2"], ["configure a: cpu ? -> 2"]]
    assert lines[0]["note"]["by"] == "somebody"
    assert set(lines[1]["ended"].values()) == {"ok"}
    path.write_text("".join(f'{{"old": {number}, "x": "{"x" * 1000}"}}\n' for number in range(1100)))
    rig.apply(direct, rig.wanted([{"name": "a", "cpu": 3}]))
    kept = path.read_text().splitlines()
    assert len(kept) == 551
    assert json.loads(kept[-1])["note"]["steps"] == ["configure a: cpu 2 -> 3"]
