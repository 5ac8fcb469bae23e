"""The commands of ldconsole that concern the guest: apps, adb, action, properties. What they *do* is android/guest.py's; what they *say* is here.

Captured: `runapp` of a missing emulator, `adb`'s swallowed exit code and its text for a silent guest, `action call.input` (exit 0, no output). Whether
`installapp` waits for the guest, and what apps commands say on an emulator that does not run, was not measured: they return at once and in
silence, which is the harder case for whoever must prove the work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..android.guest import NotOurs, Phone
from ..android.programs import shell
from ..ldplayer.layout import identity
from ..ldplayer.quirks import used
from ..ldplayer.world import Instance, World
from ..programs import commands
from .call import NO_PLAYER, PARAMETER, PARAMETER_ERROR, Call, Said
from .control import launch

#: Simulated seconds after which an app that was handed over is there.
_INSTALL_SECONDS = 3.0


def _phone(world: World, instance: Instance) -> Phone:
    """The guest as it is now; an app that `launchex` named is started once Android has."""
    android, now = instance.guest, world.clock.now()
    values = instance.held if instance.held is not None else world.config(instance.index) or {}
    if android.autorun and world.booted(instance):
        android.start(android.autorun, now)
        android.autorun = ""
    return Phone(
        android, _properties(world, values), 14 if world.spec.major >= 14 else 9, now, lambda digest: _kept(world, digest).read_bytes()
    )


def _properties(world: World, values: Mapping[str, Any]) -> dict[str, str]:
    release = ("14", "34") if world.spec.major >= 14 else ("9", "28")
    phones = {f"phone.{name}": str(values.get(f"propertySettings.{key}", "")) for name, key in _PHONE.items()}
    return {
        "sys.boot_completed": "1",
        "ro.build.version.release": release[0],
        "ro.build.version.sdk": release[1],
        "ro.product.cpu.abi": "x86_64",
        "ro.product.device": "marlin",
        "ro.product.model": str(values.get("propertySettings.phoneModel", "")),
        "ro.product.manufacturer": str(values.get("propertySettings.phoneManufacturer", "")),
        **phones,
    }


_PHONE = {"imei": "phoneIMEI", "imsi": "phoneIMSI", "simserial": "phoneSimSerial", "androidid": "phoneAndroidId", "mac": "macAddress"}


def _kept(world: World, digest: str) -> Path:
    """Where an installed APK's bytes are kept, once for all emulators of a host."""
    return world.folder / "apks" / digest


def _reached(call: Call) -> tuple[Instance | None, bool]:
    """The emulator that a command is for, and whether its guest can be reached: it has booted, and its window is on the caller's desktop
    (`quit` from another session does nothing on a hosted LDPlayer 9; for these commands that is the careful guess)."""
    instance = call.chosen()
    if instance is None:
        return None, False
    return instance, call.world.booted(instance) and instance.session == call.caller.session


def installapp(call: Call) -> Said:
    instance, reached = _reached(call)
    if instance is None:
        return 0, NO_PLAYER
    if not reached or used(call.world.quirks, "install_ignored_times") or "filename" not in call.options:
        return 0, ""
    try:
        data = call.world.drive.local(call.options["filename"]).read_bytes()
    except (OSError, ValueError):
        return PARAMETER_ERROR
    digest = hashlib.sha256(data).hexdigest()
    try:
        instance.guest.install(data, digest, call.world.clock.now() + _INSTALL_SECONDS)
    except NotOurs as error:
        return PARAMETER, f"{call.options['filename']}: {error}\r\n"
    _kept(call.world, digest).parent.mkdir(exist_ok=True)
    _kept(call.world, digest).write_bytes(data)
    call.world.save()
    return 0, ""


def _on_app(act: Callable[[Phone, str], object]) -> Callable[[Call], Said]:
    def handler(call: Call) -> Said:
        instance, reached = _reached(call)
        if instance is None:
            return 0, NO_PLAYER
        if reached:
            act(_phone(call.world, instance), call.options.get("packagename", ""))
            call.world.save()
        return 0, ""

    return handler


uninstallapp = _on_app(lambda guest, name: guest.android.uninstall(name))
runapp = _on_app(lambda guest, name: guest.android.start(name, guest.now))
killapp = _on_app(lambda guest, name: guest.android.stop(name))


def launchex(call: Call) -> Said:
    """`launch`, and the app once Android has started."""
    code, text = launch(call)
    instance = call.chosen()
    if instance is not None and instance.launched is not None:
        instance.guest.autorun = call.options.get("packagename", "")
        call.world.save()
    return code, text


def adb(call: Call) -> Said:
    """Runs `adb.exe -s emulator-N WORDS`: the program splits the words by the C runtime's rule, and `shell` joins them with single blanks. Whatever
    happens in the guest, the exit code is 0."""
    instance = call.chosen()
    if instance is None:
        return 0, NO_PLAYER
    serial = f"emulator-{5554 + 2 * instance.index}"
    text = call.options.get("command", "")
    if call.world.quirks.adb_through_cmd:
        text = _through_cmd(call, text)
    if not call.world.answers(instance):
        return 0, f"adb.exe: device '{serial}' not found\r\n"
    words = commands.split(text)
    if words[:1] == ["get-serialno"]:
        return 0, f"{serial}\r\n"
    if words[:1] == ["get-state"]:
        return 0, "device\r\n"
    if words[:1] != ["shell"] or len(words) < 2:
        return 0, f"adb.exe: unknown command {words[0] if words else ''}\r\n"
    said, _status = shell(_phone(call.world, instance), " ".join(words[1:]))
    call.world.save()
    return 0, said.replace(b"\n", b"\r\n")


def _through_cmd(call: Call, text: str) -> str:
    """What cmd.exe leaves for adb: the rest after & and | are commands of the host, %NAME% and ^ are its own, < and > lead to files."""
    first, *others = re.split(r"[&|]+", text)
    for other in others:
        commands.run(call.world, other.strip(), call.caller)
    return re.sub(r"[<>].*|\^", "", re.sub(r"%(\w+)%", r"C:\\\1", first))


def action(call: Call) -> Said:
    """Without parameters its usage (LDPlayer 9); else silence, also for keys that it does not know. `locate` writes statusSettings.location
    (LDPlayer 14)."""
    if "key" not in call.options or used(call.world.quirks, "action_complains_times"):
        return 0, "action <--name mnq_name | --index mnq_idx> --key <name> --value <val>\r\n"
    instance, reached = _reached(call)
    if instance is None:
        return 0, NO_PLAYER
    if reached:
        _act(call, instance, call.options["key"].lower(), call.options.get("value", ""))
        call.world.save()
    return 0, ""


def _act(call: Call, instance: Instance, key: str, value: str) -> None:
    guest = _phone(call.world, instance)
    if key == "call.input":
        guest.android.typed.append(f"text {value}")
    elif key == "call.keyboard" or key in ("call.back", "call.home", "call.menu"):
        guest.android.typed.append(f"key {value if key == 'call.keyboard' else key.removeprefix('call.')}")
    elif key == "call.network":
        guest.android.online = value != "offline"
    elif key == "call.locate":
        call.world.edit(instance, {"statusSettings.location": value})
    elif key == "call.launchapp":
        guest.android.start(value, guest.now)
    elif key == "call.quitapp":
        guest.android.stop(value)


def locate(call: Call) -> Said:
    instance = call.chosen()
    if instance is None:
        return 0, NO_PLAYER
    call.world.edit(instance, {"statusSettings.location": call.options.get("lli", "")})
    return 0, ""


def getprop(call: Call) -> Said:
    """Through adb. On a stopped one an error text with exit 0 (androtools); the wording is not known."""
    instance = call.chosen()
    if instance is None or not call.world.answers(instance):
        return 0, "error: device not found\r\n"
    guest = _phone(call.world, instance)
    if "key" in call.options:
        return 0, f"{guest.property(call.options['key'])}\r\n"
    return 0, "".join(f"[{key}]: [{value}]\r\n" for key, value in guest.every_property().items())


def setprop(call: Call) -> Said:
    """Into the guest, until its next boot; `auto` draws a value for the keys that have one. (What it does to the config was not measured.)"""
    instance = call.chosen()
    if instance is None:
        return 0, NO_PLAYER
    key, value = call.options.get("key", ""), call.options.get("value", "")
    drawn = _PHONE.get(key.removeprefix("phone."))
    if value == "auto" and drawn is not None:
        value = str(identity(call.world.random)[f"propertySettings.{drawn}"])
    if call.world.answers(instance) and key:
        instance.guest.properties[key] = value
        call.world.save()
    return 0, ""
