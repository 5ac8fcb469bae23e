# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role windows has to do on a host: what host_info told and what is wanted in, the work out. Pure.

Each change is noted on the host before it is made, as what was there and what is set, so that it can be given back where nobody changed it since.
What could not be told (null) is set as wanted, and noted as unknown: then it stays when the rest is given back.
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
_RESTARTS = ("DeviceGuard",)
_SINGLES = ("power_plan", "service", "time_zone", "pagefile", "autologon", "rule", "restart")
#: The host's start is told from its uptime, which is read some seconds after its clock.
_SAME_START_SECONDS = 120


def asked(wanted: Mapping[str, Any]) -> list[Json]:
    """The registry values that host_info is asked for: those that are wanted, and the notes of all that may have been changed."""
    names = [*_SINGLES, *(f"feature|{name}" for name in _features(wanted)), *map(_note_of, wanted["registry"])]
    return [*({"key": row["key"], "name": row["name"]} for row in wanted["registry"]), *_rows(wanted, names), BIAS]


def asked_again(wanted: Mapping[str, Any], noted: Mapping[str, Any]) -> list[Json]:
    """The same for giving back: what the notes name, whatever is wanted now. ``noted``: the properties that win_reg_stat returned."""
    values = [dict(zip(("key", "name"), name.split("|", 2)[1:], strict=True)) for name in noted if name.startswith("registry|")]
    return [*values, *_rows(wanted, noted), BIAS]


def _rows(wanted: Mapping[str, Any], names: Iterable[str]) -> list[Json]:
    return [{"key": wanted["notes"], "name": name} for name in names]


def _note_of(row: Mapping[str, Any]) -> str:
    return f"registry|{row['key']}|{row['name']}"


def _features(wanted: Mapping[str, Any]) -> list[str]:
    return [*wanted["features"], wanted["role"]]


def work(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    """What is to be done, by area; ``left``: in words; ``logon``: whether nobody is logged on who shall be.

    Where ``wanted.state`` is absent, what is to be given back.
    """
    found: Json = {
        "registry": [], "features": [], "role": False, "power_plan": "", "service": "", "time_zone": "", "pagefile": {}, "autologon": False,
        "rule": False, "notes": [], "logon": _waits_for_logon(look, wanted), "restart": "", "hold": "", "left": [],
    }  # fmt: skip
    notes = _notes(look, wanted)
    steps = list(_giving_back(look, wanted, notes) if wanted["state"] == "absent" else _changes(look, wanted))
    for area, value, note, text in steps:
        if isinstance(found[area], list):
            found[area].append(value)
        else:
            found[area] = value
        found["left"].append(text)
        if note is not None and note[0] not in notes:
            found["notes"].append({"name": note[0], "data": json.dumps(note[1])})
    found["restart"] = _restart(look, wanted, found, notes)
    found["hold"] = _hold(look, wanted) if found["restart"] else ""
    if found["logon"] and not found["hold"] and not found["autologon"]:
        # Whoever logs on automatically and is not there may have a wrong password, which Windows tells nobody: it is set anew.
        found["autologon"] = True
        found["left"].append("automatic logon")
    if found["restart"] and found["left"] and wanted["state"] != "absent" and "restart" not in notes:
        found["notes"].append({"name": "restart", "data": json.dumps({"started": _started(look)})})
    return found


def _notes(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Json]:
    """What earlier runs noted. A note that cannot be read is as good as none: nothing is given back by it."""
    notes = {}
    for row in look["registry"]:
        if str(row["key"]).lower() == str(wanted["notes"]).lower() and row["exists"]:
            try:
                found = json.loads(row["data"])
            except (TypeError, ValueError):
                found = {}
            notes[str(row["name"])] = found if isinstance(found, dict) else {}
    return notes


#: Area of the work, its value, the note (name, and what was and what is set; None for none), and the same for people.
_Step = tuple[str, Any, tuple[str, Json] | None, str]


def _changes(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[_Step]:
    there = {(str(row["key"]).lower(), str(row["name"]).lower()): row for row in look["registry"]}
    for row in wanted["registry"]:
        seen = there[str(row["key"]).lower(), str(row["name"]).lower()]
        if not seen["exists"] or str(seen["data"]) != str(row["data"]):
            was = {"kind": seen["kind"], "data": seen["data"]} if seen["exists"] else None if seen["exists"] is False else "unknown"
            yield (
                "registry",
                _value(row["key"], row["name"], row["data"]),
                (_note_of(row), {"was": was, "set": row["data"]}),
                f"{row['name']}",
            )
    if wanted["hypervisor"] == "off":
        for name in wanted["features"]:
            if look["features"].get(name):
                yield "features", name, (f"feature|{name}", {"was": True}), f"feature {name}"
        if look["features"].get(wanted["role"]):
            yield "role", True, (f"feature|{wanted['role']}", {"was": True}), f"role {wanted['role']}"
    yield from _plain_changes(look, wanted)


def _plain_changes(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[_Step]:
    plan, zone = PLANS.get(wanted["power_plan"], ""), wanted["time_zone"]
    was = look["power_plan"]["guid"]
    if plan and str(was).strip("{}").lower() != plan:
        yield "power_plan", plan, ("power_plan", {"was": was, "set": plan}), "power plan"
    service = look["services"].get("W32Time") or {}
    if wanted["time_service"] and not (service.get("running") and service.get("start") in ("auto", "delayed")):
        yield "service", "auto", ("service", {"was": service.get("start"), "running": service.get("running")}), "time service"
    if zone and look["time_zone"] != zone:
        yield "time_zone", zone, ("time_zone", {"was": look["time_zone"], "set": zone}), "time zone"
    if wanted["pagefile"] and not _has_pagefile(look["pagefile"], wanted["pagefile"]):
        yield "pagefile", dict(wanted["pagefile"]), ("pagefile", {"was": look["pagefile"]}), "page file"
    logon = look["facts"]["autologon"]
    if wanted["autologon_user"] and not (logon["enabled"] and _account(logon["user"]) == _account(wanted["autologon_user"])):
        yield "autologon", True, ("autologon", {"was": logon["user"] if logon["enabled"] else ""}), "automatic logon"
    if wanted["close_adb_ports"] and not any(_closes(rule, wanted) for rule in look["firewall_rules"] or ()):
        yield "rule", True, ("rule", {"was": None}), f"firewall rule {wanted['rule']}"


def _account(name: object) -> str:
    return str(name or "").rpartition("\\")[2].lower()


def _closes(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    ports = {port.strip() for port in str(wanted["ports"]).split(",")}
    return (
        bool(rule["enabled"])
        and rule["action"] == "block"
        and rule["direction"] == "in"
        and set(map(str, rule["local_ports"] or ())) == ports
    )


def _has_pagefile(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return not there["automatic"] and any(
        str(file["path"]).lower().startswith(f"{str(wanted['drive'])[:1].lower()}:")
        and (file["initial_mib"], file["maximum_mib"]) == (int(wanted["initial"]), int(wanted["maximum"]))
        for file in there["files"] or ()
    )


def _value(key: str, name: str, data: Any, kind: str | None = None) -> Json:
    """In the words of win_regedit. A whole number is a DWORD."""
    kinds = {
        "string": "string",
        "expand_string": "expandstring",
        "dword": "dword",
        "qword": "qword",
        "multi_string": "multistring",
        "binary": "binary",
    }
    number = isinstance(data, int) and not isinstance(data, bool)
    return {
        "path": re.sub(r"\A(HK\w+)\\", r"\1:\\", str(key)),
        "name": name,
        "data": data,
        "type": kinds.get(kind or "", "dword" if number else "string"),
    }


# ---- giving back ----------------------------------------------------------------------------------------------------------------------
def _giving_back(look: Mapping[str, Any], wanted: Mapping[str, Any], notes: Mapping[str, Json]) -> Iterator[_Step]:
    """What is still as the role left it."""
    there = {(str(row["key"]).lower(), str(row["name"]).lower()): row for row in look["registry"]}
    for name, note in sorted(notes.items()):
        if name.startswith("registry|"):
            _, key, value = name.split("|", 2)
            seen = there.get((key.lower(), value.lower()))
            if seen and seen["exists"] and str(seen["data"]) == str(note.get("set")) and note.get("was") != "unknown":
                yield "registry", _restored(key, value, note.get("was")), None, value
        elif name.startswith("feature|"):
            feature = name.split("|", 1)[1]
            if look["features"].get(feature) is False:
                yield ("role", True, None, feature) if feature == wanted["role"] else ("features", feature, None, feature)
    yield from _plain_back(look, wanted, notes)


def _restored(key: str, name: str, was: Mapping[str, Any] | None) -> Json:
    return (
        {**_value(key, name, None), "state": "absent"}
        if was is None
        else {**_value(key, name, was["data"], was["kind"]), "state": "present"}
    )


def _plain_back(look: Mapping[str, Any], wanted: Mapping[str, Any], notes: Mapping[str, Json]) -> Iterator[_Step]:
    plan, zone, service = (notes.get(name, {}) for name in ("power_plan", "time_zone", "service"))
    if plan.get("was") and look["power_plan"]["guid"] == plan.get("set"):
        yield "power_plan", plan["was"], None, "power plan"
    if zone.get("was") and look["time_zone"] == zone.get("set"):
        yield "time_zone", zone["was"], None, "time zone"
    if service.get("was") and (look["services"].get("W32Time") or {}).get("start") != service["was"]:
        yield "service", service["was"], None, "time service"
    if (notes.get("pagefile", {}).get("was") or {}).get("automatic") and look["pagefile"]["automatic"] is False:
        drives = [str(file["path"])[:1].upper() for file in look["pagefile"]["files"] or ()]
        yield "pagefile", {"drives": drives}, None, "page file"
    if notes.get("autologon", {}).get("was") == "" and look["facts"]["autologon"]["enabled"]:
        yield "autologon", True, None, "automatic logon"
    if "rule" in notes and any(_closes(rule, wanted) for rule in look["firewall_rules"] or ()):
        yield "rule", True, None, f"firewall rule {wanted['rule']}"


# ---- starting anew --------------------------------------------------------------------------------------------------------------------
def _restart(look: Mapping[str, Any], wanted: Mapping[str, Any], found: Mapping[str, Any], notes: Mapping[str, Json]) -> str:
    """Why Windows must start anew, or nothing."""
    if found["features"] or found["role"]:
        return "features change with the next start"
    if any(word in row["path"] for row in found["registry"] for word in _RESTARTS):
        return "VBS changes with the next start"
    if found["pagefile"]:
        return "the page file changes with the next start"
    if wanted["state"] == "absent":
        return ""
    if found["logon"]:
        return f"{wanted['autologon_user']} is logged on with the next start"
    noted = notes.get("restart")
    if noted is not None and noted.get("started") == _started(look, noted.get("started")):
        return "what an earlier run changed waits for a start"
    waiting = look["facts"]["windows"]["reboot_pending"]
    return f"Windows waits for it ({', '.join(map(str, waiting))})" if waiting else ""


def _waits_for_logon(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    sessions = look["facts"]["sessions"]
    return bool(wanted["state"] != "absent" and wanted["autologon_user"] and not sessions["console_user"] and not sessions["desktops"])


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
