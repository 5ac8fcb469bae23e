"""What is asked of a host, how hostile answers are read, and what findings say of facts."""

from __future__ import annotations

import base64
import json
import re
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import findings, host_facts, host_info, questions
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows.questions import Answers, Wanted
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.dialect import DIALECTS
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import HostFacts, Problem, Reply, Result

CASES: dict[str, Any] = yaml.safe_load((rig.ROOT / "tests" / "cases" / "findings" / "invented-facts.yml").read_text(encoding="utf-8"))
PROBE = (rig.ROOT / "plugins" / "module_utils" / "_probe.ps1").read_text(encoding="ascii")


def _changed(facts: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for step in way:
        facts = facts[int(step)] if isinstance(facts, list) else facts[step]
    facts[last] = value


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["about"])
def test_findings_of_facts(case: dict[str, Any]) -> None:
    facts = deepcopy(CASES["healthy"])
    for path, value in case.get("change", {}).items():
        _changed(facts, path, value)
    told = findings.judged(facts)
    assert {finding["id"]: finding["status"] for finding in told if finding["status"] != "False"} == case.get("found", {})
    assert all(finding["found"] for finding in told if finding["status"] == "True")


def test_each_finding_is_told_once_and_says_what_cures_it() -> None:
    ids = [row.id for row in findings.TABLE]
    assert len(ids) == len(set(ids))
    severities = [row.severity for row in findings.TABLE]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert all(row.costs and row.cure for row in findings.TABLE)
    assert {row.id for row in findings.TABLE if not re.fullmatch(r"([A-Z]+[a-z]*)+", row.id)} == set()


@pytest.mark.parametrize("row", [row for row in findings.TABLE if row.role], ids=lambda row: row.id)
def test_the_cure_is_a_variable_of_its_role(row: findings.Row) -> None:
    spec = yaml.safe_load((rig.ROOT / "roles" / row.role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    assert row.cure in spec["argument_specs"]["main"]["options"]


def test_a_host_of_which_nothing_is_known_is_neither_good_nor_bad() -> None:
    told = findings.judged(host_facts.facts(Answers(), None, None))
    assert {finding["status"] for finding in told} == {"Unknown"}


# ---- what is asked ---------------------------------------------------------------------------------------------------------------------


def _documents(wanted: Wanted) -> list[dict[str, Any]]:
    documents = []
    for operation in questions.ask(wanted, PROBE):
        assert len(operation["arguments"]) + 300 < 32_767
        lines = base64.b64decode(operation["arguments"].split()[-1]).decode("utf-16-le").split("\n")
        assert lines[0] == "#ldfleet-probe 1"
        found = re.fullmatch(r"\$ask='([^'\u2018-\u201b]*)'", lines[1])
        assert found is not None
        documents.append(json.loads(found[1]))
    return documents


def test_without_wishes_one_powershell_is_enough() -> None:
    (document,) = _documents(Wanted())
    assert len(document["registry"]) == len(questions.REGISTRY)
    assert document["ldplayer"] == [key for row in DIALECTS for key in row.keys]


_NAMES = st.lists(st.from_regex(questions._NAME, fullmatch=True), max_size=20, unique=True)
_KEYS = st.lists(
    st.tuples(st.from_regex(r"HKLM(\\[^\\*\x00-\x1f]{1,40}){1,8}", fullmatch=True), st.text(max_size=100)), max_size=60, unique=True
)


@given(_KEYS, _NAMES, _NAMES, st.lists(st.from_regex(r"[^|\x00-\x1f]{1,200}", fullmatch=True), max_size=20, unique=True))
def test_whatever_is_wished_is_asked_once_and_no_text_leaves_its_quotes(
    keys: list[tuple[str, str]], features: list[str], services: list[str], rules: list[str]
) -> None:
    documents = _documents(Wanted(tuple(keys), tuple(features), tuple(services), tuple(rules)))
    asked = [(key, name) for document in documents for key, names in document["registry"] for name in names or ()]
    own = [(key, name) for key, names in questions.REGISTRY.items() for name in names or ()]
    assert sorted(asked) == sorted([*own, *((questions.full(key), name) for key, name in keys)])
    assert [name for document in documents for name in document["rule_names"]] == rules
    assert [name for document in documents for name in document["roles"]] == features
    conditions = " OR ".join(query["filter"] for document in documents for query in document["cim"] if query["id"] == "services")
    assert set(re.findall(r"Name='([^']*)'", conditions)) == {*questions.SERVICES, *services}
    assert [bool(document["ports"]) for document in documents] == [True] + [False] * (len(documents) - 1)


# ---- hostile answers ---------------------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_TAKEN = sorted(
    {name for query in questions._QUERIES for name in query.take}
    | {
        "owner",
        "port",
        "address",
        "process",
        "path",
        "rule",
        "name",
        "value",
        "version",
        "mode",
        "folder",
        "data",
        "data_there",
        "console_there",
        "installed",
    }
    | {"key", "exists", "values", "State", "StartMode", "InstallState", "asked", "error"}
)
_IDS = [query.id for query in questions._QUERIES] + [
    "registry",
    "powershell",
    "wsman",
    "services",
    "features",
    "roles",
    "listeners",
    "rules",
    "ldplayer",
]
_ROWS = st.lists(st.dictionaries(st.sampled_from(_TAKEN), _JSON, max_size=8) | _JSON, max_size=3)


def _reply(stdout: bytes, status: str = "ok", time_ms: int = 0, **values: Any) -> Reply:
    told = {"exit": 0, "stdout": base64.b64encode(stdout).decode(), **values}
    problem = None if status == "ok" else Problem("Timeout", "it was still running")
    host = HostFacts("WS-01", time_ms, 1252, 437, "5.1", "C:\\ProgramData", "direct", "")
    return Reply("0" * 32, host, {"probe0": Result("probe0", status, told, problem)})


def _line(id: str, rows: Any) -> str:
    return f"#ldfleet-fact {json.dumps({'id': id, 'rows': rows})} #ldfleet-end\r\n"


@given(st.dictionaries(st.sampled_from(_IDS), _ROWS | _JSON, max_size=12), st.integers(-(2**63), 2**63 - 1))
def test_no_answer_breaks_the_reading(answers: dict[str, Any], time_ms: int) -> None:
    wanted = Wanted(((r"HKLM\x", "y"),), ("a",), ("b",), ("c",))
    reply = _reply("".join(_line(id, rows) for id, rows in answers.items()).encode(), time_ms=time_ms)
    result = host_info.result(wanted, reply, 0.0, 1.0)
    json.dumps(result, ensure_ascii=False).encode()
    assert {finding["status"] for finding in result["findings"]} <= {"True", "False", "Unknown"}


@given(st.binary(max_size=400))
def test_no_output_breaks_the_reading(output: bytes) -> None:
    told = questions.read(_reply(output))
    assert told.reasons.keys() == {"probe"}


def test_half_a_character_is_no_reason_to_choke() -> None:
    """As where the probe has cut a text in the middle of one."""
    told = questions.read(_reply(_line("os", [{"Caption": "Windows \ud83d", "\udc00": 1}]).encode()))
    assert told.rows == {"os": [{"Caption": "Windows \ufffd", "\ufffd": 1}]}


def test_what_came_before_a_hang_is_kept_and_the_hang_is_told() -> None:
    told = questions.read(_reply(_line("powershell", [{"mode": "FullLanguage"}]).encode(), "failed"))
    assert told.one("powershell") == {"mode": "FullLanguage"}
    assert told.reasons == {"probe": "Timeout: it was still running"}


def test_a_flood_is_told() -> None:
    told = questions.read(_reply(_line("powershell", []).encode(), truncated=True))
    assert told.reasons == {"probe": "powershell.exe printed more than 1048576 characters"}


def test_lists_as_windows_powershell_writes_some() -> None:
    """5.1's ConvertTo-Json: an array that was passed through a pipeline as one."""
    assert questions.listed({"value": ["a"], "Count": 1}) == questions.listed(["a"]) == questions.listed("a") == ["a"]
    assert questions.listed(None) == []


@pytest.mark.parametrize(
    ("time_ms", "skew"), [(10_000, 0), (12_000, 0), (12_900, 1), (3_000, -7), (9_999, 0), (100_000, 88)], ids=lambda value: str(value)
)
def test_a_clock_is_wrong_only_as_far_as_the_round_trip_shows(time_ms: int, skew: int) -> None:
    assert host_info.skew(time_ms, 10.0, 12.0) == skew


def test_a_firewall_rule_is_read_from_its_text_in_the_registry() -> None:
    told = host_facts.rule(
        {
            "name": "x",
            "rule": "v2.31|Action=Block|Active=TRUE|Dir=In|Protocol=17|LPort=53|LPort2_10=1-2|RA4=10.0.0.1|RA42=LocalSubnet|App=a|",
        }
    )
    assert told == {
        "name": "x", "display_name": "", "enabled": True, "action": "block", "direction": "in", "protocol": "udp", "local_ports": ["53", "1-2"],
        "remote_addresses": ["10.0.0.1", "LocalSubnet"], "program": "a",
    }  # fmt: skip
