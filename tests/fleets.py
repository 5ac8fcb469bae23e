"""A fleet of simulated hosts and its file, for tests that go through the real doors: the Python API, the program, ansible-playbook."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import rig
from ldfleet.fleet import Fleet
from ldfleet.plans import Outcome, Plan
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.wire.faults import WireFault

PROFILES = {"base": {"adb": "local", "resolution": "960x540@160"}, "game": {"inherit": "base", "cpu": 2, "memory": 1024}}


@dataclass
class Site:
    """``words``: the fleet file's, which ``write`` writes."""

    farm: Farm
    folder: Path
    words: dict[str, Any]

    @property
    def path(self) -> Path:
        return self.folder / "fleet.yml"

    @property
    def fleet(self) -> Fleet:
        self.write()
        return Fleet(self.path)

    def write(self) -> Path:
        self.path.write_text(yaml.safe_dump(self.words, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return self.path

    def pool(self, **more: Any) -> None:
        """Change the pool ``farm``."""
        self.words["pools"]["farm"].update(copy.deepcopy(more))

    def host(self, number: int, **more: Any) -> None:
        """Change a host's own words."""
        self.words["hosts"][f"sim-{number:02d}"].update(more)

    def world(self, number: int) -> World:
        return self.farm.hosts[number - 1].world

    def unplug(self, number: int) -> None:
        """From now on the host does not answer."""
        self.farm.endpoints[number - 1].wire.inject(WireFault("any", "drop", times=10**9))

    def plug_in(self, number: int) -> None:
        self.farm.endpoints[number - 1].wire.heal()

    def titles(self) -> dict[str, list[str]]:
        """What each host has of the pool, and what runs is in capitals."""
        return {
            host.name.lower(): sorted(
                title.upper() if host.world.find(title).launched is not None else title
                for title in host.world.titles()
                if title.startswith("farm-")
            )
            for host in self.farm.hosts
        }

    def replicas(self) -> list[str]:
        """All replicas that run anywhere, sorted."""
        return sorted(title.lower() for titles in self.titles().values() for title in titles if title.isupper())

    def batches(self) -> list[int]:
        return [host.counters.batches for host in self.farm.hosts]

    def apply(self, **more: Any) -> Outcome:
        return self.fleet.apply(**more).wait(170)

    def agreed(self, **more: Any) -> Outcome:
        """Plan, apply, and both tell the same; then there is nothing left to do."""
        planned = self.fleet.plan()
        done = self.apply(**more)
        assert told(done) == told(planned)
        assert not done.faults, done.faults
        after = self.fleet.plan()
        assert not after.steps, after.steps
        return done


def told(of: Plan | Outcome) -> list[tuple[str, str]]:
    """The steps of a plan or of what came of it, in whatever order they were carried out."""
    return sorted((step.host, step.text) for step in of.steps)


@contextmanager
def site(folder: Path, hosts: int = 3, replicas: int = 6, takes: tuple[str, ...] = (), **plan: Any) -> Iterator[Site]:
    """Hosts, and a pool over all of them: two racks, three at the most on each host. ``takes``: the ways in, which hosts take in turn."""
    with rig.farm(folder / "farm", hosts=hosts, **plan) as farm:
        inventory = farm.inventory(*takes)["ldplayer"]
        named = {
            name: {**variables, "capacity": {"emulators": replicas}, "labels": {"rack": "ab"[number % 2]}}
            for number, (name, variables) in enumerate(inventory["hosts"].items())
        }
        pool = {"profile": "game", "replicas": replicas, "update": {"max_unavailable": 2}}
        yield Site(
            farm,
            folder,
            {
                "plugin": "ldfleet.ldplayer.fleet",
                "vars": inventory["vars"],
                "profiles": copy.deepcopy(PROFILES),
                "hosts": named,
                "pools": {"farm": pool},
            },
        )
