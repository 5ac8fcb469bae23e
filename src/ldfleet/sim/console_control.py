"""``ldconsole action``, ``locate``, ``downcpu``, ``reboot``: what a person does to a running emulator, done from the command line.

Keys from the vendor's manual and from wrappers; success is silence. ``action`` without parameters prints its usage (LDPlayer 9). ``locate`` exits 0 at
once and, on LDPlayer 14, only writes statusSettings.location. ``reboot`` reset the config of an LDPlayer 14 in two of three tries: here it always does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .quirks import used
from .windows import Caller
from .world import Instance, World

Said = tuple[int, str]

_USAGE = "Usage: action <--name mnq_name | --index mnq_idx> --key <key> --value <value>\r\n"
_VALUES: Mapping[str, str] = {
    "call.keyboard": "back|home|menu|volumeup|volumedown",
    "call.network": "connect|offline",
    "call.shake": "null",
    "call.reboot": ".*",
    "call.input": ".*",
    "call.locate": r"-?[\d.]+,-?[\d.]+",
    "call.gravity": r"-?[\d.]+,-?[\d.]+,-?[\d.]+",
}


def action(world: World, instance: Instance, options: Mapping[str, str], _caller: Caller) -> Said:
    """A key and its value, for an emulator that runs; for another one it is silent and does nothing (not measured)."""
    key, value = options.get("key", ""), options.get("value", "")
    if used(world.quirks, "action_complains_times") or key not in _VALUES or re.fullmatch(_VALUES[key], value) is None:
        return 0, _USAGE
    if world.booted(instance) and key == "call.network":
        instance.online = value == "connect"
    return 0, ""


def locate(world: World, instance: Instance, options: Mapping[str, str], _caller: Caller) -> Said:
    """Longitude first."""
    if re.fullmatch(r"-?[\d.]+,-?[\d.]+", options.get("lli", "")):
        world.edit(instance, {"statusSettings.location": options["lli"]})
    return 0, ""


def downcpu(world: World, instance: Instance, options: Mapping[str, str], _caller: Caller) -> Said:
    """A share of the processor time, as long as it runs."""
    rate = options.get("rate", "")
    if rate.isdigit() and int(rate) <= 100 and world.booted(instance):
        instance.cpu_rate = int(rate)
    return 0, ""


def reboot(world: World, instance: Instance, _options: Mapping[str, str], caller: Caller) -> Said:
    """Ends it and starts it again at once."""
    world.restart(instance, caller)
    return 0, ""
