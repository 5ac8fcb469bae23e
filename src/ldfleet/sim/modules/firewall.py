"""community.windows.win_firewall_rule. It knows a rule by its display name, as the old COM interface does; the name of one that it makes is a GUID."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ..machine.system import Rule
from .options import Failed, Option, Spec
from .task import Double, Json, Task

_NUMBERS = {"tcp": 6, "udp": 17, "icmpv4": 1, "icmpv6": 58, "any": 256}
_PROFILES = {"domain": 1, "private": 2, "public": 4}
_UNPLAYED = ("interfacetypes", "edge", "security", "icmp_type_code")


def _listed(text: str) -> list[str]:
    return [] if text.lower() in ("any", "*") else [part.strip() for part in text.split(",")]


def _plain(text: str) -> str:
    return "" if text.lower() == "any" else text


def _profiles(names: list[str]) -> list[str]:
    wrong = next((name for name in names if str(name).lower() not in _PROFILES), None)
    if wrong is not None:
        raise Failed(f"Unknown profile '{wrong}'.")
    return [name for name in _PROFILES if name in {str(given).lower() for given in names}]


def _protocol(text: str) -> str:
    low = text.lower()
    if low not in _NUMBERS and not low.isdigit():
        raise Failed(f"Unknown protocol '{text}'.")
    return next((name for name, number in _NUMBERS.items() if str(number) == low), low)


def _same(value: Any) -> Any:
    return value


#: Option -> field of a rule, and what the option's text becomes there.
_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "description": ("description", str),
    "direction": ("direction", _same),
    "action": ("action", _same),
    "program": ("program", _plain),
    "group": ("group", str),
    "service": ("service", _plain),
    "enabled": ("enabled", _same),
    "profiles": ("profiles", _profiles),
    "localip": ("local_addresses", _listed),
    "remoteip": ("remote_addresses", _listed),
    "localport": ("local_ports", _listed),
    "remoteport": ("remote_ports", _listed),
    "protocol": ("protocol", _protocol),
}


def rule(task: Task) -> None:
    """win_firewall_rule."""
    rules, name, group = task.world.system.rules, task["name"], task["group"]
    if not name and not group:
        raise Failed("Either name or group must be specified")
    task.refuse(*_UNPLAYED)
    found = {own: old for own, old in rules.items() if (old.display == name if name else old.group == group)}
    lines: list[str] = []
    wished = {field: read(task[option]) for option, (field, read) in _FIELDS.items() if task[option] is not None}
    if task["state"] == "absent":
        _remove(task, found, lines)
    elif found:
        _change(task, found, wished, lines)
    elif name:
        # An unset protocol is any; an unset action of the COM object is to allow.
        made = Rule(**{"display": name, "protocol": "any", **wished})
        lines += [f"+[{name}]", *(f"+{prop}='{value}'" for prop, value in _told(made).items())]
        own = f"{{{str(uuid.uuid5(uuid.NAMESPACE_DNS, f'{task.world.name} {name}')).upper()}}}"
        task.change(lambda: rules.update({own: made}))
        task.result["msg"] = f"Firewall rule '{name}' created."
    task.diff = {"prepared": "".join(f"{line}\n" for line in lines)}


def _remove(task: Task, found: Mapping[str, Rule], lines: list[str]) -> None:
    rules = task.world.system.rules
    for own, old in found.items():
        lines += [f"-[{old.display}]", *(f"-{prop}='{value}'" for prop, value in _told(old).items())]
        task.change(lambda own=own: rules.pop(own))  # type: ignore[misc]
    names = "', '".join(old.display for old in found.values())
    absent = f"Firewall rule '{task['name']}' does not exist." if task["name"] else f"No firewall rules in group '{task['group']}' exist."
    task.result["msg"] = f"Firewall rule(s) '{names}' removed." if found else absent


def _change(task: Task, found: Mapping[str, Rule], wished: Json, lines: list[str]) -> None:
    changed: list[str] = []
    unchanged: list[str] = []
    for old in found.values():
        lines.append(f"[{old.display}]")
        differing = {field: value for field, value in wished.items() if not _equal(getattr(old, field), value)}
        (changed if differing else unchanged).append(old.display)
        if not differing:
            continue
        before, after = _told(old), _told(Rule(**{**asdict(old), **differing}))
        for prop in before:
            if before[prop] != after[prop]:
                lines += [f"-{prop}='{before[prop]}'", f"+{prop}='{after[prop]}'"]
        task.change(lambda old=old, differing=differing: old.__dict__.update(differing))  # type: ignore[misc]
    task.result["msg"] = f"Firewall rule(s) changed '{_quoted(changed)}' - unchanged '{_quoted(unchanged)}'"


def _quoted(names: list[str]) -> str:
    return "', '".join(names)


def _equal(old: Any, new: Any) -> bool:
    return set(old) == set(new) if isinstance(old, list) else bool(old == new)


def _told(rule: Rule) -> Json:
    """A rule's properties as the COM interface tells them."""
    number = _NUMBERS.get(rule.protocol, rule.protocol)
    profiles = sum(_PROFILES[name] for name in rule.profiles)
    return {
        "Description": rule.description,
        "Direction": 1 if rule.direction == "in" else 2,
        "Action": int(rule.action == "allow"),
        "ApplicationName": rule.program,
        "Grouping": rule.group,
        "ServiceName": rule.service,
        "Enabled": rule.enabled,
        "Profiles": 0x7FFFFFFF if profiles == sum(_PROFILES.values()) else profiles,
        "LocalAddresses": ",".join(rule.local_addresses) or "*",
        "RemoteAddresses": ",".join(rule.remote_addresses) or "*",
        "LocalPorts": ",".join(rule.local_ports) or "*",
        "RemotePorts": ",".join(rule.remote_ports) or "*",
        "Protocol": number,
        "InterfaceTypes": "All",
        "EdgeTraversalOptions": 0,
        "SecureFlags": 0,
        "IcmpTypesAndCodes": "",
    }


DOUBLES = {
    "community.windows.win_firewall_rule": Double(
        Spec(
            {
                "name": Option(),
                "state": Option(default="present", choices=("present", "absent")),
                "direction": Option(choices=("in", "out")),
                "action": Option(choices=("allow", "block")),
                "enabled": Option("bool", aliases=("enable",)),
                "profiles": Option("list", aliases=("profile",)),
                **{
                    name: Option()
                    for name in ("description", "program", "group", "service", "localip", "remoteip", "localport", "remoteport", "protocol")
                },
                **{name: Option("list" if name in ("interfacetypes", "icmp_type_code") else "str") for name in _UNPLAYED},
            },
            legacy=True,
        ),
        rule,
    )
}
