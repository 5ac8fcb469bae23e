# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The data directory of an LDPlayer: a folder elsewhere for the disks and configs of its emulators. What is there, what is to be done, and how.

What LDPlayer's registry value DataDir does was never seen. So `vms` in LDPlayer's folder becomes a junction to the data directory, which is a matter of
Windows alone, and DataDir goes on naming `vms`, as LDPlayer writes it: whether it heeds that value or its own folder, it ends at the same disks.

Disks are never moved, and never shared by LDPlayers that ldfleet laid. All else in ldfleet goes on to look into `vms`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..._host import operations
from ..._host.batch import Reply
from ..._host.operations import Operation
from ..emulators import conversation, observed
from ..words import places
from ..words.errors import Refused
from ..words.options import shown

_SYSTEM = r"{systemroot}\System32"
_SHORT_MS = 60_000
PLAYER = "dnplayer.exe"
_EMULATOR = re.compile(r"(?i)leidian[0-9]+")
#: What LDPlayer keeps beside the folders of emulators (seen with LDPlayer 9 and 14).
_OWN = ("config", "customizeConfigs", "recommendConfigs", "operationRecords")
#: What becomes of a `vms` without emulators, whose place the junction takes.
_ASIDE = "vms.ldfleet-before"


@dataclass(frozen=True)
class Disks:
    """A folder for disks of emulators, there or not. ``link``: what it leads to; empty where it is a folder of its own.

    ``emulators``: folders of emulators in it. ``strange``: something that LDPlayer does not put there, or nothing. ``free_bytes``: of its drive, -1 where
    unknown.
    """

    exists: bool
    link: str
    emulators: tuple[str, ...]
    strange: str
    empty: bool
    free_bytes: int


@dataclass(frozen=True)
class Neighbour:
    """Another LDPlayer that ldfleet laid on the host, by its note (``file``). ``install_dir`` is empty where the note cannot be understood."""

    file: str
    install_dir: str
    data_dir: str


def vms(folder: str) -> str:
    """Where the LDPlayer of a folder looks for its emulators."""
    return rf"{folder}\vms"


def many(count: int) -> str:
    """Emulators in words."""
    return f"{count} emulator{'s' if count != 1 else ''}"


# ---- looking ------------------------------------------------------------------------------------------------------------------------
def look(folder: str, wanted: str) -> Iterator[Operation]:
    """``wanted``: the data directory, or nothing."""
    yield operations.listing("disks", vms(folder), "*", space=True, folders=True, link=True)
    if wanted:
        yield operations.listing("data", wanted, "*", space=True, folders=True, link=True)
        above = wanted.rpartition("\\")[0]
        yield operations.find("taken", [{"path": wanted}, {"path": f"{above}\\" if above.endswith(":") else above}], PLAYER)


def found(reply: Reply, id: str, folder: str) -> Disks:
    """Understand a listing of ``look``. Raises Host."""
    listing = conversation.expect(reply, id, f"looking into {folder}")
    values = listing.values
    files, folders = ([str(item["name"]) for item in values.get(key) or ()] for key in ("files", "folders"))
    emulators = tuple(name for name in folders if _EMULATOR.fullmatch(name))
    own = {name.lower() for name in (*emulators, *_OWN)}
    return Disks(
        exists=bool(values["exists"]),
        link=_plain(str(values.get("link") or "")),
        emulators=emulators,
        strange=next((name for name in sorted([*files, *folders]) if name in files or name.lower() not in own), ""),
        empty=not files and not folders,
        free_bytes=observed.free_bytes(listing),
    )


def _plain(link: str) -> str:
    r"""A junction keeps its target with \??\ before it (learn.microsoft.com, "Reparse points"); PowerShell drops that. Here both are the same."""
    return re.sub(r"\A\\(?:\?|\\)\?\\(?=[A-Za-z]:)", "", link).rstrip("\\")


# ---- deciding -----------------------------------------------------------------------------------------------------------------------
def linked(there: Disks, wanted: str) -> bool:
    """Whether `vms` leads to the data directory."""
    return bool(there.link) and places.same(there.link, wanted)


def reason(host: str, folder: str, wanted: str, there: Disks, data: Disks, beside: Collection[str]) -> str:
    """Why `vms` (``there``) is to be made a junction to the data directory (``data``); empty where it is one. ``beside``: names in LDPlayer's folder, in lower
    case. Raises Refused."""
    place = vms(folder)
    if linked(there, wanted):
        if data.exists:
            return ""
        advice = f"Bring its drive back. If its emulators are gone for good, make the folder {wanted} by hand, and run again"
        raise Refused(host, f"{place} leads to {wanted}, which is not there", advice)
    for problem, advice in (*_against_vms(place, wanted, there, beside), *_against_data(wanted, data)):
        raise Refused(host, problem, advice)
    holds = f", which holds {many(len(data.emulators))} already" if data.emulators else ""
    kept = f"; {place} has no emulator, and is kept as {_ASIDE}" if there.exists else ""
    return f"{place} shall lead to {wanted}{holds}{kept}"


def _against_vms(place: str, wanted: str, there: Disks, beside: Collection[str]) -> Iterator[tuple[str, str]]:
    if there.link:
        yield (
            f"{place} leads to {shown(there.link)}, and {wanted} is wanted",
            f"Disks are never moved: name that folder (data_dir), or stop everything, move what is in it by hand, and take the link away (rmdir {place})",
        )
    elif _ASIDE in beside and there.exists:
        yield (
            f"{place} would be kept as {_ASIDE}, and there is one beside it already",
            "Look into that one, and remove it if nobody misses it",
        )
    elif there.emulators:
        yield (
            f"{place} is a folder of its own with {many(len(there.emulators))}, and {wanted} is wanted",
            f"Disks are never moved: leave data_dir out, or back up (ldfleet.ldplayer.emulator_backup), stop everything, and move all that is in it to "
            f"{wanted} by hand",
        )


def _against_data(wanted: str, data: Disks) -> Iterator[tuple[str, str]]:
    if data.link:
        yield f"{wanted} is itself a link, to {shown(data.link)}", "Name that folder (data_dir)"
    if not data.exists and data.free_bytes < 0:
        yield (
            f"{wanted} is not there, and neither is drive {wanted[:2].upper()}, as far as Windows tells",
            "Name a folder on a drive that is there",
        )
    if data.strange and not data.emulators:
        yield f"{wanted} holds {shown(data.strange)}, which is not LDPlayer's", "Name a folder of its own (data_dir)"


def alone(host: str, wanted: str, taken: str, neighbours: tuple[Neighbour, ...]) -> None:
    """Raises Refused where another LDPlayer may have the data directory: by the host's notes, or since its programs lie there (``taken``)."""
    own = "Give each LDPlayer a data directory of its own"
    if taken:
        raise Refused(host, f"{wanted} belongs to the LDPlayer in {shown(taken)}", own)
    for other in neighbours:
        if not other.install_dir:
            problem = f"the note {other.file} of another LDPlayer cannot be understood, so it cannot be told whether {wanted} is that one's"
            raise Refused(host, problem, "Remove it if it is of no use")
        if places.overlap(wanted, other.install_dir) or (other.data_dir and places.overlap(wanted, other.data_dir)):
            raise Refused(host, f"{wanted} belongs to the LDPlayer in {shown(other.install_dir)}", own)


def told(folder: str, there: Disks, ours: bool) -> str:
    """What of a removal concerns the data directory, for its reason; nothing where there is none."""
    if not there.link:
        return ""
    if ours and there.exists:
        return f"; of {there.link} goes what is LDPlayer's, and what else lies there stays"
    why = "which is not there now" if ours else "and not by ldfleet"
    return f"; {vms(folder)} leads to {shown(there.link)}, {why}, so what lies there stays"


# ---- doing --------------------------------------------------------------------------------------------------------------------------
def linking(folder: str, wanted: str, home: bool, there: Disks, data: Disks, *after: str) -> Iterator[Operation]:
    """Operations that end with `vms` as a junction, the last one called `link`, each after the one before and the first after ``after``. ``home``: whether
    LDPlayer's folder is there. A junction takes no privilege (learn.microsoft.com, "Hard links and junctions"); only cmd.exe makes one that the .NET of
    PowerShell 5.1 cannot."""
    work = []
    if not home:
        work.append(_cmd("home", "mkdir", folder))
    if not data.exists:
        work.append(_cmd("data.made", "mkdir", wanted))
    if there.exists:
        # Settings and key maps of an LDPlayer without emulators; what is in the data directory already goes before them.
        words = [vms(folder), wanted, "/E", "/XC", "/XN", "/XO", "/R:5", "/W:2", "/NP", "/NFL", "/NDL", "/NJH"]
        work.append(operations.execute("carry", rf"{_SYSTEM}\Robocopy.exe", words, _SHORT_MS, exits=tuple(range(8))))
        work.append(_cmd("aside", "ren", vms(folder), _ASIDE))
    work.append(_cmd("link", "mklink", "/J", vms(folder), wanted))
    for operation in work:
        yield operations.needing(operation, *after)
        after = (str(operation["id"]),)


def unlinking(folder: str, there: Disks, ours: bool) -> Iterator[Operation]:
    """What goes before LDPlayer's folder does, where `vms` is a link: emulators and settings in the data directory, that itself if nothing else lies in it, and
    last the link, called `unlink`. What is cut off meanwhile is still found through the link by the next run.

    Through a link that is not ``ours`` nothing is removed: LDPlayer's folder may be writable for anybody, who could have it lead to any other one.
    """
    if not there.link:
        return
    ours = ours and there.exists
    names = (*there.emulators, *_OWN) if ours else ()
    gone = [operations.remove_tree(f"disk.{number}", rf"{vms(folder)}\{name}") for number, name in enumerate(names)]
    yield from gone
    if ours and places.data_problem(there.link, folder, folder) is None:
        yield _cmd("emptied", "rmdir", places.spelled(there.link), exits=None)
    yield operations.needing(operations.remove_tree("unlink", vms(folder)), *(str(operation["id"]) for operation in gone))


def _cmd(id: str, *words: str, exits: tuple[int, ...] | None = (0,)) -> Operation:
    """A command that is cmd.exe's own: without AutoRun of the registry, with extensions, and ! means nothing (`cmd /?`). Paths were judged by places.py."""
    return operations.execute(id, rf"{_SYSTEM}\cmd.exe", ["/d", "/e:on", "/v:off", "/c", *words], _SHORT_MS, exits)


def is_work(id: str) -> bool:
    """Whether an operation of this room must succeed, for who tells what went wrong."""
    return id in ("home", "data.made", "carry", "aside", "link", "unlink") or id.startswith("disk.")
