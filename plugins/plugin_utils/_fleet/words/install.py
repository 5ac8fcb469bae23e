# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which LDPlayer of a host is meant, and where it lies: what the host looks through, and what it found. Keys and folders are in dialect.py.

Where nothing is said, the newest version that is there is taken; all that are there are told. (Folders of running players are not looked at: no
operation tells the path of a process.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._host.batch import Reply
from ..._host.operations import Operation, find
from .dialect import CONSOLE, DIALECTS, OLD_CONSOLE, Dialect

CONFIG_FOLDER = r"{ld}\vms\config"
PROGRAM = rf"{{ld}}\{CONSOLE}"

_HIVES = (r"HKCU\SOFTWARE", r"HKU\*\SOFTWARE", r"HKLM\SOFTWARE", r"HKLM\SOFTWARE\WOW6432Node")
_UNINSTALL = r"Microsoft\Windows\CurrentVersion\Uninstall"
#: Neither names an install folder as such, so it is the folder of the file that they name.
_NAMES = ("DisplayIcon", "UninstallString")
_DRIVES = "CDEF"


@dataclass(frozen=True)
class Where:
    """What a task says: a folder, or a version, or nothing."""

    folder: str | None = None
    version: int | None = None

    def told(self) -> str:
        """For messages."""
        if self.folder:
            return f"in {self.folder}"
        return f"{f'of version {self.version} ' if self.version else ''}in the registry and in the usual folders"


ANYWHERE = Where()


@dataclass(frozen=True)
class Installed:
    """One LDPlayer of the host."""

    version: int | None
    folder: str


def where(given: Mapping[str, Any]) -> Where:
    """From a module's options."""
    return Where(given["install_dir"], given["ldplayer_version"])


def look(meant: Where) -> list[Operation]:
    """Find the one that is meant (`ld`), and the first of every version."""
    rows = [row for row in DIALECTS if meant.version in (None, row.version)]
    named = [{"path": meant.folder.rstrip("\\/") or meant.folder}] if meant.folder is not None else None
    chosen = named or [candidate for row in rows for candidate in _candidates(row)]
    return [find("ld", chosen, CONSOLE), *(find(f"ld{row.version}", _candidates(row), CONSOLE) for row in DIALECTS)]


def survey(meant: Where) -> list[Operation]:
    """Find the first of every version, and what is in the folder that is named, by either name of the console: for who needs none of them."""
    places = {f"{row.version}": _candidates(row) for row in DIALECTS if meant.version in (None, row.version)}
    if meant.folder is not None:
        places["named"] = [{"path": meant.folder.rstrip("\\/") or meant.folder}]
    return [find(f"{console}.{name}", candidates, console) for name, candidates in places.items() for console in (CONSOLE, OLD_CONSOLE)]


def surveyed(reply: Reply) -> tuple[Installed, ...]:
    """All that a survey found, each once, the newest first."""
    found: dict[str, Installed] = {}
    for id, result in reply.results.items():
        if id.startswith((CONSOLE, OLD_CONSOLE)) and result.ok:
            folder, row = str(result.values["path"]), id.rpartition(".")[2]
            found.setdefault(folder.lower(), Installed(_named(folder) or (int(row) if row.isdigit() else None), folder))
    return tuple(sorted(found.values(), key=lambda one: (-(one.version or 0), one.folder)))


def _candidates(row: Dialect) -> list[dict[str, Any]]:
    keys = [{"registry": f"{hive}\\{key}", "value": "InstallDir"} for key in row.keys for hive in _HIVES]
    products = [
        {"registry": f"{hive}\\{_UNINSTALL}\\{product}", "value": value, "parent": True}
        for product in row.products
        for hive in reversed(_HIVES)
        for value in _NAMES
    ]
    folders = [{"path": f"{drive}:\\{folder}"} for drive in _DRIVES for folder in row.folders]
    return [*keys, *products, *folders]


def installed(reply: Reply) -> tuple[Installed, ...]:
    """All that were found, each once, the newest first; the one that is meant is among them."""
    found: dict[str, Installed] = {}
    for row in DIALECTS:
        result = reply.results.get(f"ld{row.version}")
        if result is not None and result.ok:
            folder = str(result.values["path"])
            found.setdefault(folder.lower(), Installed(_named(folder) or row.version, folder))
    chosen = str(reply.results["ld"].values["path"])
    found.setdefault(chosen.lower(), Installed(_named(chosen), chosen))
    return tuple(sorted(found.values(), key=lambda one: (-(one.version or 0), one.folder)))


def _named(folder: str) -> int | None:
    """The version that a folder is named after: LDPlayer14, LDPlayer9, LDPlayer64 (which is 5)."""
    number = re.search(r"(?i)ldplayer(\d+)\Z", folder)
    versions = {row.version: row.version for row in DIALECTS} | {64: 5}
    return versions.get(int(number[1])) if number else None


def missing(reply: Reply) -> bool:
    """Whether nothing was found, of a batch that looked."""
    return "ld" in reply.results and not reply.results["ld"].ok


def spoken(operation: Operation, console: str) -> Operation:
    """An operation for a host whose console has this name."""
    if console == CONSOLE:
        return operation
    if operation["op"] == "find" and operation["file"] == CONSOLE:
        return {**operation, "file": console}
    if operation.get("program") == PROGRAM:
        return {**operation, "program": rf"{{ld}}\{console}"}
    return operation


__all__ = [
    "ANYWHERE",
    "CONFIG_FOLDER",
    "CONSOLE",
    "OLD_CONSOLE",
    "PROGRAM",
    "Installed",
    "Where",
    "installed",
    "look",
    "missing",
    "spoken",
    "survey",
    "surveyed",
    "where",
]
