"""Laws of the role windows: what was done is not done again, what was changed is given back, notes keep what was there at first, nothing raises."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet import windows

Json = dict[str, Any]

NOTES, RULE, ROLE = "HKLM\\SOFTWARE\\ldfleet", "ldfleet-adb", "Hyper-V"
KEYS = (("HKLM\\A", "One"), ("HKLM\\B\\DeviceGuard", "Two"), ("HKLM\\A", "Three"))
FEATURES = ("Microsoft-Hyper-V-All", "HypervisorPlatform")
PORTS = "5037,5554-5682"

# ---- a machine, as host_info tells of it, and what the role's tasks do to it ------------------------------------------------------------
VALUES = st.one_of(
    st.none(), st.tuples(st.just("dword"), st.integers(0, 2)), st.tuples(st.just("string"), st.sampled_from(["", "0", "text"]))
)
MACHINES = st.fixed_dictionaries(
    {
        "registry": st.fixed_dictionaries(dict.fromkeys(KEYS, VALUES)),
        "features": st.fixed_dictionaries(dict.fromkeys((*FEATURES, ROLE), st.sampled_from([True, False, None]))),
        "plan": st.sampled_from([*windows.PLANS.values(), "99999999-9999-9999-9999-999999999999"]),
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
        "power_plan": st.sampled_from([*windows.PLANS, "leave"]),
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
    fixed = {"state": state, "notes": NOTES, "features": list(FEATURES), "role": ROLE, "rule": RULE, "ports": PORTS}
    return {**fixed, "reboot": "when_needed", "window": "", **said, "registry": list(said["registry"])}


def machine(found: Json) -> Json:
    """A machine with page files as Windows sees fit, and no notes."""
    return {**copy.deepcopy(found), "pagefiles": None, "notes": {}}


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
            "autologon": {"enabled": bool(there["logon"]), "user": there["logon"], "domain": "PC", "password_in_registry": False},
            "sessions": {"console_user": "player", "desktops": ["player"]},
            "windows": {"uptime_seconds": 9_000, "reboot_pending": []},
        },
        "agent": {"time": "2026-01-01T12:00:00Z"},
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

    def pages() -> None:
        file = found["pagefile"]
        there["pagefiles"] = None if back else {
            "path": f"{file['drive'][:1]}:\\pagefile.sys", "initial_mib": file["initial"], "maximum_mib": file["maximum"]
        }  # fmt: skip

    acts: list[Any] = [lambda row=row: value(row) for row in found["registry"]]
    acts += [lambda name=name: there["features"].update({name: back}) for name in found["features"]]
    acts += [lambda: there["features"].update({ROLE: back})] if found["role"] else []
    acts += [lambda: there.update(logon="" if back else wanted["autologon_user"])] if found["autologon"] else []
    acts += [lambda: there.update(plan=found["power_plan"])] if found["power_plan"] else []
    acts += [lambda: there.update(service=(found["service"], there["service"][1] if back else True))] if found["service"] else []
    acts += [lambda: there.update(zone=found["time_zone"])] if found["time_zone"] else []
    acts += [pages] if found["pagefile"] else []
    acts += [lambda: there.update(rule=not back)] if found["rule"] else []
    return acts


def run(there: Json, said: Json, cut: int | None = None) -> Json:
    """The role once, with its notes before its changes; ``cut``: how many of these it comes to."""
    wanted = wish(said)
    found = windows.work(look(there, windows.asked(wanted)), wanted)
    noted(there, found)
    for act in steps(there, found, wanted)[:cut]:
        act()
    return found


def give_back(there: Json, said: Json) -> Json:
    wanted = wish(said, "absent")
    found = windows.work(look(there, windows.asked_again(wanted, there["notes"].get("changes", ""))), wanted)
    for act in steps(there, found, wanted):
        act()
    there["notes"] = {}
    return found


def told(there: Json, before: Json) -> Json:
    """What must be as it was: all but whether a service runs, a logon of somebody else's that was overwritten, and a rule, which are not given back."""
    return {**there, "notes": None, "service": there["service"][0], "logon": None if before["logon"] else there["logon"]}


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
        found = windows.work({**look(machine(NOTHING), []), "registry": [seen]}, wish(said))
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
    seen = look(there, windows.asked_again(wanted, changes) if state == "absent" else windows.asked(wanted))
    for path in sorted(untold):
        untell(seen, path)
    work = windows.work(seen, wanted)
    assert set(work) >= {"registry", "features", "restart", "hold", "left"}
    assert all(isinstance(work[word], str) for word in ("power_plan", "service", "time_zone", "restart", "hold", "notes", "waiting"))
    json.dumps(work)
