"""What a test of a connection says of what it saw: each case of the cases' file, and what hangs together."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import connecting
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows.connecting import Certificate, Door, Line, Sample
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import Host, Unreachable
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import HostFacts, Reply, Result

NOW = 1_800_000_000.0
DAY = 86400.0
FACTS = HostFacts("WS-01", 0, 1252, 437, "5.1.20348.2700", "C:\\ProgramData", "desktop", "WS-01\\player")


def door(**more: Any) -> Door:
    return Door(**{"way": "winrm", "address": "10.0.0.11", "port": 5986, "scheme": "https", "auth": "ntlm", "ms": 3.2, **more})


def reply(**outputs: str | None) -> Reply:
    """Of what each operation printed; None where it failed."""
    results = {
        id: Result(id, "failed" if text is None else "ok", {} if text is None else {"stdout": base64.b64encode(text.encode()).decode()})
        for id, text in outputs.items()
    }
    return Reply("0" * 32, FACTS, results)


def _groups(*sids: str) -> str:
    return "".join(f'"Gruppe","Alias","{sid}","Obligatorische Gruppe"\r\n' for sid in sids)


CERTIFICATES: dict[str, tuple[Certificate | None, str, str]] = {
    "trusted": (Certificate(("ws-01", "10.0.0.11"), NOW + 300 * DAY), "ok", "certificate for ws-01, 10.0.0.11, ends in 300 days; trusted"),
    "ends soon": (Certificate(("ws-01",), NOW + 10 * DAY), "warning", "ends in 10 days"),
    "another name": (Certificate(("ws-02",), NOW + 300 * DAY, "IP address mismatch"), "failed", "not trusted: IP address mismatch"),
    "ended": (Certificate(("ws-01",), NOW - 2 * DAY, "certificate has expired"), "failed", "ended 2 days ago"),
    "nobody looks": (Certificate(("ws-01",), NOW + 300 * DAY, "self-signed certificate", checked=False), "warning", "not checked"),
    "unreadable": (Certificate(), "ok", "unknown names"),
    "nothing shown": (None, "unknown", "could not be read"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificates(case: str) -> None:
    certificate, status, found = CERTIFICATES[case]
    reach, tls = connecting.outside(door(certificate=certificate), NOW)
    assert (reach.status, tls.status) == ("ok", status)
    assert found in tls.found
    assert bool(tls.costs and tls.advice) == (status in ("warning", "failed"))


@pytest.mark.parametrize(("auth", "status"), [("ntlm", "ok"), ("", "ok"), ("basic", "failed"), ("plaintext", "failed")])
def test_plain_http_is_as_good_as_its_login(auth: str, status: str) -> None:
    assert [line.status for line in connecting.outside(door(scheme="http", auth=auth), NOW)] == ["ok", status]


def test_a_closed_port_has_no_certificate_and_ssh_has_none_either() -> None:
    assert [line.check for line in connecting.outside(door(ms=None, problem="Connection refused"), NOW)] == ["reach"]
    assert [line.check for line in connecting.outside(door(way="ssh", scheme="", port=22), NOW)] == ["reach"]


RIGHTS: dict[str, tuple[str | None, str]] = {
    "full": (_groups("S-1-5-32-544", "S-1-16-12288"), "ok"),
    "system": (_groups("S-1-5-32-544", "S-1-16-16384"), "ok"),
    "filtered": (_groups("S-1-5-32-544", "S-1-16-8192"), "failed"),
    "a user": (_groups("S-1-5-32-545", "S-1-16-8192"), "failed"),
    "a user with a high token": (_groups("S-1-5-32-545", "S-1-16-12288"), "failed"),
    "a group that begins alike": (_groups("S-1-5-32-5440", "S-1-16-12288"), "failed"),
    "nothing": ("", "unknown"),
    "no whoami": (None, "unknown"),
}


@pytest.mark.parametrize("case", RIGHTS)
def test_rights(case: str) -> None:
    printed, status = RIGHTS[case]
    line = connecting.rights(reply(groups=printed))
    assert line.status == status
    assert bool(line.costs and line.advice) == (status == "failed")


QUOTAS: dict[str, tuple[str | None, str | None, str, str]] = {
    "few": (
        "Winrs\r\n    MaxShellsPerUser = 30\r\n",
        '"winrshost.exe","1","Services","0","1 K"\r\n' * 2,
        "ok",
        "2 shells of WinRM in use, 30 allowed",
    ),
    "many": ("Winrs\r\n    MaxShellsPerUser = 30\r\n", '"winrshost.exe","1","Services","0","1 K"\r\n' * 23, "warning", "23 shells"),
    "no limit told": (
        "Zugriff verweigert\r\n",
        '"winrshost.exe","1"\r\n',
        "unknown",
        "1 shell of WinRM in use; how many it allows could not be read",
    ),
    "refused": (None, "INFO: No tasks are running\r\n", "unknown", "0 shells"),
    "not counted": ("    MaxShellsPerUser = 30\r\n", None, "ok", "could not be counted, 30 allowed"),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_quotas(case: str) -> None:
    told, listed, status, found = QUOTAS[case]
    line = connecting.quotas(reply(quotas=told, winrshost=listed, wsmprovhost="INFO: none\r\n"), door())
    assert line.status == status
    assert found in line.found


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("5.1.20348.2700", "ok"),
        ("7.4.6", "ok"),
        ("10.0", "ok"),
        ("5.0.10586.117", "failed"),
        ("4.0", "failed"),
        ("", "unknown"),
        ("five", "unknown"),
    ],
)
def test_powershell(version: str, status: str) -> None:
    facts = HostFacts("WS-01", 0, 1252, 437, version, "C:\\ProgramData", "direct", "")
    assert connecting.powershell(facts).status == status
    assert connecting.desktop(facts).status == "warning"
    assert connecting.desktop(FACTS).found == "WS-01\\player is logged on"


@given(st.floats(-(10**7), 10**7), st.lists(st.floats(0.001, 30), min_size=1, max_size=9), st.floats(0, 1))
def test_the_skew_is_known_to_half_the_fastest_trip_wherever_the_clock_was_read(skew: float, trips: list[float], where: float) -> None:
    """The law of the correction: however a trip's time is shared out between there and back."""
    samples = [Sample(NOW, NOW + trip, NOW + trip * where + skew) for trip in trips]
    best = min(samples, key=lambda sample: sample.trip)
    assert abs(best.skew - skew) <= best.trip / 2 + 1e-3
    line = connecting.clock(samples)
    assert line.status == ("ok" if abs(best.skew) <= 5 + best.trip / 2 else "warning")
    assert ("behind" in line.found, "ahead" in line.found) == (line.status != "ok" and best.skew < 0, line.status != "ok" and best.skew > 0)
    assert ("Kerberos" in line.costs) == (line.status != "ok" and abs(best.skew) > 300)


@given(st.lists(st.floats(0.001, 30), min_size=1, max_size=9))
def test_latency_is_the_median(trips: list[float]) -> None:
    samples = [Sample(NOW, NOW + trip, NOW) for trip in trips]
    line = connecting.latency(samples)
    told = float(line.found.split("takes ")[1].split(" ms")[0]) / 1000
    assert sum(trip <= told + 0.001 for trip in trips) * 2 >= len(trips)
    assert sum(trip >= told - 0.001 for trip in trips) * 2 >= len(trips)


def test_what_was_not_asked_is_unknown_and_the_order_is_fixed() -> None:
    lines = connecting.shut_out(Unreachable("ws-01", "the specified credentials were rejected by the server", "Check ansible_user"))
    told = connecting.report(lines)
    assert told["status"] == "failed"
    assert [line["check"] for line in told["lines"]] == [check for check in connecting.CHECKS if check != "tls"]
    assert {line["check"]: line["status"] for line in told["lines"]}["login"] == "failed"
    assert {line["status"] for line in told["lines"]} == {"failed", "unknown"}


def test_a_language_mode_that_lets_no_agent_run_is_told_as_such() -> None:
    """In the words of PowerShell's own resources (MethodInvocationNotSupportedInConstrainedLanguage)."""
    said = "the host answered 'Cannot invoke method. Method invocation is supported only on core types in this language mode.'"
    (line,) = connecting.shut_out(Host("ws-01", said))
    assert (line.check, line.status) == ("powershell", "failed")
    assert "FullLanguage" in line.advice


def test_a_host_that_no_way_leads_into_has_a_line_for_each() -> None:
    tried = [{"way": name, "reason": "refused", "advice": "open it", "seconds": 0.1} for name in ("https", "ssh")]
    lines = connecting.closed(tried)
    assert lines == [
        Line("way", "failed", f"{name}: refused (0.1 s)", "Nothing can be done on the host", "open it") for name in ("https", "ssh")
    ]
    assert connecting.report(lines)["status"] == "failed"
