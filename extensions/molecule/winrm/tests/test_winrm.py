"""What the role winrm promises, asked of the host over the connection that the inventory gives."""

from __future__ import annotations

import datetime
import json
from typing import Any

from cryptography import x509

POLICIES = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
#: Windows' own rules for WinRM over HTTP, which let in more than the controllers.
OPEN = ["WINRM-HTTP-In-TCP", "WINRM-HTTP-In-TCP-PUBLIC", "WINRM-HTTP-In-TCP-NoScope"]


def test_winrm_runs_and_starts_with_windows(host: Any) -> None:
    (winrm,) = host.ansible("ansible.windows.win_service_info", "name=WinRM")["services"]
    assert winrm["state"] == "started"
    assert winrm["start_mode"] in ("auto", "delayed")


def test_the_firewall_lets_the_controllers_in_and_nobody_else(host: Any) -> None:
    asked = {"firewall_rules": ["ldfleet-winrm-https", *OPEN]}
    rules = host.ansible("ldfleet.ldplayer.host_info", json.dumps(asked))["firewall_rules"]
    (ours,) = (rule for rule in rules if rule["name"] == "ldfleet-winrm-https")
    assert (ours["enabled"], ours["action"], ours["direction"], ours["protocol"]) == (True, "allow", "in", "tcp")
    assert ours["local_ports"] == [str(host.ansible.get_variables().get("winrm_port", 5986))]
    assert len(ours["remote_addresses"]) == len(host.ansible.get_variables()["winrm_controllers"]) > 0
    assert [rule["name"] for rule in rules if rule["enabled"]] == ["ldfleet-winrm-https"]


def test_administrators_keep_their_rights_over_the_network(host: Any) -> None:
    found = host.ansible("ansible.windows.win_reg_stat", rf"path={POLICIES} name=LocalAccountTokenFilterPolicy")
    assert found["value"] == 1


def test_nothing_goes_in_the_clear(host: Any) -> None:
    winrm = host.ansible("ldfleet.ldplayer.host_info")["facts"]["winrm"]
    assert (winrm["allow_unencrypted"], winrm["basic"]) == (False, False)


def test_the_certificates_public_half_lies_there_for_the_controller(host: Any) -> None:
    name = host.ansible("raw", "hostname", check=False)["stdout"].strip()
    text = host.ansible("raw", rf"type C:\ProgramData\ldfleet\bootstrap\{name.upper()}.cer", check=False)["stdout"]
    certificate = x509.load_pem_x509_certificate(text.encode("ascii"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert name.lower() in [known.lower() for known in names]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > datetime.timedelta(days=365)
