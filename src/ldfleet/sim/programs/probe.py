"""powershell.exe on a simulated host, for one script: ldfleet's probe, known by its first line. What it asks is answered from the machine's state, as Windows
and the probe would. Every other command line is refused.

CIM's classes and their properties follow Microsoft's documentation of each (learn.microsoft.com); nothing was read off a real machine.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..machine import clock
from ..machine.system import Rule
from ..machine.windows import SYSTEM32, Answer, Caller, Program

if TYPE_CHECKING:
    from ..ldplayer.world import World

Json = dict[str, Any]

PATH = f"{SYSTEM32}\\WindowsPowerShell\\v1.0\\powershell.exe"
_MARK = "#ldfleet-probe 1"
#: Simulated seconds: a start of PowerShell, and some classes of CIM that take their time (a guess).
_SECONDS = 3.0
_REFUSED = b"simulated host: powershell.exe runs ldfleet's probe here, and no other script\r\n"

_GIB = 1024**3
#: What Windows itself and an emulator hold of the memory (guesses).
_WINDOWS_BYTES, _EMULATOR_BYTES = 4 * _GIB, 2 * _GIB
_DISK_BYTES = 2**40
#: The plans that every Windows has, by GUID.
_PLANS = {
    "Balanced": "381b4222-f694-41f0-9685-ff5bb260df2e",
    "High performance": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c",
    "Power saver": "a1841308-3541-4fab-bc81-f71556f20b4a",
}
_STANDBY = "29f6c1db-86da-48c5-9fdb-f2b67b1f44da"
_SCHEMES = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Power\\User\\PowerSchemes"
_SLEEP = f"238c9fa8-0aad-41ed-83f4-97be242c8f20\\{_STANDBY}"
_FIREWALL = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy"
_DEVICE_GUARD = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\DeviceGuard"
_WITHHELD = re.compile(r"(?i)passw|secret")


def run(world: World, words: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """``-NoProfile … -EncodedCommand BASE64``, where that is the probe."""
    questions = _questions(words)
    if questions is None:
        return Answer(1, stderr=_REFUSED, seconds=1.0)
    lines = [_line(id, work, world.unanswered) for id, work in _works(world, questions, caller)]
    return Answer(0, "".join(lines).encode("ascii"), seconds=_SECONDS)


PROGRAMS: Mapping[str, Program] = {PATH: run}


def _questions(words: Sequence[str]) -> Json | None:
    if len(words) < 2 or words[-2].lower() != "-encodedcommand":
        return None
    try:
        first, second, *_ = base64.b64decode(words[-1], validate=True).decode("utf-16-le").split("\n")
    except ValueError:
        return None
    found = re.fullmatch(r"\$ask='([^']*)'", second)
    return json.loads(found[1]) if first == _MARK and found else None


def _line(id: str, work: Callable[[], Iterable[Any]], unanswered: Mapping[str, str]) -> str:
    answer = {"id": id, "ms": 1, **({"error": unanswered[id]} if id in unanswered else {"rows": list(work())})}
    return f"#ldfleet-fact {json.dumps(answer)} #ldfleet-end\r\n"


def _works(world: World, questions: Json, caller: Caller) -> Iterator[tuple[str, Callable[[], Iterable[Any]]]]:
    view = _View(world, caller)
    yield "registry", lambda: [view.key(key, names) for key, names in questions["registry"]]
    yield "powershell", lambda: [{"version": "5.1.22621.2506", "edition": "Desktop", "mode": "FullLanguage"}]
    yield "wsman", lambda: [{"name": name, "value": world.system.wsman.get(name, "")} for name in questions["wsman"]]
    for query in questions["cim"]:
        yield query["id"], partial(_instances, world, query)
    yield "roles", lambda: _roles(world, questions["roles"])
    yield "listeners", lambda: [row for row in _listeners(world) if any(low <= row["port"] <= high for low, high in questions["ports"])]
    yield "rules", lambda: _rules(world, questions)
    yield "ldplayer", lambda: _ldplayer(world, view, questions["ldplayer"])


# ---- registry -----------------------------------------------------------------------------------------------------------------------


class _View:
    """The registry as a program finds it: what is kept there, and what Windows keeps up to date of its own state."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world, self._caller = world, caller
        self._own = {key.lower(): {name.lower(): (name, value) for name, value in values.items()} for key, values in _live(world).items()}

    def values(self, key: str) -> list[tuple[str, Any]] | None:
        """Names and values; None where there is no such key."""
        key = self._world.key(key.replace("HKEY_USERS\\", "HKU\\"), self._caller)
        own = self._own.get(key.lower())
        if own is None and not self._world.registry.has(key):
            return None
        kept = {name.lower(): (name, value) for name, value in self._world.registry.values(key)}
        return list({**kept, **(own or {})}.values())

    def key(self, key: str, names: Sequence[str] | None) -> Json:
        """A key as the probe tells it."""
        if key in self._world.unanswered:
            return {"key": key, "exists": None, "values": [], "error": self._world.unanswered[key]}
        found = self.values(key)
        there = {name.lower(): (name, value) for name, value in found or ()}
        wanted = [name for name, _ in found or ()] if names is None else names
        return {
            "key": key,
            "exists": found is not None,
            "values": [_value(name, there.get(name.lower())) for name in wanted] if found is not None else [],
        }


def _value(name: str, found: tuple[str, Any] | None) -> Json:
    if found is None:
        return {"name": name, "exists": False}
    value = found[1]
    kind = "DWord" if isinstance(value, int) else "MultiString" if isinstance(value, list) else "String"
    return {"name": name, "exists": True, "kind": kind, **({} if _WITHHELD.search(name) else {"data": value})}


def _live(world: World) -> dict[str, dict[str, Any]]:
    system = world.system
    current = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
    client = system.edition == "windows11"
    names = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName"
    waiting: dict[str, dict[str, Any]] = {
        "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending": {}
    }
    return {
        current: {"DisplayVersion": "23H2" if client else "21H2", "UBR": 2700, "EditionID": "Professional" if client else "ServerStandard"},
        **{f"{names}\\{kind}": {"ComputerName": world.name} for kind in ("ActiveComputerName", "ComputerName")},
        _SCHEMES: {"ActivePowerScheme": _plan(world)},
        "HKLM\\SYSTEM\\CurrentControlSet\\Control\\TimeZoneInformation": {
            "TimeZoneKeyName": system.time_zone,
            "ActiveTimeBias": system.bias % 2**32,
        },
        "HKLM\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters": {"Type": "NTP", "NtpServer": "time.windows.com,0x9"},
        **{
            f"{_FIREWALL}\\{key}": {"EnableFirewall": int(system.firewall[name])}
            for name, key in (("domain", "DomainProfile"), ("private", "StandardProfile"), ("public", "PublicProfile"))
        },
        f"{_FIREWALL}\\FirewallRules": {name: _rule(rule) for name, rule in system.rules.items()},
        **(waiting if system.pending or system.pending_reboot else {}),
    }


def _plan(world: World) -> str:
    return _PLANS.get(world.system.power_plan, world.system.power_plan)


def _rule(rule: Rule) -> str:
    words = [
        "v2.31", f"Action={rule.action.capitalize()}", f"Active={str(rule.enabled).upper()}", f"Dir={rule.direction.capitalize()}",
        *([f"Protocol={ {'tcp': 6, 'udp': 17}[rule.protocol] }".replace(" ", "")] if rule.protocol in ("tcp", "udp") else []),
        *(f"{'LPort2_10' if '-' in port else 'LPort'}={port}" for port in rule.local_ports),
        *(f"{'RA4' if address[:1].isdigit() else 'RA42'}={address}" for address in rule.remote_addresses),
        f"Name={rule.display}", "",
    ]  # fmt: skip
    return "|".join(words)


def _rules(world: World, questions: Json) -> Iterator[Json]:
    for name, rule in world.system.rules.items():
        asked = bool({name.lower(), rule.display.lower()} & {asked.lower() for asked in questions["rule_names"]})
        counts = rule.enabled and rule.direction == "in" and rule.protocol != "udp"
        spans = [tuple(map(int, (port.split("-") * 2)[:2])) for port in rule.local_ports if port[:1].isdigit()]
        touched = any(low <= last and high >= first for low, high in spans for first, last in questions["ports"])
        if asked or (counts and (touched or (not rule.local_ports and questions["ports"]))):
            yield {"name": name, "rule": _rule(rule), "asked": asked}


# ---- CIM ----------------------------------------------------------------------------------------------------------------------------


def _instances(world: World, query: Json) -> Iterator[Json]:
    for found in _CLASSES[query["class"]](world):
        if _selected(found, query.get("filter", "")):
            row = {name: found.get(name) for name in query["take"]}
            yield {**row, "owner": found.get("owner", "\\")} if query.get("owner") else row


def _selected(found: Json, condition: str) -> bool:
    """WQL as far as the probe uses it: comparisons with = or LIKE, joined by OR."""
    return not condition or any(_compared(found, part) for part in condition.split(" OR "))


def _compared(found: Json, text: str) -> bool:
    match = re.fullmatch(r"(\w+)\s*(=| LIKE )\s*'?([^']*)'?", text)
    if match is None:
        raise ValueError(f"no comparison of WQL: {text}")
    value = str(found.get(match[1])).lower()
    if match[2] == "=":
        return value == match[3].lower()
    return re.fullmatch(re.escape(match[3].lower()).replace("%", ".*").replace("_", "."), value) is not None


def _os(world: World) -> Iterator[Json]:
    system = world.system
    running = sum(instance.launched is not None for other in (world, *world.beside) for instance in other.instances.values())
    size = system.memory_mib * 1024
    yield {
        "Caption": system.caption,
        "BuildNumber": str(system.build),
        "ProductType": 1 if system.edition == "windows11" else 3,
        "LastBootUpTime": int(system.booted or clock.START),
        "LocalDateTime": int(world.clock.now()),
        "TotalVisibleMemorySize": size,
        "FreePhysicalMemory": max(0, size - (_WINDOWS_BYTES + running * _EMULATOR_BYTES) // 1024),
    }


def _computer(world: World) -> Iterator[Json]:
    desktop = world.desktop
    yield {
        "NumberOfLogicalProcessors": world.system.processors,
        "HypervisorPresent": world.system.hypervisor,
        "UserName": f"{world.name}\\{desktop.user}" if desktop is not None and desktop.connected else None,
        "AutomaticManagedPagefile": not world.system.pagefiles,
        "Model": "Simulated",
    }


def _cpu(world: World) -> Iterator[Json]:
    # Under a hypervisor, what it took from the processor is no longer told.
    free = not world.system.hypervisor
    on = world.system.virtualization_firmware and free
    yield {"Name": "Simulated CPU", "VirtualizationFirmwareEnabled": on, "SecondLevelAddressTranslationExtensions": free}


def _disks(world: World) -> Iterator[Json]:
    for letter, free in {"C": world.disk_free, **world.further_free}.items():
        yield {"DeviceID": f"{letter}:", "DriveType": 3, "Size": max(_DISK_BYTES, free), "FreeSpace": free, "FileSystem": "NTFS"}


def _guard(world: World) -> Iterator[Json]:
    system, registry = world.system, world.registry
    wanted = registry.get(_DEVICE_GUARD, "EnableVirtualizationBasedSecurity") != 0 and system.edition == "windows11"
    runs = wanted and system.hypervisor
    integrity = registry.get(f"{_DEVICE_GUARD}\\Scenarios\\HypervisorEnforcedCodeIntegrity", "Enabled") == 1
    yield {"VirtualizationBasedSecurityStatus": 2 if runs else 0, "SecurityServicesRunning": [2] if runs and integrity else [0]}


#: Adapters without a GPU behind them: driver's file and device.
_SOFTWARE = {
    "Microsoft Basic Display Adapter": ("display.inf", "PCI\\VEN_1234&DEV_1111"),
    "Microsoft Remote Display Adapter": ("rdpidd.inf", "SWD\\REMOTEDISPLAYENUM\\RDPIDD_INDIRECTDISPLAY"),
}


def _gpus(world: World) -> Iterator[Json]:
    for name in world.system.gpus:
        file, device = _SOFTWARE.get(name, ("oem12.inf", "PCI\\VEN_10DE&DEV_2504"))
        yield {"Name": name, "DriverVersion": "31.0.15.3623", "PNPDeviceID": device, "InfFilename": file}


def _processes(world: World) -> Iterator[Json]:
    for process in world.processes():
        yield {
            "Name": process.image,
            "Handle": str(process.pid),
            "ProcessId": process.pid,
            "SessionId": process.session,
            "ExecutablePath": process.path or None,
            "owner": f"{world.name}\\{process.user}",
        }


def _drivers(world: World) -> Iterator[Json]:
    if any(other.spec.installed and other.spec.major >= 9 for other in (world, *world.beside)):
        yield {"Name": "Ld9BoxSup", "State": "Running", "StartMode": "Manual"}


def _standby(world: World) -> Iterator[Json]:
    for guid in {**_PLANS, world.system.power_plan: _plan(world)}.values():
        kept = world.registry.get(f"{_SCHEMES}\\{guid}\\{_SLEEP}", "ACSettingIndex")
        seconds = kept if kept is not None else 1800 if guid == _PLANS["Balanced"] and world.system.edition == "windows11" else 0
        yield {"InstanceID": f"Microsoft:PowerSettingDataIndex\\{{{guid}}}\\AC\\{{{_STANDBY}}}", "SettingIndexValue": seconds}


def _pagefiles(world: World) -> Iterator[Json]:
    for drive, (initial, maximum) in world.system.pagefiles.items():
        yield {"Name": f"{drive}\\pagefile.sys", "InitialSize": initial, "MaximumSize": maximum}


_STARTS = {"auto": "Auto", "delayed": "Auto", "manual": "Manual", "disabled": "Disabled"}


def _services(world: World) -> Iterator[Json]:
    for name, service in world.system.services.items():
        yield {
            "Name": name,
            "State": "Running" if service.running else "Stopped",
            "StartMode": _STARTS[service.start],
            "DelayedAutoStart": service.start == "delayed",
        }


def _optional(world: World) -> Iterator[Json]:
    """DISM's names. A server's role Hyper-V is Microsoft-Hyper-V there; its other roles have names of their own."""
    found = world.system.features
    if world.system.edition == "server2022":
        found = {"Microsoft-Hyper-V": found.get("Hyper-V", False), "HypervisorPlatform": False, "VirtualMachinePlatform": False}
    for name, on in found.items():
        yield {"Name": name, "InstallState": 1 if on else 2}


def _roles(world: World, names: Sequence[str]) -> Iterator[Json]:
    if world.system.edition == "server2022":
        wanted = [name.lower() for name in names]
        yield from ({"name": name, "installed": on} for name, on in world.system.features.items() if name.lower() in wanted)


_CLASSES: Mapping[str, Callable[[World], Iterator[Json]]] = {
    "Win32_OperatingSystem": _os,
    "Win32_ComputerSystem": _computer,
    "Win32_Processor": _cpu,
    "Win32_LogicalDisk": _disks,
    "Win32_DeviceGuard": _guard,
    "Win32_VideoController": _gpus,
    "Win32_Process": _processes,
    "Win32_SystemDriver": _drivers,
    "Win32_PowerSettingDataIndex": _standby,
    "Win32_PageFileSetting": _pagefiles,
    "Win32_Service": _services,
    "Win32_OptionalFeature": _optional,
}


# ---- LDPlayer -----------------------------------------------------------------------------------------------------------------------


def _listeners(world: World) -> Iterator[Json]:
    """The ports of adb that emulators hold: to this machine alone, or to all (adbDebug 2)."""
    for other in (world, *world.beside):
        for instance in other.visible():
            adb = (instance.held or {}).get("basicSettings.adbDebug")
            if other.phase(instance)[2] > 0 and adb:
                address = "127.0.0.1" if adb == 1 else "::"
                path = f"C:\\Program Files\\ldplayer9box\\{'Ld9BoxHeadless' if other.spec.major >= 9 else 'LdBoxHeadless'}.exe"
                yield {
                    "port": 5555 + 2 * instance.index, "address": address, "pid": instance.vm_pid, "process": path.rsplit("\\", 1)[1][:-4], "path": path,
                }  # fmt: skip


def _ldplayer(world: World, view: _View, keys: Sequence[str]) -> Iterator[Json]:
    hives = [f"HKEY_USERS\\{sid}\\SOFTWARE" for sid in world.registry.children("HKU")]
    for hive in (*hives, "HKLM\\SOFTWARE", "HKLM\\SOFTWARE\\WOW6432Node"):
        for key in keys:
            values = {name.lower(): value for name, value in view.values(f"{hive}\\{key}") or ()}
            folder, data = values.get("installdir"), values.get("datadir", "")
            if folder:
                link = _link(world, f"{folder}\\vms")
                yield {
                    "key": f"{hive}\\{key}",
                    "folder": folder,
                    "data": data,
                    "version": _version(world, folder),
                    "folder_there": _there(world, folder),
                    "data_there": bool(data) and _there(world, data),
                    "link": link,
                    "link_there": bool(link) and _there(world, link),
                    "console_there": _there(world, f"{folder}\\ldconsole.exe") or _there(world, f"{folder}\\dnconsole.exe"),
                }


def _there(world: World, path: str) -> bool:
    try:
        return world.drive.local(path).exists()
    except ValueError:
        return False


def _link(world: World, path: str) -> str:
    try:
        return world.drive.target(world.drive.local(path))
    except ValueError:
        return ""


def _version(world: World, folder: str) -> str:
    """What dnplayer.exe says of itself."""
    installs = {other.spec.install_dir.lower(): other.spec.version for other in (world, *world.beside) if other.spec.installed}
    return installs.get(folder.rstrip("\\").lower(), "")
