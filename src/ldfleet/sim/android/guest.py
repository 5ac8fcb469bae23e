"""The Android behind a simulated emulator: its apps, files and properties, and what outlives what. Nothing of the host is here, and no shell.

What its shell says is programs.py's (Android's own), toybox.py's and builtin.py's.
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


@dataclass(frozen=True)
class Phone:
    """A guest that is asked something now. ``properties``: what the emulator's config makes of it; ``apk``: the bytes of a base APK by its hash."""

    android: Android
    properties: Mapping[str, str]
    release: int
    now: float
    apk: Callable[[str], bytes]

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
