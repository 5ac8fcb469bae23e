# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where on a host an LDPlayer and the disks of its emulators may lie: paths as they are written, whatever is there. Values only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from . import backups

#: Between a path and what cmd.exe makes of it stand no quotes where it has no blanks: these it would read as its own (`cmd /?`; ! with /v:on only).
_CMD = re.compile(r"[%^&!,;=]")


def same(one: str, other: str) -> bool:
    """Whether two spellings mean the same folder."""
    return backups.spelled(one).lower() == backups.spelled(other).lower()


def overlap(one: str, other: str) -> bool:
    """Whether two folders are the same, or one lies in the other."""
    short, long = sorted((f"{backups.spelled(folder).lower()}\\" for folder in (one, other)), key=len)
    return long.startswith(short)


def place_problem(folder: str) -> str | None:
    """Where no LDPlayer shall lie, and no disks of its. The programs run from there, and `absent` removes it whole."""
    parts = folder.split("\\")
    if folder.startswith("\\\\"):
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
    problem = backups.folder_problem(data) or place_problem(backups.spelled(data))
    if problem:
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
