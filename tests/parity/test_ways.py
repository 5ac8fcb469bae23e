"""The agent on each engine, over the ways that lead to a PowerShell without a command line of WinRM: Ansible itself asks."""

from __future__ import annotations

from pathlib import Path

import pytest

import rig
from ldfleet.sim.farm import Farm, Plan
from ldfleet.sim.ldplayer.layout import Spec

from .conftest import usable


# Not on Wine: both ways passed there alone, and after the rest of the suite its programs no longer began (0xC0000142).
@pytest.mark.parametrize("engine", ["port", "pwsh"], indirect=True)
@pytest.mark.parametrize("way", ["psrp", "ssh"])
def test_an_emulator_is_made_and_seen(engine: str, tmp_path: Path, way: str) -> None:
    spec = Spec(desktop_user="Administrator")
    usable(engine, spec)
    rig.usable_way(way)
    plan = Plan(engine=engine, spec=spec, skip=engine == "port", powershell_start=0.0, ssh=True)
    with Farm(plan, tmp_path / "farm") as farm:
        done = rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout", "cpu": 2})
        assert (done.code, done.one()["changed"], done.one()["round_trips"]) == (0, True, 3), done.output
        assert farm.hosts[0].world.titles() == ["LDPlayer", "scout"]
        assert not rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout", "cpu": 2}).one()["changed"]


@pytest.mark.parametrize("engine", ["port", "pwsh"], indirect=True)
@pytest.mark.parametrize("way", ["ntlm", "psrp"])
def test_a_connection_is_tested(engine: str, tmp_path: Path, way: str) -> None:
    """The agent itself starts whoami, cscript and tasklist, and tells the time: the real engine by the machine's clock, the port by the simulated one."""
    spec = Spec(desktop_user="Administrator")
    usable(engine, spec)
    with Farm(Plan(engine=engine, spec=spec, skip=engine == "port", powershell_start=0.0), tmp_path / "farm") as farm:
        found = rig.ansible(farm.inventory(way), tmp_path, "connection_test", {"samples": 1}).one()
    told = {line["check"]: (line["status"], line["found"]) for line in found["lines"]}
    assert {check: status for check, (status, _found) in told.items() if status != "ok"} == (
        {"clock": "warning"} if engine == "port" else {}
    ), found
    assert told["quotas"][1] == "1 shell of WinRM in use, 30 allowed for each user"
    assert told["rights"][1] == "an administrator with a full token"
