"""The laws of placement and of its waves, for random fleets whose hosts told anything at all."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import build
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision, placement, rollout
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.decision import Decision
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.fleet import (
    Capacity,
    Fleet,
    Host,
    Pool,
    Share,
    Update,
)
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.look import Look, Member
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.placement import Placement
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.rollout import Rollout
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError

law = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

HOSTS = ("h1", "h2", "h3", "h4")
TITLES = [*(f"farm-{number:03d}" for number in range(8)), "lab-000", "lab-001", "golden", "x"]
CHANGE = ("stop", "configure", "start")
LIMIT = st.none() | st.integers(0, 4) | st.integers(3, 8)
SHARES = st.builds(Share, st.integers(0, 6)) | st.builds(Share, st.integers(0, 100), st.just(True))
HOST = st.builds(
    Host,
    st.just(""),
    st.builds(Capacity, LIMIT, LIMIT),
    st.sampled_from([{}, {"rack": "a"}, {"rack": "b"}]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([*[False] * 7, True]),
)
POOL = st.builds(
    Pool,
    name=st.just(""),
    profile=st.none(),
    replicas=st.integers(0, 7),
    state=st.sampled_from(["running", "running", "stopped", "present"]),
    hosts=st.sampled_from([None, None, {"rack": frozenset("a")}]),
    spread=st.sampled_from([None, "rack"]),
    on_scale_down=st.sampled_from(["stop", "remove"]),
    on_move=st.sampled_from(["refuse", "recreate"]),
    update=st.builds(Update, st.builds(Share, st.integers(1, 3)) | st.builds(Share, st.integers(1, 100), st.just(True)), st.integers(0, 3)),
    wants=st.sampled_from([(0, 0), (1, 0), (2, 0)]),
    clone_from=st.sampled_from([None, None, None, "golden"]),
)


def _member(title: str, owned: bool, protected: bool, state: str, steps: tuple[str, ...]) -> Member:
    """A host plans nothing for what is not owned."""
    return Member(title, owned, owned and protected, state != "stopped", state == "available", steps if owned else ())


MEMBER = st.builds(
    _member,
    st.sampled_from(TITLES),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([False, False, True]),
    st.sampled_from(["available", "available", "up", "stopped"]),
    st.sampled_from([(), CHANGE]),
)
LOOK = st.builds(
    lambda members, desktop, problem: Look(problem=problem) if problem else Look({m.title: m for m in members}, desktop=desktop),
    st.lists(MEMBER, max_size=6),
    st.sampled_from([*[True] * 7, False]),
    st.sampled_from([*[""] * 9, "no route to host"]),
)
FLEETS = st.builds(
    lambda hosts, pools, purge, most: Fleet(
        {name: replace(host, name=name) for name, host in hosts.items()},
        {name: replace(pool, name=name) for name, pool in pools.items()},
        purge=purge,
        max_destroy=most,
    ),
    st.fixed_dictionaries({"h1": HOST, "h2": HOST}, optional={"h3": HOST, "h4": HOST}),
    st.fixed_dictionaries({"farm": POOL}, optional={"lab": POOL}),
    st.booleans(),
    SHARES,
)
LOOKS = st.fixed_dictionaries(dict.fromkeys(HOSTS, LOOK))


def _named(fleet: Fleet, look: Look) -> dict[str, Member]:
    """Nothing is planned for emulators of no pool."""
    return {title: member if fleet.pool_of(title) else replace(member, steps=()) for title, member in look.members.items()}


def _known(fleet: Fleet, looks: Mapping[str, Look]) -> dict[str, Look]:
    return {name: looks[name] for name, host in fleet.hosts.items() if not host.lost and looks[name].known}


def _told(fleet: Fleet, placed: Placement, looks: Mapping[str, Look], wave: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """What each host is told when all waves are over, or in one of them."""
    rolled = rollout.plan(fleet, placed, looks)
    keeping = rolled.kept if wave is None else rolled.later(wave, {})
    told = rollout.entries(fleet, placed, keeping)
    return {host: told.get(host, []) for host in _known(fleet, looks)}


def _carried_out(fleet: Fleet, placed: Placement, looks: Mapping[str, Look]) -> dict[str, Look]:
    """The hosts when all that they were told has come true."""
    after = dict(looks)
    for host, entries in _told(fleet, placed, looks).items():
        members = dict(looks[host].members)
        for entry in entries:
            title, state = entry["name"], entry["state"]
            if state == "absent":
                members.pop(title, None)
            else:
                before = members.get(title, Member(title))
                up = state == "running" or (state == "present" and before.up)
                pool = fleet.pool_of(title)
                steps = ("start",) if not up and pool is not None and pool.state == "running" else ()  # what is planned for its family
                members[title] = replace(before, owned=True, up=up, available=up, steps=steps)
        after[host] = replace(looks[host], members=members)
    return after


@law
@given(FLEETS, LOOKS, st.permutations(HOSTS))
def test_the_order_of_hosts_makes_no_difference(fleet: Fleet, looks: dict[str, Look], order: list[str]) -> None:
    other = replace(fleet, hosts={name: fleet.hosts[name] for name in order if name in fleet.hosts})
    assert placement.place(other, {name: looks[name] for name in order}) == placement.place(fleet, looks)


@law
@given(FLEETS, LOOKS)
def test_a_replica_stays_where_it_is(fleet: Fleet, looks: dict[str, Look]) -> None:
    placed = placement.place(fleet, looks)
    for pool in fleet.pools.values():
        for title in pool.titles():
            there = [host for host, look in _known(fleet, looks).items() if title in look.members and look.members[title].owned]
            if there:
                assert placed.at[title] in there
                assert title not in placed.created
    for title, host, _reason in placed.removals:
        assert placed.at.get(title) != host


@law
@given(FLEETS, LOOKS)
def test_nothing_is_put_where_there_is_no_room(fleet: Fleet, looks: dict[str, Look]) -> None:
    """Counted anew from what the hosts told: what is owned or runs, and the cores of what shall run."""
    placed = placement.place(fleet, looks)
    arriving = [(title, placed.at[title]) for title in placed.created] + [(move.title, move.target) for move in placed.moves]
    for host in {host for _title, host in arriving}:
        capacity, look = fleet.hosts[host].capacity, looks[host]
        new = [pool for title, at in arriving if at == host and (pool := fleet.pool_of(title)) is not None]
        stay = [pool for title in look.members if placed.at.get(title) == host and (pool := fleet.pool_of(title)) is not None]
        assert look.known
        assert all(pool.takes(fleet.hosts[host]) for pool in new)
        assert not fleet.hosts[host].drain
        assert not fleet.hosts[host].lost
        count = sum(member.owned or member.up for member in look.members.values()) + len(new)
        assert capacity.emulators is None or count <= capacity.emulators
        run = [pool for pool in new if pool.state == "running"]
        cores = sum(pool.wants[0] for pool in [*stay, *run] if pool.state == "running")
        assert capacity.cpu is None or cores <= capacity.cpu or not any(pool.wants[0] for pool in run)


@law
@given(FLEETS, LOOKS)
def test_no_replica_is_there_twice(fleet: Fleet, looks: dict[str, Look]) -> None:
    placed = placement.place(fleet, looks)
    for title in placed.created:
        assert not any(title in look.members for look in _known(fleet, looks).values())
    told = _told(fleet, placed, looks)
    running = Counter(entry["name"] for entries in told.values() for entry in entries if entry["state"] == "running")
    assert all(count == 1 for count in running.values())
    after = _carried_out(fleet, placed, looks)
    there = Counter(title for look in _known(fleet, after).values() for title, member in look.members.items() if member.owned and member.up)
    assert all(count == 1 for title, count in there.items() if (pool := fleet.pool_of(title)) is not None and pool.state == "running")


@law
@given(FLEETS, LOOKS)
def test_strangers_are_told_nothing(fleet: Fleet, looks: dict[str, Look]) -> None:
    for host, entries in _told(fleet, placement.place(fleet, looks), looks).items():
        strangers = {title for title, member in looks[host].members.items() if not member.owned}
        assert not strangers & {entry["name"] for entry in entries}


@law
@given(FLEETS, LOOKS)
def test_what_has_come_true_is_placed_as_it_is(fleet: Fleet, looks: dict[str, Look]) -> None:
    looks = {host: replace(look, members=_named(fleet, look)) for host, look in looks.items()}
    placed = placement.place(fleet, looks)
    assume(not placed.refusals)
    rounds = 0
    while any(hold.reason == "NoRoom" for hold in placed.holds) and rounds < 3:  # what goes makes room, which the next run sees
        looks, rounds = _carried_out(fleet, placed, looks), rounds + 1
        placed = placement.place(fleet, looks)
        assume(not placed.refusals)
    looks = _carried_out(fleet, placed, looks)
    again = placement.place(fleet, looks)
    assert not again.created
    assert not again.removals
    assert not again.moves
    assert not any(looks[host].members[title].up for title, host in again.surplus)
    assert rollout.busy(again, rollout.plan(fleet, again, looks), _known(fleet, looks), 0) == []


@law
@given(FLEETS, LOOKS)
def test_no_more_is_removed_than_was_allowed_and_nothing_protected(fleet: Fleet, looks: dict[str, Look]) -> None:
    placed = placement.place(fleet, looks)
    known = _known(fleet, looks)
    owned = sum(member.owned for look in known.values() for member in look.members.values())
    absent = [
        (host, entry["name"]) for host, entries in _told(fleet, placed, looks).items() for entry in entries if entry["state"] == "absent"
    ]
    assert (len(absent) > fleet.max_destroy.among(owned)) == bool(placed.refusals)
    for host, title in absent:
        assert known[host].members[title].owned
        assert not known[host].members[title].protected
        assert fleet.purge or fleet.pool_of(title) is not None


@law
@given(st.integers(1, 12), st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.integers(0, 6))
def test_replicas_are_spread_evenly_where_room_allows(replicas: int, racks: list[str], there: int) -> None:
    """However many each value has already, none gets another one while a value has fewer."""
    hosts = {f"h{number}": Host(f"h{number}", labels={"rack": rack}) for number, rack in enumerate(racks)}
    pool = Pool("farm", None, replicas, spread="rack")
    looks = {name: Look({title: Member(title) for title in pool.titles()[:there] if name == "h0"}) for name in hosts}
    placed = placement.place(Fleet(hosts, {"farm": pool}), looks)
    counts = Counter(dict.fromkeys(racks, 0))
    counts.update(hosts[host].labels["rack"] for host in placed.at.values())
    grown = {hosts[placed.at[title]].labels["rack"] for title in placed.created}
    assert len(placed.at) == replicas
    assert all(counts[rack] <= min(counts.values()) + 1 for rack in grown)
    if not there:
        assert max(counts.values()) - min(counts.values()) <= 1


@law
@given(FLEETS, LOOKS)
def test_while_a_host_is_unknown_nothing_missing_is_made(fleet: Fleet, looks: dict[str, Look]) -> None:
    placed = placement.place(fleet, looks)
    unknown = [name for name, host in fleet.hosts.items() if not host.lost and not looks[name].known]
    if unknown:
        assert not placed.created
    held = {hold.title for hold in placed.holds}
    assert all(title in placed.at or title in held for pool in fleet.pools.values() for title in pool.titles())


@law
@given(FLEETS, LOOKS)
def test_waves_take_down_no_more_than_the_budget(fleet: Fleet, looks: dict[str, Look]) -> None:
    placed = placement.place(fleet, looks)
    rolled = rollout.plan(fleet, placed, looks)
    there = {title: looks[host].members[title] for title, host in placed.at.items() if title not in placed.created}
    disruptive = {title for title, m in there.items() if m.available and (m.steps or title in placed.recreated)} - rolled.kept
    listed = [title for waves in rolled.waves.values() for titles in waves for title in titles]
    assert sorted(listed) == sorted(disruptive)
    assert not rolled.kept & placed.recreated.keys()
    for pool in fleet.pools.values():
        waves = rolled.waves.get(pool.name, ())
        if pool.state == "stopped" or not waves:
            continue
        missing = sum(pool.number(title) is not None and (title not in there or not there[title].available) for title in placed.at)
        down = missing if pool.state == "running" else 0
        assert len(waves[0]) + down <= max(pool.update.budget(pool.replicas), down)
        assert all(len(titles) <= pool.update.budget(pool.replicas) for titles in waves)


@law
@given(FLEETS, LOOKS)
def test_before_its_wave_a_replica_is_told_no_more_than_its_state(fleet: Fleet, looks: dict[str, Look]) -> None:
    fleet = replace(fleet, pools={name: replace(pool, settings={"cpu": 2}) for name, pool in fleet.pools.items()})
    placed = placement.place(fleet, looks)
    rolled = rollout.plan(fleet, placed, looks)
    for wave in range(rolled_length := rollout.length(rolled)):
        later = rolled.later(wave, {})
        for host, entries in _told(fleet, placed, looks, wave).items():
            for entry in entries:
                if entry["name"] in later and placed.at[entry["name"]] == host:
                    assert set(entry) == {"name", "state"}
                    assert entry["state"] != "absent"
    assert rolled.later(rolled_length - 1, {}) == rolled.kept


@law
@given(
    st.lists(st.sampled_from(HOSTS), min_size=4, max_size=7),
    st.integers(1, 3),
    st.integers(0, 5),
    st.sampled_from(["up", "stopped", "gone", "silent"]),
    st.booleans(),
)
def test_a_wave_that_does_not_come_back_is_the_last_one_of_its_pool(
    homes: list[str], most: int, wave: int, fate: str, moving: bool
) -> None:
    """Whether its replicas are changed where they are, or some of them are recreated elsewhere."""
    hosts = {name: Host(name, drain=moving and name == "h1") for name in HOSTS}
    pool = Pool("farm", None, len(homes), on_move="recreate", update=Update(Share(most)))
    other = replace(pool, name="lab", replicas=2)
    fleet = Fleet(hosts, {"farm": pool, "lab": other}, max_destroy=Share(100, True))
    looks = {
        name: Look({t: Member(t, True, False, True, True, CHANGE) for t, at in zip(pool.titles(), homes, strict=True) if at == name})
        for name in HOSTS
    }
    looks["h2"] = replace(
        looks["h2"], members={**looks["h2"].members, **{t: Member(t, True, False, True, True, CHANGE) for t in other.titles()}}
    )
    placed = placement.place(fleet, looks)
    rolled = rollout.plan(fleet, placed, looks)
    waves = rolled.waves["farm"]
    assume(len(waves) > wave + 1)
    victim = waves[wave][0]
    home = placed.recreated[victim].target if victim in placed.recreated else placed.at[victim]
    after = _carried_out(fleet, placed, looks)
    members = {title: member for title, member in after[home].members.items() if title != victim}
    if fate != "gone":
        members[victim] = Member(victim, up=fate == "up")
    after[home] = Look(problem="no route to host") if fate == "silent" else replace(after[home], members=members)
    progress = rollout.advance(fleet, placed, rolled, rollout.begin(fleet, placed, looks), after, wave + 1)
    assert "farm" in progress.stopped
    assert "lab" not in progress.stopped or fate == "silent"
    assert set(waves[wave + 1]) <= rolled.later(wave + 1, progress.halted)


@law
@given(FLEETS, LOOKS)
def test_what_a_host_is_told_is_never_refused_for_its_words(fleet: Fleet, looks: dict[str, Look]) -> None:
    for entries in _told(fleet, placement.place(fleet, looks), looks).values():
        desired.build(entries)


@law
@given(FLEETS, LOOKS, st.lists(st.sampled_from(["farm", "lab", *TITLES]), max_size=2))
def test_read_is_the_inverse_of_written(fleet: Fleet, looks: dict[str, Look], restart: list[str]) -> None:
    placed = replace(placement.place(fleet, looks), refusals=())
    rolled: Rollout = rollout.plan(fleet, placed, looks, restart)
    made = Decision(placed, rolled, {"h1": "d"})
    assert decision.read(json.loads(json.dumps(decision.written(made)))) == made


FILE = """\
plugin: ldfleet.ldplayer.fleet
vars: {ansible_connection: winrm, ansible_port: 5986}
defaults: {adb: local}
profiles:
  base: {resolution: 960x540@160}
  game:
    inherit: base
    cpu: 2
    memory: 2048
hosts:
  ws-01: {ansible_host: 10.0.0.11, capacity: {emulators: 8}, labels: {rack: a}}
  ws-02: {ansible_host: 10.0.0.12, capacity: {emulators: 8}, labels: {rack: b}}
  ws-03:
    ansible_host: 10.0.0.13
    labels: {rack: b}
    drain: true
emulators:
  ws-01:
    - {name: golden, profile: game, state: stopped}
    - {name: free}
pools:
  farm:
    profile: game
    replicas: 12
    hosts: {rack: [a, b]}
    spread: rack
    on_scale_down: remove
    on_move: recreate
  lab:
    replicas: 3
    on_scale_down: remove
purge: true
max_destroy: 2
"""
LIVE = build.looks(
    {
        "ws-01": ["golden", "free", *(f"farm-{number:03d}" for number in range(6))],
        "ws-02": [*(f"farm-{number:03d}" for number in range(6, 12)), "lab-000"],
        "ws-03": ["lab-001", "lab-002"],
    }
)


def _mistyped(text: str, dice: random.Random) -> str:
    """One to three slips: a character dropped, doubled, swapped or replaced, or a line dropped, doubled or indented."""
    for _ in range(dice.randint(1, 3)):
        lines = text.splitlines()
        row = dice.randrange(len(lines))
        line = lines[row]
        at = dice.randrange(len(line)) if line else 0
        lines[row : row + 1] = dice.choice(
            [
                [line[:at] + line[at + 1 :]],
                [line[:at] + line[at : at + 1] * 2 + line[at + 1 :]],
                [line[:at] + line[at + 1 : at + 2] + line[at : at + 1] + line[at + 2 :]],
                [line[:at] + dice.choice("abe0159 :-{}[]#'\"%,") + line[at + 1 :]],
                [],
                [line, line],
                [f"  {line}"],
                [line.removeprefix("  ")],
            ]
        )
        text = "\n".join(lines)
    return text


@settings(law, max_examples=1000)
@given(st.integers(0, 2**32))
def test_a_slip_in_the_file_never_removes_more_than_max_destroy_allows(seed: int) -> None:
    text = _mistyped(FILE, random.Random(seed))
    try:
        words = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if not isinstance(words, dict):
            return
        fleet = build.fleet(words)
    except (yaml.YAMLError, FleetError):
        return
    looks = {name: LIVE.get(name, Look(problem="no route to host")) for name in fleet.hosts}
    placed = placement.place(fleet, looks)
    if placed.refusals:
        return
    owned = sum(len(look.members) for look in _known(fleet, looks).values())
    absent = [entry for entries in _told(fleet, placed, looks).values() for entry in entries if entry.get("state") == "absent"]
    assert len(absent) <= fleet.max_destroy.among(owned)
    if "max_destroy: 2" in text.splitlines():
        assert len(absent) <= 2
