"""A fleet through everything that may befall it: edits, crashes, hosts that come and go, and people. In the end it is as declared, and nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import build
import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.observed import Observation
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError, Guarded, Several

_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
HOSTS = ("a", "b", "c")
CAPACITY = 4
ANY_HOST = st.sampled_from(HOSTS)
AT_ONCE = st.sampled_from([True, True, False])
#: Runs after which a fleet that is left alone is as declared: one ends what was broken off, one fills the room that removals made, one proves it.
ENOUGH = 4
#: Reasons for which a replica may be not as declared in the end.
DECLARED = {"NoRoom", "NotOwned", "Waits", "Protected"}


class FleetLife(RuleBasedStateMachine):
    """Three hosts, one pool and one pinned emulator."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=_FAST))
        directs = {host: rig.Direct(rig.world(self.folder / host, seed=number)) for number, host in enumerate(HOSTS, 1)}
        self.controller = rig.Controller(directs)
        self.strangers: dict[tuple[str, str], str] = {}
        self.pool: dict[str, Any] = {}
        self.hosts: dict[str, dict[str, Any]] = {host: {"capacity": {"emulators": CAPACITY}} for host in HOSTS}
        self.fps, self.max_destroy, self.may_be_twice = 30, "0", False

    @initialize(
        replicas=st.integers(1, 5),
        state=st.sampled_from(["running", "running", "stopped"]),
        down=st.sampled_from(["stop", "remove"]),
        move=st.sampled_from(["refuse", "recreate"]),
        most=st.sampled_from(["1", "2", "50%"]),
        destroy=st.sampled_from(["0", "1", "2", "50%"]),
        backwards=st.booleans(),
    )
    def declare(self, replicas: int, state: str, down: str, move: str, most: str, destroy: str, backwards: bool) -> None:
        self.controller.backwards = backwards
        self.pool = {"profile": "game", "replicas": replicas, "state": state, "on_scale_down": down, "on_move": move}
        self.pool["update"] = {"max_unavailable": most}
        self.max_destroy = destroy
        self.converge()

    def words(self) -> dict[str, Any]:
        return build.words(
            {
                "profiles": {"game": {"fps": self.fps}},
                "hosts": self.hosts,
                "emulators": {"a": [{"name": "golden", "state": "stopped"}]},
                "pools": {"farm": self.pool},
                "max_destroy": self.max_destroy,
            }
        )

    # What the user does.

    @rule(replicas=st.integers(0, 6), now=AT_ONCE)
    def scale(self, replicas: int, now: bool) -> None:
        self.pool["replicas"] = replicas
        if now:
            self.converge()

    @rule(down=st.sampled_from(["stop", "remove"]))
    def say_what_becomes_of_surplus(self, down: str) -> None:
        self.pool["on_scale_down"] = down

    @rule(fps=st.sampled_from([20, 30, 60]))
    def change_the_profile(self, fps: int) -> None:
        self.fps = fps

    @rule(host=ANY_HOST, word=st.sampled_from(["drain", "lost"]), value=st.booleans(), now=AT_ONCE)
    def drain_or_give_up(self, host: str, word: str, value: bool, now: bool) -> None:
        self.may_be_twice |= self.hosts[host].get("drain", False) or (word == "lost" and value)
        self.hosts[host] = {"capacity": {"emulators": CAPACITY}, word: value}
        if now:
            self.converge()

    @rule(destroy=st.sampled_from(["0", "1", "3", "100%"]))
    def say_how_many_may_go(self, destroy: str) -> None:
        self.max_destroy = destroy

    @rule()
    def converge(self) -> None:
        with contextlib.suppress(FleetError):  # it says what is not as declared; what it must never do is seen below
            self._watched()

    @rule(host=ANY_HOST, batch=st.integers(1, 6), how=st.sampled_from(["before", "after", "lost"]))
    def converge_and_be_cut_off(self, host: str, batch: int, how: str) -> None:
        direct = self.controller.hosts[host]
        direct.cuts[direct.runs + batch] = how
        with contextlib.suppress(FleetError, rig.ControllerDied):
            self._watched()
        direct.cuts.clear()
        for each in self.controller.hosts.values():
            each.world.clock.sleep(3600)  # the lease of a controller that died runs out

    # What befalls the hosts.

    @rule(host=ANY_HOST, now=AT_ONCE)
    def go(self, host: str, now: bool) -> None:
        self.controller.gone.add(host)
        if now:
            self.converge()

    @precondition(lambda self: self.controller.gone)
    @rule(host=ANY_HOST)
    def come_back(self, host: str) -> None:
        self.controller.gone.discard(host)

    @rule(host=ANY_HOST)
    def reboot(self, host: str) -> None:
        self.controller.hosts[host].world.power_cut()

    @rule(host=ANY_HOST, number=st.integers(0, 5))
    def a_person_stops_one(self, host: str, number: int) -> None:
        world = self.controller.hosts[host].world
        if f"farm-{number:03d}" in world.titles():
            world.quit(world.find(f"farm-{number:03d}"))
            world.settle()

    @rule(host=ANY_HOST, number=st.integers(0, 5))
    def a_person_removes_one(self, host: str, number: int) -> None:
        title = f"farm-{number:03d}"
        world = self.controller.hosts[host].world
        if title in world.titles() and (host, title) not in self.strangers:
            self.a_person_stops_one(host, number)
            world.remove(world.find(title))

    @rule(host=ANY_HOST, title=st.sampled_from(["his", "farm-001", "farm-004", "farm-009"]))
    def a_person_adds_one(self, host: str, title: str) -> None:
        world = self.controller.hosts[host].world
        if title not in world.titles() and title not in self._seen(host).records:
            world.add(title)
            world.settle()
            self.strangers[host, title] = self._config(host, title)

    # What must hold.

    def _watched(self) -> dict[str, Any]:
        """A converge that removes no more than was allowed, makes nothing where there is no room, and touches no stranger."""
        before = {host: self._seen(host) for host in HOSTS}
        owned = sum(len(before[host].owned()) for host in HOSTS if host not in self.controller.gone and not self.hosts[host].get("lost"))
        try:
            return self.controller.converge(self.words())
        finally:
            gone = 0
            for host in HOSTS:
                after = self._seen(host)
                titles, old = ({emulator.title for emulator in seen.emulators} for seen in (after, before[host]))
                gone += len(old - titles)
                if titles - old:
                    assert len({e.title for e in after.emulators if e.owned or e.run.value != "stopped"}) <= CAPACITY
                elsewhere = {title for other in HOSTS if other != host and not self._gives_up(other) for title in before[other].owned()}
                assert not (titles - old) & elsewhere, "a second one was made"
            allowed = build.fleet(self.words()).max_destroy.among(owned)
            assert gone <= allowed, f"{gone} were removed, and {allowed} were allowed"
            assert {key: self._config(*key) for key in self.strangers} == self.strangers

    def _gives_up(self, host: str) -> bool:
        return any(self.hosts[host].get(word) for word in ("drain", "lost"))

    def _seen(self, host: str) -> Observation:
        return rig.look(rig.session(self.controller.hosts[host]), ())

    def _config(self, host: str, title: str) -> str:
        world = self.controller.hosts[host].world
        return hashlib.sha256(world.config_path(world.find(title).index).read_bytes()).hexdigest()

    def teardown(self) -> None:
        """All hosts come back, and a few converges later nothing is left to do that was not declared to wait."""
        try:
            if self.pool:
                self._ends_as_declared()
        finally:
            shutil.rmtree(self.folder)

    def _ends_as_declared(self) -> None:
        self.controller.gone.clear()
        for host in self.hosts.values():
            host.pop("lost", None)
        for _ in range(ENOUGH):
            try:
                self._watched()
            except Several as several:
                if any(isinstance(failure, Guarded) for failure in several.failures):
                    self.max_destroy = "100%"  # the user allows what was refused, having seen it
        placed = self.controller.place(self.words())
        assert placed["waves"] == [], placed
        assert {hold["reason"] for hold in placed["decision"]["holds"]} <= DECLARED | ({"Twice"} if self.may_be_twice else set())
        pool = placed["pools"]["farm"]
        held = {hold["title"] for hold in placed["decision"]["holds"]}
        assert pool["there"] + len(held - set(placed["decision"]["at"])) >= pool["replicas"]
        assert pool["updated"] == pool["there"]
        running = Counter(
            emulator.title
            for host in HOSTS
            for emulator in self._seen(host).emulators
            if emulator.title.startswith("farm-") and emulator.run.value != "stopped"
        )
        assert all(count == 1 for count in running.values()), running
        if self.pool["state"] == "running":
            assert pool["available"] == pool["there"]
            assert set(running) <= {f"farm-{number:03d}" for number in range(self.pool["replicas"])}


FleetLife.TestCase.settings = settings(
    max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TestFleetLife = FleetLife.TestCase


@pytest.mark.parametrize(("host", "backwards"), [("a", True), ("b", False)])
@pytest.mark.parametrize("batch", [2, 3, 4])
@pytest.mark.parametrize("how", ["before", "after"])
def test_a_recreation_that_is_cut_off_is_ended_by_the_next_run(host: str, backwards: bool, batch: int, how: str) -> None:
    """On the host that is left or on another one, before or after any batch: no replica is lost, and none is there twice."""
    life = FleetLife()
    life.declare(replicas=5, state="running", down="stop", move="recreate", most="1", destroy="2", backwards=backwards)
    life.hosts["a"] = {"drain": True}
    assert any(title.startswith("farm") for title in life._seen("a").owned())
    life.converge_and_be_cut_off(host, batch, how)
    for _ in range(ENOUGH):
        life.converge()
    assert list(life._seen("a").owned()) == ["golden"]
    life.teardown()
