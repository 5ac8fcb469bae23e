"""Whether a simulated Windows lets a controller in at one of its doors: the service behind it, its listener, and the firewall. Values in, values out.

A change of the firewall's rules also ends what came in before it (learn.microsoft.com: ALE Reauthorization), so an answer needs the door as well.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

from .system import Rule, System

Door = Literal["http", "https", "ssh"]
_SSH_PORT = 22
#: Words of the firewall for addresses that loopback, from where all of a simulator's clients come, may be one of.
_ANYBODY = frozenset({"any", "localsubnet"})


def is_open(system: System, door: Door, client: str) -> bool:
    """Whether somebody at this address gets an answer there."""
    port = _port(system, door)
    return port is not None and _lets_in(system, port, client)


def _port(system: System, door: Door) -> int | None:
    """Where something listens, or None where nothing does."""
    service = system.services.get("sshd" if door == "ssh" else "WinRM")
    if service is None or not service.running:
        return None
    if door == "ssh":
        return _SSH_PORT
    listener = system.listeners.get(door.upper())
    return listener.port if listener is not None and listener.enabled else None


def _lets_in(system: System, port: int, client: str) -> bool:
    """A rule that blocks goes before those that allow; where none says anything, nobody comes in (learn.microsoft.com: Windows Firewall rules)."""
    if not any(system.firewall.values()):
        return True
    about = [rule for rule in system.rules.values() if rule.enabled and rule.direction == "in" and _is_about(rule, port, client)]
    return bool(about) and all(rule.action == "allow" for rule in about)


def _is_about(rule: Rule, port: int, client: str) -> bool:
    ports = not rule.local_ports or any(_within(text, port) for text in rule.local_ports)
    return (
        rule.protocol.lower() in ("tcp", "any")
        and ports
        and (not rule.remote_addresses or any(_is(a, client) for a in rule.remote_addresses))
    )


def _within(text: str, port: int) -> bool:
    first, _, last = text.partition("-")
    return first.isdigit() and int(first) <= port <= int(last or first)


def _is(text: str, client: str) -> bool:
    if text.lower() in _ANYBODY:
        return True
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
