"""``ldconsole backup``, ``restore``, ``backupapp``, ``restoreapp``: 7z archives in, emulators out.

A .ldbk is a 7z archive, and all four work on 9.5.31.0; what they print and exit with was never measured, so all of them say nothing and exit 0 here,
whatever came of it. A restore puts the source's title, identity and display in place of the emulator's own (a published plan says so).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..android.guest import Package
from ..ldplayer.quirks import used
from ..ldplayer.world import Instance, World
from ..machine.windows import Answer
from .call import MISSING, NO_PLAYER, Call, Command, Options, Said

_SIGNATURE = b"7z\xbc\xaf\x27\x1c\x00\x04"
_END = b"\x01\x04\x06\x00\x01\x09\x00\x00"
#: An archive has so much of what an emulator's disks take (a guess; farms tell 2 to 3 GB of disks and about 1 GB of backup).
_PACKED = 0.45
_SECONDS, _APP_SECONDS = 20.0, 5.0


def _takes_time(act: Callable[[World, Instance, Options], float | None]) -> Command:
    """A command that works on one emulator for a while, in silence."""

    def handler(call: Call) -> Said | Answer:
        instance = call.chosen()
        if instance is None:
            return MISSING, NO_PLAYER
        seconds = act(call.world, instance, call.options)
        return Answer(0, seconds=seconds if seconds is None else seconds + call.world.quirks.slow_seconds)

    return handler


@_takes_time
def backup(world: World, instance: Instance, options: Options) -> float | None:
    """Write one emulator into a file. Returns its seconds, None: it never ends."""
    path = _path(world, options)
    if path is None or not path.parent.is_dir() or world.running(instance) or used(world.quirks, "backup_writes_nothing_times"):
        return _SECONDS
    size = int(world.disk_bytes(instance) * _PACKED)
    hangs = used(world.quirks, "backup_hangs_times")
    _write(path, world.export(instance), size, ends=size <= world.disk_free and not hangs)
    world.touch(path)
    return None if hangs else _SECONDS


@_takes_time
def restore(world: World, instance: Instance, options: Options) -> float | None:
    """Put a file's emulator in place of one. What is no archive changes nothing."""
    path = _path(world, options)
    found = _read(path) if path is not None and path.is_file() else None
    if found is not None and not world.running(instance):
        world.replace(instance, found)
    return _SECONDS


@_takes_time
def backup_app(world: World, instance: Instance, options: Options) -> float | None:
    """Write one app into a file; the emulator must run."""
    path, package = _path(world, options), instance.guest.packages.get(options.get("packagename", ""))
    if path is not None and path.parent.is_dir() and package is not None and world.booted(instance):
        _write(path, {"package": asdict(package)}, 0, ends=True)
    return _APP_SECONDS


@_takes_time
def restore_app(world: World, instance: Instance, options: Options) -> float | None:
    """Install an app with its data from a file; the emulator must run."""
    path = _path(world, options)
    found = _read(path) if path is not None and path.is_file() else None
    if found is not None and "package" in found and world.booted(instance):
        package = Package(**{**found["package"], "pid": 0})
        instance.guest.packages[package.name] = package
        world.save()
    return _APP_SECONDS


def _path(world: World, options: Options) -> Path | None:
    try:
        return world.drive.local(options.get("file", ""))
    except ValueError:
        return None


def _write(path: Path, document: Mapping[str, Any], size: int, ends: bool) -> None:
    """A file with holes in it. The start header is written last, so an archive that was broken off has zeros there."""
    content = json.dumps(document).encode() + b"\0"
    length = max(len(content), size)
    with path.open("wb") as file:
        file.write(bytes(32) + content)
        if not ends:
            return
        file.truncate(32 + length)
        file.seek(32 + length)
        file.write(_END)
        numbers = struct.pack("<QQI", length, len(_END), zlib.crc32(_END))
        file.seek(0)
        file.write(_SIGNATURE + struct.pack("<I", zlib.crc32(numbers)) + numbers)


def _read(path: Path) -> dict[str, Any] | None:
    with path.open("rb") as file:
        head, content = file.read(32), file.read(1_000_000).partition(b"\0")[0]
        if not head.startswith(_SIGNATURE) or struct.pack("<I", zlib.crc32(head[12:])) != head[8:12]:
            return None
        offset, length = struct.unpack_from("<QQ", head, 12)
        file.seek(32 + offset)
        if zlib.crc32(file.read(length)) != struct.unpack_from("<I", head, 28)[0]:
            return None
    try:
        found: dict[str, Any] = json.loads(content)
    except ValueError:
        return None
    return found
