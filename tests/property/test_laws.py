"""The laws of converge, for random hosts and random wishes: what holds whatever the host and the user come up with."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.desired import Desired
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World

law = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
TITLES = ["a", "b", "c", "farm-000", "farm-001", "farm-002", "x, y", "end\\", "50% off", "Größe"]
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from([1, 2, 3, 4]),
        "memory": st.sampled_from([512, 2048]),
        "resolution": st.sampled_from(["960x540@160", "540x960@240"]),
        "adb": st.sampled_from(["off", "local", "remote"]),
        "fps": st.integers(1, 240),
        "root": st.booleans(),
        "model": st.sampled_from(["SM-S9110", "Pixel 7", 'quote-free "not"'[:11]]),
        "imei": st.sampled_from(["auto", "123456789012345"]),
        "network_dns1": st.sampled_from(["1.1.1.1", "8.8.8.8"]),
    },
)
STATES = st.sampled_from(["running", "stopped", "present", "absent"])
ENTRY = st.builds(lambda name, state, more: {"name": name, "state": state, **more}, st.sampled_from(TITLES), STATES, SETTINGS)


def _one_phone_each(listed: list[Any]) -> list[Any]:
    """No two emulators are declared to be the same phone: that is refused as a bad word."""
    for item in listed[1:]:
        values = item if isinstance(item, dict) else item[-1]
        if values.get("imei", "auto") != "auto":
            values["imei"] = "auto"
    return listed


EXISTING = st.lists(
    st.tuples(st.sampled_from(TITLES), st.booleans(), st.sampled_from(["stopped", "running"]), SETTINGS),
    max_size=5,
    unique_by=lambda item: item[0],
).map(_one_phone_each)
WISHES = st.fixed_dictionaries(
    {
        "entries": st.lists(ENTRY, max_size=5, unique_by=lambda entry: entry["name"]).map(_one_phone_each),
        "purge": st.booleans(),
        "max_destroy": st.integers(0, 4),
    }
)
SPECS = st.sampled_from([Spec(), Spec.of("14.0.26.1"), Spec.of("5.0.13.1")])


@contextmanager
def host(existing: list[tuple[str, bool, str, dict[str, Any]]], spec: Spec) -> Iterator[rig.Direct]:
    """A host with these emulators: title, owned, state, settings. Owned ones are made by ldfleet itself, others by a person."""
    with tempfile.TemporaryDirectory(dir=_FAST) as folder:
        world = rig.world(Path(folder), spec)
        direct = rig.Direct(world)
        for title, owned, _, values in existing:
            if not owned:
                world.add(title)
                world.clock.sleep(1)
                world.edit(
                    world.find(title),
                    {"person.key": f"only {title}'s", **({"basicSettings.fps": values["fps"]} if "fps" in values else {})},
                )
        made = [{"name": title, **values} for title, owned, _, values in existing if owned]
        assert not rig.apply(direct, rig.wanted(made)).failures
        for title, _, state, _ in existing:
            if state == "running":
                world.launch(world.find(title))
        world.settle()
        yield direct


def _desired(wishes: dict[str, Any]) -> Desired:
    return rig.wanted(wishes["entries"], purge=wishes["purge"], max_destroy=wishes["max_destroy"])


def _texts(outcome: Outcome) -> list[str]:
    return [report.sentence(step) for step in (*outcome.plan.steps, *outcome.extra)]


def _files(world: World) -> dict[str, str]:
    """Every config with its title, by content."""
    world.settle(0)
    return {
        world.title(instance): hashlib.sha256(world.config_path(instance.index).read_bytes()).hexdigest() for instance in world.visible()
    }


@law
@given(EXISTING, WISHES, SPECS)
def test_check_equals_apply_and_after_apply_the_plan_is_empty(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        goal = _desired(wishes)
        planned = rig.check(direct, goal)
        done = rig.apply(direct, goal)
        assert _texts(done) == _texts(planned)
        assert [str(failure) for failure in done.failures] == [str(failure) for failure in planned.failures]
        if not done.failures:
            again = rig.check(direct, goal)
            assert _texts(again) == []
            assert again.plan.done


@law
@given(EXISTING, WISHES, SPECS)
def test_check_touches_nothing(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        before, starts = _files(direct.world), len([1 for words in direct.world.commands() if words[0] not in ("list2", "adb")])
        rig.check(direct, _desired(wishes))
        assert _files(direct.world) == before
        assert len([1 for words in direct.world.commands() if words[0] not in ("list2", "adb")]) == starts


@law
@given(EXISTING, WISHES, SPECS)
def test_what_is_neither_owned_nor_named_is_byte_for_byte_untouched(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        named = {entry["name"] for entry in wishes["entries"]}
        others = {title for title, owned, _, _ in existing if not owned and title not in named} | {"LDPlayer"}
        before = {title: digest for title, digest in _files(direct.world).items() if title in others}
        rig.apply(direct, _desired(wishes))
        after = _files(direct.world)
        assert {title: after.get(title) for title in before} == before


@law
@given(EXISTING, WISHES, SPECS)
def test_no_more_is_removed_than_was_said(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        goal = _desired(wishes)
        before = set(_files(direct.world))
        absent = {entry["name"] for entry in wishes["entries"] if entry["state"] == "absent"}
        owned = {title for title, is_owned, _, _ in existing if is_owned}
        rig.apply(direct, goal)
        gone = before - set(_files(direct.world))
        assert gone <= owned
        assert len(gone - absent) <= goal.max_destroy


@law
@given(EXISTING, WISHES, SPECS)
def test_keys_that_ldfleet_does_not_know_survive_every_edit(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        rig.apply(direct, _desired(wishes))
        world = direct.world
        world.settle()
        for title in world.titles():
            values = world.config(world.find(title).index) or {}
            assert values.get("person.key") in (None, f"only {title}'s")
            assert ("person.key" in values) == any(name == title and not owned for name, owned, _, _ in existing)


@law
@given(EXISTING, WISHES, SPECS, st.integers(1, 8), st.sampled_from(["before", "after", "lost"]))
def test_a_cut_at_any_round_trip_and_a_rerun_give_the_same_world(existing: Any, wishes: Any, spec: Spec, cut: int, how: str) -> None:
    """The controller dies there, before or after the batch ran, or only the answer is lost."""
    goal = _desired(wishes)
    with host(existing, spec) as straight:
        assume(not rig.check(straight, goal).failures)
        rig.apply(straight, goal)
        straight.world.settle()
        expected = _shape(straight.world)
    with host(existing, spec) as direct:
        direct.cuts[direct.runs + cut] = how
        with contextlib.suppress(rig.ControllerDied):
            rig.apply(direct, goal)
        direct.cuts.clear()
        direct.world.clock.sleep(3600)  # the lease of a controller that died runs out
        assert not rig.apply(direct, goal).failures
        direct.world.settle()
        assert _shape(direct.world) == expected
        adds = [
            words for words in direct.world.commands() if words[0] == "add" and words[2] in {entry["name"] for entry in wishes["entries"]}
        ]
        created = {entry["name"] for entry in wishes["entries"] if entry["state"] != "absent"} - {item[0] for item in existing}
        assert len(adds) <= len(created) + len([item for item in existing if item[1]])


def _shape(world: World) -> dict[str, tuple[bool, dict[str, Any]]]:
    """Title -> running, and the settings that can be wished for (drawn identities differ from host to host)."""
    shape = {}
    for instance in world.visible():
        values = {key: value for key, value in (world.config(instance.index) or {}).items() if key in _WISHED}
        shape[world.title(instance)] = (instance.launched is not None, values)
    return shape


def _flat(shape: tuple[bool, dict[str, Any]]) -> set[tuple[str, str]]:
    return {(key, str(value)) for key, value in shape[1].items()}


_WISHED = {
    "advancedSettings.cpuCount",
    "advancedSettings.memorySize",
    "advancedSettings.resolution",
    "basicSettings.adbDebug",
    "basicSettings.fps",
    "basicSettings.rootMode",
    "propertySettings.phoneModel",
    "networkSettings.networkDNS1",
}


@law
@given(st.integers(1, 50), st.sampled_from(["stopped", "present"]))
def test_round_trips_do_not_grow_with_emulators(count: int, state: str) -> None:
    with host([], Spec()) as direct:
        for settings_, trips in (({"cpu": 2, "fps": 30}, 3), ({"cpu": 2, "fps": 30}, 1), ({"cpu": 3, "fps": 20}, 2)):
            before = direct.runs
            outcome = rig.apply(direct, rig.wanted([{"name": "farm", "count": count, "state": state, **settings_}]), slice_ms=600_000)
            assert not outcome.failures
            assert direct.runs - before == trips


@law
@given(st.integers(1, 4), st.booleans(), st.sampled_from(["running", "stopped"]), st.integers(0, 3), SPECS)
def test_a_clone_never_keeps_its_sources_identity(count: int, keeps: bool, state: str, strangers: int, spec: Spec) -> None:
    """Whether LDPlayer's copy draws new values or not, and also for clones that were made before anybody looked."""
    goal = rig.wanted([{"name": "golden", "state": "stopped"}, {"name": "farm", "count": count, "clone_from": "golden", "state": state}])
    with host([("golden", True, "stopped", {})], spec) as direct:
        world = direct.world
        world.quirks.copy_keeps_identity = keeps
        golden = world.find("golden")
        for number in range(min(strangers, count)):
            world.copy(golden, f"farm-{number:03d}", 0.0)
        before = _phone(world, "golden")
        planned = rig.check(direct, goal)
        done = rig.apply(direct, goal)
        assert not done.failures
        assert _texts(done) == _texts(planned)
        assert rig.check(direct, goal).plan.done
        world.settle()
        assert _phone(world, "golden") == before
        phones = [_phone(world, title) for title in world.titles()]
        assert all(len(set(values)) == len(phones) for values in zip(*phones, strict=True))


@law
@given(
    st.sampled_from(["new", "stopped", "running", "renamed"]), st.integers(1, 3), st.sampled_from(["running", "stopped"]), SETTINGS, SPECS
)
def test_a_clone_has_the_settings_that_its_source_is_to_have(source: str, count: int, state: str, values: Any, spec: Spec) -> None:
    """Whatever becomes of the source in the same run: it is made, changed, stopped or renamed before it is copied."""
    golden = {"name": "golden", "state": "stopped", "resolution": "960x540@160", **values}
    golden |= {"renamed_from": "old"} if source == "renamed" else {}
    existing = {"new": [], "stopped": [("golden", True, "stopped", {})], "running": [("golden", True, "running", {})]}
    with host(existing.get(source, [("old", True, "stopped", {})]), spec) as direct:
        goal = rig.wanted([{"name": "farm", "count": count, "clone_from": "golden", "state": state}, golden])
        assert not rig.apply(direct, goal).failures
        assert rig.check(direct, goal).plan.done
        direct.world.settle()
        shape = _shape(direct.world)
        for number in range(count):  # one that has run has written further keys
            assert _flat(shape["golden"]) <= _flat(shape[f"farm-{number:03d}"])


def _phone(world: World, title: str) -> tuple[str, ...]:
    values = world.config(world.find(title).index) or {}
    keys = (
        "propertySettings.phoneIMEI",
        "propertySettings.phoneIMSI",
        "propertySettings.phoneSimSerial",
        "propertySettings.phoneAndroidId",
    )
    return tuple(str(values[key]) for key in (*keys, "propertySettings.macAddress"))
