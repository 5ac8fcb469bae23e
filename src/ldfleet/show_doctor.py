"""A checkup for a reader at a terminal: what is worst first, each finding once with the hosts that it is about. Words and layout only."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from .doctor import SEVERITIES, Checkup, Examined, Finding
from .show import block, counted, line, names_of, table_of

_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}
_CONTROLLER = "controller"


def checkup(of: Checkup, to: Console) -> None:
    """Findings, hosts with none, what is not known, the controller, and a summary."""
    _findings(of, to)
    for name, host in of.hosts.items():
        if host.problem:
            line(Text("error: ", "bold red") + Text(f"{name}: {host.problem}"), to)
        elif not host.holds:
            line(Text(f"{name}: ", "green") + Text(f"{_machine(host)}: nothing is in the way"), to)
    _unknown(of, to)
    _controller(of, to)
    line(Text(_summary(of), "bold"), to)


def _findings(of: Checkup, to: Console) -> None:
    """Equal findings of several hosts in one row."""
    rows: dict[tuple[Finding, int], list[str]] = {}
    held = [(_CONTROLLER, finding, -1) for finding in of.own]
    held += [(name, finding, place) for name, host in of.hosts.items() for place, finding in enumerate(host.findings) if finding.holds]
    for name, finding, place in held:
        rows.setdefault((finding, place), []).append(name)
    if not rows:
        return
    table = table_of("", "hosts", "finding, and what it costs", "cure")
    for (finding, _), names in sorted(rows.items(), key=lambda row: (SEVERITIES.index(row[0][0].severity), row[0][1])):
        told = Text(f"{finding.id}: {finding.found}.\n") + Text(f"{finding.consequence}.", "italic")
        table.add_row(Text(finding.severity, _STYLES[finding.severity]), escape(names_of(names)), told, Text(_cure(finding)))
    block(table, to)


def _cure(finding: Finding) -> str:
    return f"{finding.cure} (role {finding.role})" if finding.role else finding.cure


def _machine(host: Examined) -> str:
    """What a host is, in a few words."""
    facts = host.facts or {}
    windows, installs = facts.get("windows") or {}, facts.get("ldplayer") or ()
    players = [f"LDPlayer {one['build'] or one['ldplayer_version']}" for one in installs if one["console"]]
    return ", ".join([str(windows.get("caption") or "Windows"), *players])


def _unknown(of: Checkup, to: Console) -> None:
    """What could not be judged, each question once with its reason."""
    for (names, reasons), findings in _blind(of).items():
        why = "; ".join(reasons) or "the host did not tell"
        line(Text(f"? {names}: ", "magenta") + Text(f"not known whether {', '.join(findings)} ({why})"), to)


def _blind(of: Checkup) -> dict[tuple[str, tuple[str, ...]], tuple[str, ...]]:
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name, host in of.hosts.items():
        findings = tuple(finding.id for finding in host.findings if finding.status == "Unknown")
        if findings and host.unknown:
            alike.setdefault((tuple(f"{one['question']}: {one['reason']}" for one in host.unknown), findings), []).append(name)
    return {(names_of(names), reasons): findings for (reasons, findings), names in alike.items()}


def _controller(of: Checkup, to: Console) -> None:
    told = of.controller
    if not told:
        return
    used = told["collections"].get("ldfleet.ldplayer") or {"version": None, "path": None}
    windows = told["collections"].get("ansible.windows")
    words = [
        f"ansible-core {told['ansible_core']}", f"Python {told['python']}",
        *(f"{name} {version or 'not installed'}" for name, version in told["libraries"].items()),
        f"ansible.windows {windows['version'] if windows else 'not installed'}", f"ldfleet.ldplayer {used['version']} in {used['path']}",
    ]  # fmt: skip
    line(Text(f"{_CONTROLLER}: {', '.join(words)}", "dim"), to)


def _summary(of: Checkup) -> str:
    held = [finding for host in of.hosts.values() for finding in host.holds] + list(of.own)
    silent = sum(bool(host.problem) for host in of.hosts.values())
    counts = [f"{number} {severity}{'s' if number != 1 and severity != 'info' else ''}" for severity, number in _counts(held) if number]
    words = [counted(len(of.hosts), "host"), *([f"{silent} did not answer"] if silent else []), ", ".join(counts) or "nothing found"]
    return f"{': '.join([words[0], ', '.join(words[1:])])}."


def _counts(findings: Iterable[Finding]) -> list[tuple[str, int]]:
    each = [finding.severity for finding in findings]
    return [(severity, each.count(severity)) for severity in SEVERITIES]
