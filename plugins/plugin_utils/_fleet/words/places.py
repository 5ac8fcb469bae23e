# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders as a person writes them, whatever is there: which Windows takes, and where an LDPlayer and disks of its emulators may lie. Values only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

#: Between a path and what cmd.exe makes of it stand no quotes where it has no blanks: these it would read as its own (`cmd /?`; ! with /v:on only).
_CMD = re.compile(r"[%^&!,;=]")
#: "Naming Files, Paths, and Namespaces" (Microsoft): a device's name stays one with any ending.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[1-9\u00b9\u00b2\u00b3])(?:\..*)?", re.IGNORECASE)
_LONGEST_PART = 255


def folder_problem(folder: str) -> str | None:
    """Why Windows has no such folder, or None. A share is reached with the rights of the logged-on user, in whose session the batch runs: only tasks
    with an S4U logon are said to have no network (Microsoft, TASK_LOGON_TYPE). Whether LDPlayer writes a backup to a share was not measured."""
    if not re.fullmatch(r"([A-Za-z]:[\\/]|\\\\[^\\/]+[\\/][^\\/]).*", folder, re.DOTALL):
        return "a full path on a drive or a share is wanted, such as D:\\backups or \\\\files\\backups"
    parts = [part for part in re.split(r"[\\/]", folder[2:]) if part]
    if any(re.search(r'[<>:"|?*\x00-\x1f]', part) or part in (".", "..") or part != part.rstrip(" .") for part in parts):
        return "it holds what no folder's name can"
    if any(len(part) > _LONGEST_PART or _DEVICE.fullmatch(part) for part in parts):
        return f"Windows takes names of at most {_LONGEST_PART} characters, and none that means a device, such as NUL or con.txt"
    return None


def spelled(folder: str) -> str:
    """A folder in one spelling, with nothing behind its name: `FOLDER\\FILE` is a file of it, and `FOLDER\\` the folder, also of a drive's root."""
    head = "\\\\" if re.match(r"[\\/]{2}", folder) else ""
    return head + "\\".join(part for part in re.split(r"[\\/]", folder) if part)


def same(one: str, other: str) -> bool:
    """Whether two spellings mean the same folder."""
    return spelled(one).lower() == spelled(other).lower()


def overlap(one: str, other: str) -> bool:
    """Whether two folders are the same, or one lies in the other."""
    short, long = sorted((f"{spelled(folder).lower()}\\" for folder in (one, other)), key=len)
    return long.startswith(short)


def place_problem(folder: str) -> str | None:
    """Why no LDPlayer shall lie in a folder, and no disks of its, or None. The programs run from there, and `absent` removes it whole."""
    if problem := folder_problem(folder):
        return problem
    parts = spelled(folder).split("\\")
    if spelled(folder).startswith("\\\\"):
        return "a folder on a drive of the host is wanted"
    if len(parts) < 2 or not parts[1]:
        return "a folder of its own is wanted, not a whole drive"
    if len(parts) < 3 and parts[1].lower() in ("windows", "program files", "program files (x86)", "programdata", "users"):
        return "it is one of Windows' own folders"
    if parts[1].lower() == "windows":
        return "it is one of Windows' own folders"
    return None


def data_problem(data: str, folder: str, staging: str) -> str | None:
    """Why ``data`` cannot hold the emulators of the LDPlayer in ``folder``, or None. ``staging``: where its programs are unpacked.

    cmd.exe's mklink makes a junction, whose target is a folder of a local drive (learn.microsoft.com, "Hard links and junctions").
    """
    if problem := place_problem(data):
        return problem
    if overlap(data, folder):
        return f"LDPlayer's own folder is {folder}: a folder beside it is wanted, or one on another drive"
    if overlap(data, staging):
        return f"LDPlayer is unpacked in {staging}"
    named = next((path for path in (data, folder) if _CMD.search(path)), None)
    return f"cmd.exe makes the link to it, and would take one of % ^ & ! , ; = in {named} for its own" if named else None


def shared(places: Iterable[tuple[str, str]]) -> list[str]:
    """Data directories that one LDPlayer of several would share with another: ``places`` are pairs of its folder and its data directory, empty for none."""
    pairs = itertools.permutations(places, 2)
    return [data for (_folder, data), (other, its) in pairs if data and (overlap(data, other) or (its and overlap(data, its)))]
