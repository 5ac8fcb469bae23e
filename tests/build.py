"""Builds the values that tests of the pure rooms start from. No product rule is repeated here: configs come from a captured file's shape."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import ownership
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.observed import Observation, observation
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.ownership import Origin, Owned
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.fleet import Fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.look import Look, Member
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import HostFacts, Problem, Reply, Result
from rig import SPECS

#: What a reply tells of its host, as it stands on the wire.
HOST = {
    "name": "WS",
    "time_ms": 1,
    "acp": 936,
    "oemcp": 936,
    "powershell": "5.1",
    "programdata": "C:\\ProgramData",
    "place": "desktop",
    "desktop_user": "WS\\player",
}
INSTALL = "C:\\LDPlayer\\LDPlayer9"
STATES = {"stopped": (0, -1, -1), "changing": (2, 4242, -1), "running": (1, 4242, 4243)}
KEYS = {
    "cpu": "advancedSettings.cpuCount",
    "memory": "advancedSettings.memorySize",
    "adb": "basicSettings.adbDebug",
    "fps": "basicSettings.fps",
    "root": "basicSettings.rootMode",
    "model": "propertySettings.phoneModel",
    "imei": "propertySettings.phoneIMEI",
    "mac": "propertySettings.macAddress",
}


def encoded(data: bytes) -> str:
    """Base64 as it stands in a reply."""
    return base64.b64encode(data).decode()


def file(name: str, data: bytes) -> dict[str, Any]:
    """One file of a `read` result."""
    return {"name": name, "size": len(data), "modified_ms": 0, "sha256": hashlib.sha256(data).hexdigest(), "data": encoded(data)}


def facts(acp: int = 1252) -> HostFacts:
    """What a reply tells of the host WS-01."""
    return HostFacts("WS-01", 1_800_000_000_000, acp, 437 if acp == 1252 else acp, "5.1", "C:\\ProgramData", "desktop", "WS-01\\player")


def reply(
    list2: bytes, configs: Sequence[dict[str, Any]] = (), records: Sequence[Owned] = (), acp: int = 1252, list2_error: str | None = None
) -> Reply:
    """The reply to a look."""
    list2_error = list2_error or (None if list2 else "Deadline")  # what `until` says of an output that never came
    problem = {"error": {"code": list2_error, "message": ""}} if list2_error else {}
    listed = {"id": "list2", "status": "failed" if list2_error else "ok", "exit": 0, "stdout": encoded(list2), **problem}
    owned = [file(f"{record.key}.json", record.data()) for record in records]
    return Reply(
        "0" * 32,
        facts(acp),
        {
            "ld": Result("ld", "ok", {"path": INSTALL, "free_bytes": 10**12}),
            "list2": _result(listed),
            "configs": Result("configs", "ok", {"exists": True, "files": list(configs)}),
            "owned": Result("owned", "ok", {"exists": bool(owned), "files": owned}),
        },
    )


def _result(item: dict[str, Any]) -> Result:
    error = item.pop("error", None)
    return Result(item.pop("id"), item.pop("status"), item, Problem(**error) if error else None)


def seen(emulators: Sequence[Mapping[str, Any]], acp: int = 1252) -> Observation:
    """A host from short words: name, state, owned, origin, protect, resume, config (text instead of a good one, or null for none), and settings."""
    rows, configs, records = [], [], []
    for index, emulator in enumerate(emulators):
        state, pid, vm = STATES[emulator.get("state", "stopped")]
        name = emulator["name"]
        rows.append(f"{index},{name},0,0,{state},{pid},{vm},960,540,160\r\n")
        data = config_text(emulator).encode() if "config" not in emulator else (emulator["config"] or "").encode()
        if emulator.get("config", "") is not None:
            configs.append(file(f"leidian{index}.config", data))
        if emulator.get("owned", True):
            protect, resume = bool(emulator.get("protect")), bool(emulator.get("resume"))
            records.append(Owned(name, INSTALL, Origin(emulator.get("origin", "created")), protect, resume, 1))
    return observation(reply("".join(rows).encode(f"cp{acp}"), configs, records, acp), ANYWHERE)


def config_text(emulator: Mapping[str, Any]) -> str:
    """A config with the settings given, and a key that ldfleet does not know."""
    values: dict[str, Any] = {"basicSettings.left": 7, "statusSettings.playerName": emulator["name"]}
    for option, key in KEYS.items():
        if option in emulator:
            values[key] = {"off": 0, "local": 1}.get(emulator[option], emulator[option])
    return json.dumps(values, indent=4).replace("\n", "\r\n")


def words(said: Mapping[str, Any]) -> dict[str, Any]:
    """A fleet file's words."""
    return {"plugin": "ldfleet.ldplayer.fleet", **said}


def fleet(said: Mapping[str, Any]) -> Fleet:
    """A fleet from its file's words. Raises BadOptions."""
    return decision.fleet(words(said), *SPECS)


def looks(hosts: Mapping[str, Any]) -> dict[str, Look]:
    """What hosts told, from short words: text is why one gave no answer; a list are its emulators, of which a title alone is owned and runs."""
    return {name: _look(told) for name, told in hosts.items()}


def _look(told: Any) -> Look:
    if isinstance(told, str):
        return Look(problem=told)
    more = {"members": told} if isinstance(told, list) else told
    members = [_member({"name": item} if isinstance(item, str) else item) for item in more.get("members", ())]
    options = {name: value for name, value in more.items() if name not in ("members", "free_gib")}
    return Look({member.title: member for member in members}, free_bytes=more.get("free_gib", 100) * 1024**3, digest="d", **options)


def _member(told: Mapping[str, Any]) -> Member:
    up = told.get("up", True)
    more = {name: value for name, value in told.items() if name not in ("name", "up", "steps")}
    return Member(told["name"], up=up, **{"available": up, **more}, steps=tuple(told.get("steps", ())))


__all__ = ["INSTALL", "SPECS", "config_text", "encoded", "facts", "file", "fleet", "looks", "ownership", "reply", "seen", "words"]
