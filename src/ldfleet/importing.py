"""From what hosts have to words of a fleet file: what all emulators share, profiles of what several share, and the rest by emulator. Pure."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .plans import Host

#: What tells one phone from another is nobody's profile, and stays as it is on each.
_OWN = frozenset({"imei", "imsi", "sim_serial", "android_id", "mac", "phone_number", "network_address"})

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Imported:
    """``left``: emulators that are not named, each with the reason."""

    defaults: Settings = field(default_factory=dict)
    profiles: Mapping[str, Settings] = field(default_factory=dict)
    entries: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many emulators are named."""
        return sum(map(len, self.entries.values()))


def imported(hosts: Mapping[str, Host], pattern: str, taken: Mapping[str, Collection[str]], profiles: Collection[str]) -> Imported:
    """``pattern``: of titles (``*`` and ``?``); ``taken``: titles that the file names already, by host; ``profiles``: names that are taken."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    left: list[str] = []
    for name, host in hosts.items():
        times = Counter(str(emulator["name"]) for emulator in host.emulators)
        for emulator in host.emulators:
            reason = _against(emulator, pattern, times, taken.get(name, ()))
            if reason is None:
                found.append((name, emulator))
            elif reason:
                left.append(f"{name}: {emulator['name']} {reason}")
    shared = _shared([emulator for _, emulator in found])
    groups: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for name, emulator in found:
        groups.setdefault(repr(sorted(_own(emulator, shared).items())), []).append((name, emulator))
    made: dict[str, Settings] = {}
    entries: dict[str, list[dict[str, Any]]] = {}
    for members in groups.values():
        settings = _own(members[0][1], shared)
        profile = _name(settings, {*profiles, *made}) if settings and len(members) > 1 else None
        if profile is not None:
            made[profile] = settings
        for where, emulator in members:
            more = {"profile": profile} if profile is not None else settings
            state = {"state": "running"} if emulator["state"] == "running" else {}
            entries.setdefault(where, []).append({"name": str(emulator["name"]), **more, **state})
    return Imported(shared, made, {name: entries[name] for name in hosts if name in entries}, tuple(left))


def _against(emulator: Mapping[str, Any], pattern: str, times: Counter[str], taken: Collection[str]) -> str | None:
    """Why an emulator is left out: empty where nobody asked for it, None where it is taken."""
    title = str(emulator["name"])
    if title in taken or not fnmatch.fnmatchcase(title, pattern):
        return ""
    if times[title] > 1:
        return "has a title that another one has too"
    return f"tells nothing of its settings ({emulator['settings_problem']})" if emulator.get("settings_problem") else None


def _told(emulator: Mapping[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in emulator["settings"].items() if option not in _OWN and value != ""}


def _shared(emulators: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings that all of them have alike."""
    if not emulators:
        return {}
    first = _told(emulators[0])
    return {option: value for option, value in first.items() if all(_told(other).get(option) == value for other in emulators)}


def _own(emulator: Mapping[str, Any], shared: Settings) -> dict[str, Any]:
    return {option: value for option, value in _told(emulator).items() if option not in shared}


def _name(settings: Settings, taken: Collection[str]) -> str:
    """A name that tells what the profile is about: ``cpu2-memory2048``."""
    words = [f"{option}{settings[option]}" for option in ("cpu", "memory") if option in settings] or ["profile"]
    name = "-".join(words)
    number = 2
    while name in taken:
        name = "-".join([*words, str(number)])
        number += 1
    return name
