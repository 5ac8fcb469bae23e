"""The probe on a real PowerShell, over a world that plays Windows' own commands: what it tells, what it withholds, and that nothing of it breaks the rest."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import findings, host_facts, questions
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows.questions import Answers, Wanted
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import Installed
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import HostFacts, Reply, Result
from ldfleet.sim.engines import powershell

PROBE = rig.ROOT / "plugins" / "module_utils" / "_probe.ps1"
WINDOWS = Path(__file__).with_name("probe_windows.ps1")
RULES = "'HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules'"
LOGON = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"


@pytest.fixture
def engine() -> Path:
    """A real PowerShell."""
    found = powershell.locate("pwsh")
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """LDPlayer's."""
    home = tmp_path / "LDPlayer9"
    (home / "vms").mkdir(parents=True)
    (home / "ldconsole.exe").touch()
    return home


def asked(engine: Path, folder: Path, lines: Sequence[str] = (), wanted: Wanted = Wanted()) -> tuple[Answers, str]:  # noqa: B008 - frozen
    """What the probe answers in a world that the lines have changed, and all that it printed."""
    (operation,) = questions.ask(wanted, PROBE.read_text(encoding="ascii"))
    script = base64.b64decode(operation["arguments"].split()[-1]).decode("utf-16-le")
    text = f". ([ScriptBlock]::Create([IO.File]::ReadAllText('{WINDOWS}')))\n" + "\n".join(lines) + "\n" + script
    done = subprocess.run(
        [str(engine), "-NoProfile", "-NonInteractive", "-EncodedCommand", base64.b64encode(text.encode("utf-16-le")).decode("ascii")],
        env={**os.environ, "LDFLEET_FOLDER": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return questions.read(reply(done.stdout)), done.stdout.decode("ascii")


def reply(stdout: bytes, **more: Any) -> Reply:
    """A reply of the agent with a probe's output in it."""
    values = {"exit": 0, "stdout": base64.b64encode(stdout).decode(), **more}
    return Reply(
        "0" * 32, HostFacts("WS-01", 0, 1252, 437, "5.1", "C:\\ProgramData", "direct", ""), {"probe0": Result("probe0", "ok", values)}
    )


def facts(told: Answers, folder: Path) -> Mapping[str, Any]:
    return host_facts.facts(told, [Installed(9, str(folder))], 0)


def statuses(told: Answers, folder: Path) -> dict[str, list[str]]:
    """The findings' names by status."""
    found: dict[str, list[str]] = {"True": [], "False": [], "Unknown": []}
    for finding in findings.judged(dict(facts(told, folder))):
        found[finding["status"]].append(finding["id"])
    return found


def test_the_real_parser_takes_it_also_as_it_travels(engine: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent.ps1"
    sent.write_text(questions.script(PROBE.read_text(encoding="ascii"), {"it's": "‘quoted’"}), encoding="ascii")
    assert rig.misread(engine, PROBE) == rig.misread(engine, sent) == []


def test_a_healthy_host_is_known_whole_and_nothing_is_found_but_what_the_world_plants(engine: Path, folder: Path) -> None:
    told, _ = asked(engine, folder)
    assert told.reasons == {}
    found = facts(told, folder)
    assert found["windows"] == {
        "caption": "Microsoft Windows 11 Pro", "build": 22631, "revision": 2715, "release": "23H2", "edition": "Professional", "server": False,
        "uptime_seconds": 3600, "reboot_pending": [],
    }  # fmt: skip
    assert found["hardware"]["memory_bytes"] == 32 * 1024**3
    assert [disk["drive"] for disk in found["disks"]] == ["C:"]
    assert found["sessions"] == {"console_user": "WS-01\\player", "desktops": [{"user": "WS-01\\player", "session": 1}]}
    assert found["power"] == {"plan": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c", "name": "high_performance", "sleep_seconds": 0}
    assert found["adb"]["listeners"] == [
        {"port": 5555, "address": "127.0.0.1", "process": "Ld9BoxHeadless", "path": "C:\\Program Files\\ldplayer9box\\Ld9BoxHeadless.exe"}
    ]
    assert [driver["name"] for driver in found["drivers"]] == ["Ld9BoxSup"]
    assert found["time"]["service"] == {"exists": True, "running": True, "start": "manual"}
    assert found["virtualization"]["features"]["VirtualMachinePlatform"] is False
    assert found["ldplayer"] == [
        {
            "install_dir": str(folder),
            "ldplayer_version": 9,
            "build": None,
            "console": True,
            "data_dir": f"{folder}/vms",
            "data_dir_exists": True,
        }
    ]
    # The folder of this world is no folder of Windows.
    assert statuses(told, folder) == {"True": ["PasswordInRegistry"], "False": statuses(told, folder)["False"], "Unknown": []}


def test_emulators_behind_a_link_lie_where_it_leads(engine: Path, folder: Path) -> None:
    disks = folder.parent / "emulators"
    (folder / "vms").rename(disks)
    (folder / "vms").symlink_to(disks)
    told, _ = asked(engine, folder)
    (found,) = facts(told, folder)["ldplayer"]
    assert (found["data_dir"], found["data_dir_exists"]) == (str(disks), True)


BREAKS = {
    "Win32_OperatingSystem": "os", "Win32_ComputerSystem": "computer", "Win32_Processor": "cpu", "Win32_LogicalDisk": "disks", "Win32_DeviceGuard": "guard",
    "Win32_VideoController": "gpus", "Win32_SystemDriver": "drivers", "Win32_PowerSettingDataIndex": "standby", "Win32_PageFileSetting": "pagefiles",
    "Win32_Service": "services", "Win32_OptionalFeature": "features", "GetOwner": "explorers", "Get-Service": "wsman",
    "Registry::HKEY_USERS": "ldplayer", "WSMan:\\localhost\\MaxEnvelopeSizekb": "wsman",
}  # fmt: skip


def test_each_question_may_fail_and_the_others_are_answered(engine: Path, folder: Path) -> None:
    """All in one PowerShell: what is broken is unknown with its reason, and nothing else is."""
    whole, _ = asked(engine, folder)
    for broken, question in BREAKS.items():
        told, _ = asked(engine, folder, [f"$world.broken = @('{broken}')"])
        assert told.reasons == {question: f"broken: {broken}"}
        assert told.rows.keys() == whole.rows.keys() - {question}
        # Nothing is bad, and nothing is fine, only because it cannot be asked.
        before, after = statuses(whole, folder), statuses(told, folder)
        assert set(after["True"]) <= set(before["True"])
        assert set(after["False"]) <= set(before["False"])


def test_a_key_that_nobody_may_open_is_unknown_and_not_absent(engine: Path, folder: Path) -> None:
    told, _ = asked(engine, folder, [f"$world.broken = @('Registry::{LOGON.replace('HKLM', 'HKEY_LOCAL_MACHINE')}')"])
    assert list(told.reasons) == [LOGON]
    assert facts(told, folder)["autologon"] == dict.fromkeys(("enabled", "user", "domain", "password_in_registry", "limited"))
    assert {"AutologonOff", "PasswordInRegistry"} <= set(statuses(told, folder)["Unknown"])


def test_passwords_never_leave_the_host(engine: Path, folder: Path) -> None:
    wanted = Wanted(registry=((LOGON, "DefaultPassword"), (LOGON, "DefaultUserName"), (r"HKLM\SOFTWARE\x", "ApiSecret")))
    told, printed = asked(engine, folder, ["$world.registry['HKEY_LOCAL_MACHINE\\SOFTWARE\\x'] = @{ ApiSecret = 'planted-too' }"], wanted)
    assert "planted" not in printed
    assert host_facts.registry(told, wanted.registry) == [
        {"key": LOGON, "name": "DefaultPassword", "exists": True, "kind": "string", "data": None},
        {"key": LOGON, "name": "DefaultUserName", "exists": True, "kind": "string", "data": "player"},
        {"key": r"HKLM\SOFTWARE\x", "name": "ApiSecret", "exists": True, "kind": "string", "data": None},
    ]


def test_values_of_every_kind(engine: Path, folder: Path) -> None:
    names = ("text", "number", "big", "list", "bytes", "one", "none", "Gone", "")
    wanted = Wanted(registry=tuple((r"HKLM\SOFTWARE\x", name) for name in names))
    values = "text = 'it''s'; number = -1; big = [long]-2; list = @('a', 'b'); bytes = [byte[]]@(0, 255); one = [string[]]@('a'); none = [string[]]@()"
    told, _ = asked(engine, folder, [f"$world.registry['HKEY_LOCAL_MACHINE\\SOFTWARE\\x'] = @{{ {values}; '' = 'd' }}"], wanted)
    assert [(row["exists"], row["kind"], row["data"]) for row in host_facts.registry(told, wanted.registry)] == [
        (True, "string", "it's"), (True, "dword", 4294967295), (True, "qword", 18446744073709551614), (True, "multi_string", ["a", "b"]),
        (True, "binary", "00FF"), (True, "multi_string", ["a"]), (True, "multi_string", []), (False, None, None), (True, "string", "d"),
    ]  # fmt: skip


def test_hostile_values_stay_values(engine: Path, folder: Path) -> None:
    """Quotes, line ends, marks, other alphabets, what is no character, and 100 KB: one line a question, ASCII, cut."""
    hostile = "'a\"b' + \"`r`n#ldfleet-fact {} #ldfleet-end`0\" + [char]0x96f7 + [char]0xd800 + ('x' * 100000)"
    lines = [
        f"$hostile = {hostile}",
        "foreach ($row in @($world.cim.Values | ForEach-Object { $_ })) {",
        "    foreach ($name in @($row.Keys)) { if ($row[$name] -is [string]) { $row[$name] += $hostile } }",
        "}",
        f"$world.registry[{RULES}] = @{{ $hostile = \"v2|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5555|Name=$hostile|\" }}",
        "$world.registry['HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters'] = @{ Type = $hostile; NtpServer = $hostile }",
        "$world.cim['root\\cimv2/Win32_LogicalDisk'] = @(1..500 | ForEach-Object { @{ DriveType = [uint32]3; DeviceID = $hostile; Size = [uint64]1 } })",
    ]  # fmt: skip
    told, printed = asked(engine, folder, lines)
    assert told.reasons == {}
    assert len(printed) < questions.operations.OUTPUT_CAP
    assert all(line.startswith("#ldfleet-fact {") and line.endswith("} #ldfleet-end") for line in printed.splitlines())
    found = facts(told, folder)
    assert found["windows"]["caption"].startswith('Microsoft Windows 11 Proa"b\r\n#ldfleet-fact {} #ldfleet-end\0雷\ufffdxxx')
    assert len(found["windows"]["caption"]) == 1000
    assert len(found["disks"]) == 300
    json.dumps(found, ensure_ascii=False).encode()
    (rule,) = found["firewall"]["open_rules"]
    assert (rule["local_ports"], len(rule["name"])) == (["5555"], 1000)


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5555|Name=x", True),
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=80|LPort=5037|Name=x", True),
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort2_10=5000-6000|Name=x", True),
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort2_10=1-5036|Name=x", False),
        ("Action=Allow|Active=TRUE|Dir=In|Name=everything", True),
        ("Action=Allow|Active=TRUE|Dir=In|App=C:\\LDPlayer\\LDPlayer9\\dnplayer.exe|Name=x", True),
        ("Action=Allow|Active=TRUE|Dir=In|App=C:\\tools\\adb.exe|Protocol=6|Name=x", True),
        ("Action=Allow|Active=TRUE|Dir=In|App=C:\\tools\\other.exe|Protocol=6|Name=x", False),
        ("Action=Allow|Active=FALSE|Dir=In|Protocol=6|LPort=5555|Name=x", False),
        ("Action=Allow|Active=TRUE|Dir=Out|Protocol=6|LPort=5555|Name=x", False),
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=17|LPort=5555|Name=x", False),
        ("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=RPC|Name=x", False),
    ],
)
def test_which_rules_let_in_at_adbs_ports(engine: Path, folder: Path, rule: str, opens: bool) -> None:
    told, _ = asked(engine, folder, [f"$world.registry[{RULES}] = @{{ one = 'v2.31|{rule}|' }}"])
    assert ("AdbPortsOpen" in statuses(told, folder)["True"]) is opens
    # What the probe tells is all that it let through.
    assert bool(told.rows["rules"]) is opens


def test_a_rule_is_asked_for_by_either_of_its_names(engine: Path, folder: Path) -> None:
    rule = "'{F7EE}' = 'v2.31|Action=Block|Active=FALSE|Dir=In|Protocol=6|LPort=80|Name=ldfleet-adb|'"
    for name in ("{f7ee}", "LDFLEET-adb"):
        told, _ = asked(engine, folder, [f"$world.registry[{RULES}] = @{{ {rule} }}"], Wanted(firewall_rules=(name,)))
        assert [one["name"] for one in host_facts.rules(told, [name]) or ()] == ["{F7EE}"]


def test_a_key_that_opens_and_cannot_be_read_leaves_the_others(engine: Path, folder: Path) -> None:
    told, _ = asked(engine, folder, [f"$world.broken = @('values of {LOGON.replace('HKLM', 'HKEY_LOCAL_MACHINE')}')"])
    assert list(told.reasons) == [LOGON]
    assert facts(told, folder)["windows"]["edition"] == "Professional"


@pytest.mark.parametrize(
    ("block", "opens"),
    [
        ("LPort=5037|LPort2_10=5554-5682", False), ("LPort=5555", False), ("LPort=5554", True), ("Name=all", False), ("LPort=5555|RA4=10.0.0.1", True),
        ("LPort=5555|App=C:\\x.exe", True),
    ],
)  # fmt: skip
def test_a_rule_that_blocks_everybody_closes_what_another_opens(engine: Path, folder: Path, block: str, opens: bool) -> None:
    rules = f"a = 'v2|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5555|'; b = 'v2|Action=Block|Active=TRUE|Dir=In|Protocol=6|{block}|'"
    told, _ = asked(engine, folder, [f"$world.registry[{RULES}] = @{{ {rules} }}"])
    assert ("AdbPortsOpen" in statuses(told, folder)["True"]) is opens


def test_rules_services_features_and_roles_by_name(engine: Path, folder: Path) -> None:
    wanted = Wanted(
        features=("VirtualMachinePlatform", "Hyper-V"), services=("WinRM", "nope"), firewall_rules=("winrm-http-in-tcp", "nope")
    )
    for server, role in ((True, True), (False, None)):
        told, _ = asked(engine, folder, [f"$world.server = ${str(server).lower()}"], wanted)
        assert host_facts.features(told, wanted.features) == {"VirtualMachinePlatform": False, "Hyper-V": role}
    services = host_facts.services(told, wanted.services)
    assert services["WinRM"] == {"exists": True, "running": True, "start": "delayed"}
    assert services["nope"] == {"exists": False, "running": False, "start": None}
    rules = host_facts.rules(told, wanted.firewall_rules)
    assert rules is not None
    assert [(rule["name"], rule["local_ports"], rule["program"]) for rule in rules] == [("WINRM-HTTP-In-TCP", ["5985"], "System")]


def test_a_winrm_that_does_not_run_is_not_asked(engine: Path, folder: Path) -> None:
    told, _ = asked(engine, folder, ["$world.winrm = 'Stopped'"])
    assert told.reasons == {"wsman": "the service WinRM does not run"}
