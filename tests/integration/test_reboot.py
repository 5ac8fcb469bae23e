"""A simulated host starts anew: Ansible's own win_reboot and wait_for_connection, what takes effect then, and hosts that stay away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import winrm

import rig
from ldfleet.sim.engines import port
from ldfleet.sim.farm import PASSWORD, USER, Farm
from ldfleet.sim.ldplayer import boot
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.machine.power import DOWN_SECONDS, Interrupted
from ldfleet.sim.machine.windows import Answer, Caller

REBOOT = {"ansible.windows.win_reboot": {"pre_reboot_delay": 0, "reboot_timeout": 40}}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11")) as made:
        yield made


def play(farm: Farm, folder: Path, *tasks: dict[str, Any], way: str = "ntlm", core: str | None = None) -> dict[str, Any]:
    done = rig.tasks(farm.inventory(way), folder, tasks, core=core)
    assert done.results, done.output
    return done.one()


@pytest.mark.parametrize(("way", "core"), [("ntlm", None), ("psrp", None), ("ssh", None), *(("ntlm", core) for core in rig.CORES)])
def test_win_reboot_waits_until_the_host_is_back(tmp_path: Path, way: str, core: str | None) -> None:
    rig.usable_way(way)
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11"), ssh=way == "ssh") as farm:
        world = farm.hosts[0].world
        before = world.system.booted
        found = play(farm, tmp_path, REBOOT, way=way, core=core)
        assert (found.get("failed", False), found["rebooted"], found["changed"]) == (False, True, True), found
        assert world.system.booted > before + DOWN_SECONDS
        assert play(farm, tmp_path, {"ansible.windows.win_ping": {}}, way=way, core=core)["ping"] == "pong"


def test_what_waits_for_a_start_takes_effect_then(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    system = world.system
    assert system.hypervisor
    guard = r"HKLM:\SYSTEM\CurrentControlSet\Control\DeviceGuard"
    asked = play(
        farm,
        tmp_path,
        {"ansible.windows.win_user": {"name": "player", "password": "planted-secret"}},
        {"ansible.windows.win_auto_logon": {"username": "player", "password": "planted-secret"}},
        {"ansible.windows.win_service": {"name": "W32Time", "start_mode": "auto"}},
        {"ansible.windows.win_regedit": {"path": guard, "name": "EnableVirtualizationBasedSecurity", "data": 0, "type": "dword"}},
        {"ansible.windows.win_optional_feature": {"name": "Containers-DisposableClientVM", "state": "present"}},
    )
    assert asked["reboot_required"] is True
    assert (world.desktop, system.features["Containers-DisposableClientVM"], system.pending_reboot) == (None, False, ["servicing"])
    play(farm, tmp_path, REBOOT)
    assert world.desktop is not None
    assert (world.desktop.user, system.services["W32Time"].running) == ("player", True)
    assert (system.features["Containers-DisposableClientVM"], system.pending, system.pending_reboot) == (True, {}, [])
    assert system.hypervisor, "Windows Sandbox needs it whatever VBS does"
    off = {"ansible.windows.win_optional_feature": {"name": "Containers-DisposableClientVM", "state": "absent"}}
    play(farm, tmp_path, off, REBOOT)
    assert not system.hypervisor
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11")) as again:
        assert again.hosts[0].world.system == system
        assert again.hosts[0].world.desktop == world.desktop


def autologon(world: Any, **meddled: Any) -> str | None:
    """Who is logged on after a start where all is set for it but what was meddled with."""
    system = world.system
    values = {"AutoAdminLogon": "1", "DefaultUserName": "player", **meddled.get("values", {})}
    for name, value in values.items():
        world.registry.set(boot.WINLOGON, name, value)
    system.lsa_secrets[:] = meddled.get("secrets", [boot.DEFAULT_PASSWORD])
    for account in system.accounts.values():
        account.enabled = meddled.get("enabled", True)
    boot.shut_down(world)
    boot.start_up(world)
    return world.desktop.user if world.desktop else None


@pytest.mark.parametrize(
    ("meddled", "user"),
    [
        ({}, "player"),
        ({"values": {"AutoAdminLogon": 1}}, "player"),
        ({"values": {"AutoAdminLogon": "0"}}, None),
        ({"values": {"DefaultUserName": "nobody"}}, None),
        ({"secrets": []}, None),
        ({"enabled": False}, None),
    ],
)
def test_somebody_is_logged_on_only_where_all_of_it_is_set(tmp_path: Path, meddled: dict[str, Any], user: str | None) -> None:
    assert autologon(rig.world(tmp_path), **meddled) == user


def test_a_count_of_automatic_logons_comes_to_its_end(tmp_path: Path) -> None:
    world = rig.world(tmp_path)
    assert [autologon(world, values={"AutoLogonCount": 2})] == ["player"]
    for user in ("player", None):
        boot.shut_down(world)
        boot.start_up(world)
        assert (world.desktop.user if world.desktop else None) == user
    assert (world.registry.get(boot.WINLOGON, "AutoAdminLogon"), world.system.lsa_secrets) == ("0", [])


def test_emulators_do_not_outlive_a_start(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        world = farm.hosts[0].world
        assert rig.ansible(farm.inventory(), tmp_path, "emulator", {"name": "scout", "state": "running"}).one()["changed"]
        play(farm, tmp_path, REBOOT)
        assert not world.running(world.find("scout"))
        assert world.titles() == ["LDPlayer", "scout"]


def test_shutdown_can_be_aborted_and_is_not_planned_twice(farm: Farm) -> None:
    world = farm.hosts[0].world
    session = client(farm)
    assert session.run_cmd("shutdown /r /t 600").status_code == 0
    again = session.run_cmd("shutdown /r /t 600")
    assert (again.status_code, b"(1190)" in again.std_err) == (1190, True)
    assert [session.run_cmd("shutdown /a").status_code for _ in range(2)] == [0, 1116]
    assert world.power.starts == 0


def test_bcdedit_keeps_the_hypervisor_from_the_next_start(farm: Farm) -> None:
    world = farm.hosts[0].world
    session = client(farm)
    assert session.run_cmd("bcdedit /set hypervisorlaunchtype off").status_code == 0
    assert b"Off" in session.run_cmd("bcdedit /enum").std_out
    assert world.system.hypervisor
    boot.start_up(world)
    assert not world.system.hypervisor


def client(farm: Farm) -> winrm.Session:
    return winrm.Session(f"http://127.0.0.1:{farm.endpoints[0].http_port}/wsman", auth=(USER, PASSWORD), transport="ntlm")


def test_what_runs_is_cut_off_and_connections_are_refused_for_the_downtime(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", skip=False, speed=20.0) as farm:
        host, port = farm.hosts[0], farm.endpoints[0].http_port
        client(farm).protocol.open_shell()
        assert farm.endpoints[0].shells.open_shells == 1
        host.world.power.restart()
        assert farm.endpoints[0].shells.open_shells == 0
        with pytest.raises(requests.ConnectionError):
            requests.post(f"http://127.0.0.1:{port}/wsman", timeout=5)
        deadline = time.monotonic() + DOWN_SECONDS / 20 + 5
        while not host.world.power.up and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client(farm).run_cmd("hostname").std_out.strip() == host.name.encode()


def test_a_host_that_never_comes_back_fails_the_play_and_is_unreachable(farm: Farm, tmp_path: Path) -> None:
    farm.hosts[0].world.power.comes_back = False
    found = play(farm, tmp_path, {"ansible.windows.win_reboot": {"pre_reboot_delay": 0, "reboot_timeout": 3}})
    assert (found["failed"], "Timed out waiting for last boot time check" in found["msg"]) == (True, True)
    assert play(farm, tmp_path, {"ansible.windows.win_ping": {}})["unreachable"] is True


def test_wait_for_connection_outlasts_a_start_without_network(farm: Farm, tmp_path: Path) -> None:
    power = farm.hosts[0].world.power
    power.without_network = 60.0
    power.restart()
    found = play(farm, tmp_path, {"ansible.builtin.wait_for_connection": {"timeout": 60, "sleep": 1}})
    assert "failed" not in found, found
    assert power.up


def test_a_host_that_was_down_when_the_simulator_ended_starts_with_it(tmp_path: Path) -> None:
    spec = Spec.bare("windows11")
    with rig.farm(tmp_path / "farm", spec=spec) as farm:
        power, system = farm.hosts[0].world.power, farm.hosts[0].world.system
        play(farm, tmp_path, {"ansible.windows.win_optional_feature": {"name": "HypervisorPlatform"}})
        before = system.booted
        power.comes_back = False
        power.restart()
        assert (system.features["HypervisorPlatform"], system.started) == (False, False)
    with rig.farm(tmp_path / "farm", spec=spec) as again:
        system = again.hosts[0].world.system
        assert (system.features["HypervisorPlatform"], system.pending_reboot, system.started) == (True, [], True)
        assert system.booted > before


def test_a_batch_ends_where_the_machine_goes_down_under_it(tmp_path: Path) -> None:
    world = rig.world(tmp_path)

    def pull(machine: Any, _words: Any, _raw: str, _caller: Caller) -> Answer:
        machine.power.restart()
        return Answer()

    world.install({r"C:\plug.exe": pull})
    run = {"op": "exec", "program": r"C:\plug.exe", "arguments": "", "timeout_ms": 1000, "output_cap": 10}
    write = {"op": "write", "path": r"C:\after.txt", "data": "", "expect": "absent"}
    batch = {
        "protocol": 1, "id": "0" * 32, "slice_ms": 1000, "lock_ms": 1000, "once": True, "desktop": "never", "note": None,
        "ops": [{"id": "a", **run}, {"id": "b", **write}],
    }  # fmt: skip
    with pytest.raises(Interrupted):
        port.answer(world, json.dumps({"batch": batch}), Caller(USER))
    assert not world.drive.local(r"C:\after.txt").exists()
    again = port.answer(world, json.dumps({"batch": batch}), Caller(USER))
    assert '"Interrupted"' in again.text
