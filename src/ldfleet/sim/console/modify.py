"""``ldconsole modify``: what it takes, and the keys of the emulator's config that come of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..ldplayer.layout import identity
from ..ldplayer.quirks import used
from ..ldplayer.world import World
from .call import PARAMETER_ERROR, Call, Said, storable

Edit = dict[str, Any] | None


def modify(call: Call) -> Said:
    """A missing index and unknown options: exit 0 and nothing (captured). Values outside its lists: -1005, parameter error!"""
    instance = call.chosen()
    if instance is None or used(call.world.quirks, "modify_ignored_times"):
        return 0, ""
    keys: dict[str, Any] = {}
    for option, value in call.options.items():
        if option in _OPTIONS:
            found = _OPTIONS[option](call.world, value)
            if found is None:
                return PARAMETER_ERROR
            keys.update(found)
    if keys:
        call.world.edit(instance, keys)
    return 0, ""


def _number(key: str, *allowed: int) -> Callable[[World, str], Edit]:
    return lambda _world, value: {key: int(value)} if value.isdigit() and int(value) in allowed else None


def _switch(key: str) -> Callable[[World, str], Edit]:
    return lambda _world, value: {key: value == "1"} if value in ("0", "1") else None


def _text(key: str) -> Callable[[World, str], Edit]:
    return lambda world, value: {key: storable(world, value)}


def _resolution(_world: World, value: str) -> Edit:
    found = re.fullmatch(r"(\d+),(\d+),(\d+)", value)
    if not found:
        return None
    width, height, dpi = (int(part) for part in found.groups())
    return {"advancedSettings.resolution": {"width": width, "height": height}, "advancedSettings.resolutionDpi": dpi}


def _drawn(name: str, form: str, upper: bool = False) -> Callable[[World, str], Edit]:
    def edit(world: World, value: str) -> Edit:
        key = f"propertySettings.{name}"
        if value == "auto":
            return {key: identity(world.random)[key]}
        return {key: value.upper() if upper else value.lower()} if re.fullmatch(form, value) else None

    return edit


_OPTIONS: Mapping[str, Callable[[World, str], Edit]] = {
    "cpu": _number("advancedSettings.cpuCount", 1, 2, 3, 4),
    "memory": _number("advancedSettings.memorySize", 256, 512, 768, 1024, 1536, 2048, 4096, 8192),
    "resolution": _resolution,
    "manufacturer": _text("propertySettings.phoneManufacturer"),
    "model": _text("propertySettings.phoneModel"),
    "pnumber": _text("propertySettings.phoneNumber"),
    "imei": _drawn("phoneIMEI", r"\d{15}"),
    "imsi": _drawn("phoneIMSI", r"\d{15}"),
    "simserial": _drawn("phoneSimSerial", r"\d{20}"),
    "androidid": _drawn("phoneAndroidId", r"[0-9a-fA-F]{16}"),
    "mac": _drawn("macAddress", r"[0-9a-fA-F]{12}", upper=True),
    "autorotate": _switch("basicSettings.autoRotate"),
    "lockwindow": _switch("basicSettings.lockWindow"),
    "root": _switch("basicSettings.rootMode"),
}
