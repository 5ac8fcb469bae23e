"""``ldconsole downcpu`` and ``reboot``: what a person does to a running emulator as a whole.

Success is silence. ``reboot`` reset the config of an LDPlayer 14 in two of three tries: here it always does; on LDPlayer 9 it did no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ldconsole import Call, Said

_MISSING, _NO_PLAYER = -1001, "player don't exist!"


def _downcpu(call: Call) -> Said:
    """A share of the processor time, as long as it runs."""
    instance, rate = call.chosen(), call.options.get("rate", "")
    if instance is None:
        return _MISSING, _NO_PLAYER
    if rate.isdigit() and int(rate) <= 100 and call.world.booted(instance):
        instance.cpu_rate = int(rate)
    return 0, ""


def _reboot(call: Call) -> Said:
    """Ends it and starts it again at once."""
    instance = call.chosen()
    if instance is None:
        return _MISSING, _NO_PLAYER
    call.world.restart(instance, call.caller)
    return 0, ""


COMMANDS: Mapping[str, Callable[[Call], Said]] = {"downcpu": _downcpu, "reboot": _reboot}
