"""What LDPlayer lays down on a host: folders, registry values, configs. Data with its sources; no behaviour."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..machine.drive import Drive
from ..machine.registry import Registry
from ..machine.system import Edition

PROGRAM_NAMES = (
    "ldconsole.exe",
    "dnconsole.exe",
    "dnplayer.exe",
    "dnmultiplayer.exe",
    "ld.exe",
    "adb.exe",
    "dnrepairer.exe",
    "dnuninst.exe",
)

_USER_SID = "S-1-5-21-1004336348-1177238915-682003330-1000"


@dataclass(frozen=True)
class Spec:
    """One host's kind. ``version``: 5.…, 9.… or 14.…; ``language`` en or zh; code pages of the system; bytes free on C:.

    ``desktop_user``: who is logged on at the console, and to whom LDPlayer belongs; empty for nobody.
    """

    version: str = "9.0.79.2"
    language: str = "en"
    acp: int = 1252
    oemcp: int = 437
    install_dir: str = "C:\\LDPlayer\\LDPlayer9"
    programdata: str = "C:\\ProgramData"
    desktop_user: str = "player"
    disk_free: int = 400 * 10**9
    installed: bool = True
    first_emulator: bool = True
    edition: Edition = "server2022"

    @property
    def major(self) -> int:
        """5, 9 or 14."""
        return int(self.version.split(".")[0])

    @property
    def product(self) -> str:
        """What keys and folders are called: version 5 is the 64-bit line (its keys are those of the Chinese one; the English were not seen)."""
        return "LDPlayer64" if self.major == 5 else f"LDPlayer{self.major}"

    @staticmethod
    def of(version: str, **more: Any) -> Spec:
        """An English Windows with this version in its usual folder."""
        spec = Spec(version=version)
        return Spec(**{**vars(spec), "install_dir": f"C:\\LDPlayer\\{spec.product}", **more})

    @staticmethod
    def bare(edition: Edition, **more: Any) -> Spec:
        """An English Windows after its set-up: nobody is logged on, and there is no LDPlayer."""
        return Spec(**{"installed": False, "desktop_user": "", "edition": edition, **more})

    @staticmethod
    def chinese(version: str = "9.0.79.2", **more: Any) -> Spec:
        """A Chinese Windows with the Chinese LDPlayer."""
        folder = f"C:\\leidian\\{Spec(version=version).product}"
        return Spec(**{"version": version, "language": "zh", "acp": 936, "oemcp": 936, "install_dir": folder, **more})


def consoles(spec: Spec) -> frozenset[str]:
    """ldconsole.exe and its old name, in lower case."""
    return frozenset(f"{spec.install_dir}\\{name}".lower() for name in PROGRAM_NAMES[:2])


def fill_registry(registry: Registry, spec: Spec, sid: str) -> None:
    """Code pages, and LDPlayer's keys in the hive of the user with this ``sid``: English installs under XuanZhi, Chinese ones under leidian,
    folders with a trailing backslash."""
    pages = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Nls\\CodePage"
    registry.set(pages, "ACP", str(spec.acp))
    registry.set(pages, "OEMCP", str(spec.oemcp))
    if not spec.installed:
        return
    key = f"HKU\\{sid}\\SOFTWARE\\{'leidian' if spec.language == 'zh' else 'XuanZhi'}\\{spec.product}"
    registry.set(key, "InstallDir", f"{spec.install_dir}\\")
    registry.set(key, "DataDir", f"{spec.install_dir}\\vms\\")
    uninstall = f"HKLM\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{spec.product}"
    registry.set(uninstall, "DisplayName", f"LDPlayer {spec.major}")
    registry.set(uninstall, "DisplayVersion", spec.version)
    registry.set(uninstall, "DisplayIcon", f"{spec.install_dir}\\dnplayer.exe")
    registry.set(uninstall, "UninstallString", f"{spec.install_dir}\\dnuninst.exe")


def lay_out(drive: Drive, spec: Spec) -> None:
    """The folders and programs of a fresh install. Programs are empty files: what they do is the world's to answer."""
    for folder in (spec.programdata, "C:\\Windows\\System32"):
        drive.local(folder).mkdir(parents=True, exist_ok=True)
    if not spec.installed:
        return
    home = drive.local(spec.install_dir)
    for inner in ("vms/config", "vms/customizeConfigs", "vms/recommendConfigs", "vms/operationRecords"):
        (home / inner).mkdir(parents=True, exist_ok=True)
    for program in PROGRAM_NAMES:
        (home / program).touch()
    (home / "vms/config/leidians.config").write_bytes(text(FRESH))


DISKS = {"data.vmdk": 1_800_000_000, "sdcard.vmdk": 200_000_000}


def make_disks(drive: Drive, spec: Spec, index: int) -> None:
    """The folder of an emulator with its disks: files with nothing in them, of the size that farms tell (2 GB with what Android writes)."""
    folder = drive.local(f"{spec.install_dir}\\vms\\leidian{index}")
    folder.mkdir(parents=True, exist_ok=True)
    for disk, size in DISKS.items():
        with (folder / disk).open("wb") as file:
            file.truncate(size)


def remove_disks(drive: Drive, spec: Spec, index: int) -> None:
    """What `remove` deletes beside the config."""
    folder = drive.local(f"{spec.install_dir}\\vms\\leidian{index}")
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    if folder.is_dir():
        folder.rmdir()


def text(values: Mapping[str, Any]) -> bytes:
    """A config's bytes as LDPlayer writes them: UTF-8, four blanks, CRLF."""
    return json.dumps(dict(values), ensure_ascii=False, indent=4).replace("\n", "\r\n").encode()


def parse(data: bytes) -> dict[str, Any] | None:
    """A config's values, or None when LDPlayer could make nothing of it."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def identity(source: random.Random) -> dict[str, Any]:
    """The keys that tell one phone from another, in the forms of a captured config (MAC 00DB and 8 digits, IMSI 46000…, SIM 898600…)."""
    digits = "".join(str(source.randrange(10)) for _ in range(40))
    return {
        "propertySettings.phoneIMEI": "86" + digits[:13],
        "propertySettings.phoneIMSI": "46000" + digits[13:23],
        "propertySettings.phoneSimSerial": "898600" + digits[23:37],
        "propertySettings.phoneAndroidId": f"{source.getrandbits(64):016x}",
        "propertySettings.macAddress": f"00DB{source.getrandbits(32):08X}",
    }


def new_config(spec: Spec, source: random.Random) -> dict[str, Any]:
    """After `add`: LDPlayer 14 writes 11 keys (counted by AUTO-MAS), LDPlayer 9 neither advancedSettings nor rootMode (androtools)."""
    values: dict[str, Any] = {
        **identity(source),
        "propertySettings.phoneModel": "SM-S9110",
        "propertySettings.phoneManufacturer": "samsung",
        "propertySettings.phoneNumber": "",
        "statusSettings.closeOption": 0,
    }
    if spec.major >= 14:
        return {**values, "statusSettings.isNewPlayer": True, "basicSettings.left": 0}
    return {**values, "basicSettings.left": 120, "basicSettings.top": 80, "basicSettings.fps": 60, "basicSettings.adbDebug": 0}


def started_config(spec: Spec) -> dict[str, Any]:
    """What the first start adds (LDPlayer 14: 28 keys; LDPlayer 9: about 70 once windows were used). The misspellings are LDPlayer's."""
    values: dict[str, Any] = {
        "basicSettings.width": 960,
        "basicSettings.height": 540,
        "basicSettings.realHeigh": 574,
        "basicSettings.realWidth": 1002,
        "basicSettings.isForstStart": False,
        "basicSettings.mulFsAddSize": 0,
        "basicSettings.mulFsAutoSize": 2,
        "basicSettings.verticalSync": False,
        "basicSettings.heightFrameRate": False,
        "basicSettings.autoRun": False,
        "basicSettings.isForceLandscape": True,
        "basicSettings.standaloneSysVmdk": False,
        "basicSettings.disableMouseFastOpt": True,
        "basicSettings.HDRQuality": 0,
        "basicSettings.astc": True,
        "basicSettings.videoQuality": 10,
        "basicSettings.rightToolBar": True,
    }
    if spec.major >= 14:
        return values
    network = {
        "networkEnable": True,
        "networkSwitching": False,
        "networkStatic": False,
        "networkAddress": "0.0.0.0",  # noqa: S104 - a value that was seen in a config
        "networkDNS1": "8.8.8.8",
    }
    hotkeys = {"backKey": 27, "homeKey": 112, "appSwitchKey": 113, "menuKey": 114, "fullScreenKey": 122}
    return {
        **values,
        **{f"networkSettings.{key}": value for key, value in network.items()},
        "advancedSettings.micphoneName": "",
        "advancedSettings.speakerName": "",
        **{f"hotkeySettings.{key}": {"modifiers": 0, "key": code} for key, code in hotkeys.items()},
    }


#: The main keys of a captured leidians.config.
FRESH: Mapping[str, Any] = {
    "languageId": "en_US",
    "reduceAudio": True,
    "isSSD": True,
    "strp": "apien",
    "nextCheckupdateTime": 1760654007,
    "cleanMode": True,
    "framesPerSecond": 60,
    "displayMode": True,
    "windowsRecordPos": True,
}
