"""What a Windows host's answers come to: firewall rules that leave adb's ports open, and rules by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import findings, host_facts, questions
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import Installed
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import HostFacts, Reply, Result

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "firewall" / "invented-open.yml").read_text(encoding="utf-8"))


def told(lines: Sequence[str] = (), **answers: Sequence[Mapping[str, Any]]) -> questions.Answers:
    """A host's answers, by question; ``lines``: as it prints them."""
    lines = [*lines, *(json.dumps({"id": id, "rows": list(rows)}) for id, rows in answers.items())]
    printed = "".join(f"#ldfleet-fact {line} #ldfleet-end\r\n" for line in lines)
    host = HostFacts("WS-01", 0, 1252, 437, "5.1", "C:\\ProgramData", "direct", "")
    values = {"exit": 0, "stdout": base64.b64encode(printed.encode("ascii")).decode()}
    return questions.read(Reply("0" * 32, host, {"probe0": Result("probe0", "ok", values)}))


def test_a_reason_is_one_line() -> None:
    """A host's words do not pass for lines of the report."""
    line = json.dumps({"id": "guard", "error": "Invalid\r\nws-02: nothing is in the way\u2028x" + "y" * 5000})
    key = json.dumps({"id": "registry", "rows": [{"key": "HKLM\\a", "exists": None, "error": "no\naccess"}]})
    reasons = told(lines=[line, key]).reasons
    assert reasons["guard"].startswith("Invalid ws-02: nothing is in the way xy")
    assert len(reasons["guard"]) == 300
    assert reasons["HKLM\\a"] == "no access"


def judged(answers: questions.Answers, *installs: Installed) -> dict[str, tuple[str, str]]:
    """Each finding's status, and what was found."""
    return {one["id"]: (one["status"], one["found"]) for one in findings.judged(host_facts.facts(answers, installs, 0))}


def _rules(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"name": str(number), "rule": text, "asked": False} for number, text in enumerate(texts)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rules_that_leave_the_ports_of_adb_open(case: Mapping[str, Any]) -> None:
    answers = told(rules=_rules(case["rules"]))
    found = host_facts.facts(answers, (), 0)["firewall"]["open_rules"]
    assert [int(rule["name"]) for rule in found] == case["open"]
    assert judged(answers)["AdbPortsOpen"][0] == str(bool(case["open"]))


def test_a_rule_is_known_by_either_of_its_names() -> None:
    """COM makes a GUID of the one, and its caller gives the other; New-NetFirewallRule gives both."""
    text = "v2.31|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=5037|Name={}|"
    answers = told(
        rules=[
            {"name": "{F7EE5C6D-0}", "rule": text.format("ldfleet-adb")},
            {"name": "ldfleet-winrm", "rule": text.format("ldfleet (WinRM)")},
        ]
    )
    for name, its in (("LDFLEET-ADB", "{F7EE5C6D-0}"), ("ldfleet-winrm", "ldfleet-winrm"), ("ldfleet (WinRM)", "ldfleet-winrm")):
        assert [rule["name"] for rule in host_facts.rules(answers, [name]) or ()] == [its]
    assert host_facts.rules(answers, ["ldfleet"]) == []
