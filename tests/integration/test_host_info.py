"""host_info and `ldfleet doctor` through real Ansible and every way in: one round trip, what was planted is found, what is unknown stays so."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.engines import powershell
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.system import Rule, Service
from ldfleet.sim.machine.windows import Answer, Caller
from ldfleet.sim.programs.probe import PATH
from ldfleet.sim.wire.faults import WireFault

LOGON = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon"
POLICIES = "HKLM\\SOFTWARE\\Policies\\Microsoft"
DEFENDER = f"{POLICIES}\\Windows Defender\\Exclusions\\Paths"
GUARD = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\DeviceGuard\\Scenarios\\HypervisorEnforcedCodeIntegrity"
LDFLEET = [sys.executable, "-m", "ldfleet"]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        yield made


def heal(world: World) -> None:
    """A host as the role windows leaves it, with a clock that is right."""
    world.registry.set(LOGON, "AutoAdminLogon", "1")
    world.registry.set(LOGON, "DefaultUserName", "player")
    world.registry.set(f"{POLICIES}\\Windows\\WindowsUpdate", "SetActiveHours", 1)
    world.registry.set(DEFENDER, "C:\\LDPlayer", "0")
    world.registry.set("HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem", "LongPathsEnabled", 1)
    world.system.power_plan = "High performance"
    world.system.services["W32Time"] = Service("Windows Time", "auto", True)
    world.clock.resume(time.time())


def info(farm: Farm, folder: Path, arguments: dict[str, Any] | None = None, *takes: str, **more: Any) -> dict[str, Any]:
    return rig.ansible(farm.inventory(*takes), folder, "host_info", arguments or {}, **more).one()


def held(result: dict[str, Any]) -> list[str]:
    return [finding["id"] for finding in result["findings"] if finding["status"] == "True"]


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["status"] for finding in result["findings"]}


# ---- one round trip -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ntlm", "certificate", "psrp", "ssh"])
def test_everything_in_one_round_trip_by_every_way(tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    with rig.farm(tmp_path / "farm", https=way == "certificate", ssh=way == "ssh") as farm:
        heal(farm.hosts[0].world)
        found = info(farm, tmp_path, {}, way)
        assert farm.hosts[0].counters.batches == found["round_trips"] == 1
        assert farm.hosts[0].counters.task_starts == 0
        assert farm.hosts[0].world.commands("powershell.exe") == [start.words for start in farm.hosts[0].world.history]
    assert (found["changed"], held(found), found["unknown"]) == (False, [], [])


@pytest.mark.parametrize("core", sorted(rig.CORES))
def test_the_older_cores_too(farm: Farm, tmp_path: Path, core: str) -> None:
    heal(farm.hosts[0].world)
    found = info(farm, tmp_path, core=core)
    assert (held(found), found["round_trips"]) == ([], 1)
    assert found["controller"]["ansible_core"].startswith(core)


def test_a_bare_host_is_asked_once_too(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11")) as farm:
        found = info(farm, tmp_path)
        assert farm.hosts[0].counters.batches == 1
    assert {"LDPlayerMissing", "NoDesktop", "AutologonOff"} <= set(held(found))
    assert statuses(found)["DriverMissing"] == statuses(found)["RemoteDesktopOnly"] == "Unknown"
    assert found["facts"]["ldplayer"] == []


def test_the_old_name_of_the_console_is_found(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    world.drive.local("C:\\LDPlayer\\LDPlayer9\\ldconsole.exe").unlink()
    found = info(farm, tmp_path)
    assert [one["install_dir"] for one in found["facts"]["ldplayer"]] == ["C:\\LDPlayer\\LDPlayer9"]
    assert found["round_trips"] == 1


def test_hosts_are_only_read_also_in_check_mode(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = sorted(str(path) for path in world.drive.root.rglob("*"))
    found = rig.ansible(farm.inventory(), tmp_path, "host_info", {}, "--check", "--diff").one()
    assert (found["changed"], "diff" in found) == (False, False)
    assert sorted(str(path) for path in world.drive.root.rglob("*")) == before


@pytest.mark.parametrize("engine", ["pwsh"])
def test_the_agent_in_powershell_hands_it_on(tmp_path: Path, engine: str) -> None:
    found = powershell.locate(engine)
    if isinstance(found, str):
        pytest.skip(found)
    with rig.farm(tmp_path / "farm", engine=engine) as farm:
        heal(farm.hosts[0].world)
        result = info(farm, tmp_path)
    assert (held(result), result["unknown"], result["round_trips"]) == ([], [], 1)


# ---- what is planted is found ---------------------------------------------------------------------------------------------------------


def _gone(world: World) -> None:
    world.registry.set("HKU\\S-1-5-21-9\\SOFTWARE\\XuanZhi\\LDPlayer14", "InstallDir", "C:\\gone\\")


def _data(world: World) -> None:
    (sid,) = world.registry.children("HKU")
    world.registry.set(f"HKU\\{sid}\\SOFTWARE\\XuanZhi\\LDPlayer9", "DataDir", "D:\\vms\\")


PLANTED: dict[str, Callable[[World], Any]] = {
    "NoDesktop": lambda world: world.log_off(),
    "VirtualizationOff": lambda world: setattr(world.system, "virtualization_firmware", False),
    "AdbPortsOpen": lambda world: world.system.rules.update(adb=Rule("adb", local_ports=["5555-5600"])),
    "LDPlayerBroken": _gone,
    "DataFolderMissing": _data,
    "RebootPending": lambda world: world.system.pending_reboot.append("updates"),
    "AutologonOff": lambda world: world.registry.set(LOGON, "AutoAdminLogon", "0"),
    "PasswordInRegistry": lambda world: world.registry.set(LOGON, "DefaultPassword", "planted-secret"),
    "HypervisorRuns": lambda world: setattr(world.system, "hypervisor", True),
    "GraphicsMissing": lambda world: setattr(world.system, "gpus", ["Microsoft Basic Display Adapter", "Microsoft Remote Display Adapter"]),
    "Sleeps": lambda world: world.registry.set(
        f"{POLICIES}\\Power\\PowerSettings\\29f6c1db-86da-48c5-9fdb-f2b67b1f44da", "ACSettingIndex", 600
    ),
    "UpdatesRestart": lambda world: world.registry.set(f"{POLICIES}\\Windows\\WindowsUpdate", "SetActiveHours", 0),
    "DefenderScans": lambda world: world.registry.remove(DEFENDER),
    "DiskNearlyFull": lambda world: setattr(world, "disk_free", 10**9),
    "MemoryShort": lambda world: setattr(world.system, "memory_mib", 6144),
    "AdbForeign": lambda world: world.orphan("adb.exe", "C:\\android\\platform-tools\\adb.exe"),
    "FirewallOff": lambda world: world.system.firewall.update(public=False),
    "RemoteDesktopEncodes": lambda world: world.registry.set(
        "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server", "fDenyTSConnections", 0
    ),
    "WinrmQuotasLow": lambda world: world.system.wsman.update({"Shell\\MaxMemoryPerShellMB": "150"}),
    "WinrmOpen": lambda world: world.system.wsman.update({"Service\\AllowUnencrypted": "true"}),
    "ClockWrong": lambda world: world.clock.resume(time.time() + 7200),
    "TimeServiceOff": lambda world: setattr(world.system.services["W32Time"], "running", False),
    "PowerPlanSaves": lambda world: setattr(world.system, "power_plan", "Balanced"),
    "LongPathsOff": lambda world: world.registry.set("HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem", "LongPathsEnabled", 0),
}


def test_each_planted_fault_is_found_and_nothing_else(tmp_path: Path) -> None:
    """One host a fault, all asked in one play."""
    with rig.farm(tmp_path / "farm", hosts=len(PLANTED)) as farm:
        for host, plant in zip(farm.hosts, PLANTED.values(), strict=True):
            heal(host.world)
            plant(host.world)
        play = rig.ansible(farm.inventory(), tmp_path, "host_info", {})
        found = {id: held(play.results[host.name.lower()]) for host, id in zip(farm.hosts, PLANTED, strict=True)}
    assert found == {id: [id] for id in PLANTED}
    told = [finding for result in play.results.values() for finding in result["findings"] if finding["status"] == "True"]
    assert all(finding["found"] and finding["consequence"] and finding["cure"] for finding in told)
    assert "planted-secret" not in play.output + json.dumps(play.results)


#: Policies of Windows Update beside no active hours -> whether updates start Windows anew while somebody is logged on.
RESTARTS = (
    ({"NoAutoRebootWithLoggedOnUsers": 1, "AUOptions": 4}, False),
    ({"NoAutoRebootWithLoggedOnUsers": 1, "AUOptions": 3}, True),
    ({"NoAutoRebootWithLoggedOnUsers": 1}, True),
    ({"NoAutoRebootWithLoggedOnUsers": 0, "AUOptions": 4}, True),
    ({"AUOptions": 4}, True),
)


def test_the_policy_for_users_who_are_logged_on_counts_beside_that_of_a_schedule_only(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", hosts=len(RESTARTS)) as farm:
        for host, (policies, _restarts) in zip(farm.hosts, RESTARTS, strict=True):
            heal(host.world)
            host.world.registry.set(f"{POLICIES}\\Windows\\WindowsUpdate", "SetActiveHours", 0)
            for name, data in policies.items():
                host.world.registry.set(f"{POLICIES}\\Windows\\WindowsUpdate\\AU", name, data)
        results = rig.ansible(farm.inventory(), tmp_path, "host_info", {}).results
    assert [held(results[host.name.lower()]) for host in farm.hosts] == [["UpdatesRestart"] if restarts else [] for _, restarts in RESTARTS]


def test_the_rule_of_the_role_closes_the_ports(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    heal(world)
    world.system.rules["adb"] = Rule("adb", local_ports=["5555-5600"])
    world.system.rules["ldfleet-adb"] = Rule("ldfleet", action="block", local_ports=["5037", "5554-5682"])
    assert held(info(farm, tmp_path)) == []


def test_memory_integrity_on_a_client(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", spec=replace(Spec(), edition="windows11")) as farm:
        heal(farm.hosts[0].world)
        farm.hosts[0].world.registry.set(GUARD, "Enabled", 1)
        found = info(farm, tmp_path)
    assert held(found) == ["HypervisorRuns", "MemoryIntegrityRuns"]


def test_open_ports_of_an_emulator_are_facts(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    world.edit(world.find("LDPlayer"), {"basicSettings.adbDebug": 2})
    world.launch(world.find("LDPlayer"))
    world.settle()
    (listener,) = info(farm, tmp_path)["facts"]["adb"]["listeners"]
    assert (listener["port"], listener["address"], listener["process"]) == (5555, "::", "Ld9BoxHeadless")


# ---- what is unknown -------------------------------------------------------------------------------------------------------------------


def test_a_question_without_an_answer_is_neither_fine_nor_bad(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    world.unanswered = {"guard": "Ung\u00fcltiger Namespace", "services": "RPC", LOGON: "Requested registry access is not allowed."}
    found = info(farm, tmp_path, {"services": ["WinRM"], "registry": [{"key": LOGON, "name": "DefaultUserName"}]})
    assert {row["question"]: row["reason"] for row in found["unknown"]} == world.unanswered
    unknown = {"PasswordInRegistry", "AutologonOff", "MemoryIntegrityRuns", "DefenderScans", "TimeServiceOff"}
    assert unknown == {id for id, status in statuses(found).items() if status == "Unknown"}
    assert found["services"] == {"WinRM": None}
    assert found["registry"] == [{"key": LOGON, "name": "DefaultUserName", "exists": None, "kind": None, "data": None}]


@pytest.mark.parametrize("how", ["missing", "hangs", "garbage", "refuses"])
def test_a_powershell_that_does_not_answer_leaves_all_unknown(farm: Farm, tmp_path: Path, how: str) -> None:
    world = farm.hosts[0].world
    answers = {
        "hangs": Answer(seconds=None),
        "garbage": Answer(0, b'\xff#ldfleet-fact {"id": #ldfleet-end\r\n#ldfleet-fact {] #ldfleet-end'),
        "refuses": Answer(1, b"", "L'ex\u00e9cution de scripts est d\u00e9sactiv\u00e9e".encode("cp437")),
    }
    if how == "missing":
        world.drive.local(PATH).unlink()
    else:
        world.install({PATH: lambda *_call: answers[how]})
    found = info(farm, tmp_path)
    assert [row["question"] for row in found["unknown"]] == ["probe"], found["unknown"]
    # What the agent itself told is known all the same.
    assert {id for id, status in statuses(found).items() if status == "True"} == {"ClockWrong"}
    assert statuses(found)["LDPlayerMissing"] == "False"


OTHER = base64.b64encode("#ldfleet-probe 2\n$ask='{}'\n".encode("utf-16-le")).decode()


@pytest.mark.parametrize(
    "words", [[], ["-Command", "dir"], ["-EncodedCommand", "ZABpAHIA"], ["-EncodedCommand", "?"], ["-EncodedCommand", OTHER]], ids=str
)
def test_the_simulated_powershell_takes_no_other_script(tmp_path: Path, words: list[str]) -> None:
    world = rig.world(tmp_path)
    answer = world.run_program(PATH, words, " ".join(words), Caller("Administrator"))
    assert answer is not None
    assert (answer.exit_code, answer.stdout) == (1, b"")
    assert b"runs ldfleet's probe here, and no other script" in answer.stderr


# ---- what a task asks for --------------------------------------------------------------------------------------------------------------


def test_values_names_and_their_kinds_come_in_the_same_round_trip_however_many(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    keys = [f"HKLM\\SOFTWARE\\a key's name \u96f7 {number} {'x' * 150}" for number in range(80)]
    for number, key in enumerate(keys):
        world.registry.set(key, "V'alue", number if number % 2 else f"text {number}")
    found = info(
        farm, tmp_path,
        {
            "registry": [{"key": key, "name": name} for key in keys for name in ("v'alue", "gone")], "services": ["WinRM", "nope"],
            "features": ["Hyper-V", "nope"], "firewall_rules": ["WINRM-HTTP-In-TCP", "nope"],
        },
    )  # fmt: skip
    assert found["round_trips"] == 1
    assert len(world.commands("powershell.exe")) > 1
    assert all(len(words[-1]) < 32_767 - 200 for words in world.commands("powershell.exe"))
    assert [(row["key"], row["exists"], row["kind"], row["data"]) for row in found["registry"][::2]] == [
        (key, True, "dword" if number % 2 else "string", number if number % 2 else f"text {number}") for number, key in enumerate(keys)
    ]
    assert {row["exists"] for row in found["registry"][1::2]} == {False}
    assert found["services"] == {
        "WinRM": {"exists": True, "running": True, "start": "auto"}, "nope": {"exists": False, "running": False, "start": None},
    }  # fmt: skip
    assert found["features"] == {"Hyper-V": False, "nope": None}
    assert [rule["name"] for rule in found["firewall_rules"]] == ["WINRM-HTTP-In-TCP"]
    assert {"listeners", "rules"} & {row["question"] for row in found["unknown"]} == set()


def test_a_planted_password_is_told_of_and_never_told(farm: Farm, tmp_path: Path) -> None:
    farm.hosts[0].world.registry.set(LOGON, "DefaultPassword", "planted-secret")
    play = rig.ansible(farm.inventory(), tmp_path, "host_info", {"registry": [{"key": LOGON, "name": "DefaultPassword"}]}, "-vvv")
    assert play.one()["registry"] == [{"key": LOGON, "name": "DefaultPassword", "exists": True, "kind": "string", "data": None}]
    assert "planted-secret" not in play.output + json.dumps(play.results)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"registry": [{"key": "SOFTWARE\\x", "name": "y"}]},
            r"registry[0].key is 'SOFTWARE\x'; a key such as HKLM\SYSTEM\CurrentControlSet is wanted",
        ),
        ({"registry": [{"key": "HKLM\\*\\x"}]}, "registry[0].key is"),
        ({"services": ["a' OR Name LIKE '%"]}, "services[0] is"),
        ({"features": ["x\ny"]}, "features[0] is"),
        ({"firewall_rules": ["a|b"]}, "firewall_rules[0] is"),
        ({"service": ["x"]}, "service is not an option; did you mean services?"),
    ],
)
def test_wrong_words_stop_before_the_wire(farm: Farm, tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    found = info(farm, tmp_path, arguments)
    assert says in found["msg"]
    assert farm.hosts[0].counters.batches == 0


# ---- ldfleet doctor --------------------------------------------------------------------------------------------------------------------


def doctor(farm: Farm, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Of a fleet file that leads to the farm."""
    inventory = farm.inventory()["ldplayer"]
    ports = {name: own.get("ansible_port", inventory["vars"].get("ansible_port")) for name, own in inventory["hosts"].items()}
    own = {name: {"ansible_host": "127.0.0.1", "ansible_port": port} for name, port in ports.items()}
    shared = {name: value for name, value in inventory["vars"].items() if name not in ("ansible_host", "ansible_port")}
    (folder / "fleet.yml").write_text(json.dumps({"plugin": "ldfleet.ldplayer.fleet", "vars": shared, "hosts": own}), encoding="utf-8")
    return subprocess.run(
        [*LDFLEET, "doctor", "--quiet", *words], cwd=folder, env=rig.environment(folder), capture_output=True, text=True, check=False, timeout=170
    )  # fmt: skip


def test_doctor_of_a_healthy_fleet_is_a_line_a_host(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", hosts=2) as farm:
        for host in farm.hosts:
            heal(host.world)
        done = doctor(farm, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("sim-")]
    assert lines == [f"sim-0{n}: Microsoft Windows Server 2022 Standard, LDPlayer 9.0.79.2: nothing is in the way" for n in (1, 2)]
    assert done.stdout.splitlines()[-1].startswith("2 hosts: ")
    assert f"in {(rig.ROOT / '.build' / 'ansible_collections' / 'ldfleet' / 'ldplayer').resolve()}" in done.stdout


def test_doctor_tells_what_is_worst_first_what_is_not_known_and_who_is_silent(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", hosts=3) as farm:
        for host in farm.hosts:
            heal(host.world)
        first, second, _ = farm.hosts
        first.world.log_off()
        for host in (first, second):
            host.world.system.power_plan = "Balanced"
        second.world.unanswered = {"guard": "Invalid \x1b[31mnamespace"}
        named = doctor(farm, tmp_path, first.name.lower(), second.name.lower())
        farm.endpoints[2].wire.inject(WireFault("any", "drop", times=99))
        done, told = doctor(farm, tmp_path), doctor(farm, tmp_path, "--json")
    assert (named.returncode, done.returncode, told.returncode) == (2, 4, 4)
    assert named.stdout.index("NoDesktop") < named.stdout.index("PowerPlanSaves")
    assert "? sim-02: not known whether MemoryIntegrityRuns (guard: Invalid \\x1b[31mnamespace)" in named.stdout
    assert "windows_autologon_user" in named.stdout
    assert "sim-03" not in named.stdout
    assert "error: sim-03: " in done.stdout
    assert "\x1b" not in done.stdout + named.stdout
    document = json.loads(told.stdout)
    assert (document["code"], sorted(document["hosts"])) == (4, ["sim-01", "sim-02", "sim-03"])
    assert document["hosts"]["sim-03"]["problem"]
    assert [finding["id"] for finding in document["hosts"]["sim-01"]["findings"] if finding["status"] == "True"] == [
        "NoDesktop",
        "PowerPlanSaves",
    ]


def test_doctor_of_hosts_that_are_not_there(farm: Farm, tmp_path: Path) -> None:
    done = doctor(farm, tmp_path, "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nope" in done.stderr


def test_the_playbook_shows_the_same(farm: Farm, tmp_path: Path) -> None:
    heal(farm.hosts[0].world)
    farm.hosts[0].world.system.power_plan = "Balanced"
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps(farm.inventory()), encoding="utf-8")
    done = rig.playbook(inventory, tmp_path, "ldfleet.ldplayer.doctor")
    assert done.returncode == 0, done.stdout
    line = "info  PowerPlanSaves: the plan is balanced. The processor is slowed down between an emulator's frames. Cure: windows_power_plan (role windows)"
    assert line in done.stdout
