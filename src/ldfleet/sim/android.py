"""The Android behind a simulated emulator: its apps, files and properties, and the commands of Android that ldfleet and people give it in a shell.

A small guest, and an honest one: what it does not know it refuses aloud. Forms of outputs are AOSP's (pm, dumpsys, am of Android 9 and 14); what
LDPlayer changes in them is named with its source. Nothing of the host is here.
"""

from __future__ import annotations

import base64
import copy
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any

from .android_shell import Command, Files, Io, Shell

LAUNCHER = "com.android.launcher3"
#: Apps that are there from the beginning: name and version. `pm list packages -3` leaves them out.
SYSTEM = {"android": "9", LAUNCHER: "9", "com.android.settings": "9", "com.android.vending": "40.1"}
#: What a fake APK is known by: a zip with this member, JSON with package, version_code and version_name.
MARK = "ldfleet-sim.json"
_FOLDERS = ("/sdcard", "/sdcard/Download", "/sdcard/Pictures", "/sdcard/DCIM", "/data/app", "/data/local/tmp", "/system/bin", "/dev")
_FIRST_PID = 2000


class NotOurs(ValueError):
    """A file that this guest cannot install; the message says why."""


@dataclass
class Package:
    """An installed app. ``sha256``: of its base APK; ``appears``: simulated time from which on it is there; ``pid``: 0 where it does not run."""

    name: str
    version_name: str
    version_code: int
    sha256: str
    appears: float = 0.0
    pid: int = 0

    @property
    def folder(self) -> str:
        """Where its APK lies."""
        return f"/data/app/{self.name}-1"


@dataclass
class Android:
    """A guest's state. ``front``: the app that is in front; ``autorun``: the app to start as soon as Android has (launchex);
    ``typed``: what `action` put in (text and keys), for tests to look at."""

    packages: dict[str, Package] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: set(_FOLDERS))
    properties: dict[str, str] = field(default_factory=dict)
    front: str = LAUNCHER
    autorun: str = ""
    online: bool = True
    next_pid: int = _FIRST_PID
    typed: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **vars(self),
            "packages": [asdict(package) for package in self.packages.values()],
            "files": {path: base64.b64encode(data).decode() for path, data in self.files.items()},
            "folders": sorted(self.folders),
        }

    @staticmethod
    def read(document: Mapping[str, Any]) -> Android:
        """And back."""
        return Android(
            **{
                **document,
                "packages": {item["name"]: Package(**item) for item in document["packages"]},
                "files": {path: base64.b64decode(data) for path, data in document["files"].items()},
                "folders": set(document["folders"]),
            }
        )

    def cloned(self) -> Android:
        """What `copy` takes along: data, sdcard and system disks are copied (LDPlayer 9), what runs is not."""
        twin = copy.deepcopy(self)
        twin.power_off()
        return twin

    def power_off(self) -> None:
        """What does not outlive a boot: processes, and properties that are not persist.*."""
        for package in self.packages.values():
            package.pid = 0
        self.front, self.autorun, self.online, self.typed = LAUNCHER, "", True, []
        self.properties = {name: value for name, value in self.properties.items() if name.startswith("persist.")}

    # ---- apps -----------------------------------------------------------------------------------------------------------------------
    def install(self, apk: bytes, sha256: str, appears: float) -> None:
        """Put an app in, which keeps its data and ends the old one. Raises NotOurs for what is no fake APK, and for an older version."""
        about = described(apk)
        old = self.packages.get(about["package"])
        if old is not None and about["version_code"] < old.version_code:
            raise NotOurs("INSTALL_FAILED_VERSION_DOWNGRADE")
        if self.front == about["package"]:
            self.front = LAUNCHER
        self.packages[about["package"]] = Package(about["package"], about["version_name"], about["version_code"], sha256, appears)

    def uninstall(self, name: str) -> bool:
        """Take an app out with its data; False when it was not there."""
        if self.packages.pop(name, None) is None:
            return False
        self.files = {path: data for path, data in self.files.items() if not path.startswith(f"/data/data/{name}/")}
        self.front = LAUNCHER if self.front == name else self.front
        return True

    def start(self, name: str, now: float) -> bool:
        """Bring an app to the front; False when there is none."""
        if name not in self.there(now):
            return False
        package = self.packages.get(name)
        if package is not None and not package.pid:
            self.next_pid += 7
            package.pid = self.next_pid
        self.front = name
        return True

    def stop(self, name: str) -> None:
        """End an app's process."""
        if name in self.packages:
            self.packages[name].pid = 0
        self.front = LAUNCHER if self.front == name else self.front

    def there(self, now: float) -> dict[str, Package]:
        """Every app that is installed by now, the system's too."""
        system = {name: Package(name, version, 28, "", pid=1000 + number) for number, (name, version) in enumerate(SYSTEM.items())}
        return {**system, **{name: package for name, package in self.packages.items() if package.appears <= now}}


def described(apk: bytes) -> dict[str, Any]:
    """Package, version_code and version_name of a fake APK. Raises NotOurs."""
    try:
        with zipfile.ZipFile(BytesIO(apk)) as archive:
            about = json.loads(archive.read(MARK)) if MARK in archive.namelist() else None
    except (zipfile.BadZipFile, ValueError) as error:
        raise NotOurs(f"it is no APK ({error})") from error
    if about is None:
        raise NotOurs(f"the simulator installs no real APK, only a zip with a member {MARK} (package, version_code, version_name)")
    return {"package": str(about["package"]), "version_code": int(about["version_code"]), "version_name": str(about["version_name"])}


# ---- the shell ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phone:
    """A guest that is asked something now. ``properties``: what the emulator's config makes of it; ``apk``: the bytes of a base APK by its hash."""

    android: Android
    properties: Mapping[str, str]
    release: int
    now: float
    apk: Callable[[str], bytes]

    def shell(self, text: str) -> tuple[bytes, int]:
        """Carry out a text as `adb shell` does: both streams in one, and the status."""
        out = bytearray()
        status = self._shell().run(text, Io(b"", out, out))
        return bytes(out), status

    def _shell(self) -> Shell:
        apks = {f"{package.folder}/base.apk": self.apk(package.sha256) for package in self.there.values() if package.sha256}
        files = Files(self.android.files, self.android.folders, {SYSTEM_APK: b"framework", **apks})
        own = {name: command for name, command in _COMMANDS.items() if name != "monkey" or self.release < _NO_MONKEY}
        bound: dict[str, Command] = {name: _bound(command, self) for name, command in own.items()}
        return Shell(files, bound)

    @property
    def there(self) -> dict[str, Package]:
        """The apps that are installed."""
        return self.android.there(self.now)

    def property(self, name: str) -> str:
        """One property; empty where there is none."""
        return self.android.properties.get(name, self.properties.get(name, ""))

    def every_property(self) -> dict[str, str]:
        """All of them, by name."""
        return dict(sorted({**self.properties, **self.android.properties}.items()))


SYSTEM_APK = "/system/framework/framework-res.apk"
#: Android 14 on LDPlayer 14 has no monkey (AUTO-MAS).
_NO_MONKEY = 14

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
        io.say(f"package:{SYSTEM_APK if words[1] in SYSTEM else package_.folder + '/base.apk'}")
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
