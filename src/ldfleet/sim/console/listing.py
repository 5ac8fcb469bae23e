"""``ldconsole list``, ``list2``, ``list3``, ``runninglist``, ``isrunning``: what there is, and in which state. Nothing is changed here.

list2 was captured by StarRailCopilot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ldplayer.quirks import used
from ..ldplayer.world import World
from ..machine.windows import Caller
from .call import NO_PLAYER, Call, Said


def titles(call: Call) -> Said:
    return 0, "".join(f"{call.world.title(instance)}\r\n" for instance in call.world.visible())


def running_titles(call: Call) -> Said:
    return 0, "".join(f"{call.world.title(instance)}\r\n" for instance in call.world.visible() if call.world.phase(instance)[1] > 0)


def list2(call: Call) -> Said:
    if call.world.quirks.list2_instead is not None:
        return 0, call.world.quirks.list2_instead
    if used(call.world.quirks, "list2_empty_times"):
        return 0, ""
    return 0, "".join(f"{row}\r\n" for row in _rows(call.world, call.caller))


def list3(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return 0, NO_PLAYER
    width, height, dpi = _screen(call.world, call.world.config(instance.index))
    return 0, f"{instance.index},{call.world.title(instance)},0,{width},{height},{dpi}\r\n"


def is_running(call: Call) -> Said:
    instance = call.chosen()
    return 0, "running" if instance is not None and call.world.phase(instance)[1] > 0 else "stop"


def _rows(world: World, caller: Caller) -> list[str]:
    rows = []
    for instance in world.visible():
        blind = world.quirks.list2_blind_between_sessions and instance.session != caller.session
        state, pid, vm_pid = (0, -1, -1) if blind else world.phase(instance)
        window = 0 if pid < 0 else 100_000 + pid * 16
        values = world.config(instance.index)
        width, height, dpi = _screen(world, values)
        row = f"{instance.index},{world.titled(instance, values)},{window},{window + 4 if window else 0},{state},{pid},{vm_pid}"
        rows.append(row if world.quirks.list2_seven_columns or world.spec.major < 9 else f"{row},{width},{height},{dpi}")
    return rows


def _screen(world: World, values: Mapping[str, Any] | None) -> tuple[Any, Any, Any]:
    """What the config says; without it LDPlayer 14 gives 1280x720@280, an English LDPlayer 9 1600x900@240."""
    standard = (1280, 720, 280) if world.spec.major >= 14 else (1600, 900, 240)
    known = values or {}
    size = known.get("advancedSettings.resolution")
    if not isinstance(size, dict):
        return standard
    return size.get("width", standard[0]), size.get("height", standard[1]), known.get("advancedSettings.resolutionDpi", standard[2])
