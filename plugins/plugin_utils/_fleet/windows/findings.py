# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands in the way of LDPlayer and ldfleet on a host: one row a finding, what matters most first. Each row judges facts (host_facts.py) and says
what it costs and what cures it.

A judgement is True (it is so), False (it is not) or None (the facts do not tell), with what was found in words. Unknown is neither fine nor bad.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..words import places
from ..words.door import ADB_SERVER
from ..words.options import shown
from .host_facts import Facts

Judgement = tuple[bool | None, str]

ERROR, WARNING, INFO = "error", "warning", "info"
_UNKNOWN = (None, "")
_GIB = 1024**3


@dataclass(frozen=True)
class Row:
    """``cure``: the variable of ``role`` that cures it; where no role does, what to do. ``costs``: what it does to the user's emulators."""

    id: str
    severity: str
    judge: Callable[[Facts], Judgement]
    costs: str
    cure: str
    role: str = ""


def judged(facts: Facts) -> list[dict[str, Any]]:
    """Every row for a reader, in the table's order."""
    return [_told(row, *row.judge(facts)) for row in TABLE]


def _told(row: Row, holds: bool | None, found: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "severity": row.severity,
        "status": {True: "True", False: "False", None: "Unknown"}[holds],
        "found": found,
        "consequence": row.costs,
        "cure": row.cure,
        "role": row.role,
    }


def _flagged(value: bool | None, yes: str, no: str) -> Judgement:
    """A judgement of a fact that is the finding itself."""
    return _UNKNOWN if value is None else (value, yes if value else no)


def _list(words: Iterable[str]) -> str:
    """A few of many in a sentence."""
    each = list(dict.fromkeys(words))
    return ", ".join(each[:4]) + (f" and {len(each) - 4} more" if len(each) > 4 else "")


def _gib(number: int) -> str:
    return f"{number / _GIB:.1f} GiB"


def _span(seconds: int) -> str:
    """A time as one takes it in."""
    size, unit = next(
        ((size, unit) for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")) if seconds >= 2 * size), (1, "seconds")
    )
    return f"{seconds // size} {unit}"


# ---- LDPlayer -----------------------------------------------------------------------------------------------------------------------


def _present(facts: Facts) -> list[Facts]:
    return [one for one in facts["ldplayer"] or () if one["console"]]


def _no_ldplayer(facts: Facts) -> Judgement:
    if facts["ldplayer"] is None:
        return _UNKNOWN
    there = [
        f"LDPlayer {one['build'] or one['ldplayer_version'] or 'of unknown version'} in {one['install_dir']}" for one in _present(facts)
    ]
    return not there, _list(there) or "neither the registry nor the usual folders lead to one"


def _broken(facts: Facts) -> Judgement:
    if facts["ldplayer"] is None:
        return _UNKNOWN
    gone = [one["install_dir"] for one in facts["ldplayer"] if not one["console"]]
    return bool(
        gone
    ), f"the registry leads to {_list(gone)}, where there is no ldconsole.exe" if gone else "every folder in the registry has its console"


def _no_data(facts: Facts) -> Judgement:
    told = [one for one in _present(facts) if one["data_dir_exists"] is not None]
    gone = [one["data_dir"] for one in told if not one["data_dir_exists"]]
    return (bool(gone), f"{_list(gone)} is not there" if gone else "the folders are there") if told else _UNKNOWN


def _no_driver(facts: Facts) -> Judgement:
    """Ld9BoxSup is the driver of 9 and 14 (scoop's uninstall.bat, StarRailCopilot); what that of 5 is called was not seen, so it is not judged."""
    if not any(one["ldplayer_version"] in (9, 14) for one in _present(facts)) or facts["drivers"] is None:
        return _UNKNOWN
    names = [str(driver["name"]) for driver in facts["drivers"]]
    return "ld9boxsup" not in map(
        str.lower, names
    ), f"Windows has the drivers {_list(names)}" if names else "Windows has no driver of LDPlayer"


# ---- the desktop --------------------------------------------------------------------------------------------------------------------


def _no_desktop(facts: Facts) -> Judgement:
    desktops = facts["sessions"]["desktops"]
    if desktops is None:
        return _UNKNOWN
    users = [f"{one['user']} in session {one['session']}" for one in desktops]
    return not users, f"{_list(users)} has a desktop" if users else "no desktop (explorer.exe) runs"


def _remote_only(facts: Facts) -> Judgement:
    """Some hosts brought up Android only with a screen attached, others only without remote desktop; the console is what most fleets use (LDPlayer 9)."""
    sessions = facts["sessions"]
    if not sessions["desktops"] or sessions["console_user"] is None:
        return _UNKNOWN
    user = sessions["console_user"]
    return not user, f"{user} is at the console" if user else "the desktop is not that of the console (remote desktop)"


def _no_autologon(facts: Facts) -> Judgement:
    told = facts["autologon"]
    on, user = told["enabled"], told["user"] or "somebody"
    if on and told["limited"]:
        return True, f"{user} logs on by itself for some starts more (AutoLogonCount)"
    return _flagged(None if on is None else not on, "automatic logon is off", f"{user} logs on by itself")


def _clear_password(facts: Facts) -> Judgement:
    return _flagged(facts["autologon"]["password_in_registry"], "Winlogon's DefaultPassword is there", "Winlogon has no DefaultPassword")


# ---- the machine --------------------------------------------------------------------------------------------------------------------


def _no_virtualization(facts: Facts) -> Judgement:
    """Under a hypervisor the processor tells of no virtualization although it is on (Win32_Processor; public threads); the hypervisor shows that it is."""
    told = facts["virtualization"]
    if told["hypervisor"]:
        return False, "a hypervisor runs, so it is on"
    firmware = told["firmware"]
    return _flagged(None if firmware is None else not firmware, "VT-x or AMD-V is switched off in the firmware", "VT-x or AMD-V is on")


def _no_slat(facts: Facts) -> Judgement:
    told = facts["virtualization"]
    if told["hypervisor"]:
        return False, "a hypervisor runs, which needs it"
    return _flagged(None if told["slat"] is None else not told["slat"], "the processor has no nested page tables", "the processor has it")


def _old(facts: Facts) -> list[str]:
    """LDPlayers that a hypervisor is known to slow down: boots of LDPlayer 9.5.37 took minutes, LDPlayer 14 ran with all of it on."""
    return [f"LDPlayer {one['ldplayer_version']}" for one in _present(facts) if one["ldplayer_version"] in (5, 9)]


def _hypervisor(facts: Facts) -> Judgement:
    told = facts["virtualization"]
    if told["hypervisor"] is None or facts["ldplayer"] is None:
        return _UNKNOWN
    if not told["hypervisor"]:
        return False, "no hypervisor runs"
    on = [name for name, value in told["features"].items() if value]
    why = (
        _list([*on, *(["virtualization-based security"] if told["vbs"] == "running" else [])])
        or "nothing that is on here: is this a virtual machine?"
    )
    old = _old(facts)
    return bool(old), f"a hypervisor runs (because of {why})" + (f" beside {_list(old)}" if old else "; LDPlayer 14 works with it")


def _memory_integrity(facts: Facts) -> Judgement:
    on = facts["virtualization"]["memory_integrity"]
    if on is None or facts["ldplayer"] is None:
        return _UNKNOWN
    old = _old(facts)
    return on and bool(old), (
        "memory integrity runs" + (f" beside {_list(old)}" if old else "; LDPlayer 14 works with it")
    ) if on else "it does not run"


def _no_gpu(facts: Facts) -> Judgement:
    gpus = facts["gpus"]
    if not gpus:
        return _UNKNOWN if gpus is None else (True, "Windows has no display adapter")
    real = [str(gpu["name"]) for gpu in gpus if gpu["software"] is False]
    if not real and any(gpu["software"] is None for gpu in gpus):
        return _UNKNOWN
    return not real, _list(real) if real else f"only {_list(str(gpu['name']) for gpu in gpus)}"


#: The host's own share of memory beside its emulators (a farm's figure).
_RESERVE = 4 * _GIB


def _little_memory(facts: Facts) -> Judgement:
    free, size = facts["hardware"]["memory_free_bytes"], facts["hardware"]["memory_bytes"]
    if free is None or size is None:
        return _UNKNOWN
    return free < _RESERVE, f"{_gib(free)} of {_gib(size)} are free"


#: What Android writes of its own in an emulator's first days, for a handful of them (a guess from disks of 2 to 4 GB).
_ROOM = 20 * _GIB


def _full_disk(facts: Facts) -> Judgement:
    """Of the drives of LDPlayer's programs and of its emulators, which need not be the same."""
    if facts["disks"] is None:
        return _UNKNOWN
    free = {str(disk["drive"]).upper(): disk["free_bytes"] for disk in facts["disks"]}
    paths = [str(one[key]) for one in _present(facts) for key in ("install_dir", "data_dir")]
    drives = sorted({path[:2].upper() for path in paths if path[1:2] == ":"}) or ["C:"]
    known = [(drive, free[drive]) for drive in drives if free.get(drive) is not None]
    full = any(room < _ROOM for _, room in known)
    if not full and len(known) < len(drives):
        return _UNKNOWN
    return full, _list(f"{drive} has {_gib(room)} free" for drive, room in known)


def _no_pagefile(facts: Facts) -> Judgement:
    told = facts["pagefile"]
    if told["automatic"]:
        return False, "Windows manages it"
    if told["automatic"] is None or told["files"] is None:
        return _UNKNOWN
    files = [f"{file['path']} of {file['maximum_mib'] or 'as many'} MiB" for file in told["files"]]
    return not files, _list(files) or "there is none"


# ---- what interrupts ----------------------------------------------------------------------------------------------------------------


def _reboot(facts: Facts) -> Judgement:
    waiting = facts["windows"]["reboot_pending"]
    return _UNKNOWN if waiting is None else (bool(waiting), f"for {_list(waiting)}" if waiting else "nothing waits for one")


def _sleeps(facts: Facts) -> Judgement:
    seconds = facts["power"]["sleep_seconds"]
    return _UNKNOWN if seconds is None else (seconds > 0, f"after {_span(seconds)}" if seconds else "it stays awake")


def _plan(facts: Facts) -> Judgement:
    name = facts["power"]["name"]
    return _UNKNOWN if name is None else (name in ("balanced", "power_saver"), f"the plan is {name}")


def _updates(facts: Facts) -> Judgement:
    """Active hours of a policy, or updates that never restart a machine with a user logged on (Windows Update's policies)."""
    told = facts["updates"]
    if told["automatic"] is False or told["restarts_with_users"] is False:
        return False, "updates do not restart it while somebody is logged on" if told["automatic"] else "automatic updates are off"
    if told["automatic"] is None or told["restarts_with_users"] is None or told["active_hours_by_policy"] is None:
        return _UNKNOWN
    hours = " to ".join(map(str, told["active_hours"] or ())) or "Windows' own choice"
    kept = bool(told["active_hours_by_policy"])
    return not kept, f"active hours are {hours}" + ("" if kept else ", and no policy keeps updates from a restart")


def _scanned(one: Facts) -> list[str]:
    """LDPlayer's folder, and that of its emulators' disks where it lies elsewhere: excluded is a folder as it lies on the disk, not what a junction in it
    leads to."""
    home, data = str(one["install_dir"]), str(one["data_dir"] or "").rstrip("\\")
    apart = one["data_dir_exists"] and data and not places.overlap(data, home)
    return [home, data] if apart else [home]


def _defender(facts: Facts) -> Judgement:
    told = facts["defender"]
    if told["running"] is False:
        return False, "Defender does not run"
    if told["running"] is None or told["exclusions"] is None or not _present(facts):
        return _UNKNOWN
    kept = [path.rstrip("\\").lower() for path in told["exclusions"]]
    folders = [folder for one in _present(facts) for folder in _scanned(one)]
    scanned = [folder for folder in folders if not any(f"{folder}\\".lower().startswith(f"{path}\\") for path in kept)]
    return bool(scanned), f"it scans {_list(scanned)}" if scanned else "LDPlayer's folders are excluded"


# ---- adb and the network ------------------------------------------------------------------------------------------------------------


def _ours(path: str | None, facts: Facts) -> bool | None:
    if path is None:
        return None
    return (
        any(path.lower().startswith(f"{one['install_dir']}\\".lower()) for one in facts["ldplayer"] or ()) or "ldplayer9box" in path.lower()
    )


def _foreign_adb(facts: Facts) -> Judgement:
    processes = facts["adb"]["processes"]
    if processes is None or facts["ldplayer"] is None:
        return _UNKNOWN
    others = [str(one["path"]) for one in processes if _ours(one["path"], facts) is False]
    if not others and any(one["path"] is None for one in processes):
        return _UNKNOWN
    return bool(others), f"{_list(others)} runs" if others else "none runs"


#: Who holds an emulator's port may be named without its path (a process of another user); LDPlayer's own are these.
_PLAYERS = re.compile(r"(?i)(?:ld\w*box\w*|dnplayer|adb)(?:\.exe)?")


def _taken(facts: Facts) -> Judgement:
    listeners = facts["adb"]["listeners"]
    if listeners is None or facts["ldplayer"] is None:
        return _UNKNOWN
    others = [
        f"{one['process'] or 'a process'} at {one['port']}"
        for one in listeners
        if _ours(one["path"], facts) is False or (one["path"] is None and not _PLAYERS.fullmatch(one["process"] or ""))
        if one["port"] != ADB_SERVER
    ]
    return bool(others), _list(others) or "none is taken by another program"


def _open_adb(facts: Facts) -> Judgement:
    rules = facts["firewall"]["open_rules"]
    if rules is None:
        return _UNKNOWN
    told = [
        f"{rule['name']} ({_list(rule['local_ports']) or 'all ports'} for {_list(rule['remote_addresses']) or 'anybody'})" for rule in rules
    ]
    return bool(told), _list(told) or "no rule lets anybody in there"


def _no_firewall(facts: Facts) -> Judgement:
    profiles = facts["firewall"]["profiles"]
    off = [name for name, on in profiles.items() if on is False]
    if not off and None in profiles.values():
        return _UNKNOWN
    return bool(off), f"it is off for {_list(off)} networks" if off else "it is on"


def _rdp_encoding(facts: Facts) -> Judgement:
    """Error 0x112f: the remote desktop's encoder on an NVIDIA GPU against LDPlayer's OpenGL (a hosted LDPlayer 9)."""
    rdp, gpus = facts["rdp"], facts["gpus"]
    if rdp["enabled"] is False:
        return False, "remote desktop is off"
    if None in (rdp["enabled"], rdp["hardware_encoding"], gpus):
        return _UNKNOWN
    nvidia = [str(gpu["name"]) for gpu in gpus if "nvidia" in str(gpu["name"]).lower()]
    return bool(nvidia) and rdp["hardware_encoding"], f"remote desktop is on, with {_list(nvidia)}" if nvidia else "no NVIDIA GPU"


# ---- what ldfleet itself needs ------------------------------------------------------------------------------------------------------

#: Quotas as Microsoft documents them (learn.microsoft.com, Installation and configuration for WinRM); Windows Server 2008 R2 had 150 MB.
_QUOTAS = {"max_memory_per_shell_mb": 1024, "max_processes_per_shell": 25, "max_shells_per_user": 30}


def _quotas(facts: Facts) -> Judgement:
    found = {name: facts["winrm"][name] for name in _QUOTAS}
    low = [f"{name} {value}" for name, value in found.items() if value is not None and value < _QUOTAS[name]]
    if not low and None in found.values():
        return _UNKNOWN
    return bool(low), _list(low) or "as Windows has them, or higher"


def _open_winrm(facts: Facts) -> Judgement:
    told = facts["winrm"]
    on = [word for word, name in (("unencrypted messages", "allow_unencrypted"), ("Basic", "basic")) if told[name]]
    if not on and None in (told["allow_unencrypted"], told["basic"]):
        return _UNKNOWN
    return bool(on), f"it takes {_list(on)}" if on else "it takes neither unencrypted messages nor Basic"


def _language(facts: Facts) -> Judgement:
    mode = facts["powershell"]["mode"]
    return _UNKNOWN if mode is None else (mode != "FullLanguage", f"PowerShell {facts['powershell']['version']} in {shown(mode)}")


#: Leases and results go by the host's own clock; certificates and Kerberos allow five minutes, and a minute is already a clock that nobody sets.
_SKEW = 60


def _skew(facts: Facts) -> Judgement:
    skew = facts["time"]["clock_skew_seconds"]
    if skew is None:
        return _UNKNOWN
    return abs(skew) > _SKEW, f"it is {_span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the controller's" if skew else "it is right"


def _no_time(facts: Facts) -> Judgement:
    service, source = facts["time"]["service"], facts["time"]["source"]
    if service is None or source is None:
        return _UNKNOWN
    off = not service["running"] or source == "NoSync"
    return off, "Windows Time does not run" if not service["running"] else f"Windows Time runs with {source or 'no source'}"


def _long_paths(facts: Facts) -> Judgement:
    on = facts["long_paths"]
    return _flagged(None if on is None else not on, "paths end at 260 characters", "they are on")


TABLE = (
    Row("LDPlayerMissing", ERROR, _no_ldplayer, "There is nothing that could have emulators", "ldplayer_source", "ldplayer"),
    Row(
        "VirtualizationOff", ERROR, _no_virtualization, "No emulator starts, or each is too slow to use",
        "switch it on in the firmware (BIOS or UEFI)",
    ),
    Row("NoDesktop", ERROR, _no_desktop, "LDPlayer shows windows: no emulator starts while nobody is logged on", "windows_autologon_user", "windows"),
    Row("PowerShellRestricted", ERROR, _language, "The agent cannot run", "let PowerShell run in FullLanguage for the account that connects"),
    Row(
        "AdbPortsOpen", ERROR, _open_adb, "Whoever reaches the port is root in the emulators, without a password", "windows_close_adb_ports", "windows"
    ),
    Row("LDPlayerBroken", WARNING, _broken, "LDPlayer's own tools and updates go astray there", "ldplayer_source", "ldplayer"),
    Row("DataFolderMissing", WARNING, _no_data, "LDPlayer keeps its emulators there: they are gone, or on a drive that is", "bring the drive back"),
    Row("DriverMissing", WARNING, _no_driver, "No emulator gets its virtual machine", "ldplayer_source", "ldplayer"),
    Row(
        "RebootPending", WARNING, _reboot, "Installs and updates wait for it, and Windows may take it at a time of its own",
        "windows_reboot", "windows",
    ),
    Row("AutologonOff", WARNING, _no_autologon, "After a restart nobody is logged on, and no emulator starts", "windows_autologon_user", "windows"),
    Row(
        "PasswordInRegistry", WARNING, _clear_password, "Every administrator and every backup of the registry can read the user's password",
        "windows_autologon_password", "windows",
    ),
    Row("HypervisorRuns", WARNING, _hypervisor, "Emulators take minutes to boot, and run slowly", "windows_hypervisor", "windows"),
    Row(
        "MemoryIntegrityRuns", WARNING, _memory_integrity, "It keeps a hypervisor running, and LDPlayer's driver may be refused",
        "windows_memory_integrity", "windows",
    ),
    Row("SlatMissing", WARNING, _no_slat, "Emulators run many times slower", "take another machine"),
    Row(
        "GraphicsMissing", WARNING, _no_gpu, "Emulators draw 5 to 10 frames a second, and LDPlayer 14 may not start",
        "install the GPU and its driver",
    ),
    Row("Sleeps", WARNING, _sleeps, "The emulators stop, and the host no longer answers", "windows_stay_awake", "windows"),
    Row("UpdatesRestart", WARNING, _updates, "Windows Update restarts the host under its emulators", "windows_update_hours", "windows"),
    Row(
        "DefenderScans", WARNING, _defender, "Disks of many GB are scanned whenever they change; starts and clones take longer",
        "windows_defender_exclusions", "windows",
    ),
    Row("DiskNearlyFull", WARNING, _full_disk, "Emulators whose disk cannot grow lose what Android writes", "free some, or remove emulators"),
    Row(
        "MemoryShort", WARNING, _little_memory, "A further emulator makes Windows page, and all of them slow",
        "run fewer emulators, or give them less memory",
    ),
    Row("PagefileMissing", WARNING, _no_pagefile, "When memory runs out, emulators are ended instead of slowed", "windows_pagefile", "windows"),
    Row(
        "AdbForeign", WARNING, _foreign_adb, "Two versions of adb end each other's server, and emulators drop out",
        "end that program, or give it LDPlayer's adb.exe",
    ),
    Row(
        "AdbPortsTaken", WARNING, _taken, "The emulator to which the port belongs cannot be reached by adb",
        "end that program, or move it to other ports",
    ),
    Row("FirewallOff", WARNING, _no_firewall, "The emulators' adb is open to the network", "switch the firewall on"),
    Row(
        "RemoteDesktopEncodes", WARNING, _rdp_encoding, "A remote desktop session ends with error 0x112f while emulators draw", "windows_rdp_hardware_encoding",
        "windows",
    ),
    Row("WinrmQuotasLow", WARNING, _quotas, "Batches and installs end in the middle", "winrm_controllers", "winrm"),
    Row("WinrmOpen", WARNING, _open_winrm, "Passwords and commands can be read on the way", "winrm_controllers", "winrm"),
    Row("ClockWrong", WARNING, _skew, "Certificates and signatures are refused, and times in reports are wrong", "windows_time_service", "windows"),
    Row("TimeServiceOff", WARNING, _no_time, "The clock drifts", "windows_time_service", "windows"),
    Row(
        "RemoteDesktopOnly", INFO, _remote_only, "Some hosts lose their emulators' picture when the remote desktop disconnects",
        "windows_autologon_user", "windows",
    ),
    Row("PowerPlanSaves", INFO, _plan, "The processor is slowed down between an emulator's frames", "windows_power_plan", "windows"),
    Row("LongPathsOff", INFO, _long_paths, "Files deep in folders cannot be copied", "windows_long_paths", "windows"),
)  # fmt: skip
