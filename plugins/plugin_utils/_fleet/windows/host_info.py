# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module host_info: one batch that asks a Windows host everything (questions.py), and what came of it, as facts (host_facts.py) and findings
(findings.py). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..._host.batch import Reply
from ..._host.operations import Operation
from ..words import install
from ..words.install import Where
from . import findings, host_facts, questions
from .questions import Wanted, wanted


def ask(of: Wanted, where: Where, probe: str) -> list[Operation]:
    """The batch: LDPlayer is found as ever, and PowerShell runs the ``probe`` (the text of _probe.ps1)."""
    return [*install.survey(where), *questions.ask(of, probe)]


def result(of: Wanted, reply: Reply, began: float, ended: float) -> dict[str, Any]:
    """The module's result. ``began``, ``ended``: the controller's clock before and after the round trip, in Unix seconds."""
    told = questions.read(reply)
    facts = host_facts.facts(told, install.surveyed(reply), skew(reply.host.time_ms, began, ended))
    return {
        "changed": False,
        "facts": facts,
        "findings": findings.judged(facts),
        "unknown": [{"question": question, "reason": reason} for question, reason in sorted(told.reasons.items())],
        "registry": host_facts.registry(told, of.registry),
        "features": host_facts.features(told, of.features),
        "services": host_facts.services(told, of.services),
        "firewall_rules": host_facts.rules(told, of.firewall_rules),
        "pagefile": facts["pagefile"],
        "power_plan": {"guid": facts["power"]["plan"], "name": facts["power"]["name"]},
        "time_zone": facts["time"]["zone"],
        "agent": {
            "name": reply.host.name,
            "powershell": reply.host.powershell,
            "ansi_code_page": reply.host.acp,
            "oem_code_page": reply.host.oemcp,
            "time": _time(reply.host.time_ms),
        },
    }


def _time(time_ms: int) -> str | None:
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def skew(time_ms: int, began: float, ended: float) -> int:
    """Seconds by which the host's clock is ahead (below 0: behind), at the least: it was read at some moment between the two."""
    told = time_ms / 1000
    if began <= told <= ended:
        return 0
    return round(told - ended if told > ended else told - began)


__all__ = ["ask", "result", "skew", "wanted"]
