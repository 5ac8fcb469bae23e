# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role windows has to do on a host: what host_info told and what is wanted in, the work out. Pure.

Each change is noted on the host before it is made, as what was there at first and what was set since, so that it can be given back where nobody else
changed it. What could not be told (null) is set as wanted, and noted as unknown: then it stays when the rest is given back. All notes are one value of the
registry: a text of JSON, by the name of the change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

#: Where Windows tells by how many minutes its clock is behind UTC (a DWORD, below 0 as its complement).
BIAS = {"key": r"HKLM\SYSTEM\CurrentControlSet\Control\TimeZoneInformation", "name": "ActiveTimeBias"}
#: GUIDs of the plans that every Windows has (learn.microsoft.com, power policy settings).
PLANS = {
    "balanced": "381b4222-f694-41f0-9685-ff5bb260df2e",
    "high_performance": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c",
    "power_saver": "a1841308-3541-4fab-bc81-f71556f20b4a",
}
#: Above high performance; who has it wants no less.
_ULTIMATE = "e9a42b02-d5df-448d-aa00-03f14749eb61"
#: What Windows counts as waiting for a start, and other programs put there all the time.
_NO_REASON = ("files",)
_RESTARTS = ("DeviceGuard",)
#: What is as wanted only once Windows has started anew.
_LATER = ("features", "role", "pagefile")
#: The name of a registry value's note.
_REGISTRY = re.compile(r"registry\|HK[A-Z_]+\\[^|]+\|")
#: The value with the notes, and the one that is there while a change waits for Windows' next start.
NOTES, WAITING = "changes", "restart"
#: The host's start is told from its uptime, which is read some seconds after its clock.
_SAME_START_SECONDS = 120


def asked(wanted: Mapping[str, Any]) -> list[Json]:
    """The registry values that host_info is asked for: those that are wanted, and the notes."""
    return [*({"key": row["key"], "name": row["name"]} for row in wanted["registry"]), *_always(wanted)]


def asked_again(wanted: Mapping[str, Any], noted: str) -> list[Json]:
    """The same for giving back: what the notes name, whatever is wanted now. ``noted``: the notes as they stand in the registry."""
    names = [name.split("|", 2)[1:] for name in _read(noted) if _REGISTRY.match(name)]
    return [*(dict(zip(("key", "name"), pair, strict=True)) for pair in names), *_always(wanted)]


def _always(wanted: Mapping[str, Any]) -> list[Json]:
    return [*({"key": wanted["notes"], "name": name} for name in (NOTES, WAITING)), BIAS]


def _note_of(row: Mapping[str, Any]) -> str:
    return f"registry|{row['key']}|{row['name']}"


def work(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    """What is to be done, by area; ``left``: in words; ``logon``: whether nobody is logged on who shall be; ``untold``: what is wanted and can be neither
    seen nor done, in words. ``waiting`` is noted before all changes, ``told`` once Windows was told of features, which change with its next start.

    Where ``wanted.state`` is absent, what is to be given back.
    """
    found: Json = {
        "registry": [], "features": [], "role": False, "power_plan": "", "service": "", "time_zone": "", "pagefile": {}, "autologon": False,
        "rule": False, "notes": "", "waiting": "", "later": [], "logon": _waits_for_logon(look, wanted), "restart": "", "hold": "", "left": [],
        "untold": _untold(look, wanted), "told": "",
    }  # fmt: skip
    notes, waiting, back = _value_of(look, wanted, NOTES), _value_of(look, wanted, WAITING), wanted["state"] == "absent"
    kept = dict(notes)
    becoming = _as_it_becomes(look, notes, waiting, back)
    for area, value, fresh, text in _giving_back(becoming, wanted, notes) if back else _changes(becoming, wanted):
        if isinstance(found[area], list):
            found[area].append(value)
        else:
            found[area] = value
        found["left"].append(text)
        if area in _LATER:
            found["later"].append(text)
        for name, note in fresh.items():
            kept[name] = _noted(kept.get(name), note)
    found["restart"] = _restart(look, wanted, found, waiting)
    found["hold"] = _hold(look, wanted) if found["restart"] else ""
    if found["logon"] and not found["hold"] and not found["autologon"]:
        # Whoever logs on automatically and is not there may have a wrong password, which Windows tells nobody: it is set anew.
        found["autologon"] = True
        found["left"].append("automatic logon")
    telling, began = bool(found["features"] or found["role"]), {"began": _started(look)}
    if found["restart"] and found["left"] and (telling or not _is_waiting(look, waiting)):
        found["waiting"] = json.dumps({"start": began if telling else {**began, "becoming": back}})
    if telling:
        found["told"] = json.dumps({"start": {**began, "becoming": back}})
    if kept != notes:
        found["notes"] = json.dumps(kept)
    return found


def _as_it_becomes(look: Mapping[str, Any], notes: Mapping[str, Json], waiting: Mapping[str, Json], back: bool) -> Mapping[str, Any]:
    """The same look with features as Windows was told to have them from its next start on: off, or on again. Where that is not known, since a run was cut
    off meanwhile, as they are not wanted: so Windows is told once more."""
    if not _is_waiting(look, waiting):
        return look
    told = waiting["start"].get("becoming")
    becoming = told if isinstance(told, bool) else not back
    noted = [name.split("|", 1)[1] for name in notes if name.startswith("feature|")]
    return {**look, "features": {**look["features"], **dict.fromkeys(noted, becoming)}}


def _value_of(look: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> dict[str, Json]:
    """What an earlier run wrote there."""
    key = str(wanted["notes"]).lower()
    rows = (row for row in look["registry"] if (str(row["key"]).lower(), row["name"]) == (key, name) and row["exists"])
    return _read(next((row["data"] for row in rows), ""))


def _read(text: object) -> dict[str, Json]:
    """Notes out of their text. One that cannot be read is as good as none: nothing is given back by it."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return {name: note for name, note in found.items() if isinstance(note, dict)} if isinstance(found, dict) else {}


def _noted(known: Mapping[str, Any] | None, fresh: Mapping[str, Any]) -> Json:
    """A note that is there keeps what was at first, and learns what is set now."""
    note = {**fresh, **(known or {})}
    if "set" in fresh:
        earlier = _tried(known or {})
        note["set"] = earlier if fresh["set"] in earlier else [*earlier, fresh["set"]]
    return note


def _tried(note: Mapping[str, Any]) -> list[Any]:
    """All that was set since the note was begun."""
    found = note.get("set")
    return found if isinstance(found, list) else []


#: Area of the work, its value, the notes (by name, what was and what is set), and the same for people.
_Step = tuple[str, Any, Mapping[str, Json], str]


def _changes(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[_Step]:
    there = {(str(row["key"]).lower(), str(row["name"]).lower()): row for row in look["registry"]}
    for row in wanted["registry"]:
        seen = there[str(row["key"]).lower(), str(row["name"]).lower()]
        data = _data(row)
        if not seen["exists"] or seen["kind"] != _kind(data) or str(seen["data"]) != str(data):
            was = {"kind": seen["kind"], "data": seen["data"]} if seen["exists"] else None if seen["exists"] is False else "unknown"
            yield (
                "registry",
                _value(row["key"], row["name"], data),
                {_note_of(row): {"was": was, "set": data}},
                f"{row['name']}",
            )
    if wanted["hypervisor"] == "off":
        for name in _on(look, wanted["features"]):
            # Its parts go with it, and do not come back by themselves.
            gone = (name, *_on(look, wanted["parts"].get(name, ())))
            yield "features", name, {_feature(one): {"was": True} for one in gone}, f"feature {name}"
        for name in _on(look, [wanted["role"]]):
            yield "role", True, {_feature(name): {"was": True}}, f"role {name}"
    yield from _plain_changes(look, wanted)


def _feature(name: str) -> str:
    """The name of its note."""
    return f"feature|{name}"


def _on(look: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [name for name in names if look["features"].get(name)]


#: Of Hyper-V's parts, those that bring the hypervisor; its tools may be there without it, as on a server that manages others.
_BEARING = ("Microsoft-Hyper-V", "Microsoft-Hyper-V-Hypervisor")


def _untold(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Of a hypervisor that shall go. Each Windows that runs LDPlayer knows one of the features at least, whatever its edition."""
    if wanted["state"] == "absent" or wanted["hypervisor"] != "off":
        return []
    removable = (*wanted["features"], wanted["role"])
    if all(look["features"].get(name) is None for name in removable):
        return ["Windows tells nothing of its features"]
    left = [] if _on(look, removable) else _on(look, _BEARING)
    return [f"the feature {name} is on, and Windows tells of no other that it goes with" for name in left]


def _plain_changes(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[_Step]:
    plan, zone = PLANS.get(wanted["power_plan"], ""), wanted["time_zone"]
    was = look["power_plan"]["guid"]
    enough = (plan, _ULTIMATE) if wanted["power_plan"] == "high_performance" else (plan,)
    if plan and str(was).strip("{}").lower() not in enough:
        yield "power_plan", plan, {"power_plan": {"was": was, "set": plan}}, "power plan"
    service = look["services"].get("W32Time") or {}
    # Whether it runs says nothing: where there is no domain, Windows starts it when it is needed (Microsoft's KB 2385818).
    if wanted["time_service"] and service.get("start") not in ("auto", "delayed"):
        yield "service", "auto", {"service": {"was": service.get("start"), "set": "auto"}}, "time service"
    if zone and look["time_zone"] != zone:
        yield "time_zone", zone, {"time_zone": {"was": look["time_zone"], "set": zone}}, "time zone"
    if wanted["pagefile"] and not _has_pagefile(look["pagefile"], wanted["pagefile"]):
        sizes = dict(wanted["pagefile"])
        yield "pagefile", sizes, {"pagefile": {"was": look["pagefile"], "set": sizes}}, "page file"
    logon = look["facts"]["autologon"]
    # win_auto_logon takes a password in clear and a count of starts out of the registry, too.
    lasts = logon["enabled"] and not logon["password_in_registry"] and not logon["limited"]
    if wanted["autologon_user"] and not (lasts and _is_user(logon, wanted["autologon_user"])):
        was = logon["user"] if logon["enabled"] else ""
        yield "autologon", True, {"autologon": {"was": was, "set": _account(wanted["autologon_user"])}}, "automatic logon"
    if wanted["close_adb_ports"] and not any(_closes(rule, wanted) for rule in look["firewall_rules"] or ()):
        yield "rule", True, {"rule": {"was": None}}, f"firewall rule {wanted['rule']}"


def _account(name: object) -> str:
    return str(name or "").rpartition("\\")[2].lower()


def _is_user(logon: Mapping[str, Any], name: str) -> bool:
    """Whether automatic logon is that of ``name``: a name alone, or with the domain or machine before it."""
    domain = name.rpartition("\\")[0].lower()
    return _account(logon["user"]) == _account(name) and domain in ("", ".", str(logon["domain"] or "").lower())


def _closes(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    ports = {port.strip() for port in str(wanted["ports"]).split(",")}
    return (
        bool(rule["enabled"])
        and rule["action"] == "block"
        and rule["direction"] == "in"
        and rule["protocol"] == "tcp"
        and not rule["remote_addresses"]
        and set(map(str, rule["local_ports"] or ())) == ports
    )


def _has_pagefile(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return not there["automatic"] and any(
        str(file["path"]).lower().startswith(f"{str(wanted['drive'])[:1].lower()}:")
        and (file["initial_mib"], file["maximum_mib"]) == (int(wanted["initial"]), int(wanted["maximum"]))
        for file in there["files"] or ()
    )


def _has_only_pagefile(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return _has_pagefile(there, wanted) and len(there["files"] or ()) == 1


def _data(row: Mapping[str, Any]) -> Any:
    """A value that is wanted. What is filled in where the roles are read is a text up to ansible-core 2.18, so a row may say that it is a DWORD."""
    return int(row["data"]) if row.get("kind") == "dword" else row["data"]


def _kind(data: Any) -> str:
    """A whole number is a DWORD."""
    return "dword" if isinstance(data, int) and not isinstance(data, bool) else "string"


def _value(key: str, name: str, data: Any, kind: str | None = None) -> Json:
    """In the words of win_regedit."""
    kinds = {
        "string": "string",
        "expand_string": "expandstring",
        "dword": "dword",
        "qword": "qword",
        "multi_string": "multistring",
        "binary": "binary",
    }
    return {
        "path": re.sub(r"\A(HK\w+)\\", r"\1:\\", str(key)),
        "name": name,
        "data": data,
        "type": kinds.get(kind or "", _kind(data)),
    }


# ---- giving back ----------------------------------------------------------------------------------------------------------------------
def _giving_back(look: Mapping[str, Any], wanted: Mapping[str, Any], notes: Mapping[str, Json]) -> Iterator[_Step]:
    """What is still as the role left it."""
    there = {(str(row["key"]).lower(), str(row["name"]).lower()): row for row in look["registry"]}
    for name, note in sorted(notes.items()):
        if _REGISTRY.match(name):
            _, key, value = name.split("|", 2)
            seen = there.get((key.lower(), value.lower()))
            ours = seen is not None and seen["exists"] and str(seen["data"]) in map(str, _tried(note))
            was = note.get("was", "unknown")
            if ours and (was is None or (isinstance(was, dict) and {"kind", "data"} <= set(was))):
                yield "registry", _restored(key, value, was), {}, value
        elif name.startswith("feature|"):
            feature = name.split("|", 1)[1]
            if look["features"].get(feature) is False:
                yield ("role", True, {}, feature) if feature == wanted["role"] else ("features", feature, {}, feature)
    yield from _plain_back(look, wanted, notes)


def _restored(key: str, name: str, was: Mapping[str, Any] | None) -> Json:
    return (
        {**_value(key, name, None), "state": "absent"}
        if was is None
        else {**_value(key, name, was["data"], was["kind"]), "state": "present"}
    )


def _plain_back(look: Mapping[str, Any], wanted: Mapping[str, Any], notes: Mapping[str, Json]) -> Iterator[_Step]:
    plan, zone, service = (_first(notes, name) for name in ("power_plan", "time_zone", "service"))
    if plan and look["power_plan"]["guid"] in _tried(notes["power_plan"]):
        yield "power_plan", plan, {}, "power plan"
    if zone and look["time_zone"] in _tried(notes["time_zone"]):
        yield "time_zone", zone, {}, "time zone"
    now = (look["services"].get("W32Time") or {}).get("start")
    if service and now != service and ("auto" if now == "delayed" else now) in _tried(notes["service"]):
        yield "service", service, {}, "time service"
    pages = notes.get("pagefile", {}).get("was")
    ours = [one for one in _tried(notes.get("pagefile", {})) if isinstance(one, dict) and {"drive", "initial", "maximum"} <= set(one)]
    if isinstance(pages, dict) and pages.get("automatic") and any(_has_only_pagefile(look["pagefile"], one) for one in ours):
        drives = [str(file["path"])[:1].upper() for file in look["pagefile"]["files"] or ()]
        yield "pagefile", {"drives": drives}, {}, "page file"
    logon = look["facts"]["autologon"]
    if notes.get("autologon", {}).get("was") == "" and logon["enabled"] and _account(logon["user"]) in _tried(notes["autologon"]):
        yield "autologon", True, {}, "automatic logon"
    if "rule" in notes and any(_closes(rule, wanted) for rule in look["firewall_rules"] or ()):
        yield "rule", True, {}, f"firewall rule {wanted['rule']}"


def _first(notes: Mapping[str, Json], name: str) -> str:
    """What was there at first, where that is a text."""
    was = notes.get(name, {}).get("was")
    return was if isinstance(was, str) else ""


# ---- starting anew --------------------------------------------------------------------------------------------------------------------
def _restart(look: Mapping[str, Any], wanted: Mapping[str, Any], found: Mapping[str, Any], waiting: Mapping[str, Json]) -> str:
    """Why Windows must start anew, or nothing."""
    if found["features"] or found["role"]:
        return "features change with the next start"
    if any(word in row["path"] for row in found["registry"] for word in _RESTARTS):
        return "VBS changes with the next start"
    if found["pagefile"]:
        return "the page file changes with the next start"
    if found["logon"]:
        return f"{wanted['autologon_user']} is logged on with the next start"
    if _is_waiting(look, waiting):
        return "what an earlier run changed waits for a start"
    if wanted["state"] == "absent":
        return ""
    pending = [str(reason) for reason in look["facts"]["windows"]["reboot_pending"] or () if reason not in _NO_REASON]
    return f"Windows waits for it ({', '.join(pending)})" if pending else ""


def _is_waiting(look: Mapping[str, Any], waiting: Mapping[str, Json]) -> bool:
    """Whether Windows still runs since before a change that acts from its next start on."""
    began = waiting.get("start", {}).get("began")
    return "start" in waiting and began == _started(look, began)


def _waits_for_logon(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Not where Windows does not tell: somebody may be there."""
    sessions = look["facts"]["sessions"]
    return bool(wanted["state"] != "absent" and wanted["autologon_user"] and not sessions["console_user"] and sessions["desktops"] == [])


def _started(look: Mapping[str, Any], known: Any = None) -> int | None:
    """When the host started (Unix seconds); the one that is known where it is the same start."""
    uptime, now = look["facts"]["windows"]["uptime_seconds"], look["agent"]["time"]
    if uptime is None or now is None:
        return None
    started = round(_clock(now).timestamp() - uptime)
    return known if isinstance(known, int) and abs(known - started) <= _SAME_START_SECONDS else started


def _clock(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _hold(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Why it may not start anew now, or nothing."""
    if wanted["reboot"] == "never":
        return "windows_reboot is never"
    if not wanted["window"]:
        return ""
    bias = next((row["data"] for row in look["registry"] if row["name"] == BIAS["name"] and row["exists"]), None)
    if not isinstance(bias, int) or look["agent"]["time"] is None:
        return "the host's own clock could not be told"
    local = _clock(look["agent"]["time"]) - timedelta(minutes=bias - 2**32 if bias >= 2**31 else bias)
    first, last = (int(hour) * 60 + int(minute) for hour, minute in (part.split(":") for part in wanted["window"].split("-")))
    minutes = (local.hour * 60 + local.minute - first) % (24 * 60)
    return "" if minutes < (last - first) % (24 * 60) else f"it is {local:%H:%M} there, and windows_reboot_window is {wanted['window']}"
