"""What the role windows promises by its defaults, asked of the host over the connection that the inventory gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

UPDATES = r"HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
VALUES = [
    (r"HKLM:\SYSTEM\CurrentControlSet\Control\FileSystem", "LongPathsEnabled", 1),
    (UPDATES, "ActiveHoursStart", 6),
    (UPDATES, "ActiveHoursEnd", 0),
    (r"HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services", "AVCHardwareEncodePreferred", 0),
    (r"HKLM:\SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Paths", r"C:\LDPlayer", "0"),
]


@pytest.fixture(scope="module")
def looked(host: Any) -> dict[str, Any]:
    """One look at all of Windows."""
    found: dict[str, Any] = host.ansible("ldfleet.ldplayer.host_info", json.dumps({"firewall_rules": ["ldfleet-adb"]}))
    return found


@pytest.mark.parametrize(("key", "name", "data"), VALUES, ids=[name for _, name, _ in VALUES])
def test_registry_values_are_set(host: Any, key: str, name: str, data: object) -> None:
    assert host.ansible("ansible.windows.win_reg_stat", json.dumps({"path": key, "name": name}))["value"] == data


def test_the_clock_is_kept_right(host: Any) -> None:
    (w32time,) = host.ansible("ansible.windows.win_service_info", "name=W32Time")["services"]
    assert (w32time["state"], w32time["start_mode"]) == ("started", "auto")


def test_it_never_sleeps(looked: dict[str, Any]) -> None:
    assert looked["facts"]["power"]["sleep_seconds"] == 0
    assert looked["power_plan"]["guid"] == "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"  # high performance


def test_adb_is_closed_to_everybody_outside(looked: dict[str, Any]) -> None:
    (rule,) = looked["firewall_rules"]
    assert (rule["enabled"], rule["action"], rule["direction"], rule["protocol"]) == (True, "block", "in", "tcp")
    assert (rule["local_ports"], rule["remote_addresses"]) == (["5037", "5554-5682"], [])


def test_the_declared_user_is_at_the_desktop(host: Any, looked: dict[str, Any]) -> None:
    user = host.ansible.get_variables().get("windows_autologon_user", "")
    if not user:
        pytest.skip("the inventory declares no windows_autologon_user")
    assert looked["facts"]["autologon"]["user"].lower() == user.lower()
    assert looked["facts"]["sessions"]["desktops"]


def test_no_hypervisor_runs_where_it_shall_be_off(host: Any, looked: dict[str, Any]) -> None:
    if host.ansible.get_variables().get("windows_hypervisor") != "off":
        pytest.skip("the inventory does not declare windows_hypervisor off")
    assert looked["facts"]["virtualization"]["hypervisor"] is False
