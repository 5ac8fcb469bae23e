"""``ldconsole push`` and ``pull``: files between the host and the guest. Both exit 0 and say nothing, whatever came of it (not measured).

They go through adb, so the guest must answer it. A remote path that ends in a slash is a folder, and takes the file's name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path

from ..ldplayer.quirks import used
from ..ldplayer.world import Instance
from .call import NO_PLAYER, Call, Said


def _transfer(act: Callable[[Call, Instance, Path, str], None]) -> Callable[[Call], Said]:
    def handler(call: Call) -> Said:
        instance = call.chosen()
        if instance is None:
            return 0, NO_PLAYER
        try:
            local = call.world.drive.local(call.options.get("local", ""))
        except ValueError:
            return 0, ""
        if call.world.answers(instance):
            act(call, instance, local, call.options.get("remote", ""))
            call.world.save()
        return 0, ""

    return handler


@_transfer
def push(call: Call, instance: Instance, local: Path, remote: str) -> None:
    if not local.is_file():
        return
    path = posixpath.join(remote, local.name) if remote.endswith("/") or remote in instance.guest.folders else remote
    path = posixpath.normpath(path)
    if posixpath.dirname(path) not in instance.guest.folders:
        instance.guest.folders.add(posixpath.dirname(path))  # adb push makes the folders on the way
    instance.guest.files[path] = _cut(call, local.read_bytes())


@_transfer
def pull(call: Call, instance: Instance, local: Path, remote: str) -> None:
    data = instance.guest.files.get(posixpath.normpath(remote))
    if data is not None and local.parent.is_dir() and len(data) <= call.world.disk_free:
        local.write_bytes(_cut(call, data))
        call.world.touch(local)


def _cut(call: Call, data: bytes) -> bytes:
    return data[: len(data) // 2] if used(call.world.quirks, "transfer_cut_times") else data
