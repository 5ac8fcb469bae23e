# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup files of emulators: how they are called, which of them are whole, and which are old enough to go. Values only.

LDPlayer writes a 7z archive (`.ldbk`, verified on 9.5.31.0). What backup prints and exits with was never measured, so only the file proves it: the
archive's start header carries its own checksum and the archive's length, and is written last.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..._host.batch import Result
from ..words.install import CONFIG_FOLDER
from .observed import Emulator, Listing, Observation, Run, free_bytes

#: Bytes of a 7z archive's start header (7zFormat.txt in the LZMA SDK): signature, version, checksum of the last twenty bytes, and in these the
#: offset, the length and the checksum of the next header, which ends the archive.
HEAD = 32
_SIGNATURE = b"7z\xbc\xaf\x27\x1c"

SUFFIX = ".ldbk"
DISKS = r"{ld}\vms"
#: What is in a folder that ldfleet made for backups.
README = "README.txt"
README_TEXT = (
    b"Backups of LDPlayer emulators, made by ldfleet: TITLE-HASH-TIME.ldbk, the hash being of the title.\r\n"
    b"Put one back with the module emulator_backup, or with: ldconsole restore --index N --file FILE\r\n"
)


@dataclass(frozen=True)
class Backup:
    """One file. ``problem``: why it is no whole archive, or None. ``unread``: it could not be read, so what it is cannot be told. Times in
    milliseconds since 1970, by the host's clock."""

    file: str
    size: int
    modified_ms: int
    problem: str | None
    unread: bool = False

    @property
    def stamp(self) -> str:
        """When it was made, as its name says: 20260101T000000Z."""
        return self.file.removesuffix(SUFFIX).rpartition("-")[2]


def prefix(title: str) -> str:
    """How the backups of an emulator begin: what of its title any file system takes, and a hash that tells it from others."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", title)[:40].strip("_") or "emulator"
    return f"{plain}-{hashlib.sha256(title.encode()).hexdigest()[:8]}-"


def file_name(title: str, time_ms: int) -> str:
    """What a backup that is begun now is called."""
    return f"{prefix(title)}{stamp(time_ms)}{SUFFIX}"


def stamp(time_ms: int) -> str:
    """A time of the host as it stands in a name; later times sort after earlier ones."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"


def listed(result: Result, title: str) -> tuple[Backup, ...]:
    """The backups of an emulator in a listing with heads, the newest first."""
    named = re.compile(re.escape(prefix(title)) + r"\d{8}T\d{6}Z" + re.escape(SUFFIX), re.IGNORECASE | re.ASCII)
    found = [_backup(item) for item in result.values.get("files", ()) if named.fullmatch(str(item["name"]))]
    return tuple(sorted(found, key=lambda backup: backup.stamp, reverse=True))


def called(result: Result, file: str) -> Backup | None:
    """A file of the listing by its name, whoever made it."""
    return next((_backup(item) for item in result.values.get("files", ()) if str(item["name"]).lower() == file.lower()), None)


def _backup(item: Mapping[str, Any]) -> Backup:
    size, error = int(item["size"]), item.get("error")
    head = Result("backups", "ok", item).data("head")
    if not head and size and isinstance(error, Mapping):
        return Backup(str(item["name"]), size, int(item["modified_ms"]), f"the host could not read it ({error.get('code')})", unread=True)
    return Backup(str(item["name"]), size, int(item["modified_ms"]), verdict(size, head))


def verdict(size: int, head: bytes) -> str | None:
    """Why a file of this size with this beginning is no whole 7z archive, or None."""
    if not size:
        return "it is empty"
    if len(head) < HEAD or not head.startswith(_SIGNATURE):
        return "it is no 7z archive"
    (checksum,) = struct.unpack_from("<I", head, 8)
    if zlib.crc32(head[12:HEAD]) != checksum:
        return "the header of its archive is damaged, as of one that was not finished"
    offset, length = struct.unpack_from("<QQ", head, 12)
    if size < HEAD + offset + length:
        return f"it was cut off: it has {size} bytes, and its archive has {HEAD + offset + length}"
    return None


def surplus(backups: Sequence[Backup], keep: int | None, new: int) -> tuple[Backup, ...]:
    """What goes when ``new`` further good ones are there: all good ones beyond the ``keep`` newest, and what is no whole archive. What could not be
    read stays: another program holds it, and it may be a good one."""
    if keep is None:
        return ()
    good = [backup for backup in backups if backup.problem is None]
    return (*good[max(0, keep - new) :], *(backup for backup in backups if backup.problem is not None and not backup.unread))


def asks(folder: str) -> tuple[Listing, Listing, Listing]:
    """What must be seen to tell whether a backup is up to date: the backups with their heads, the disks, the configs."""
    backups = Listing(f"{folder}\\", f"*{SUFFIX}", head=HEAD, space=True)
    return backups, Listing(DISKS, "leidian*", folders=True), Listing(CONFIG_FOLDER, "leidian*.config")


def needed(seen: Observation, emulator: Emulator, folder: str) -> bool:
    """Whether an emulator changed after its newest whole backup, or has none. What runs changes."""
    files, disks, configs = (seen.listings[asked] for asked in asks(folder))
    good = [backup for backup in listed(files, emulator.title) if backup.problem is None]
    name = f"leidian{emulator.index}"
    changes = [int(item["modified_ms"]) for item in disks.values["folders"] if str(item["name"]).lower() == name]
    changes += [int(item["modified_ms"]) for item in configs.values["files"] if str(item["name"]).lower() == f"{name}.config"]
    return not good or emulator.run is not Run.STOPPED or good[0].modified_ms < max(changes, default=0)


def room(seen: Observation, emulator: Emulator, folder: str) -> tuple[int, int]:
    """Bytes that a backup may need (the size of the disks), and bytes free where it goes (-1: unknown)."""
    files, disks, _configs = (seen.listings[asked] for asked in asks(folder))
    sizes = [int(item["bytes"]) for item in disks.values["folders"] if str(item["name"]).lower() == f"leidian{emulator.index}"]
    return sum(sizes), free_bytes(files)


def file_problem(file: str) -> str | None:
    """Why no backup in a folder can have this name, or None."""
    if re.fullmatch(r'[^\\/<>:"|?*\x00-\x1f]+\.ldbk', file, re.IGNORECASE):
        return None
    return "the name of a .ldbk file is wanted, without a folder"
