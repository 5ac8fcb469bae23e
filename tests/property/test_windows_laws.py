"""Laws of the role windows: what was done is not done again, what was changed is given back, notes keep what was there at first, nothing raises."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import role

Json = dict[str, Any]

NOTES, RULE, ROLE = "HKLM\\SOFTWARE\\ldfleet", "ldfleet-adb", "Hyper-V"
KEYS = (("HKLM\\A", "One"), ("HKLM\\B\\DeviceGuard", "Two"), ("HKLM\\A", "Three"))
FEATURES = ("Microsoft-Hyper-V-All", "HypervisorPlatform")
PARTS = {"Microsoft-Hyper-V-All": ("Microsoft-Hyper-V", "Microsoft-Hyper-V-Services")}
PORTS = "5037,5554-5682"

# ---- a machine, as host_info tells of it, and what the role's tasks do to it ------------------------------------------------------------
VALUES = st.one_of(
    st.none(), st.tuples(st.just("dword"), st.integers(0, 2)), st.tuples(st.just("string"), st.sampled_from(["", "0", "text"]))
)
MACHINES = st.fixed_dictionaries(
    {
        "registry": st.fixed_dictionaries(dict.fromkeys(KEYS, VALUES)),
        "features": st.fixed_dictionaries(
            dict.fromkeys((*FEATURES, ROLE, *(part for parts in PARTS.values() for part in parts)), st.sampled_from([True, False, None]))
        ),
        "plan": st.sampled_from([*role.PLANS.values(), "99999999-9999-9999-9999-999999999999"]),
        "service": st.tuples(st.sampled_from(["auto", "delayed", "manual", "disabled"]), st.booleans()),
        "zone": st.sampled_from(["UTC", "Tokyo Standard Time"]),
        "logon": st.sampled_from(["", "player", "other"]),
        "rule": st.booleans(),
    }
)
WISHES = st.fixed_dictionaries(
    {
        "registry": st.lists(st.sampled_from(KEYS), unique=True).flatmap(
            lambda keys: st.tuples(*(st.fixed_dictionaries({"key": st.just(k), "name": st.just(n), "data": st.integers(0, 2)}) for k, n in keys))
        ),
        "hypervisor": st.sampled_from(["off", "leave"]),
        "power_plan": st.sampled_from([*role.PLANS, "leave"]),
        "time_service": st.booleans(),
        "time_zone": st.sampled_from(["", "UTC", "W. Europe Standard Time"]),
        "pagefile": st.sampled_from([{}, {"drive": "C", "initial": 1, "maximum": 2}, {"drive": "D:", "initial": 4, "maximum": 4}]),
        "autologon_user": st.sampled_from(["", "player", "PC\\player"]),
        "close_adb_ports": st.booleans(),
    }
)  # fmt: skip


#: Of these, nothing is wanted and nothing is there.
CALM: Json = {
    "registry": (), "hypervisor": "leave", "power_plan": "leave", "time_service": False, "time_zone": "", "pagefile": {}, "autologon_user": "",
    "close_adb_ports": False,
}  # fmt: skip
NOTHING: Json = {"registry": {}, "features": {}, "plan": "", "service": ("manual", False), "zone": "UTC", "logon": "", "rule": False}


def wish(said: Json, state: str = "present") -> Json:
    fixed = {"state": state, "notes": NOTES, "features": list(FEATURES), "parts": PARTS, "role": ROLE, "rule": RULE, "ports": PORTS}
    return {**fixed, "reboot": "when_needed", "window": "", **said, "registry": list(said["registry"])}


def machine(found: Json) -> Json:
    """A machine with page files as Windows sees fit, and no notes. Nothing waits for its next start, the last of which was two hours ago."""
    return {**copy.deepcopy(found), "pagefiles": None, "notes": {}, "pending": {}, "uptime": 9_000, "hour": 12}


def start(there: Json) -> None:
    there["features"].update(there["pending"])
    there.update(pending={}, uptime=300, hour=there["hour"] + 1)


def look(there: Json, rows: list[Json]) -> Json:
    known = {**{(key, name): value for (key, name), value in there["registry"].items()}}
    known.update({(NOTES, name): ("string", text) for name, text in there["notes"].items()})

    def row(asked: Json) -> Json:
        value = known.get((asked["key"], asked["name"]))
        return {**asked, "exists": value is not None, "kind": value and value[0], "data": value and value[1]}

    file = there["pagefiles"]
    closed = {
        "enabled": True,
        "action": "block",
        "direction": "in",
        "local_ports": PORTS.split(","),
        "protocol": "tcp",
        "remote_addresses": [],
    }
    return {
        "registry": [row(asked) for asked in rows],
        "features": dict(there["features"]),
        "power_plan": {"guid": there["plan"]},
        "services": {"W32Time": dict(zip(("start", "running"), there["service"], strict=True))},
        "time_zone": there["zone"],
        "pagefile": {"automatic": file is None, "files": [] if file is None else [file]},
        "firewall_rules": [closed] if there["rule"] else [],
        "facts": {
            "autologon": {
                "enabled": bool(there["logon"]),
                "user": there["logon"],
                "domain": "PC",
                "password_in_registry": False,
                "limited": False,
            },
            "sessions": {"console_user": "player", "desktops": ["player"]},
            "windows": {"uptime_seconds": there["uptime"], "reboot_pending": []},
        },
        "agent": {"time": f"2026-01-{1 + there['hour'] // 24:02}T{there['hour'] % 24:02}:00:00Z"},
    }


def noted(there: Json, found: Json) -> None:
    there["notes"].update({name: text for name, text in (("changes", found["notes"]), ("restart", found["waiting"])) if text})


def steps(there: Json, found: Json, wanted: Json) -> list[Any]:
    """What each task of the role does to the machine, in the order of the tasks."""
    back = wanted["state"] == "absent"

    def value(row: Json) -> None:
        key = (row["path"].replace(":", ""), row["name"])
        kinds = {"dword": "dword", "string": "string"}
        there["registry"][key] = None if row.get("state") == "absent" else (kinds[row["type"]], row["data"])

    def turn(name: str, on: bool) -> None:
        """Its parts go with it; back comes what is named, with what it is a part of."""
        family = PARTS.get(name, ()) if not on else [whole for whole, parts in PARTS.items() if name in parts]
        there["pending"].update({one: on for one in (name, *family) if there["features"][one] is not None})

    def pages() -> None:
        file = found["pagefile"]
        there["pagefiles"] = None if back else {
            "path": f"{file['drive'][:1]}:\\pagefile.sys", "initial_mib": file["initial"], "maximum_mib": file["maximum"]
        }  # fmt: skip

    acts: list[Any] = [lambda row=row: value(row) for row in found["registry"]]
    acts += [lambda name=name: turn(name, back) for name in found["features"]]
    acts += [lambda: turn(ROLE, back)] if found["role"] else []
    acts += [lambda: there["notes"].update(restart=found["told"])] if found["told"] else []
    acts += [lambda: there.update(logon="" if back else wanted["autologon_user"])] if found["autologon"] else []
    acts += [lambda: there.update(plan=found["power_plan"])] if found["power_plan"] else []
    acts += [lambda: there.update(service=(found["service"], there["service"][1] if back else True))] if found["service"] else []
    acts += [lambda: there.update(zone=found["time_zone"])] if found["time_zone"] else []
    acts += [pages] if found["pagefile"] else []
    acts += [lambda: there.update(rule=not back)] if found["rule"] else []
    return acts


def run(there: Json, said: Json, cut: int | None = None, held: bool = False) -> Json:
    """The role once, with its notes before its changes; ``cut``: how many of these it comes to; ``held``: Windows may not start anew."""
    wanted = wish(said)
    found = role.work(look(there, role.asked(wanted)), wanted)
    noted(there, found)
    for act in steps(there, found, wanted)[:cut]:
        act()
    if found["restart"] and cut is None and not held:
        start(there)
        there["notes"].pop("restart", None)
    return found


def give_back(there: Json, said: Json, held: bool = False, cut: int | None = None) -> Json:
    wanted = wish(said, "absent")
    found = role.work(look(there, role.asked_again(wanted, there["notes"].get("changes", ""))), wanted)
    noted(there, found)
    for act in steps(there, found, wanted)[:cut]:
        act()
    if cut is not None:
        return found
    if found["restart"] and not held:
        start(there)
    if not found["restart"] or not held:
        there["notes"] = {}
    return found


def told(there: Json, before: Json) -> Json:
    """What must be as it was: all but whether a service runs, a logon of somebody else's that was overwritten, and a rule, which are not given back."""
    ours = {
        "notes": None,
        "uptime": None,
        "hour": None,
        "service": there["service"][0],
        "logon": None if before["logon"] else there["logon"],
    }
    # A part without what it is a part of is nothing that Windows has.
    features = {name: on for name, on in there["features"].items() if not any(name in parts for parts in PARTS.values())}
    parts = {name: on and before["features"][whole] for whole, names in PARTS.items() for name in names if (on := there["features"][name])}
    return {**there, **ours, "features": {**features, **parts}}


@given(MACHINES, WISHES)
def test_what_was_done_is_not_done_again(found: Json, said: Json) -> None:
    there = machine(found)
    run(there, said)
    again = run(there, said)
    assert (again["left"], again["notes"], again["waiting"]) == ([], "", "")


@given(MACHINES, st.lists(st.tuples(WISHES, st.none() | st.integers(0, 12)), min_size=1, max_size=3))
def test_what_was_changed_is_given_back_whatever_was_wanted_and_wherever_it_was_cut_off(found: Json, runs: list[Any]) -> None:
    there = machine(found)
    before = copy.deepcopy(there)
    for said, cut in runs:
        run(there, said, cut)
    give_back(there, runs[-1][0])
    assert told(there, before) == told(before, before)
    assert give_back(there, runs[-1][0])["left"] == []


@given(MACHINES, WISHES, WISHES)
def test_a_note_keeps_what_was_there_at_first(found: Json, first: Json, second: Json) -> None:
    there = machine(found)
    run(there, first)
    earlier = json.loads(there["notes"].get("changes", "{}"))
    run(there, second)
    later = json.loads(there["notes"].get("changes", "{}"))
    assert {name: note["was"] for name, note in earlier.items()}.items() <= {name: note["was"] for name, note in later.items()}.items()


def test_a_number_that_came_as_a_text_is_set_as_one() -> None:
    """Up to ansible-core 2.18 what a template gives is a text; a policy that is no DWORD holds for nobody."""
    row = {"key": "HKLM\\A", "name": "One", "data": "1", "kind": "dword"}
    for there, works in ((None, True), (("string", "1"), True), (("dword", 1), False)):
        seen = {"key": row["key"], "name": row["name"], "exists": there is not None, "kind": there and there[0], "data": there and there[1]}
        said = {**CALM, "registry": [row]}
        found = role.work({**look(machine(NOTHING), []), "registry": [seen]}, wish(said))
        assert found["registry"] == ([{"path": "HKLM:\\A", "name": "One", "data": 1, "type": "dword"}] if works else [])


@given(MACHINES, WISHES, st.sampled_from(KEYS), st.integers(3, 5))
def test_what_somebody_changed_since_stays(found: Json, said: Json, key: tuple[str, str], value: int) -> None:
    there = machine(found)
    run(there, said)
    there["registry"][key] = ("dword", value)
    give_back(there, said)
    assert there["registry"][key] == ("dword", value)


# ---- what could not be told, and what nobody wrote --------------------------------------------------------------------------------------
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NOTED = st.one_of(
    st.text(max_size=30),
    ANYTHING.map(json.dumps),
    st.dictionaries(
        st.sampled_from(["registry|HKLM\\A|One", "registry|", "registry|x", "feature|Hyper-V", "pagefile", "power_plan", "service", "time_zone", "autologon"])
        | st.text(max_size=12),
        st.fixed_dictionaries({}, optional={"was": ANYTHING, "set": ANYTHING}) | ANYTHING,
        max_size=4,
    ).map(json.dumps),
)  # fmt: skip
#: Facts that a host may leave untold (null).
UNTOLD = (
    ("power_plan", "guid"), ("time_zone",), ("services",), ("services", "W32Time"), ("pagefile", "automatic"), ("pagefile", "files"), ("firewall_rules",),
    ("facts", "autologon", "enabled"), ("facts", "autologon", "user"), ("facts", "sessions", "console_user"), ("facts", "sessions", "desktops"),
    ("facts", "windows", "uptime_seconds"), ("facts", "windows", "reboot_pending"), ("agent", "time"), ("registry",),
)  # fmt: skip


def untell(seen: Json, path: tuple[str, ...]) -> None:
    if path == ("registry",):
        for row in seen["registry"]:
            row.update(exists=None, kind=None, data=None)
        return
    place = seen
    for word in path[:-1]:
        place = place[word] or {}
    place[path[-1]] = {} if path == ("services",) else None


@given(
    MACHINES,
    WISHES,
    st.sets(st.sampled_from(UNTOLD)),
    NOTED,
    NOTED,
    st.sampled_from(["present", "absent"]),
    st.sampled_from(["", "02:00-05:00"]),
)
def test_nothing_that_is_not_told_or_that_nobody_wrote_raises(
    found: Json, said: Json, untold: set[tuple[str, ...]], changes: str, waiting: str, state: str, window: str
) -> None:
    there = machine(found)
    there["notes"] = {"changes": changes, "restart": waiting}
    wanted = {**wish(said, state), "window": window}
    seen = look(there, role.asked_again(wanted, changes) if state == "absent" else role.asked(wanted))
    for path in sorted(untold):
        untell(seen, path)
    work = role.work(seen, wanted)
    assert set(work) >= {"registry", "features", "restart", "hold", "left"}
    assert all(isinstance(work[word], str) for word in ("power_plan", "service", "time_zone", "restart", "hold", "notes", "waiting"))
    json.dumps(work)


# ---- starts that are held ---------------------------------------------------------------------------------------------------------------
HYPERVISOR_OFF: Json = {**CALM, "hypervisor": "off"}
MOVES = st.lists(
    st.tuples(st.sampled_from([("off", False), ("back", True), ("off", True), ("start", False), ("back", False)]), st.none() | st.integers(0, 3)),
    min_size=2, max_size=5,
)  # fmt: skip
ALL_ON = MACHINES.map(lambda found: {**found, "features": {name: on is not None or None for name, on in found["features"].items()}})


@settings(max_examples=300)
@given(ALL_ON | MACHINES, MOVES, st.sampled_from(["off", "back"]))
def test_features_end_as_the_last_run_wanted_them_whatever_was_on_its_way(
    found: Json, moves: list[tuple[tuple[str, bool], int | None]], last: str
) -> None:
    """Windows may be told of another direction while the first still waits for a start, somebody else may start it, and any run may be cut off."""
    there = machine(found)
    before = copy.deepcopy(there)
    for (move, held), cut in [*moves, ((last, True), None), (("start", False), None), ((last, True), None)]:
        if move == "start":
            start(there)
        else:
            run(there, HYPERVISOR_OFF, cut, held) if move == "off" else give_back(there, HYPERVISOR_OFF, held, cut)
    if last == "off":
        assert [name for name in (*FEATURES, ROLE) if there["features"][name]] == []
    else:
        assert told(there, before) == told(before, before)
        assert there["notes"] == {}


UNKNOWN = dict.fromkeys((*FEATURES, ROLE, *PARTS["Microsoft-Hyper-V-All"]))


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({}, ["Windows tells nothing of its features"]),
        ({"HypervisorPlatform": False}, []),
        ({ROLE: False}, []),
        ({"HypervisorPlatform": True}, []),
        ({"HypervisorPlatform": False, "Microsoft-Hyper-V": True}, ["the feature Microsoft-Hyper-V is on, and Windows tells of no other that it goes with"]),
        ({"Microsoft-Hyper-V-All": True, "Microsoft-Hyper-V": True}, []),
        ({"HypervisorPlatform": False, "Microsoft-Hyper-V-Services": True}, []),
        ({ROLE: True, "Microsoft-Hyper-V": True}, []),
    ],
)  # fmt: skip
def test_what_cannot_be_known_of_a_hypervisor_is_said(features: Json, says: list[str]) -> None:
    there = machine({**NOTHING, "features": {**UNKNOWN, **features}})
    assert role.work(look(there, []), wish(HYPERVISOR_OFF))["untold"] == says
    assert role.work(look(there, []), wish(CALM))["untold"] == []
    assert role.work(look(there, []), wish(HYPERVISOR_OFF, "absent"))["untold"] == []
