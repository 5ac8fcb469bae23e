"""ldconsole.exe of LDPlayer 5, 9 and 14: words in, exit code and bytes out. Which commands there are, and how long they take, is here.

What they *say* is in the files beside this one (what all share in call.py); what they *do* is the world's.

Captured outputs: LDPlayer 9.0.79.2 by androtools, 14.0.26.1 by a measured command line tool, list2 by StarRailCopilot. Errors go to standard output,
exit codes are negative numbers, and the success of nearly everything is silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ldplayer.world import World
from ..machine.windows import Answer, Caller
from . import apps, backup, control, emulators, files, listing
from .call import USAGE, Call, Command, Said, parse
from .globals import globalsetting
from .modify import modify

#: Simulated seconds: list2 15 ms and getprop 55 ms were measured on LDPlayer 14; copy writes gigabytes.
_SECONDS: Mapping[str, float] = {
    "getprop": 0.055,
    "add": 0.4,
    "copy": 6.0,
    "remove": 1.0,
    "modify": 0.05,
    "rename": 0.05,
}
_QUERY_SECONDS = 0.015
_MUTATORS = frozenset({"add", "copy", "remove", "modify", "rename", "launch"})
_STARTERS = frozenset({"launch", "launchex"})


def run(world: World, arguments: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """Carry out one command line (without the program's own name)."""
    command = arguments[0].lower() if arguments else ""
    if command in world.quirks.hang_commands:
        return Answer(1, seconds=None)
    handler = _COMMANDS.get(command)
    usage = _usage(world)
    seconds = _SECONDS.get(command, _QUERY_SECONDS) + world.quirks.slow_seconds
    overlap = command in _MUTATORS and world.mutator(seconds)
    said: Said | Answer = (0 if not arguments else USAGE, usage)
    if handler is not None:
        said = handler(Call(world, parse(arguments[1:]), caller, usage))
    if isinstance(said, Answer):
        return said
    code, text = said
    if overlap and command in ("add", "copy") and code >= 0:
        # Parallel add left half-written emulators (a farm's report on LDPlayer 9).
        world.config_path(code).write_bytes(b'{\r\n    "propertySettings.phoneIMEI": "86')
    output = text if isinstance(text, bytes) else _bytes(world, text)
    return Answer(code, output, seconds=seconds, leaks_output=command in _STARTERS and code == 0 and world.quirks.leak_output)


def _bytes(world: World, text: str) -> bytes:
    encoding = world.quirks.output_encoding or f"cp{world.spec.acp}"
    return text.encode(encoding, "replace")


def _usage(world: World) -> str:
    if world.spec.major >= 14:
        return (
            f"dnplayer v{world.spec.version} Command Line Management Interface\r\nUsage:\r\n\tldconsole <command> [parameter]\r\n"
            + _COMMAND_LIST
        )
    return "dnplayer Command Line Management Interface\r\n" + _COMMAND_LIST


def _silent(_call: Call) -> Said:
    return 0, ""


_COMMANDS: Mapping[str, Command] = {
    "list": listing.titles,
    "list2": listing.list2,
    "list3": listing.list3,
    "runninglist": listing.running_titles,
    "isrunning": listing.is_running,
    "launch": control.launch,
    "quit": control.quit_one,
    "quitall": control.quit_all,
    "add": emulators.add,
    "copy": emulators.copy,
    "remove": emulators.remove,
    "rename": emulators.rename,
    "modify": modify,
    "globalsetting": globalsetting,
    "backup": backup.backup,
    "restore": backup.restore,
    "backupapp": backup.backup_app,
    "restoreapp": backup.restore_app,
    "downcpu": control.downcpu,
    "reboot": control.reboot,
    "push": files.push,
    "pull": files.pull,
    "installapp": apps.installapp,
    "uninstallapp": apps.uninstallapp,
    "runapp": apps.runapp,
    "killapp": apps.killapp,
    "launchex": apps.launchex,
    "adb": apps.adb,
    "action": apps.action,
    "locate": apps.locate,
    "getprop": apps.getprop,
    "setprop": apps.setprop,
    "sortwnd": _silent,
    "rock": _silent,
    "help": lambda call: (0, call.usage),
}

_COMMAND_LIST = "".join(f"\t{name}\r\n" for name in _COMMANDS)
