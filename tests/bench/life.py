"""A fleet's life by the program `ldfleet`: what its file says is changed step by step, planned, applied, and looked at from behind, in the simulator.

Each step raises Wrong where the plan is not what was done, where a replica is not where it should be, or is lost. Nothing is printed here.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator import Cost, Simulator
from ways import DidNotWork, environment

#: Of one run of `ldfleet`; the longest takes about two minutes.
_SECONDS = 900
#: Between two looks at the memory of all processes of a run.
_SAMPLE_SECONDS = 2.0
_POOL = "farm"
#: The step in which the file has not been changed.
NOTHING = "nothing to do"
_SETTINGS = {"cpu": 2, "memory": 2048, "resolution": "960x540@160", "adb": "local"}

Words = dict[str, Any]


class Wrong(DidNotWork):
    """What came of a step is not what had to come of it."""


@dataclass(frozen=True)
class Verb:
    """What one run of `ldfleet` told, its seconds, and the most memory that its processes had together (MB, what they share counted once)."""

    told: Mapping[str, Any]
    seconds: float
    megabytes: float

    @property
    def steps(self) -> list[tuple[str, str]]:
        """In whatever order they were carried out."""
        return sorted((step["host"], step["text"]) for step in self.told["steps"])


@dataclass(frozen=True)
class Stage:
    """One step of the life. ``costs``: of the apply, by host."""

    what: str
    planned: Verb
    applied: Verb
    costs: Sequence[Cost]

    @property
    def waves(self) -> int:
        """In how many waves running replicas are taken down."""
        return max((len(waves) for waves in self.planned.told["decision"]["waves"].values()), default=0)


@dataclass
class Life:
    """A fleet of a pool over all hosts, ``many`` replicas for each."""

    simulator: Simulator
    folder: Path
    hosts: int
    many: int
    words: Words = field(default_factory=dict)

    def __post_init__(self) -> None:
        group = self.simulator.inventory()["ldplayer"]
        room = {"capacity": {"emulators": 2 * self.many}}
        self.names = list(group["hosts"])
        self.words = {
            "plugin": "ldfleet.ldplayer.fleet",
            "vars": {**group["vars"], "ldplayer_time_slice": 600},
            "profiles": {"game": dict(_SETTINGS)},
            "hosts": {name: {**variables, **room} for name, variables in group["hosts"].items()},
            "pools": {_POOL: {"profile": "game", "replicas": self.hosts * self.many, "update": {"max_unavailable": "34%"}}},
            "max_destroy": "50%",
        }

    @property
    def pool(self) -> Words:
        """The words about the pool."""
        found: Words = self.words["pools"][_POOL]
        return found

    def stages(self, short: bool = False) -> Iterator[Stage]:
        """All of it, in order; or as much as shows that each kind of step works."""
        whole, some = self.hosts * self.many, max(1, self.hosts * self.many // 20)
        yield self.stage("from nothing to running")
        yield self.stage(NOTHING)
        if not short:
            yield from self._sized(whole, some)
        self.words["profiles"]["game"]["cpu"] = 4
        if not short:
            self.pool["update"]["partition"] = whole - max(1, some // 5)
            yield self.stage("a new profile: a canary")
            self.pool["update"]["partition"] = 0
        yield self.stage("a new profile, in waves")
        if not short:
            self._own(0, drain=True)
            self.pool["on_move"] = "recreate"
            yield self.stage("a host drained: recreate")
        self._own(1, drain=True)
        self.pool.update(on_move="backup", move_folder="\\\\files\\ldfleet")
        self.simulator.play(1)
        yield self.stage("a host drained: backup", scores=True)
        if not short:
            self.simulator.unplug(2)
            yield self.stage("a host does not answer", silent=2)
            self._own(2, lost=True)
            yield self.stage("and is declared lost", silent=2)

    def _sized(self, whole: int, some: int) -> Iterator[Stage]:
        self.pool["replicas"] = whole + some
        yield self.stage(f"{some} replicas more")
        self.pool.update(replicas=whole, on_scale_down="remove")
        yield self.stage(f"{some} replicas less")

    def bare(self) -> dict[str, Any]:
        """An inventory without a fleet file, which declares for each host the emulators that it has."""
        found = self.simulator.emulators()
        entries = {
            host: [{"name": title, "profile": "game", "state": "running"} for title, one in listed.items() if one.launched]
            for host, listed in found.items()
        }
        group = self.simulator.inventory()["ldplayer"]
        hosts = {name: {**variables, "ldplayer_emulators": entries[name]} for name, variables in group["hosts"].items()}
        return {"ldplayer": {"hosts": hosts, "vars": {**self.words["vars"], "ldplayer_profiles": self.words["profiles"]}}}

    def _own(self, number: int, **words: Any) -> None:
        self.words["hosts"][self.names[number]].update(words)

    def stage(self, what: str, scores: bool = False, silent: int | None = None) -> Stage:
        """Plan, apply, and see what came of it. ``scores``: replicas have kept theirs; ``silent``: the host that does not answer."""
        gone = self.names[silent] if silent is not None else ""
        held = bool(gone) and not self.words["hosts"][gone].get("lost")
        planned = self.verb("plan")
        before = self.simulator.costs()
        applied = self.verb("apply")
        costs = [now.since(then) for now, then in zip(self.simulator.costs(), before, strict=True)]
        if applied.steps != planned.steps:
            odd = sorted(set(applied.steps) ^ set(planned.steps))
            raise Wrong(f"{what}: {len(planned.steps)} steps were planned, {len(applied.steps)} were done; {odd[:3]}")
        if bool(applied.told["faults"]) != held or (held and applied.steps):
            raise Wrong(f"{what}: {applied.told['faults'][:3]}")
        self._see(what, planned.told["decision"], gone, scores)
        return Stage(what, planned, applied, costs)

    def _see(self, what: str, decision: Mapping[str, Any], gone: str, scores: bool) -> None:
        """Every replica runs exactly where the decision has it, and nowhere else, but for a host that nobody can ask."""
        found = {host: listed for host, listed in self.simulator.emulators().items() if host != gone}
        due = {**decision["at"], **{move["title"]: move["target"] for move in decision["moves"]}}
        there = {title: host for host, listed in found.items() for title, one in listed.items() if one.launched}
        twice = sum(one.launched for listed in found.values() for one in listed.values()) - len(there)
        if there != due or twice:
            odd = sorted(set(there.items()) ^ set(due.items()))
            raise Wrong(f"{what}: {len(odd)} replicas are not where they should be, {twice} run twice; {odd[:3]}")
        unknown = sum(hold["reason"] == "Unknown" for hold in decision["holds"])
        if gone in due.values() or len(there) + unknown != self.pool["replicas"]:
            raise Wrong(f"{what}: {len(there)} of {self.pool['replicas']} replicas run, and {unknown} may be on {gone}")
        moved = [move for move in decision["moves"] if move["how"] == "backup"]
        bare = [move["title"] for move in moved if found[move["target"]][move["title"]].score != move["title"]]
        if bare or scores != bool(moved):
            raise Wrong(f"{what}: {len(bare)} of {len(moved)} replicas have lost what they had; {bare[:3]}")

    def verb(self, verb: str) -> Verb:
        """`ldfleet plan` or `ldfleet apply`, as users run it."""
        file = self.folder / "fleet.yml"
        file.write_text(json.dumps(self.words, indent=1), encoding="utf-8")
        command = [sys.executable, "-m", "ldfleet", verb, "--file", str(file), "--json"]
        began = time.perf_counter()
        with (self.folder / "told.json").open("wb") as told, (self.folder / "errors.txt").open("wb") as errors:
            child = subprocess.Popen(command, stdout=told, stderr=errors, env=environment(self.folder))
            with _memory(child.pid) as most:
                child.wait(_SECONDS)
        seconds = time.perf_counter() - began
        text = (self.folder / "told.json").read_text(encoding="utf-8")
        try:
            found = json.loads(text)
            found["steps"]
        except (ValueError, KeyError) as error:
            raise DidNotWork(
                f"ldfleet {verb} exited with {child.returncode}:\n{(text + (self.folder / 'errors.txt').read_text())[-2000:]}"
            ) from error
        return Verb(found, seconds, max(most, default=0.0))


@contextlib.contextmanager
def _memory(pid: int) -> Iterator[list[float]]:
    """Looks again and again at what a process and all that came of it have in memory, MB."""
    found: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            found.append(sum(_megabytes(one) for one in _family(pid)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # one that has ended meanwhile
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family


def _megabytes(pid: int) -> float:
    """Its share of the memory: what it has alone, and its part of what it shares (PSS)."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0
