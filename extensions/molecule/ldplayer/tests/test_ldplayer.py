"""What the role ldplayer promises, asked of the host over the connection that the inventory gives."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture(scope="module")
def variables(host: Any) -> dict[str, Any]:
    """What the inventory says of the host."""
    told: dict[str, Any] = host.ansible.get_variables()
    return told


@pytest.fixture(scope="module")
def folder(variables: dict[str, Any]) -> str:
    """Where LDPlayer shall lie."""
    return str(variables.get("ldplayer_install_dir") or rf"C:\LDPlayer\LDPlayer{variables.get('ldplayer_version', 9)}")


@pytest.mark.parametrize("program", ["dnplayer.exe", "ldconsole.exe"])
def test_its_programs_lie_in_its_folder(host: Any, folder: str, program: str) -> None:
    assert host.ansible("ansible.windows.win_stat", json.dumps({"path": rf"{folder}\{program}"}))["stat"]["isreg"]


def test_its_console_answers(host: Any, folder: str) -> None:
    assert host.ansible("raw", rf"& '{folder}\ldconsole.exe' list2", check=False)["rc"] == 0


def test_ldfleet_finds_it(host: Any, folder: str) -> None:
    found = host.ansible("ldfleet.ldplayer.host_info")["facts"]["ldplayer"]
    assert folder.lower() in [str(one["install_dir"]).lower() for one in found]


def test_the_registry_leads_to_it(host: Any, folder: str, variables: dict[str, Any]) -> None:
    if variables.get("ldplayer_desktop_session") != "never":
        pytest.skip("it is in the hive of the user at the desktop, which is not that of the connection's account")
    found = host.ansible(
        "ansible.windows.win_reg_stat", rf"path=HKCU:\SOFTWARE\XuanZhi\LDPlayer{variables.get('ldplayer_version', 9)} name=InstallDir"
    )
    assert found["value"].rstrip("\\") == folder


def test_it_shows_no_advertisements(host: Any, variables: dict[str, Any]) -> None:
    asked = {"clean_mode": True, "desktop_session": variables.get("ldplayer_desktop_session", "auto")}
    assert host.ansible("ldfleet.ldplayer.global_settings", json.dumps(asked))["changed"] is False
