"""What a checkup makes of hosts' results: exit codes, and what is wrong with the controller itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ldfleet import __version__, show, show_doctor
from ldfleet.doctor import checkup_of

HERE = Path("/opt/venv/ansible_collections/ldfleet/ldplayer")
COLLECTIONS = {"ldfleet.ldplayer": {"path": str(HERE), "version": __version__}, "ansible.windows": {"path": "/x", "version": "3.0.0"}}
CONTROLLER = {
    "ansible_core": "2.19.0", "python": "3.11.0", "connection": "winrm", "libraries": {"pywinrm": "0.5.0", "pypsrp": None}, "collections": COLLECTIONS,
}  # fmt: skip


def _finding(severity: str, status: str, id: str = "X") -> dict[str, str]:
    return {"id": id, "severity": severity, "status": status, "found": "f", "consequence": "c", "cure": "v", "role": "windows"}


def _result(*findings: dict[str, str], **controller: Any) -> dict[str, Any]:
    return {"findings": list(findings), "facts": {}, "unknown": [], "controller": {**CONTROLLER, **controller}}


SILENT = {"msg": "ws-02: refused", "unreachable": True, "controller": CONTROLLER}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([_result()], 0),
        ([_result(_finding("info", "True"), _finding("error", "Unknown"), _finding("error", "False"))], 0),
        ([_result(_finding("warning", "True"))], 2),
        ([_result(), _result(_finding("error", "True"))], 2),
        ([_result(_finding("error", "True")), SILENT], 4),
        ([SILENT, SILENT], 1),
    ],
)
def test_exit_codes(results: list[dict[str, Any]], code: int) -> None:
    assert checkup_of({f"ws-{number}": result for number, result in enumerate(results)}, HERE).code == code


@pytest.mark.parametrize(
    ("controller", "found", "code"),
    [
        ({}, [], 0),
        (
            {"collections": {**COLLECTIONS, "ldfleet.ldplayer": {"path": "/home/me/.ansible/x", "version": "0.0.9"}}},
            [("CollectionElsewhere", "error")],
            2,
        ),
        (
            {"collections": {**COLLECTIONS, "ldfleet.ldplayer": {"path": "/home/me/.ansible/x", "version": __version__}}},
            [("CollectionElsewhere", "info")],
            0,
        ),
        ({"collections": {**COLLECTIONS, "ansible.windows": None}}, [("WindowsModulesMissing", "info")], 0),
        ({"libraries": {"pywinrm": None, "pypsrp": "1"}}, [("LibraryMissing", "error")], 2),
        ({"connection": "psrp"}, [("LibraryMissing", "error")], 2),
        ({"connection": "ssh", "libraries": {"pywinrm": None, "pypsrp": None}}, [], 0),
    ],
)
def test_the_controller_is_looked_at_too(controller: dict[str, Any], found: list[tuple[str, str]], code: int) -> None:
    checkup = checkup_of({"ws-01": _result(**controller)}, HERE)
    assert [(finding.id, finding.severity) for finding in checkup.own] == found
    assert checkup.code == code


def test_equal_findings_share_a_row_and_the_worst_stands_first() -> None:
    results = {f"ws-{number}": _result(_finding("info", "True", "Small"), _finding("error", "True", "Large")) for number in range(5)}
    to = show.console()
    with to.capture() as captured:
        show_doctor.checkup(checkup_of(results, HERE), to)
    text = captured.get()
    assert text.index("Large") < text.index("Small")
    assert text.count("5 (ws-0 … ws-4)") == 2
    assert text.splitlines()[-1] == "5 hosts: 5 errors, 5 info."
