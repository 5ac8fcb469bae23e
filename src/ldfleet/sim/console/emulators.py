"""``ldconsole add``, ``copy``, ``remove``, ``rename``: which emulators there are, and what they are called. Success is silence.

The exit code of ``add`` and ``copy`` is the new index.
"""

from __future__ import annotations

from ..ldplayer.quirks import used
from ..ldplayer.world import World
from .call import MISSING, NO_PLAYER, USAGE, Call, Said, choose, storable


def add(call: Call) -> Said:
    if used(call.world.quirks, "add_does_nothing_times"):
        return 0, ""
    if _full(call.world):
        return USAGE, ""
    return call.world.add(storable(call.world, call.options.get("name"))), ""


def copy(call: Call) -> Said:
    text = call.options.get("from", "")
    source = choose(call.world, {"index": text} if text.isdigit() else {"name": text})
    if source is None:
        return (USAGE, call.usage) if call.world.spec.major < 14 else (0, NO_PLAYER)
    if call.world.quirks.copy_refuses_running and call.world.running(source):
        return USAGE, ""
    if _full(call.world):
        return USAGE, ""
    return call.world.copy(source, storable(call.world, call.options.get("name")), call.world.quirks.copy_background_seconds or 0.0), ""


def remove(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return MISSING, NO_PLAYER
    if used(call.world.quirks, "remove_ignored_times"):
        return 0, ""
    call.world.remove(instance)
    if used(call.world.quirks, "remove_recreates_times"):
        call.world.remake(instance.index)
    return 0, ""


def rename(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return MISSING, NO_PLAYER
    call.world.rename(instance, storable(call.world, call.options.get("title")) or "")
    return 0, ""


def _full(world: World) -> bool:
    # An emulator takes 2 to 3 GB (two farms' figures).
    disks, size = world.drive.local(f"{world.spec.install_dir}\\vms"), 2 * 10**9
    if world.free(disks) < size:
        return True
    world.take(disks, size)
    return False
