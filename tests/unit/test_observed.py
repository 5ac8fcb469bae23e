"""What is read of a host: captured rows, and everything that must count as unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import build
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import observed
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.observed import Run
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import Host, NotInstalled, Unreadable
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import Problem, Reply, Result

CASES = Path(__file__).parent.parent / "cases/list2"
CAPTURED = yaml.safe_load((CASES / "captured-rows.yml").read_text(encoding="utf-8"))
BROKEN = yaml.safe_load((CASES / "invented-broken.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CAPTURED, ids=[case["from"] for case in CAPTURED])
def test_captured_rows(case: dict[str, Any]) -> None:
    rows = observed.parse_list2(case["text"].encode("gbk"), "ws")
    assert [[row.index, row.title.decode("gbk"), row.state, row.pid, row.vm_pid] for row in rows] == case["rows"]


@pytest.mark.parametrize("case", BROKEN, ids=[case["wants"] + str(number) for number, case in enumerate(BROKEN)])
def test_what_cannot_be_parsed_is_unknown(case: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=case["wants"]) as caught:
        observed.observation(build.reply(case["out"].encode("latin-1")), ANYWHERE)
    assert "WS-01" in str(caught.value)
    assert "Nothing was touched" in str(caught.value)


def test_nothing_printed_beside_configs_is_unknown_and_never_absent() -> None:
    with pytest.raises(Unreadable, match="configs of 1 emulators"):
        observed.observation(build.reply(b"", [build.file("leidian3.config", b"{}")]), ANYWHERE)


def test_nothing_printed_and_no_configs_is_an_empty_host() -> None:
    assert observed.observation(build.reply(b"", [build.file("leidians.config", b"{}")]), ANYWHERE).emulators == ()


def test_a_list2_that_failed_is_unknown() -> None:
    with pytest.raises(Host, match="ldconsole list2 failed"):
        observed.observation(build.reply(b"0,a,", list2_error="Timeout"), ANYWHERE)


def test_not_installed_names_the_remedy() -> None:
    missing = Reply("0" * 32, build.facts(), {"ld": Result("ld", "failed", {}, Problem("NotFound", ""))})
    with pytest.raises(NotInstalled, match="install_dir"):
        observed.observation(missing, ANYWHERE)


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("0,a,0,0,0,-1,-1,1,1,1", Run.STOPPED),
        ("0,a,1,1,2,10,-1,1,1,1", Run.CHANGING),
        ("0,a,1,1,1,10,-1,1,1,1", Run.CHANGING),
        ("0,a,0,0,0,10,-1,1,1,1", Run.CHANGING),
        ("0,a,1,1,1,10,11,1,1,1", Run.RUNNING),
    ],
)
def test_only_both_processes_are_running(row: str, state: Run) -> None:
    assert observed.observation(build.reply(row.encode() + b"\r\n"), ANYWHERE).emulators[0].run is state


def _titled(raw: bytes, name: str | None, acp: int) -> str:
    config = [build.file("leidian0.config", build.config_text({"name": name}).encode())] if name else []
    return observed.observation(build.reply(b"0," + raw + b",0,0,0,-1,-1,1,1,1\r\n", config, acp=acp), ANYWHERE).emulators[0].title


@pytest.mark.parametrize(
    ("raw", "name", "acp", "title"),
    [
        (b"farm", "other", 1252, "farm"),
        ("雷电".encode("gbk"), "雷电", 1252, "雷电"),  # GBK on a Western host: the config tells
        ("雷电".encode("gbk"), None, 936, "雷电"),
        ("雷电".encode(), None, 936, "雷电"),
        (b"x??", "x雷电", 1252, "x雷电"),
        ("Größe".encode("cp1252"), None, 1252, "Größe"),
        (b"\xff\xfe", None, 0, "ÿþ"),
    ],
)
def test_titles_come_from_the_source_that_can_tell(raw: bytes, name: str | None, acp: int, title: str) -> None:
    assert _titled(raw, name, acp) == title


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "empty"),
        (b'{"a": 1, "b', "complete JSON"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "no JSON value"),
        ('{"a": "ü"}'.encode("latin-1"), "not UTF-8"),
        (b"[" * 100_000, "complete JSON"),
        (b'\xef\xbb\xbf{"a": 1}', None),
    ],
)
def test_configs_that_cannot_be_understood_say_why(data: bytes, problem: str | None) -> None:
    rows = b"0,a,0,0,0,-1,-1,1,1,1\r\n"
    found = observed.observation(build.reply(rows, [build.file("leidian0.config", data)]), ANYWHERE).emulators[0].config
    assert found is not None
    assert (found.problem is None) if problem is None else (problem in (found.problem or ""))


def test_a_record_of_another_install_is_not_ours() -> None:
    record = build.ownership.Owned("a", "D:\\Other", build.ownership.Origin.CREATED)
    assert observed.observation(build.reply(b"0,a,0,0,0,-1,-1,1,1,1\r\n", records=[record]), ANYWHERE).emulators[0].owned is None


def test_a_record_without_emulator_is_stale() -> None:
    record = build.ownership.Owned("gone", build.INSTALL, build.ownership.Origin.CREATED)
    assert list(observed.observation(build.reply(b"0,a,0,0,0,-1,-1,1,1,1\r\n", records=[record]), ANYWHERE).stale) == ["gone"]
