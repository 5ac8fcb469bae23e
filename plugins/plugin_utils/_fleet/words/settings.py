# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of LDPlayer's per-emulator settings: the only place that knows config keys and options of ``ldconsole modify``.

A new setting is a new row. LDPlayer's own misspellings live here and nowhere else. Which values an option takes stands in the
sidecar (``choices``) or, where it is a pattern, in the row's codec. Every setting acts at the next boot only, and a running emulator
rewrites its whole config when it exits (measured on LDPlayer 9.5.37), so every row needs a stop.

Sources: keys from a published pair of leidianN.config files of LDPlayer 9 (78 and 79 keys); options of ``modify`` and their values from the
vendor's help as checked on 9.0.79.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Config = Mapping[str, Any]
Value = str | int | bool

AUTO = "auto"


class Codec(Protocol):
    """How one setting is written: in the config file, on the command line of ``modify``, and by the user."""

    def problem(self, value: Value) -> str | None:
        """Why LDPlayer would not take this value (``LDPlayer takes …``), or None."""

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        """The value that the config holds; None when the key is absent or holds something else."""

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        """The keys to put into the config for this value."""

    def argument(self, value: Value) -> str:
        """The value for ``modify``."""


@dataclass(frozen=True)
class Whole:
    """A JSON integer between two bounds."""

    low: int = 0
    high: int = 2**31 - 1

    def problem(self, value: Value) -> str | None:
        return None if self.low <= int(value) <= self.high else f"LDPlayer takes {self.low} to {self.high}"

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        found = config.get(keys[0])
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        return {keys[0]: int(value)}

    def argument(self, value: Value) -> str:
        return str(value)


@dataclass(frozen=True)
class Switch:
    """A JSON boolean; 1 and 0 for ``modify``. Some builds write 0 and 1 into the file: both are read."""

    def problem(self, value: Value) -> str | None:
        return None

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        found = config.get(keys[0])
        return bool(found) if isinstance(found, bool) or found in (0, 1) else None

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        return {keys[0]: bool(value)}

    def argument(self, value: Value) -> str:
        return "1" if value else "0"


@dataclass(frozen=True)
class Text:
    """A JSON string that must match ``pattern`` whole; ``wanted`` describes it. ``auto`` (where taken): what is there stays."""

    pattern: str
    wanted: str
    auto: bool = False

    def problem(self, value: Value) -> str | None:
        if (self.auto and value == AUTO) or re.fullmatch(self.pattern, str(value)):
            return None
        return f"LDPlayer takes {self.wanted}{' or auto' if self.auto else ''}"

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        found = config.get(keys[0])
        return found if isinstance(found, str) else None

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        return {keys[0]: str(value)}

    def argument(self, value: Value) -> str:
        return str(value)


@dataclass(frozen=True)
class Words:
    """A JSON integer that stands for a word. Several numbers may mean the same word; the first one is written."""

    words: tuple[tuple[int, str], ...]

    def problem(self, value: Value) -> str | None:
        return None

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        found = config.get(keys[0])
        return next((word for number, word in self.words if number == found and not isinstance(found, bool)), None)

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        return {keys[0]: next(number for number, word in self.words if word == value)}

    def argument(self, value: Value) -> str:
        return str(next(number for number, word in self.words if word == value))


@dataclass(frozen=True)
class Resolution:
    """``WIDTHxHEIGHT@DPI``: a nested object and a number in the config, one triple for ``modify``."""

    def problem(self, value: Value) -> str | None:
        found = _RESOLUTION.fullmatch(str(value))
        if found and all(low <= int(part) <= high for part, (low, high) in zip(found.groups(), _RESOLUTION_BOUNDS, strict=True)):
            return None
        return "LDPlayer takes WIDTHxHEIGHT@DPI, such as 960x540@160 (width and height 240 to 7680, dpi 60 to 1000)"

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        size, dpi = config.get(keys[0]), config.get(keys[1])
        if not isinstance(size, Mapping) or not isinstance(dpi, int):
            return None
        width, height = size.get("width"), size.get("height")
        return f"{width}x{height}@{dpi}" if isinstance(width, int) and isinstance(height, int) else None

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        width, height, dpi = self.numbers(value)
        return {keys[0]: {"width": width, "height": height}, keys[1]: dpi}

    def argument(self, value: Value) -> str:
        return ",".join(str(number) for number in self.numbers(value))

    @staticmethod
    def numbers(value: Value) -> tuple[int, int, int]:
        """Width, height in pixels, and dots per inch."""
        width, height, dpi = _RESOLUTION.fullmatch(str(value)).groups()  # type: ignore[union-attr]
        return int(width), int(height), int(dpi)


_RESOLUTION = re.compile(r"(\d{1,5})x(\d{1,5})@(\d{1,4})", re.ASCII)
_RESOLUTION_BOUNDS = ((240, 7680), (240, 7680), (60, 1000))


@dataclass(frozen=True)
class Setting:
    """One row. ``flag``: the option of ``modify``, or None where only the file can be edited. ``absent``: what a missing key means (None:
    unknown)."""

    option: str
    codec: Codec
    keys: tuple[str, ...]
    flag: str | None = None
    absent: Value | None = None

    def current(self, config: Config) -> Value | None:
        """What the config says, or what LDPlayer takes a missing key for; None when that is unknown."""
        found = self.codec.parse(config, self.keys)
        return self.absent if found is None and not any(key in config for key in self.keys) else found

    def differs(self, config: Config, wanted: Value) -> bool:
        """Whether the config must be changed for ``wanted``. ``auto`` is satisfied by any value."""
        current = self.current(config)
        if wanted == AUTO and isinstance(self.codec, Text) and self.codec.auto:
            return not current
        return _folded(self, current) != _folded(self, wanted)


def _folded(setting: Setting, value: Value | None) -> Value | None:
    # LDPlayer writes MAC addresses in upper and Android ids in lower case, whatever case was given.
    return value.lower() if isinstance(value, str) and isinstance(setting.codec, Text) and setting.codec.auto else value


_ADDRESS = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_WORD = r"[^\"\x00-\x1f\x7f]{1,64}"


def _address(wanted: str) -> Text:
    return Text(_ADDRESS, wanted)


SETTINGS: Mapping[str, Setting] = {
    row.option: row
    for row in (
        # What `ldconsole modify` takes.
        Setting("cpu", Whole(), ("advancedSettings.cpuCount",), "--cpu"),
        Setting("memory", Whole(), ("advancedSettings.memorySize",), "--memory"),
        Setting("resolution", Resolution(), ("advancedSettings.resolution", "advancedSettings.resolutionDpi"), "--resolution"),
        Setting("manufacturer", Text(_WORD, "1 to 64 characters"), ("propertySettings.phoneManufacturer",), "--manufacturer"),
        Setting("model", Text(_WORD, "1 to 64 characters"), ("propertySettings.phoneModel",), "--model"),
        Setting("phone_number", Text(r"\+?\d{3,20}", "3 to 20 digits"), ("propertySettings.phoneNumber",), "--pnumber"),
        Setting("imei", Text(r"\d{15}", "15 digits", auto=True), ("propertySettings.phoneIMEI",), "--imei"),
        Setting("imsi", Text(r"\d{15}", "15 digits", auto=True), ("propertySettings.phoneIMSI",), "--imsi"),
        Setting("sim_serial", Text(r"\d{20}", "20 digits", auto=True), ("propertySettings.phoneSimSerial",), "--simserial"),
        Setting(
            "android_id", Text(r"[0-9A-Fa-f]{16}", "16 hexadecimal digits", auto=True), ("propertySettings.phoneAndroidId",), "--androidid"
        ),
        Setting(
            "mac", Text(r"[0-9A-Fa-f]{12}", "12 hexadecimal digits without colons", auto=True), ("propertySettings.macAddress",), "--mac"
        ),
        Setting("auto_rotate", Switch(), ("basicSettings.autoRotate",), "--autorotate", False),
        Setting("lock_window", Switch(), ("basicSettings.lockWindow",), "--lockwindow", False),
        Setting("root", Switch(), ("basicSettings.rootMode",), "--root", False),
        # What only the config file has. 2 was seen beside 1 after choosing "local debugging" on LDPlayer 14.
        Setting("adb", Words(((0, "off"), (1, "local"), (2, "remote"))), ("basicSettings.adbDebug",), None, "off"),
        Setting("fps", Whole(1, 240), ("basicSettings.fps",)),
        Setting("high_frame_rate", Switch(), ("basicSettings.heightFrameRate",), None, False),
        Setting("vertical_sync", Switch(), ("basicSettings.verticalSync",), None, False),
        Setting("force_landscape", Switch(), ("basicSettings.isForceLandscape",)),
        Setting("astc", Switch(), ("basicSettings.astc",)),
        Setting("video_quality", Whole(0, 100), ("basicSettings.videoQuality",)),
        Setting("hdr_quality", Whole(0, 10), ("basicSettings.HDRQuality",), None, 0),
        Setting("right_toolbar", Switch(), ("basicSettings.rightToolBar",)),
        Setting("auto_run", Switch(), ("basicSettings.autoRun",), None, False),
        Setting("standalone_system_disk", Switch(), ("basicSettings.standaloneSysVmdk",), None, False),
        Setting("close_action", Words(((0, "ask"), (1, "close"))), ("statusSettings.closeOption",), None, "ask"),
        Setting("microphone", Text(r"[^\x00-\x1f\x7f]{0,128}", "a device name"), ("advancedSettings.micphoneName",), None, ""),
        Setting("speaker", Text(r"[^\x00-\x1f\x7f]{0,128}", "a device name"), ("advancedSettings.speakerName",), None, ""),
        Setting("network", Switch(), ("networkSettings.networkEnable",), None, True),
        Setting("network_bridge", Switch(), ("networkSettings.networkSwitching",), None, False),
        Setting("network_interface", Text(r"[^\x00-\x1f\x7f]{1,128}", "an adapter's name"), ("networkSettings.networkInterface",)),
        Setting("network_static", Switch(), ("networkSettings.networkStatic",), None, False),
        Setting("network_address", _address("an IPv4 address"), ("networkSettings.networkAddress",)),
        Setting("network_gateway", _address("an IPv4 address"), ("networkSettings.networkGateway",)),
        Setting("network_netmask", _address("an IPv4 netmask"), ("networkSettings.networkSubnetMask",)),
        Setting("network_dns1", _address("an IPv4 address"), ("networkSettings.networkDNS1",)),
        Setting("network_dns2", _address("an IPv4 address"), ("networkSettings.networkDNS2",)),
    )
}

#: Options whose values tell one phone from another, and their keys.
IDENTITY = tuple(row.option for row in SETTINGS.values() if isinstance(row.codec, Text) and row.codec.auto)
IDENTITY_KEYS = tuple(key for option in IDENTITY for key in SETTINGS[option].keys)

#: Where LDPlayer keeps the title; absent for the default title, and never to be written empty (LDPlayer then renames the emulator).
TITLE_KEY = "statusSettings.playerName"


def current(config: Config) -> dict[str, Value]:
    """All settings that a config tells, by option name; unknown ones are left out."""
    values = {option: setting.current(config) for option, setting in SETTINGS.items()}
    return {option: value for option, value in values.items() if value is not None}


def file_edits(changes: Mapping[str, Value]) -> dict[str, Any]:
    """Config keys to put into the file for those of ``changes`` that ``modify`` cannot set."""
    edits: dict[str, Any] = {}
    for option, value in changes.items():
        setting = SETTINGS[option]
        if setting.flag is None:
            edits.update(setting.codec.edit(setting.keys, value))
    return edits


def modify_arguments(changes: Mapping[str, Value]) -> list[str]:
    """Arguments of ``ldconsole modify`` (flag, value, …) for those of ``changes`` that it can set. ``auto`` draws a new value."""
    arguments: list[str] = []
    for option, value in changes.items():
        setting = SETTINGS[option]
        if setting.flag is not None:
            arguments += [setting.flag, setting.codec.argument(value)]
    return arguments
