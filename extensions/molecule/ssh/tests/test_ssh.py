"""What the role ssh promises, asked of the host over the connection that the inventory gives."""

from __future__ import annotations

import json
from typing import Any


def test_sshd_runs_and_starts_with_windows(host: Any) -> None:
    (sshd,) = host.ansible("ansible.windows.win_service_info", "name=sshd")["services"]
    assert (sshd["state"], sshd["start_mode"]) == ("started", "auto")


def test_it_starts_windows_powershell(host: Any) -> None:
    found = host.ansible("ansible.windows.win_reg_stat", r"path=HKLM:\SOFTWARE\OpenSSH name=DefaultShell")
    assert found["value"] == r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"


def test_the_controllers_key_opens_it(host: Any) -> None:
    keys = host.ansible("raw", r"type C:\ProgramData\ssh\administrators_authorized_keys", check=False)["stdout_lines"]
    assert host.ansible.get_variables()["ssh_key"].strip() in keys


def test_the_firewall_lets_the_controllers_in_and_nobody_else(host: Any) -> None:
    asked = {"firewall_rules": ["ldfleet-ssh", "OpenSSH-Server-In-TCP"]}
    rules = host.ansible("ldfleet.ldplayer.host_info", json.dumps(asked))["firewall_rules"]
    (ours,) = (rule for rule in rules if rule["name"] == "ldfleet-ssh")
    assert (ours["enabled"], ours["action"], ours["direction"], ours["local_ports"]) == (True, "allow", "in", ["22"])
    assert len(ours["remote_addresses"]) == len(host.ansible.get_variables()["ssh_controllers"]) > 0
    assert [rule["name"] for rule in rules if rule["enabled"]] == ["ldfleet-ssh"]
