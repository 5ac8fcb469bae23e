"""``ldconsole launch``, ``quit``, ``quitall``, ``downcpu``, ``reboot``: what a person does to an emulator as a whole.

Success is silence. ``reboot`` reset the config of an LDPlayer 14 in two of three tries: here it always does; on LDPlayer 9 it did no harm.
"""

from __future__ import annotations

from ..ldplayer.quirks import used
from .call import MISSING, NO_PLAYER, Call, Said


def launch(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return MISSING, call.usage
    if not used(call.world.quirks, "launch_ignored_times"):
        call.world.launch(instance, call.caller)
    return 0, ""


def quit_one(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return MISSING, NO_PLAYER
    if not used(call.world.quirks, "quit_ignored_times"):
        call.world.quit(instance, call.caller)
    return 0, ""


def quit_all(call: Call) -> Said:
    for instance in call.world.visible():
        call.world.quit(instance, call.caller)
    return 0, ""


def downcpu(call: Call) -> Said:
    """A share of the processor time, as long as it runs."""
    instance, rate = call.chosen(), call.options.get("rate", "")
    if instance is None:
        return MISSING, NO_PLAYER
    if rate.isdigit() and int(rate) <= 100 and call.world.booted(instance):
        instance.cpu_rate = int(rate)
    return 0, ""


def reboot(call: Call) -> Said:
    """Ends it and starts it again at once."""
    instance = call.chosen()
    if instance is None:
        return MISSING, NO_PLAYER
    call.world.restart(instance, call.caller)
    return 0, ""
