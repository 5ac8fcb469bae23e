"""The test of a connection through real doors: the program, the playbook and the module against simulated hosts, on every way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fleets
import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.wire.quotas import Quotas

WAYS = ("ntlm", "certificate", "psrp", "ssh")
CHECKS = ["way", "reach", "tls", "login", "rights", "latency", "powershell", "clock", "quotas", "desktop", "ldplayer"]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", https=True, ssh=True) as made:
        yield made


def lines(result: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {line["check"]: line for line in result["lines"]}


def asked(farm: Farm, folder: Path, way: str = "ntlm", core: str | None = None, **variables: Any) -> dict[str, Any]:
    rig.usable_way(way)
    inventory = farm.inventory(way)
    (host,) = inventory["ldplayer"]["hosts"].values()
    host.update(inventory["ldplayer"].pop("vars") | host | variables)
    return rig.ansible(inventory, folder, "connection_test", {"samples": 3}, core=core).one()


@pytest.mark.parametrize("way", WAYS)
def test_every_line_over_every_way(farm: Farm, tmp_path: Path, way: str) -> None:
    found = asked(farm, tmp_path, way)
    told = lines(found)
    assert list(told) == [check for check in CHECKS if check != "tls" or way != "ssh"]
    assert {line["check"]: line["status"] for line in found["lines"] if line["status"] != "ok"} == {"clock": "warning"}
    assert "days behind" in told["clock"]["found"]  # a simulated host begins in January 2026
    assert told["quotas"]["found"] == (
        "SSH opens no shell of WinRM" if way == "ssh" else "1 shell of WinRM in use, 30 allowed for each user"
    )
    assert (told["rights"]["found"], told["powershell"]["found"]) == ("an administrator with a full token", "5.1.20348.2700, FullLanguage")
    assert told["desktop"]["found"] == "SIM-01\\player is logged on"
    assert told["ldplayer"]["found"] == "C:\\LDPlayer\\LDPlayer9"
    assert farm.hosts[0].world.history
    assert not [start for start in farm.hosts[0].world.history if start.program == "ldconsole.exe"]
    assert farm.endpoints[0].shells.open_shells == 0


@pytest.mark.parametrize("core", ["2.16", "2.17", "2.18"])
@pytest.mark.parametrize("way", ["ntlm", "psrp", "ssh"])
def test_every_supported_core(farm: Farm, tmp_path: Path, way: str, core: str) -> None:
    if core not in rig.CORES:
        pytest.skip(f"ansible-core {core} is not laid out (make setup does it)")
    assert [line["status"] for line in asked(farm, tmp_path, way, core)["lines"]].count("ok") >= 9


#: What is wrong with the host, and the check that tells it, with its status and words.
WRONG: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "port closed": ("ntlm", {"ansible_port": 1}, "reach", "failed", "Connection refused"),
    "wrong password": ("ntlm", {"ansible_password": "wrong"}, "login", "failed", "credentials were rejected"),
    "untrusted": ("psrp", {"ansible_psrp_ca_cert": None}, "tls", "failed", "not trusted: self-signed certificate"),
    "another name": ("ntlm", {"ansible_host": "127.0.0.2"}, "reach", "failed", "127.0.0.2"),
    "unchecked and untrusted": (
        "ntlm",
        {"ansible_winrm_server_cert_validation": "ignore", "ansible_winrm_ca_trust_path": None},
        "tls",
        "warning",
        "not checked",
    ),
    "key refused": ("ssh", {"ansible_user": "nobody"}, "login", "failed", "Permission denied"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found_by_its_own_check(farm: Farm, tmp_path: Path, wrong: str) -> None:
    way, variables, check, status, words = WRONG[wrong]
    found = asked(farm, tmp_path, way, **variables)
    line = lines(found)[check]
    assert (line["status"], found["status"]) == (status, "failed" if status == "failed" else "warning"), found
    assert words in line["found"]
    assert line["costs"]
    assert line["advice"]
    assert bool(found.get("unreachable")) == (status == "failed")


def test_rights_shells_and_desktop(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", quotas=Quotas(shells_per_user=1)) as farm:
        world = farm.hosts[0].world
        world.full_token, world.desktop = False, None
        found = rig.ansible(farm.inventory(), tmp_path, "connection_test", {"samples": 1}).one()
    told = lines(found)
    assert (told["rights"]["status"], told["quotas"]["status"], told["desktop"]["status"], told["tls"]["status"]) == (
        "failed",
        "warning",
        "warning",
        "ok",
    )
    assert "LocalAccountTokenFilterPolicy" in told["rights"]["advice"]
    assert found["failed"]
    assert found["msg"].startswith("sim-01: rights: an administrator whose rights Windows filters")


def test_the_program_tells_every_host_and_ends_with_1_where_one_fails(tmp_path: Path) -> None:
    rig.usable_way("ssh")
    with fleets.site(tmp_path, hosts=3, replicas=3, takes=("ntlm", "psrp", "ssh"), https=True, ssh=True) as site:
        site.host(2, ansible_password="Plantedd-7Hx!wrong")
        site.write()

        def program(*words: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")}
            return subprocess.run(
                [rig.BIN / "ldfleet", "hosts", "test", *words, "--file", str(site.path)],
                capture_output=True, text=True, timeout=120, env=environment, check=False,
            )  # fmt: skip

        told = program("sim-01", "sim-03", "--json")
        assert told.returncode == 0, told.stderr
        found = json.loads(told.stdout)
        assert {name: host["status"] for name, host in found.items()} == {"sim-01": "warning", "sim-03": "warning"}
        assert list(lines(found["sim-01"])) == CHECKS
        every = program()
        assert every.returncode == 1
        assert "sim-02: failed\n" in every.stdout
        assert "Failed to authenticate the user" in every.stdout
        assert "Check ansible_user, ansible_password and ansible_psrp_auth" in every.stdout
        assert every.stdout.count("  ok      rights      an administrator with a full token\n") == 2
        assert "Plantedd" not in every.stdout + every.stderr
        nobody = program("ws-77")
        assert (nobody.returncode, nobody.stdout) == (1, "")
        assert "ws-77" in nobody.stderr


def test_the_program_tells_the_way_that_was_taken_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.usable_way("ssh")
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    with fleets.site(tmp_path, hosts=2, replicas=2, https=True, ssh=True) as site:
        ports = {kind: site.farm.inventory(kind)["ldplayer"] for kind in ("ntlm", "ssh")}
        site.words["ways"] = [{"name": kind, "variables": {**found["vars"], "ansible_port": 1}} for kind, found in ports.items()]
        for number, kind in ((1, "ssh"), (2, "")):
            own = [{"name": name, "variables": ports[name]["hosts"][f"sim-0{number}"] if name == kind else {}} for name in ports]
            site.host(number, ways=own)
        found = site.fleet.test()
        way = lines(dict(found["sim-01"].result))["way"]
        assert way["status"] == "warning"
        assert way["found"].startswith("ssh: ssh, 127.0.0.1:")
        assert "ntlm (" in way["found"]
        assert "Connection refused" in way["found"]
        closed = [line for line in found["sim-02"].result["lines"] if line["check"] == "way"]
        assert found["sim-02"].status == "unreachable"
        assert [line["found"].partition(":")[0] for line in closed] == ["ntlm", "ssh"]
