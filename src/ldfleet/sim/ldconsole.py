"""ldconsole.exe of LDPlayer 5, 9 and 14: words in, exit code and bytes out. Which commands there are, and how long they take, is here.

What they *say* is in console_*.py (what all share in console.py); what they *do* is the world's.

Captured outputs: LDPlayer 9.0.79.2 by androtools, 14.0.26.1 by a measured command line tool, list2 by StarRailCopilot. Errors go to standard output,
exit codes are negative numbers, and the success of nearly everything is silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import console_apps, console_backup, console_control, console_emulators, console_files, console_list
from .console import USAGE, Call, Command, Said, parse
from .console_globals import globalsetting
from .console_modify import modify
from .windows import Answer, Caller
from .world import World

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
    "list": console_list.titles,
    "list2": console_list.list2,
    "list3": console_list.list3,
    "runninglist": console_list.running_titles,
    "isrunning": console_list.is_running,
    "launch": console_control.launch,
    "quit": console_control.quit_one,
    "quitall": console_control.quit_all,
    "add": console_emulators.add,
    "copy": console_emulators.copy,
    "remove": console_emulators.remove,
    "rename": console_emulators.rename,
    "modify": modify,
    "globalsetting": globalsetting,
    "backup": console_backup.backup,
    "restore": console_backup.restore,
    "backupapp": console_backup.backup_app,
    "restoreapp": console_backup.restore_app,
    "downcpu": console_control.downcpu,
    "reboot": console_control.reboot,
    "push": console_files.push,
    "pull": console_files.pull,
    "installapp": console_apps.installapp,
    "uninstallapp": console_apps.uninstallapp,
    "runapp": console_apps.runapp,
    "killapp": console_apps.killapp,
    "launchex": console_apps.launchex,
    "adb": console_apps.adb,
    "action": console_apps.action,
    "locate": console_apps.locate,
    "getprop": console_apps.getprop,
    "setprop": console_apps.setprop,
    "sortwnd": _silent,
    "rock": _silent,
    "help": lambda call: (0, call.usage),
}

_COMMAND_LIST = "".join(f"\t{name}\r\n" for name in _COMMANDS)
