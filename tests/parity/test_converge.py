"""A fleet's whole life through the product's own session, on every engine: an English Windows, and a Chinese one with code page 936.

At each stage the plan of check mode is what the run then does, and afterwards nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ldfleet.sim.farm import Farm, Plan
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World

from .conftest import usable

#: Simulated seconds a real one, where the engine runs in real time: a boot of 11 s is over at the next look.
SPEED = 60.0


@dataclass(frozen=True)
class Language:
    """A Windows with titles that are hard on it: commas, variables of cmd.exe, code of PowerShell, backslashes at the end."""

    spec: Spec
    first: str
    hard: tuple[str, str, str, str]
    renamed: str


LANGUAGES = {
    "english": Language(Spec(), "LDPlayer", ("a, b,1,2", "%PATH% & ^x|y>z", "$(calc) `it's` {ld}", "end\\"), "Größe €, 50% !x!\\\\"),
    # 誠 is D5 5C in code page 936: its second byte is a backslash. 亅 is 81 7C: a pipe.
    "chinese": Language(
        Spec.chinese(), "雷电模拟器", ("雷电, 一,2", "%PATH% & 亅|>", "$(calc) `誠` '二'", "末尾誠\\"), "改名, 誠 100%\\\\"
    ),
}


@dataclass
class Life:
    """One host, and what is wanted of it."""

    through: rig.Through

    @property
    def world(self) -> World:
        return self.through.host.world

    def lead(self, *entries: dict[str, Any], **more: Any) -> list[str]:
        """Check, apply, check: the steps that were done, in words."""
        goal = rig.wanted(entries, **more, starting=rig.desired.Starting(stagger=0))  # the pause would be a real one on the real engines
        planned = rig.check(self.through, goal)
        done = rig.apply(self.through, goal)
        assert [str(failure) for failure in done.failures] == []
        assert _steps(done) == _steps(planned)
        again = rig.check(self.through, goal)
        assert _steps(again) == []
        assert again.plan.done
        return _steps(done)

    def config(self, title: str) -> dict[str, Any]:
        return self.world.config(self.world.find(title).index) or {}

    def running(self) -> set[str]:
        return {self.world.title(instance) for instance in self.world.visible() if self.world.phase(instance)[0] == 1}


def _steps(outcome: Outcome) -> list[str]:
    return [report.sentence(step) for step in (*outcome.plan.steps, *outcome.extra)]


def _verbs(steps: list[str]) -> set[str]:
    return {step.split()[0] for step in steps}


@pytest.fixture
def language(tongue: str) -> Language:
    return LANGUAGES[tongue]


@pytest.fixture
def life(engine: str, language: Language, tmp_path: Path) -> Iterator[Life]:
    usable(engine, language.spec)
    plan = Plan(engine=engine, spec=language.spec, skip=engine == "port", speed=1.0 if engine == "port" else SPEED, powershell_start=0.0)
    with Farm(plan, tmp_path) as farm:
        yield Life(rig.Through(farm.hosts[0]))


@pytest.mark.timeout(600)  # some 200 starts of programs and 50 of PowerShell: minutes on a busy machine
@pytest.mark.parametrize(
    ("engine", "tongue"), [("port", "english"), ("port", "chinese"), ("pwsh", "english"), ("wine", "chinese")], indirect=["engine"]
)
def test_a_fleet_lives_from_creation_to_purge(life: Life, language: Language) -> None:
    world, (comma, variable, code, slash) = life.world, language.hard
    by_hand = {"person.key": {"of": ["a person", 1]}, "person.text": "雷 & %PATH% \\"}
    for title in ("by hand", "left alone"):
        world.add(title)
        world.edit(world.find(title), by_hand)
    untouched = life.config("left alone")

    golden = {"name": "golden", "state": "stopped", "cpu": 2, "memory": 2048, "fps": 30}
    clones = {"name": "farm", "count": 2, "clone_from": "golden", "state": "stopped", "cpu": 2, "fps": 30}
    hard = [{"name": title, "state": "stopped", "cpu": 1} for title in language.hard]
    adopted = {"name": "by hand", "cpu": 3, "fps": 20, "adb": "local"}
    steps = life.lead(golden, clones, *hard, adopted)
    assert _verbs(steps) == {"create", "clone", "adopt", "configure"}
    assert world.titles() == [language.first, "by hand", "left alone", *world.titles()[3:]]
    assert set(world.titles()[3:]) == {"golden", "farm-000", "farm-001", *language.hard}
    assert (life.config("farm-001")["advancedSettings.cpuCount"], life.config("farm-001")["basicSettings.fps"]) == (2, 30)
    assert {key: life.config("by hand")[key] for key in by_hand} == by_hand
    assert life.running() == set()

    changed = [
        {**golden, "adb": "local"},
        {**clones, "count": 1, "state": "running", "clone_from": None},
        {"name": "farm-001", "state": "stopped"},
        {"name": language.renamed, "renamed_from": comma, "state": "stopped", "cpu": 1},
        {"name": variable, "state": "stopped", "cpu": 1},
        {"name": code, "state": "running", "cpu": 4},
        {"name": slash, "state": "running", "cpu": 1},
        adopted,
    ]
    steps = life.lead(*changed)
    assert _verbs(steps) == {"configure", "rename", "start"}
    assert life.running() == {"farm-000", code, slash}
    assert comma not in world.titles()
    assert language.renamed in world.titles()

    world.edit(world.find("farm-001"), {"advancedSettings.cpuCount": 4})
    world.quit(world.find(slash))
    world.clock.sleep(10)
    steps = life.lead(
        {"name": "farm-001", "state": "stopped", "cpu": 2},
        {"name": slash, "state": "running", "cpu": 1},
        {"name": code, "state": "stopped"},
        {"name": variable, "state": "absent"},
        adopted,
        purge=True,
        max_destroy=3,
    )
    assert _verbs(steps) == {"configure", "start", "stop", "remove"}
    assert {"configure farm-001: cpu 4 -> 2", f"start {slash}: shall be running"} < set(steps)
    assert set(world.titles()) == {language.first, "by hand", "left alone", "farm-001", slash, code}
    assert life.running() == {slash}
    assert life.config("left alone") == untouched
    assert {key: life.config("by hand")[key] for key in by_hand} == by_hand
    assert world.overlaps == 0
    owned = world.drive.local(f"{world.spec.programdata}\\ldfleet\\owned")
    assert len(list(owned.iterdir())) == 4
    assert not [path for path in world.drive.local(world.spec.install_dir).rglob("*") if path.suffix in (".tmp", ".old")]
