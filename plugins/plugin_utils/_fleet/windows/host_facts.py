# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a Windows host, from the answers of its probe (questions.py): values only, no judgement (that is findings.py).

None is unknown, here and in every fact: a question without an answer, or an answer that is no such value. The host's words are not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..words.door import ADB_PORTS
from ..words.install import Installed
from . import questions
from .questions import ABSENT, Answers

Facts = dict[str, Any]

_KIB, _MIB = 1024, 1024**2
#: What a number of a host may be at the most: bits of a size in bytes.
_BITS = 63
_TEXT = 1000


def facts(told: Answers, found: Iterable[Installed] | None, skew: int | None) -> Facts:
    """All facts, by subject. ``found``: the LDPlayers that the agent found (None: it was not asked); ``skew``: seconds by which the host's clock is ahead."""
    return {
        "windows": _windows(told),
        "hardware": _hardware(told),
        "disks": _rows(told, "disks", _disk),
        "virtualization": _virtualization(told),
        "gpus": _rows(told, "gpus", _gpu),
        "sessions": _sessions(told),
        "autologon": _autologon(told),
        "power": _power(told),
        "ldplayer": _ldplayer(told, found),
        "drivers": _rows(told, "drivers", lambda row: {"name": _text(row.get("Name")), "state": _text(row.get("State"))}),
        "adb": _adb(told),
        "firewall": _firewall(told),
        "winrm": _winrm(told),
        "powershell": {key: _text(told.one("powershell").get(key)) for key in ("version", "edition", "mode")},
        "long_paths": _switch(told.data(questions.FILES, "LongPathsEnabled", 0)),
        "defender": _defender(told),
        "updates": _updates(told),
        "time": _time(told, skew),
        "pagefile": pagefile(told),
        "rdp": _rdp(told),
    }


# ---- values -------------------------------------------------------------------------------------------------------------------------


def _text(value: object) -> str | None:
    return value[:_TEXT] if isinstance(value, str) else None


def _number(value: object) -> int | None:
    """A whole number; 5.1 writes some as texts."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _BITS else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _switch(value: object) -> bool | None:
    """A registry value that is 0 or not; some are texts."""
    number = _number(value)
    return None if number is None else number != 0


def _rows(told: Answers, id: str, make: Callable[[Mapping[str, Any]], Any]) -> list[Any] | None:
    rows = told.all(id)
    return None if rows is None else [make(row) for row in rows]


def _times(number: int | None, factor: int) -> int | None:
    return None if number is None else number * factor


# ---- subjects -----------------------------------------------------------------------------------------------------------------------


def _windows(told: Answers) -> Facts:
    system = told.one("os")
    now, booted = _number(system.get("LocalDateTime")), _number(system.get("LastBootUpTime"))
    kind = _number(system.get("ProductType"))
    release = told.data(questions.VERSION, "DisplayVersion") or told.data(questions.VERSION, "ReleaseId")
    return {
        "caption": _text(system.get("Caption")),
        "build": _number(system.get("BuildNumber")),
        "revision": _number(told.data(questions.VERSION, "UBR")),
        "release": _text(release),
        "edition": _text(told.data(questions.VERSION, "EditionID")),
        # ProductType: 1 is a workstation, 2 a domain controller, 3 a server.
        "server": None if kind is None else kind != 1,
        "uptime_seconds": now - booted if now is not None and booted is not None else None,
        "reboot_pending": _reboot(told),
    }


def _reboot(told: Answers) -> list[str] | None:
    """Who waits for a restart; None where one of them is unknown and none of the others waits."""
    renames = told.data(questions.SESSIONS, "PendingFileRenameOperations", [])
    now, later = (told.data(key, "ComputerName", "") for key in (questions.NAME_NOW, questions.NAME_NEXT))
    asked = {
        "components": told.has(questions.COMPONENTS),
        "updates": told.has(questions.UPDATED),
        "files": None if renames is None else bool(renames),
        "computer_name": None if now is None or later is None else str(now).lower() != str(later).lower(),
    }
    waiting = [name for name, value in asked.items() if value]
    return None if not waiting and None in asked.values() else waiting


def _hardware(told: Answers) -> Facts:
    system, computer = told.one("os"), told.one("computer")
    return {
        "model": _text(computer.get("Model")),
        "cpu": _text(told.one("cpu").get("Name")),
        "processors": _number(computer.get("NumberOfLogicalProcessors")),
        "memory_bytes": _times(_number(system.get("TotalVisibleMemorySize")), _KIB),
        "memory_free_bytes": _times(_number(system.get("FreePhysicalMemory")), _KIB),
    }


def _disk(row: Mapping[str, Any]) -> Facts:
    return {
        "drive": _text(row.get("DeviceID")),
        "size_bytes": _number(row.get("Size")),
        "free_bytes": _number(row.get("FreeSpace")),
        "file_system": _text(row.get("FileSystem")),
    }


#: VirtualizationBasedSecurityStatus, and the number of memory integrity in SecurityServicesRunning (learn.microsoft.com: Win32_DeviceGuard).
_VBS = {0: "off", 1: "enabled", 2: "running"}
_MEMORY_INTEGRITY = 2


def _virtualization(told: Answers) -> Facts:
    cpus, guard = told.all("cpu"), told.one("guard")
    running = questions.listed(guard.get("SecurityServicesRunning"))
    return {
        "firmware": _every(cpus, "VirtualizationFirmwareEnabled"),
        "slat": _every(cpus, "SecondLevelAddressTranslationExtensions"),
        "hypervisor": _flag(told.one("computer").get("HypervisorPresent")),
        "vbs": _VBS.get(_number(guard.get("VirtualizationBasedSecurityStatus")) if guard else None),  # type: ignore[arg-type]
        "memory_integrity": _MEMORY_INTEGRITY in running if guard else None,
        "features": features(told, questions.HYPERVISOR_FEATURES),
    }


def _every(rows: list[Mapping[str, Any]] | None, key: str) -> bool | None:
    values = [_flag(row.get(key)) for row in rows or ()]
    return all(values) if values and None not in values else None


#: Drivers of adapters that draw without a GPU: Microsoft's basic display (display.inf, section MSBDA; basicdisplay.inf where it is split off), the remote
#: desktop's, Hyper-V's. Their names are translated. Where they come from was read in public device lists; not run on Windows.
_SOFTWARE = re.compile(r"(?i)(?:display|basicdisplay|basicrender|rdpidd|rdpdd|wvmbusvideo|indirectkmd)\.inf")
_SOFTWARE_DEVICE = re.compile(r"(?i)(?:ROOT|SWD|VMBUS)\\")


def _gpu(row: Mapping[str, Any]) -> Facts:
    file, device = _text(row.get("InfFilename")), _text(row.get("PNPDeviceID"))
    known = file is not None or device is not None
    software = bool(_SOFTWARE.fullmatch(file or "") or _SOFTWARE_DEVICE.match(device or ""))
    return {"name": _text(row.get("Name")), "driver": _text(row.get("DriverVersion")), "software": software if known else None}


def _sessions(told: Answers) -> Facts:
    user = told.one("computer").get("UserName")
    return {
        # Win32_ComputerSystem.UserName is that of the console's session, nothing where nobody is, or where the one who is came by remote desktop.
        "console_user": None if told.all("computer") is None else _text(user) or "",
        "desktops": _rows(told, "explorers", lambda row: {"user": _text(row.get("owner")), "session": _number(row.get("SessionId"))}),
    }


def _autologon(told: Answers) -> Facts:
    password, count = (told.value(questions.LOGON, name) for name in ("DefaultPassword", "AutoLogonCount"))
    user = told.data(questions.LOGON, "DefaultUserName", "")
    return {
        # A text by Microsoft's documentation; a number works too.
        "enabled": _switch(told.data(questions.LOGON, "AutoAdminLogon", 0)),
        "user": _text(user),
        "domain": _text(told.data(questions.LOGON, "DefaultDomainName", "")),
        "password_in_registry": None if password is None else password.exists,
        # Each start takes one off, and at 0 Windows turns automatic logon off (learn.microsoft.com, unattend: AutoLogon, LogonCount).
        "limited": None if count is None else count.exists,
    }


_ID = re.compile(r"(?i)Microsoft:PowerSettingDataIndex\\\{([0-9a-f-]{36})\}\\AC\\")


def _power(told: Answers) -> Facts:
    plan = _text(told.data(questions.SCHEMES, "ActivePowerScheme"))
    guid = plan.strip("{}").lower() if plan else None
    rows = [(_ID.match(str(row.get("InstanceID"))), _number(row.get("SettingIndexValue"))) for row in told.all("standby") or ()]
    seconds = {match[1].lower(): number for match, number in rows if match}
    forced = told.value(questions.STANDBY_POLICY, "ACSettingIndex")
    return {
        "plan": guid,
        "name": questions.PLANS.get(guid or "", "own") if guid else None,
        # A policy goes before the plan.
        "sleep_seconds": None if forced is None else _number(forced.data) if forced.exists else seconds.get(guid or ""),
    }


def _ldplayer(told: Answers, found: Iterable[Installed] | None) -> list[Facts] | None:
    """Every LDPlayer: those that the agent found, with what their keys tell, and those of which only keys are left."""
    if found is None:
        return None
    keys: dict[str, Mapping[str, Any]] = {}
    for row in told.all("ldplayer") or ():
        keys.setdefault(str(row.get("folder")).rstrip("\\/").lower(), row)
    listed = [_install(one.folder, one.version, True, keys.pop(one.folder.rstrip("\\/").lower(), {})) for one in found]
    return listed + [_install(str(row.get("folder"))[:_TEXT], None, bool(row.get("console_there")), row) for row in keys.values()]


def _install(folder: str, version: int | None, console: bool, row: Mapping[str, Any]) -> Facts:
    build = _text(row.get("version")) or None
    major = re.match(r"[0-9]{1,3}(?=[.,])", build or "")
    # Where `vms` in its folder leads elsewhere, emulators' disks lie there whatever DataDir names (data_dir.py).
    data, there = ("link", "link_there") if row.get("link") else ("data", "data_there")
    return {
        "install_dir": folder,
        "ldplayer_version": version if version is not None or major is None else int(major[0]),
        "build": build,
        "console": console,
        "data_dir": _text(row.get(data)) or None,
        "data_dir_exists": _flag(row.get(there)) if row.get(data) else None,
    }


def _adb(told: Answers) -> Facts:
    return {
        "processes": _rows(
            told, "adbs",
            lambda row: {"path": _text(row.get("ExecutablePath")), "pid": _number(row.get("ProcessId")), "session": _number(row.get("SessionId"))},
        ),
        "listeners": _rows(
            told, "listeners",
            lambda row: {
                "port": _number(row.get("port")), "address": _text(row.get("address")), "process": _text(row.get("process")) or None,
                "path": _text(row.get("path")) or None,
            },
        ),
    }  # fmt: skip


def _firewall(told: Answers) -> Facts:
    profiles = {}
    for name, key in questions.PROFILES.items():
        # A group policy goes before what was set on the host.
        forced = told.value(rf"{questions.FIREWALL_POLICY}\{key}", "EnableFirewall")
        own = told.data(rf"{questions.FIREWALL}\{key}", "EnableFirewall", 0)
        profiles[name] = None if forced is None else _switch(forced.data if forced.exists else own)
    rows = told.all("rules")
    return {"profiles": profiles, "open_rules": None if rows is None else _open(rows)}


def rule(row: Mapping[str, Any]) -> Facts:
    """A firewall rule, from the text that the registry has for it (MS-FASP 2.2.19, MS-GPFAS 2.2.2.19): ``v2.31|Action=Allow|Active=TRUE|Dir=In|…|``."""
    words: dict[str, list[str]] = {}
    for part in str(row.get("rule")).split("|"):
        key, _, value = part.partition("=")
        words.setdefault(key, []).append(value)

    def all_of(*keys: str) -> list[str]:
        return [value for key in keys for value in words.get(key, ())]

    def first(key: str) -> str:
        return words.get(key, [""])[0]

    return {
        "name": str(row.get("name"))[:_TEXT],
        "display_name": first("Name")[:_TEXT],
        "enabled": first("Active").upper() == "TRUE",
        "action": first("Action").lower(),
        "direction": first("Dir").lower(),
        "protocol": {"6": "tcp", "17": "udp", "": "any"}.get(first("Protocol"), first("Protocol")),
        "local_ports": all_of("LPort", "LPort2_10"),
        "remote_addresses": all_of("RA4", "RA42", "RA6", "RA62"),
        "program": first("App") or None,
    }


_ADB = frozenset(port for first, last in ADB_PORTS for port in range(first, last + 1))
_ANY_PROGRAM = re.compile(r"(?i)\\adb\.exe|ldplayer|leidian|dnplayer")


def _open(rows: Iterable[Mapping[str, Any]]) -> list[Facts]:
    """The rules that let in at adb's ports. A rule that blocks goes before those that allow (MS-FASP 2.2.34), where it blocks everybody and everything."""
    told = [(rule(row), str(row.get("rule"))) for row in rows]
    inbound = [(one, text) for one, text in told if one["enabled"] and one["direction"] == "in" and one["protocol"] in ("tcp", "any")]
    blocked = frozenset[int]().union(*(_ports(one) for one, text in inbound if one["action"] == "block" and _for_all(text)))
    return [one for one, _ in inbound if one["action"] == "allow" and _concerns(one) and _ports(one) - blocked]


#: What a rule may say and still hold for every program, sender and address; and the networks that one for all of them names, if it names any.
_PLAIN = {"action", "active", "dir", "protocol", "profile", "lport", "lport2_10", "name", "desc", "embedctxt"}
_NETWORKS = {"domain", "private", "public"}


def _for_all(text: str) -> bool:
    """Whether a rule is told whole (each part ends with a bar, and the probe cuts long ones) and nothing in it narrows it down."""
    words = [part.lower().partition("=") for part in text.split("|")[1:] if part]
    networks = {value for key, _, value in words if key == "profile"}
    return text.endswith("|") and {key for key, _, _ in words} <= _PLAIN and (not networks or networks >= _NETWORKS)


def _concerns(rule: Facts) -> bool:
    """Whether a rule is about a program that may have adb's ports: one without a program is, and so is one that names the ports."""
    return bool(rule["local_ports"]) or rule["program"] is None or _ANY_PROGRAM.search(rule["program"]) is not None


def _ports(rule: Facts) -> frozenset[int]:
    """Those of adb's ports that a rule is about."""
    if not rule["local_ports"]:
        return _ADB
    spans = [match for text in rule["local_ports"] if (match := re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text))]
    return frozenset(port for match in spans for port in _ADB if int(match[1]) <= port <= int(match[2] or match[1]))


def _winrm(told: Answers) -> Facts:
    values = {str(row.get("name")): row.get("value") for row in told.all("wsman") or ()}
    return {
        "max_envelope_kb": _number(values.get("MaxEnvelopeSizekb")),
        "max_memory_per_shell_mb": _number(values.get(r"Shell\MaxMemoryPerShellMB")),
        "max_processes_per_shell": _number(values.get(r"Shell\MaxProcessesPerShell")),
        "max_shells_per_user": _number(values.get(r"Shell\MaxShellsPerUser")),
        "allow_unencrypted": _word(values.get(r"Service\AllowUnencrypted")),
        "basic": _word(values.get(r"Service\Auth\Basic")),
    }


def _word(value: object) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())


def _defender(told: Answers) -> Facts:
    own, forced = told.names(questions.DEFENDER), told.names(questions.DEFENDER_POLICY)
    service = services(told, ["WinDefend"])["WinDefend"]
    return {
        "running": None if service is None else service["running"],
        "exclusions": None if own is None or forced is None else sorted({*own, *forced}),
    }


#: AUOptions: download by itself, install at the hour that is set.
_SCHEDULED = 4


def _updates(told: Answers) -> Facts:
    forced = _switch(told.data(questions.UPDATES, "SetActiveHours", 0))
    key = questions.UPDATES if forced else questions.UPDATES_OWN
    hours = [_number(told.data(key, f"ActiveHours{end}")) for end in ("Start", "End")]
    kept, option = (
        _switch(told.data(questions.UPDATES_AU, "NoAutoRebootWithLoggedOnUsers", 0)),
        told.data(questions.UPDATES_AU, "AUOptions", 0),
    )
    return {
        "automatic": None if (off := _switch(told.data(questions.UPDATES_AU, "NoAutoUpdate", 0))) is None else not off,
        "active_hours": None if None in hours else hours,
        "active_hours_by_policy": forced,
        # The policy acts only beside that of a schedule (learn.microsoft.com: Manage device restarts after updates).
        "restarts_with_users": True if kept is False else None if None in (kept, option) else _number(option) != _SCHEDULED,
    }


def _time(told: Answers, skew: int | None) -> Facts:
    return {
        "zone": _text(told.data(questions.ZONE, "TimeZoneKeyName")),
        "service": services(told, ["W32Time"])["W32Time"],
        "source": _text(told.data(questions.TIME, "Type", "")),
        "servers": _text(told.data(questions.TIME, "NtpServer", "")),
        "clock_skew_seconds": skew,
    }


def pagefile(told: Answers) -> Facts:
    """Sizes in MiB; 0 is what Windows takes for it."""
    return {
        "automatic": _flag(told.one("computer").get("AutomaticManagedPagefile")),
        "files": _rows(
            told, "pagefiles",
            lambda row: {"path": _text(row.get("Name")), "initial_mib": _number(row.get("InitialSize")), "maximum_mib": _number(row.get("MaximumSize"))},
        ),
    }  # fmt: skip


def _rdp(told: Answers) -> Facts:
    forced = told.value(questions.REMOTE_POLICY, "fDenyTSConnections")
    own = told.data(questions.REMOTE, "fDenyTSConnections", 1)
    denied = None if forced is None else _switch(forced.data if forced.exists else own)
    encode = told.value(questions.REMOTE_POLICY, "AVCHardwareEncodePreferred")
    return {
        "enabled": None if denied is None else not denied,
        # Not set is Windows' own choice, which is to encode in the GPU where there is one.
        "hardware_encoding": None if encode is None else _switch(encode.data) if encode.exists else True,
    }


# ---- what a task asks for -----------------------------------------------------------------------------------------------------------


def features(told: Answers, names: Iterable[str]) -> dict[str, bool | None]:
    """Whether features are on; None of one that Windows does not know, or where nothing is known. (InstallState 1 is on: Win32_OptionalFeature.)"""
    roles = {str(row.get("name")).lower(): row.get("installed") is True for row in told.all("roles") or ()}
    on = roles | {str(row.get("Name")).lower(): _number(row.get("InstallState")) == 1 for row in told.all("features") or ()}
    return {name: on.get(name.lower()) for name in names}


_STARTS = {"Auto": "auto", "Manual": "manual", "Disabled": "disabled"}


def services(told: Answers, names: Iterable[str]) -> dict[str, Facts | None]:
    """Whether services exist and run, and how they start (auto, delayed, manual, disabled); None where nothing is known."""
    rows = told.all("services")
    by_name = {str(row.get("Name")).lower(): row for row in rows or ()}
    return {name: None if rows is None else _service(by_name.get(name.lower())) for name in names}


def _service(row: Mapping[str, Any] | None) -> Facts:
    if row is None:
        return {"exists": False, "running": False, "start": None}
    start = _STARTS.get(str(row.get("StartMode")))
    return {
        "exists": True,
        "running": row.get("State") == "Running",
        "start": "delayed" if start == "auto" and row.get("DelayedAutoStart") is True else start,
    }


def registry(told: Answers, pairs: Iterable[tuple[str, str]]) -> list[Facts]:
    """Values by key and name, as they were asked for. ``exists`` None: unknown."""
    found = [(key, name, told.value(key, name)) for key, name in pairs]
    return [
        {
            "key": key,
            "name": name,
            "exists": None if value is None else value.exists,
            "kind": value.kind or None if value is not None else None,
            "data": value.data if value is not None else None,
        }
        for key, name, value in found
    ]


def rules(told: Answers, names: Iterable[str]) -> list[Facts] | None:
    """Firewall rules by either of their names, those that are there; None where they are unknown. What makes rules through COM gives only the display
    name, and Windows a GUID for the other one (INetFwRule.Name; MS-GPFAS 4.2)."""
    wanted = {name.lower() for name in names}
    rows = told.all("rules")
    return None if rows is None else [one for one in map(rule, rows) if wanted & {one["name"].lower(), one["display_name"].lower()}]


__all__ = ["ABSENT", "Facts", "facts", "features", "pagefile", "registry", "rule", "rules", "services"]
