# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of a Windows host by the probe (module_utils/_probe.ps1), and how its answers are read. Pure; what they mean is in host_facts.py.

The questions are data: classes of CIM, registry values, names. They travel behind the probe's first line, as JSON in a literal, in the one command line
that starts PowerShell; where they are too many for one, several are made. Every answer stands for itself: the host's words are checked here, and what
cannot be understood is unknown, never absent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words.dialect import DIALECTS
from ..words.door import ADB_PORTS
from ..words.errors import BadOption, BadOptions
from ..words.options import shown

#: Where every Windows since 7 has its own PowerShell (5.1 since Windows 10 and Server 2016).
PROGRAM = r"{systemroot}\System32\WindowsPowerShell\v1.0\powershell.exe"
#: Each question of CIM may take 15 s, a healthy host answers all of them within some seconds.
_TIMEOUT_MS = 90_000
#: CreateProcess takes 32,767 characters (Microsoft: CreateProcessW, lpCommandLine). Of these, some are for the program's path and its options; the script
#: is UTF-16 in base64.
_LONGEST = (32_767 - 400) * 3 // 4 // 2

#: Long names of hives, which PowerShell's provider is sure to know; most keys are in HKLM, which the probe writes out itself.
_HIVES = {"HKU": "HKEY_USERS", "HKCU": "HKEY_CURRENT_USER", "HKEY_LOCAL_MACHINE": "HKLM"}

_SYSTEM = r"HKLM\SYSTEM\CurrentControlSet"
_WINDOWS = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
_POLICIES = r"HKLM\SOFTWARE\Policies\Microsoft"
VERSION = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
COMPONENTS = rf"{_WINDOWS}\Component Based Servicing\RebootPending"
UPDATED = rf"{_WINDOWS}\WindowsUpdate\Auto Update\RebootRequired"
SESSIONS = rf"{_SYSTEM}\Control\Session Manager"
NAME_NOW, NAME_NEXT = (rf"{_SYSTEM}\Control\ComputerName\{kind}" for kind in ("ActiveComputerName", "ComputerName"))
LOGON = rf"{VERSION}\Winlogon"
SCHEMES = rf"{_SYSTEM}\Control\Power\User\PowerSchemes"
#: GUID_STANDBY_TIMEOUT (Windows SDK, winnt.h): seconds until sleep; 0 is never.
STANDBY = "29f6c1db-86da-48c5-9fdb-f2b67b1f44da"
STANDBY_POLICY = rf"{_POLICIES}\Power\PowerSettings\{STANDBY}"
FILES = rf"{_SYSTEM}\Control\FileSystem"
DEFENDER, DEFENDER_POLICY = (rf"{root}\Windows Defender\Exclusions\Paths" for root in (r"HKLM\SOFTWARE\Microsoft", _POLICIES))
UPDATES, UPDATES_AU, UPDATES_OWN = (
    rf"{_POLICIES}\Windows\WindowsUpdate", rf"{_POLICIES}\Windows\WindowsUpdate\AU", r"HKLM\SOFTWARE\Microsoft\WindowsUpdate\UX\Settings",
)  # fmt: skip
TIME = rf"{_SYSTEM}\Services\W32Time\Parameters"
ZONE = rf"{_SYSTEM}\Control\TimeZoneInformation"
REMOTE, REMOTE_POLICY = rf"{_SYSTEM}\Control\Terminal Server", rf"{_POLICIES}\Windows NT\Terminal Services"
FIREWALL = rf"{_SYSTEM}\Services\SharedAccess\Parameters\FirewallPolicy"
FIREWALL_POLICY = rf"{_POLICIES}\WindowsFirewall"
#: By the names of Get-NetFirewallProfile; the private one is called StandardProfile in the registry (MS-GPFAS 2.2.2).
PROFILES = {"domain": "DomainProfile", "private": "StandardProfile", "public": "PublicProfile"}
#: Names that Windows gives its own plans, by GUID (powercfg's documentation).
PLANS = {
    "381b4222-f694-41f0-9685-ff5bb260df2e": "balanced",
    "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c": "high_performance",
    "a1841308-3541-4fab-bc81-f71556f20b4a": "power_saver",
    "e9a42b02-d5df-448d-aa00-03f14749eb61": "ultimate_performance",
}


#: The registry values that the facts come from; None: all values of the key; nothing: whether the key is there.
REGISTRY: Mapping[str, Sequence[str] | None] = {
    VERSION: ("DisplayVersion", "ReleaseId", "UBR", "EditionID"),
    COMPONENTS: (),
    UPDATED: (),
    SESSIONS: ("PendingFileRenameOperations",),
    NAME_NOW: ("ComputerName",),
    NAME_NEXT: ("ComputerName",),
    LOGON: ("AutoAdminLogon", "AutoLogonCount", "DefaultUserName", "DefaultDomainName", "DefaultPassword"),
    SCHEMES: ("ActivePowerScheme",),
    STANDBY_POLICY: ("ACSettingIndex",),
    FILES: ("LongPathsEnabled",),
    DEFENDER: None,
    DEFENDER_POLICY: None,
    UPDATES: ("SetActiveHours", "ActiveHoursStart", "ActiveHoursEnd"),
    UPDATES_AU: ("NoAutoUpdate", "AUOptions", "NoAutoRebootWithLoggedOnUsers"),
    UPDATES_OWN: ("ActiveHoursStart", "ActiveHoursEnd"),
    TIME: ("Type", "NtpServer"),
    ZONE: ("TimeZoneKeyName",),
    REMOTE: ("fDenyTSConnections",),
    REMOTE_POLICY: ("fDenyTSConnections", "AVCHardwareEncodePreferred"),
    **{rf"{root}\{name}": ("EnableFirewall",) for root in (FIREWALL, FIREWALL_POLICY) for name in PROFILES.values()},
}

WSMAN = (
    "MaxEnvelopeSizekb", r"Shell\MaxMemoryPerShellMB", r"Shell\MaxProcessesPerShell", r"Shell\MaxShellsPerUser", r"Service\AllowUnencrypted",
    r"Service\Auth\Basic",
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """A class of CIM and the properties that are wanted. ``where``: its namespace, if not root\\cimv2; ``only``: a WQL condition."""

    id: str
    kind: str
    take: tuple[str, ...]
    only: str = ""
    where: str = ""
    owner: bool = False

    def json(self) -> dict[str, Any]:
        """As the probe takes it."""
        more = {"filter": self.only, "namespace": self.where, "owner": self.owner}
        return {"id": self.id, "class": self.kind, "take": list(self.take), **{key: value for key, value in more.items() if value}}


#: Features that bring a hypervisor, by the names that DISM has for them.
HYPERVISOR_FEATURES = ("Microsoft-Hyper-V", "HypervisorPlatform", "VirtualMachinePlatform", "Containers-DisposableClientVM")
#: Services that facts tell of.
SERVICES = ("WinRM", "W32Time", "WinDefend")

#: Only properties whose text Windows does not translate are judged; the others are for people.
_QUERIES = (
    Query(
        "os", "Win32_OperatingSystem",
        ("Caption", "BuildNumber", "ProductType", "LastBootUpTime", "LocalDateTime", "TotalVisibleMemorySize", "FreePhysicalMemory"),
    ),
    Query("computer", "Win32_ComputerSystem", ("NumberOfLogicalProcessors", "HypervisorPresent", "UserName", "AutomaticManagedPagefile", "Model")),
    Query("cpu", "Win32_Processor", ("Name", "VirtualizationFirmwareEnabled", "SecondLevelAddressTranslationExtensions")),
    # DriveType 3 is a fixed drive.
    Query("disks", "Win32_LogicalDisk", ("DeviceID", "Size", "FreeSpace", "FileSystem"), "DriveType=3"),
    Query(
        "guard", "Win32_DeviceGuard", ("VirtualizationBasedSecurityStatus", "SecurityServicesRunning"), where=r"root\Microsoft\Windows\DeviceGuard"
    ),
    Query("gpus", "Win32_VideoController", ("Name", "DriverVersion", "PNPDeviceID", "InfFilename")),
    # Handle is the key of the class, without which its owner cannot be asked for.
    Query("explorers", "Win32_Process", ("Handle", "SessionId"), "Name='explorer.exe'", owner=True),
    Query("adbs", "Win32_Process", ("ProcessId", "SessionId", "ExecutablePath"), "Name='adb.exe'"),
    Query("drivers", "Win32_SystemDriver", ("Name", "State", "StartMode"), "Name LIKE 'Ld%'"),
    # InstanceID is Microsoft:PowerSettingDataIndex\{plan}\AC\{setting}.
    Query(
        "standby", "Win32_PowerSettingDataIndex", ("InstanceID", "SettingIndexValue"), f"InstanceID LIKE '%AC%{{{STANDBY}}}'", r"root\cimv2\power"
    ),
    Query("pagefiles", "Win32_PageFileSetting", ("Name", "InitialSize", "MaximumSize")),
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What a task asks for beside the facts: registry values as (key, name), and names."""

    registry: tuple[tuple[str, str], ...] = ()
    features: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    firewall_rules: tuple[str, ...] = ()


_KEY = re.compile(r"(?i)(?:HKLM|HKEY_LOCAL_MACHINE|HKU|HKEY_USERS|HKCU|HKEY_CURRENT_USER)(?:\\[^\\*\x00-\x1f]{1,255}){1,64}")
#: What names of services and features are made of; none of it means anything in WQL.
_NAME = re.compile(r"[\w .~$-]{1,256}", re.ASCII)
_RULE = re.compile(r"[^|\x00-\x1f]{1,255}")
#: Characters of one question, so that any fits a command line; and names in one of them.
_LONGEST_KEY, _TOGETHER = 1000, 10


def wanted(given: Mapping[str, Any]) -> Wanted:
    """From a module's options. Raises BadOptions."""
    problems: list[BadOption] = []

    def name(option: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        for position, text in enumerate(given[option]):
            if not pattern.fullmatch(text):
                problems.append(BadOption(f"{option}[{position}]", f"is {shown(text)}", "a name as Windows has it is wanted"))
        return tuple(dict.fromkeys(given[option]))

    for position, item in enumerate(given["registry"]):
        key = item["key"]
        if not _KEY.fullmatch(key) or len(json.dumps(key + item["name"])) > _LONGEST_KEY:
            problems.append(
                BadOption(f"registry[{position}].key", f"is {shown(key)}", r"a key such as HKLM\SYSTEM\CurrentControlSet is wanted")
            )
    pairs = tuple(dict.fromkeys((item["key"], item["name"]) for item in given["registry"]))
    found = Wanted(pairs, name("features", _NAME), name("services", _NAME), name("firewall_rules", _RULE))
    if problems:
        raise BadOptions(problems)
    return found


def full(key: str) -> str:
    """A key as the probe takes it and tells it again."""
    hive, _, rest = key.partition("\\")
    return f"{_HIVES.get(hive.upper(), hive.upper())}\\{rest}"


def ask(of: Wanted, probe: str) -> list[Operation]:
    """The operations that ask it all: one PowerShell, and one more for each further command line full of registry values and names."""
    queries = (
        *_QUERIES,
        *_named("services", "Win32_Service", ("Name", "State", "StartMode", "DelayedAutoStart"), (*SERVICES, *of.services)),
        *_named("features", "Win32_OptionalFeature", ("Name", "InstallState"), (*HYPERVISOR_FEATURES, *of.features)),
    )
    pieces: list[tuple[str, Any]] = [
        *(("wsman", name) for name in WSMAN),
        *(("ldplayer", key) for row in DIALECTS for key in row.keys),
        *(("registry", [full(key), None if names is None else list(names)]) for key, names in REGISTRY.items()),
        *(("cim", query.json()) for query in queries),
        *(("registry", [full(key), [name]]) for key, name in of.registry),
        *(("roles", name) for name in of.features),
        *(("rule_names", name) for name in of.firewall_rules),
    ]
    return [
        operations.execute(f"probe{number}", PROGRAM, _words(probe, questions), _TIMEOUT_MS)
        for number, questions in enumerate(_packed(pieces, _LONGEST - len(script(probe, {}))))
    ]


def _named(id: str, kind: str, take: tuple[str, ...], names: Sequence[str]) -> Iterator[Query]:
    """Queries of a class for instances by name."""
    each = list(dict.fromkeys(names))
    for start in range(0, len(each), _TOGETHER):
        yield Query(id, kind, take, " OR ".join(f"Name='{name}'" for name in each[start : start + _TOGETHER]))


def _packed(pieces: Iterable[tuple[str, Any]], room: int) -> Iterator[dict[str, Any]]:
    """Questions in as few documents as ``room`` characters for each allow. What needs no words is asked in the first only."""
    document = _empty(ADB_PORTS)
    for kind, piece in pieces:
        grown = _with(document, kind, piece)
        if len(_literal(grown)) > room:
            yield document
            grown = _with(_empty(()), kind, piece)
        document = grown
    yield document


def _empty(ports: Sequence[Sequence[int]]) -> dict[str, Any]:
    keys = [rf"{full(key)}\FirewallRules" for key in (FIREWALL, FIREWALL_POLICY)]
    return {
        "registry": [],
        "wsman": [],
        "cim": [],
        "roles": [],
        "ports": [*map(list, ports)],
        "rule_keys": keys,
        "rule_names": [],
        "ldplayer": [],
    }


def _with(document: Mapping[str, Any], kind: str, piece: Any) -> dict[str, Any]:
    """A document with one question more; names of the same key stand together."""
    last = document[kind][-1] if document[kind] else None
    if kind == "registry" and last is not None and last[0] == piece[0] and None not in (last[1], piece[1]):
        return {**document, kind: [*document[kind][:-1], [last[0], [*last[1], *piece[1]]]]}
    return {**document, kind: [*document[kind], piece]}


def _words(probe: str, questions: Mapping[str, Any]) -> list[str]:
    encoded = base64.b64encode(script(probe, questions).encode("utf-16-le")).decode("ascii")
    return ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded]


def script(probe: str, questions: Mapping[str, Any]) -> str:
    """The probe as it travels: its first line, what is asked, and the rest without comments and indentation."""
    first, *lines = (line.strip() for line in probe.splitlines())
    return "\n".join([first, f"$ask='{_literal(questions)}'", *(line for line in lines if line and not line.startswith("#"))])


def _literal(questions: Mapping[str, Any]) -> str:
    """JSON that can stand between single quotes of PowerShell: nothing in it ends them."""
    return json.dumps(questions, separators=(",", ":")).replace("'", "\\u0027")


# ---- answers ------------------------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"#ldfleet-fact (\{[^\r\n]*\}) #ldfleet-end")
#: Characters of a reason that are shown: it is the host's text.
_REASON = 300


@dataclass(frozen=True)
class Value:
    """A registry value. ``kind``: string, expand_string, binary, dword, qword, multi_string, none or unknown; ``data``: None where it may be secret."""

    exists: bool
    kind: str = ""
    data: Any = None


ABSENT = Value(False)
_KINDS = {
    "String": "string", "ExpandString": "expand_string", "Binary": "binary", "DWord": "dword", "QWord": "qword", "MultiString": "multi_string",
    "None": "none",
}  # fmt: skip
_WRAPS = {"dword": 32, "qword": 64}


@dataclass
class Answers:
    """What a host told. ``rows``: by question; ``reasons``: why there are none, or none of a key; ``keys``: by registry key, its values (None: no such key)."""

    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    keys: dict[str, dict[str, tuple[str, Value]] | None] = field(default_factory=dict)

    def all(self, id: str) -> list[Mapping[str, Any]] | None:
        """The rows of a question; None where it has no answer."""
        return None if id in self.reasons else self.rows.get(id)

    def one(self, id: str) -> Mapping[str, Any]:
        """The only row of a question; nothing where it has no answer."""
        rows = self.all(id)
        return rows[0] if rows else {}

    def has(self, key: str) -> bool | None:
        """Whether there is such a key; None where that is unknown."""
        return self.keys[full(key).lower()] is not None if full(key).lower() in self.keys else None

    def value(self, key: str, name: str) -> Value | None:
        """A value of the registry; None where it is unknown."""
        if full(key).lower() not in self.keys:
            return None
        values = self.keys[full(key).lower()]
        return ABSENT if values is None else values.get(name.lower(), ("", ABSENT))[1]

    def data(self, key: str, name: str, absent: Any = None) -> Any:
        """The data of a value, ``absent`` where there is none; None where it is unknown."""
        value = self.value(key, name)
        return None if value is None else value.data if value.exists else absent

    def names(self, key: str) -> list[str] | None:
        """The names of all values of a key; None where they are unknown."""
        if full(key).lower() not in self.keys:
            return None
        return [name for name, value in (self.keys[full(key).lower()] or {}).values() if value.exists]


def read(reply: Reply) -> Answers:
    """The answers in what the probe's programs printed. Whatever is not there has no answer, for the reason that is known."""
    found = Answers()
    for id, result in reply.results.items():
        if not id.startswith("probe"):
            continue
        before = len(found.rows) + len(found.reasons)
        for line in _LINE.findall(result.data("stdout").decode("ascii", "replace")):
            _take(line, found)
        if not result.ok or result.values.get("truncated") or result.values.get("exit") or len(found.rows) + len(found.reasons) == before:
            found.reasons.setdefault("probe", _why(result))
    return found


def _why(result: Result) -> str:
    if result.problem is not None:
        return f"{result.problem.code}: {result.problem.message}"[:_REASON]
    if result.values.get("truncated"):
        return f"powershell.exe printed more than {operations.OUTPUT_CAP} characters"
    printed = " ".join((result.data("stderr") or result.data("stdout")).decode("utf-8", "replace").split())
    return f"powershell.exe exited with {result.values.get('exit')} and printed {shown(printed)}"


def _reason(text: object) -> str:
    """In one line: what a host says must not look like lines of ours."""
    return " ".join(str(text).split())[:_REASON]


def _take(line: str, into: Answers) -> None:
    try:
        answer = _sound(json.loads(line))
    except (ValueError, RecursionError):
        into.reasons["probe"] = f"a line is no JSON: {shown(line)}"
        return
    id = str(answer.get("id"))
    if answer.get("error") is not None or "rows" not in answer:
        into.reasons[id] = _reason(answer.get("error"))
        return
    rows = [row for row in listed(answer["rows"]) if isinstance(row, Mapping)]
    if id == "registry":
        for row in rows:
            _take_key(row, into)
    into.rows.setdefault(id, []).extend(rows)


def _sound(value: Any) -> Any:
    """The same with every text one that can be printed: halves of characters, as where one was cut, are replaced."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {_sound(key): _sound(item) for key, item in value.items()}
    return [_sound(item) for item in value] if isinstance(value, list) else value


def listed(value: Any) -> list[Any]:
    """A list as PowerShell writes it: 5.1 makes an object with the keys value and Count of one that was passed on whole, and none of an empty one."""
    if isinstance(value, Mapping) and value.keys() == {"value", "Count"}:
        value = value["value"]
    return value if isinstance(value, list) else [] if value is None else [value]


def _take_key(row: Mapping[str, Any], into: Answers) -> None:
    key = str(row.get("key")).lower()
    if row.get("exists") is None:
        into.reasons[str(row.get("key"))] = _reason(row.get("error"))
        return
    if not row["exists"]:
        into.keys.setdefault(key, None)
        return
    values = {str(item.get("name")): _value(item) for item in listed(row.get("values")) if isinstance(item, Mapping)}
    into.keys[key] = {**(into.keys.get(key) or {}), **{name.lower(): (name, value) for name, value in values.items()}}


def _value(item: Mapping[str, Any]) -> Value:
    if not item.get("exists"):
        return ABSENT
    kind = _KINDS.get(str(item.get("kind")), "unknown")
    data = item.get("data")
    if kind == "multi_string":
        data = [str(text) for text in listed(data)]
    elif kind in _WRAPS and isinstance(data, int):
        data %= 1 << _WRAPS[kind]  # .NET has them with a sign
    return Value(True, kind, data)
