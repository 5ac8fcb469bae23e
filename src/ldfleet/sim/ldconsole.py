"""ldconsole.exe of LDPlayer 5, 9 and 14: words in, exit code and bytes out. What the commands *do* is the world's; what they *say* is here.

Captured outputs: LDPlayer 9.0.79.2 by androtools, 14.0.26.1 by a measured command line tool, list2 by StarRailCopilot. Errors go to standard output,
exit codes are negative numbers, and the success of nearly everything is silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import console_apps, console_backup, console_control, console_files
from .console_globals import globalsetting
from .quirks import used
from .windows import Answer, Caller
from .world import Instance, World

USAGE, MISSING, PARAMETER = -1000, -1001, -1005
_NO_PLAYER = "player don't exist!"

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


def run(world: World, arguments: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """Carry out one command line (without the program's own name)."""
    command = arguments[0].lower() if arguments else ""
    if command in world.quirks.hang_commands:
        return Answer(1, seconds=None)
    handler = _COMMANDS.get(command)
    options = _options(arguments[1:])
    seconds = _SECONDS.get(command, _QUERY_SECONDS) + world.quirks.slow_seconds
    overlap = command in _MUTATORS and world.mutator(seconds)
    said: Said | Answer = (0 if not arguments else USAGE, _usage(world))
    if handler is not None:
        said = handler(Call(world, options, caller))
    if isinstance(said, Answer):
        return said
    code, text = said
    if overlap and command in ("add", "copy") and code >= 0:
        # Parallel add left half-written emulators (a farm's report on LDPlayer 9).
        world.config_path(code).write_bytes(b'{\r\n    "propertySettings.phoneIMEI": "86')
    output = text if isinstance(text, bytes) else _bytes(world, text)
    return Answer(code, output, seconds=seconds, leaks_output=command in ("launch", "launchex") and world.quirks.leak_output)


Options = Mapping[str, str]
Said = tuple[int, str | bytes]


@dataclass(frozen=True)
class Call:
    """One command line: its ``--name value`` pairs, and who gave it."""

    world: World
    options: Options
    caller: Caller

    def chosen(self) -> Instance | None:
        """The emulator that it names."""
        return _chosen(self.world, self.options)

    def console(self, command: str) -> Said:
        """What another command does with the same words."""
        said = _COMMANDS[command](self)
        assert not isinstance(said, Answer), command
        return said


def _options(words: Sequence[str]) -> Options:
    """``--name value`` pairs; what is unknown is ignored later, as LDPlayer ignores it."""
    found: dict[str, str] = {}
    position = 0
    while position < len(words):
        if words[position].startswith("--") and position + 1 < len(words):
            found[words[position][2:].lower()] = words[position + 1]
            position += 1
        position += 1
    return found


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


def _chosen(world: World, options: Options) -> Instance | None:
    """--index wins when it is a number; --name takes a title (the first that has it)."""
    if "index" in options:
        text = options["index"]
        number = int(text) if re.fullmatch(r"\d{1,6}", text) else -1
        return next((instance for instance in world.visible() if instance.index == number), None)
    if "name" in options:
        return next((instance for instance in world.visible() if world.title(instance) == options["name"]), None)
    return None


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


def _list2(call: Call) -> Said:
    if call.world.quirks.list2_instead is not None:
        return 0, call.world.quirks.list2_instead
    if used(call.world.quirks, "list2_empty_times"):
        return 0, ""
    return 0, "".join(f"{row}\r\n" for row in _rows(call.world, call.caller))


def _list(call: Call) -> Said:
    return 0, "".join(f"{call.world.title(instance)}\r\n" for instance in call.world.visible())


def _runninglist(call: Call) -> Said:
    return 0, "".join(f"{call.world.title(instance)}\r\n" for instance in call.world.visible() if call.world.phase(instance)[1] > 0)


def _list3(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    if instance is None:
        return 0, _NO_PLAYER
    width, height, dpi = _screen(call.world, call.world.config(instance.index))
    return 0, f"{instance.index},{call.world.title(instance)},0,{width},{height},{dpi}\r\n"


def _isrunning(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    return 0, "running" if instance is not None and call.world.phase(instance)[1] > 0 else "stop"


def _add(call: Call) -> Said:
    if used(call.world.quirks, "add_does_nothing_times"):
        return 0, ""
    if _full(call.world):
        return USAGE, ""
    return call.world.add(_storable(call.world, call.options.get("name"))), ""


def _storable(world: World, title: str | None) -> str | None:
    """A program of the ANSI kind gets ? for what its code page does not hold."""
    return title if title is None else title.encode(f"cp{world.spec.acp}", "replace").decode(f"cp{world.spec.acp}")


def _full(world: World) -> bool:
    # An emulator takes 2 to 3 GB (two farms' figures).
    if world.disk_free < 2 * 10**9:
        return True
    world.disk_free -= 2 * 10**9
    return False


def _copy(call: Call) -> Said:
    text = call.options.get("from", "")
    source = _chosen(call.world, {"index": text} if text.isdigit() else {"name": text})
    if source is None:
        return (USAGE, _usage(call.world)) if call.world.spec.major < 14 else (0, _NO_PLAYER)
    if call.world.quirks.copy_refuses_running and call.world.running(source):
        return USAGE, ""
    if _full(call.world):
        return USAGE, ""
    return call.world.copy(source, _storable(call.world, call.options.get("name")), call.world.quirks.copy_background_seconds or 0.0), ""


def _remove(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    if instance is None:
        return MISSING, _NO_PLAYER
    if used(call.world.quirks, "remove_ignored_times"):
        return 0, ""
    call.world.remove(instance)
    if used(call.world.quirks, "remove_recreates_times"):
        call.world.remake(instance.index)
    return 0, ""


def _rename(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    if instance is None:
        return MISSING, _NO_PLAYER
    call.world.rename(instance, _storable(call.world, call.options.get("title")) or "")
    return 0, ""


def _modify(call: Call) -> Said:
    """A missing index and unknown options: exit 0 and nothing (captured). Values outside its lists: -1005, parameter error!"""
    instance = _chosen(call.world, call.options)
    if instance is None or used(call.world.quirks, "modify_ignored_times"):
        return 0, ""
    keys: dict[str, Any] = {}
    for option, value in call.options.items():
        if option in _MODIFY:
            found = _MODIFY[option](call.world, value)
            if found is None:
                return PARAMETER, "parameter error!"
            keys.update(found)
    if keys:
        call.world.edit(instance, keys)
    return 0, ""


Edit = dict[str, Any] | None


def _number(key: str, *allowed: int) -> Callable[[World, str], Edit]:
    return lambda _world, value: {key: int(value)} if value.isdigit() and int(value) in allowed else None


def _switch(key: str) -> Callable[[World, str], Edit]:
    return lambda _world, value: {key: value == "1"} if value in ("0", "1") else None


def _text(key: str) -> Callable[[World, str], Edit]:
    return lambda world, value: {key: _storable(world, value)}


def _resolution(_world: World, value: str) -> Edit:
    found = re.fullmatch(r"(\d+),(\d+),(\d+)", value)
    if not found:
        return None
    width, height, dpi = (int(part) for part in found.groups())
    return {"advancedSettings.resolution": {"width": width, "height": height}, "advancedSettings.resolutionDpi": dpi}


def _drawn(name: str, form: str, upper: bool = False) -> Callable[[World, str], Edit]:
    from .layout import identity

    def edit(world: World, value: str) -> Edit:
        key = f"propertySettings.{name}"
        if value == "auto":
            return {key: identity(world.random)[key]}
        return {key: value.upper() if upper else value.lower()} if re.fullmatch(form, value) else None

    return edit


_MODIFY: Mapping[str, Callable[[World, str], Edit]] = {
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


def _launch(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    if instance is None:
        return MISSING, _usage(call.world)
    if not used(call.world.quirks, "launch_ignored_times"):
        call.world.launch(instance, call.caller)
    return 0, ""


def _quit(call: Call) -> Said:
    instance = _chosen(call.world, call.options)
    if instance is None:
        return MISSING, _NO_PLAYER
    if not used(call.world.quirks, "quit_ignored_times"):
        call.world.quit(instance, call.caller)
    return 0, ""


def _quitall(call: Call) -> Said:
    for instance in call.world.visible():
        call.world.quit(instance, call.caller)
    return 0, ""


def _silent(_call: Call) -> Said:
    return 0, ""


def _takes_time(act: Callable[[World, Instance, Options], float | None]) -> Callable[[Call], Said | Answer]:
    """A command that works on one emulator for a while, in silence."""

    def handler(call: Call) -> Said | Answer:
        instance = _chosen(call.world, call.options)
        if instance is None:
            return MISSING, _NO_PLAYER
        seconds = act(call.world, instance, call.options)
        return Answer(0, seconds=seconds if seconds is None else seconds + call.world.quirks.slow_seconds)

    return handler


def _ignored(call: Call, quirk: str) -> Said | None:
    return (0, "") if used(call.world.quirks, quirk) else None


_COMMANDS: Mapping[str, Callable[[Call], Said | Answer]] = {
    "list": _list,
    "list2": _list2,
    "list3": _list3,
    "runninglist": _runninglist,
    "isrunning": _isrunning,
    "launch": _launch,
    "quit": _quit,
    "quitall": _quitall,
    "add": _add,
    "copy": _copy,
    "remove": _remove,
    "rename": _rename,
    "modify": _modify,
    "globalsetting": lambda call: _ignored(call, "globalsetting_ignored_times") or globalsetting(call.world, call.options),
    "backup": _takes_time(console_backup.backup),
    "restore": _takes_time(console_backup.restore),
    "backupapp": _takes_time(console_backup.backup_app),
    "restoreapp": _takes_time(console_backup.restore_app),
    **console_control.COMMANDS,
    **console_files.COMMANDS,
    **console_apps.COMMANDS,
    "sortwnd": _silent,
    "rock": _silent,
    "help": lambda call: (0, _usage(call.world)),
}

_COMMAND_LIST = "".join(f"\t{name}\r\n" for name in _COMMANDS)
