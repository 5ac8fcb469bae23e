"""Windows' own programs for starting anew: shutdown and bcdedit, as far as Ansible and people need them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..ldplayer.world import World
from ..machine.windows import SYSTEM32, Answer, Caller
from .admin import option, said

_PLANNED = "A system shutdown has already been scheduled.(1190)\r\n"
_NOT_PLANNED = "Unable to abort the system shutdown because no shutdown was in progress.(1116)\r\n"
#: Seconds until it happens where nothing is said (learn.microsoft.com: shutdown).
_STANDARD = 30


def shutdown(machine: World, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``/r [/t SECONDS] [/c TEXT] [/f]`` and ``/a``."""
    lowered = [word.lower() for word in words]
    if "/a" in lowered:
        return said(machine, 0, "") if machine.power.abort() else Answer(1116, stderr=_NOT_PLANNED.encode())
    seconds = option(words, "/t") or str(_STANDARD)
    if "/r" not in lowered or not re.fullmatch(r"\d{1,9}", seconds):
        return said(machine, 1, "simulated host: of shutdown, /r and /a are played\r\n")
    return said(machine, 0, "") if machine.power.plan(float(seconds)) else Answer(1190, stderr=_PLANNED.encode())


def bcdedit(machine: World, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``/set hypervisorlaunchtype off|auto``, which acts at the next start, and ``/enum``."""
    lowered = [word.lower() for word in words]
    if lowered[:2] == ["/set", "hypervisorlaunchtype"] and lowered[2:] in (["off"], ["auto"]):
        machine.system.hypervisor_launch = "off" if lowered[2] == "off" else "auto"
        machine.save()
        return said(machine, 0, "The operation completed successfully.\r\n")
    if lowered in ([], ["/enum"]):
        line = f"hypervisorlaunchtype    {machine.system.hypervisor_launch.capitalize()}"
        return said(machine, 0, f"\r\nWindows Boot Loader\r\n-------------------\r\nidentifier              {{current}}\r\n{line}\r\n")
    return said(machine, 1, "The set command specified is not valid.\r\n")


#: By full path.
PROGRAMS = {f"{SYSTEM32}\\shutdown.exe": shutdown, f"{SYSTEM32}\\bcdedit.exe": bcdedit}
