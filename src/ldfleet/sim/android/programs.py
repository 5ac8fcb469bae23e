"""Android's own programs, as a guest's shell runs them: pm, am, dumpsys, getprop, input and the like. What they do is guest.py's.

A small guest, and an honest one: what it does not know it refuses aloud. Forms of outputs are AOSP's (pm, dumpsys, am of Android 9 and 14); what
LDPlayer changes in them is named with its source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .builtin import BUILTINS
from .files import Files
from .guest import SYSTEM, Phone
from .shell import Command, Io, Shell
from .toybox import TOYBOX

_SYSTEM_APK = "/system/framework/framework-res.apk"
#: Android 14 on LDPlayer 14 has no monkey (AUTO-MAS).
_NO_MONKEY = 14


def shell(phone: Phone, text: str) -> tuple[bytes, int]:
    """Carry out a text as `adb shell` does: both streams in one, and the status."""
    out = bytearray()
    status = _shell(phone).run(text, Io(b"", out, out))
    return bytes(out), status


def _shell(phone: Phone) -> Shell:
    apks = {f"{package.folder}/base.apk": phone.apk(package.sha256) for package in phone.there.values() if package.sha256}
    files = Files(phone.android.files, phone.android.folders, {_SYSTEM_APK: b"framework", **apks})
    own = {name: _bound(command, phone) for name, command in _COMMANDS.items() if name != "monkey" or phone.release < _NO_MONKEY}
    return Shell(files, {**BUILTINS, **TOYBOX, **own})


_Own = Callable[[Phone, list[str], Io], int]


def _bound(command: _Own, phone: Phone) -> Command:
    return lambda _shell, words, io: command(phone, words, io)


def _getprop(phone: Phone, words: list[str], io: Io) -> int:
    if words:
        io.say(phone.property(words[0]) or (words[1] if len(words) > 1 else ""))
        return 0
    for name, value in phone.every_property().items():
        io.say(f"[{name}]: [{value}]")
    return 0


def _setprop(phone: Phone, words: list[str], io: Io) -> int:
    if len(words) != 2:
        return io.complain("usage: setprop NAME VALUE")
    if words[0].startswith("ro."):
        return io.complain(f"setprop: failed to set property '{words[0]}' to '{words[1]}'")
    phone.android.properties[words[0]] = words[1]
    return 0


def _pm(phone: Phone, words: list[str], io: Io) -> int:
    verb = words[0] if words else ""
    if verb == "list" and words[1:2] == ["packages"]:
        flags = [word for word in words[2:] if word.startswith("-")]
        sought = next((word for word in words[2:] if not word.startswith("-")), "")
        for name, package in phone.there.items():
            if sought in name and not ("-3" in flags and name in SYSTEM):
                io.say(f"package:{name}" + (f" versionCode:{package.version_code}" if "--show-versioncode" in flags else ""))
        return 0
    if verb == "path" and len(words) == 2:
        package_ = phone.there.get(words[1])
        if package_ is None:
            return 1
        io.say(f"package:{_SYSTEM_APK if words[1] in SYSTEM else package_.folder + '/base.apk'}")
        return 0
    if verb == "uninstall" and len(words) == 2:
        done = phone.android.uninstall(words[1])
        io.say("Success" if done else "Failure [DELETE_FAILED_INTERNAL_ERROR]")
        return int(not done)
    return io.complain(f"Error: this simulated pm knows list packages, path and uninstall, not '{' '.join(words)}'")


def _dumpsys(phone: Phone, words: list[str], io: Io) -> int:
    if words[:1] == ["package"] and len(words) == 2:
        package = phone.there.get(words[1])
        if package is None:
            io.say(f"Unable to find package: {words[1]}")
            return 0
        lines = [
            "Packages:",
            f"  Package [{package.name}] (3f2a1b):",
            f"    codePath={package.folder}",
            f"    versionCode={package.version_code} minSdk=21 targetSdk=30",
            f"    versionName={package.version_name}",
        ]
        for line in lines:
            io.say(line)
        return 0
    if words[:1] == ["window"]:
        front = phone.android.front
        io.say("WINDOW MANAGER WINDOWS (dumpsys window windows)")
        io.say(f"  mCurrentFocus=Window{{5e1c0de u0 {front}/{front}.MainActivity}}")
        return 0
    return io.complain(f"Can't find service: {' '.join(words)}")


def _am(phone: Phone, words: list[str], io: Io) -> int:
    verb = words[0] if words else ""
    if verb == "force-stop" and len(words) == 2:
        phone.android.stop(words[1])
        return 0
    if verb == "start" and len(words) == 3 and words[1] == "-n":
        io.say(f"Starting: Intent {{ cmp={words[2]} }}")
        if phone.android.start(words[2].split("/")[0], phone.now):
            return 0
        return io.complain(f"Error type 3\nError: Activity class {{{words[2]}}} does not exist.")
    return io.complain(f"Error: this simulated am knows start -n PACKAGE/ACTIVITY and force-stop, not '{' '.join(words)}'")


def _monkey(phone: Phone, words: list[str], io: Io) -> int:
    name = words[words.index("-p") + 1] if "-p" in words[:-1] else ""
    if not phone.android.start(name, phone.now):
        return io.complain("** No activities found to run, monkey aborted.", 252)
    io.say("Events injected: 1")
    return 0


def _pidof(phone: Phone, words: list[str], io: Io) -> int:
    pids = [str(package.pid) for name, package in phone.there.items() if name in words and package.pid]
    if pids:
        io.say(" ".join(pids))
    return int(not pids)


def _screencap(phone: Phone, words: list[str], io: Io) -> int:
    picture = b"\x89PNG\r\n\x1a\n" + phone.android.front.encode()
    target = next((word for word in words if not word.startswith("-")), None)
    if target is None:
        io.out.extend(picture)
        return 0
    problem = Files(phone.android.files, phone.android.folders, {}).write(target, picture)
    return io.complain(f"Error opening file: {target} ({problem})") if problem else 0


def _input(phone: Phone, words: list[str], io: Io) -> int:
    if words[:1] not in (["text"], ["tap"], ["swipe"], ["keyevent"]):
        return io.complain(f"Error: Unknown command: {' '.join(words)}")
    phone.android.typed.append(" ".join(words))
    return 0


def _id(_phone: Phone, _words: list[str], io: Io) -> int:
    io.say("uid=2000(shell) gid=2000(shell) groups=2000(shell),1015(sdcard_rw),3003(inet) context=u:r:shell:s0")
    return 0


def _whoami(_phone: Phone, _words: list[str], io: Io) -> int:
    io.say("shell")
    return 0


_COMMANDS: Mapping[str, _Own] = {
    "getprop": _getprop,
    "setprop": _setprop,
    "pm": _pm,
    "dumpsys": _dumpsys,
    "am": _am,
    "monkey": _monkey,
    "pidof": _pidof,
    "screencap": _screencap,
    "input": _input,
    "id": _id,
    "whoami": _whoami,
}
