"""LDPlayer on a simulated Windows host: its emulators, configs and processes. State is on disk, so a host survives its restart.

What LDPlayer does is here (states, configs, indexes); what its command line says is in ldconsole.py. Every behaviour names who saw it.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..android.guest import Android
from ..machine import system
from ..machine.clock import Clock
from ..machine.drive import Drive
from ..machine.power import Power
from ..machine.registry import Registry
from ..machine.system import System
from ..machine.windows import MACHINE_SID, Caller, Desktop, Running, Windows
from . import layout
from .layout import Spec
from .quirks import Quirks

#: dnplayer's window, then Android in list2, after so many seconds; boot_completed after BOOT. Cold boots took 20 to 24 s (LDPlayer 14) and
#: list2 said 1 about 10 s before adb answered; right after launch it still said 0, 2 s later 2. After a kill a boot took 82 s.
WINDOW_SECONDS, ANDROID_SECONDS, BOOT_SECONDS, REPAIR_SECONDS = 2.0, 11.0, 21.0, 61.0
#: Processes vanish some seconds after quit (8 s at most on LDPlayer 14).
QUIT_SECONDS = 5.0
#: A start sooner than this after the old processes are gone leaves a player without a window, at state 2 for good (LDPlayer 14).
REST_SECONDS = 10.0


#: What of a Spec tells which LDPlayer is where.
_OF_LDPLAYER = ("version", "language", "install_dir")


@dataclass
class Instance:
    """One emulator. ``launched``, ``quitting``, ``ended``: when; ``held``: its config in memory while it runs, which is written back at exit.

    ``user``, ``session``, ``job``: whose its processes are. ``killed``: they were ended the hard way, which the next boot repairs.
    ``ailment``: how this start misbehaves, one of quirks.AILMENTS or nothing. ``cpu_rate``: what a person gave it of the processor's time.
    """

    index: int
    launched: float | None = None
    quitting: float | None = None
    ended: float | None = None
    user: str = ""
    session: int = 1
    job: int = 0
    killed: bool = False
    pid: int = -1
    vm_pid: int = -1
    held: dict[str, Any] | None = None
    ailment: str = ""
    cpu_rate: int = 100
    guest: Android = field(default_factory=Android)
    appears: float = 0.0
    last_title: str = ""


class World(Windows):
    """A machine with LDPlayer. Methods that read or change emulators take the lock; call them from any thread."""

    def __init__(self, folder: Path, name: str, spec: Spec, clock: Clock | None = None, drive: Drive | None = None, seed: int = 1) -> None:
        desktop = Desktop(spec.desktop_user) if spec.desktop_user else None
        super().__init__(name, drive or Drive(folder / "C"), clock or Clock(), desktop)
        self.spec = spec
        self.folder = folder
        self.quirks = Quirks()
        self.overlaps = 0
        self.disk_free = spec.disk_free
        #: Patterns of files that another program holds open (a scanner, a copy to elsewhere): the agent can neither read nor remove them.
        self.held: set[str] = set()
        self.instances: dict[int, Instance] = {}
        #: Whether an account's password is not the one that autologon has (set by the host, which knows passwords).
        self.wrong_password: Callable[[str], bool] = lambda _account: False
        self.power = Power(self.clock)
        self.random = random.Random(f"{seed}:{name}")
        self._configs: dict[int, tuple[tuple[int, int], dict[str, Any] | None]] = {}
        self._mutator_until = 0.0
        #: Other LDPlayers on the same machine.
        self.beside: list[World] = []
        self._config_folder = self.drive.local(f"{spec.install_dir}\\vms\\config")
        self.system = system.fresh(spec.edition, self.service.user, spec.desktop_user)
        layout.fill_registry(self.registry, spec, self.sid(spec.desktop_user or self.service.user))
        if (folder / "world.json").exists():
            self._load()
        else:
            folder.mkdir(parents=True, exist_ok=True)
            layout.lay_out(self.drive, spec)
            if spec.installed and spec.first_emulator:
                self._make(0, None)
            self.save()

    def move_in(self, spec: Spec) -> None:
        """LDPlayer's programs lie in a folder now, or those of another version: emulators that lie there are its own."""
        self.spec = spec
        self._config_folder = self.drive.local(f"{spec.install_dir}\\vms\\config")
        self._config_folder.mkdir(parents=True, exist_ok=True)
        self._configs.clear()
        self._take_in()
        self.save()

    def look_after_folder(self) -> None:
        """What became of LDPlayer's folder: without its console it is installed no more, and emulators whose disks are gone are gone."""
        if self.spec.installed and not self.drive.local(f"{self.spec.install_dir}\\ldconsole.exe").is_file():
            self.spec = replace(self.spec, installed=False)
        for index in [index for index, instance in self.instances.items() if not self._disks(instance).is_dir()]:
            del self.instances[index]
        self._take_in()

    def _take_in(self) -> None:
        """Emulators whose disks have come into its folder are its own (a careful guess: how LDPlayer takes them was not measured), each with a fresh guest."""
        disks = self._config_folder.parent
        for name in os.listdir(disks) if self.spec.installed and disks.is_dir() else ():
            index = re.fullmatch(r"leidian([0-9]+)", name)
            if index is not None:
                self.instances.setdefault(int(index[1]), Instance(int(index[1])))

    def sid(self, user: str) -> str:
        own = self.system.account(user)
        return f"{MACHINE_SID}-{self.system.accounts[own].rid if own is not None else 1001}"

    def in_use(self, path: Path) -> bool:
        return any(
            world.spec.installed
            and path.suffix.lower() == ".exe"
            and any(instance.launched is not None for instance in world.instances.values())
            and path.is_relative_to(world.drive.local(world.spec.install_dir))
            for world in (self, *self.beside)
        )

    def join(self, other: World) -> None:
        """Another LDPlayer, with its own emulators, on this machine: drive and clock are the same already, the rest of Windows becomes so."""
        layout.fill_registry(self.registry, other.spec, self.sid(other.spec.desktop_user or self.service.user))
        other.registry, other.programs, other.history, other.lock = self.registry, self.programs, self.history, self.lock
        other.system, other.desktop, other.power = self.system, self.desktop, self.power
        other.new_pid = self.new_pid  # type: ignore[method-assign]
        for world in (self, *self.beside):
            world.beside.append(other)
            other.beside.append(world)

    # ---- files ----------------------------------------------------------------------------------------------------------------------
    def config_path(self, index: int) -> Path:
        """Where leidianN.config lies, there or not."""
        return self._config_folder / f"leidian{index}.config"

    def config(self, index: int) -> dict[str, Any] | None:
        """The config as LDPlayer would read it now; None when it is garbled; empty when it is missing."""
        try:
            stat = os.stat(f"{self._config_folder}/leidian{index}.config")  # list2 asks for every emulator: no Path is made for that
        except FileNotFoundError:
            return {}
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._configs.get(index)
        if known is None or known[0] != stamp:
            known = (stamp, layout.parse(self.config_path(index).read_bytes()))
            self._configs[index] = known
        return known[1]

    def write_config(self, index: int, values: Mapping[str, Any]) -> None:
        """Write a config the way LDPlayer does: one flat object, UTF-8, CRLF."""
        path = self.config_path(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(layout.text(values))
        self.touch(path)
        self._configs.pop(index, None)

    def save(self) -> None:
        """Put the state on disk, by rename."""
        document = {
            "clock": self.clock.now(),
            "next_pid": self.next_pid,
            "system": self.system.document(),
            "desktop": self.desktop.user if self.desktop else None,
            "registry": self.registry.document(),
            "ldplayer": {name: getattr(self.spec, name) for name in _OF_LDPLAYER} if self.spec.installed else None,
            "vm_service": self.vm_service,
            "instances": [{**vars(instance), "guest": instance.guest.document()} for instance in self.instances.values()],
        }
        temporary = self.folder / "world.json.tmp"
        temporary.write_text(json.dumps(document), encoding="utf-8")
        os.replace(temporary, self.folder / "world.json")

    def _load(self) -> None:
        document = json.loads((self.folder / "world.json").read_text(encoding="utf-8"))
        self.clock.resume(document["clock"])
        self.next_pid = document["next_pid"]
        self.system = System.read(document["system"])
        self.desktop = Desktop(document["desktop"]) if document["desktop"] else None
        self.registry = Registry.read(document["registry"])
        self.vm_service = document["vm_service"]
        if document["ldplayer"] is not None and not self.spec.installed:  # one that came later
            self.spec = replace(self.spec, installed=True, **document["ldplayer"])
            self._config_folder = self.drive.local(f"{self.spec.install_dir}\\vms\\config")
        for item in document["instances"]:
            self.instances[item["index"]] = Instance(**{**item, "guest": Android.read(item["guest"])})

    # ---- emulators ------------------------------------------------------------------------------------------------------------------
    def title(self, instance: Instance) -> str:
        """``statusSettings.playerName``, or the default title where it is absent."""
        return self.titled(instance, self.config(instance.index))

    def titled(self, instance: Instance, values: Mapping[str, Any] | None) -> str:
        """The title, for who has read the config (None: it is garbled) already."""
        if values is None:
            return instance.last_title if self.quirks.garbled_keeps_title and instance.last_title else self.default_title(instance.index)
        named = values.get("statusSettings.playerName")
        instance.last_title = named if isinstance(named, str) and named else self.default_title(instance.index)
        return instance.last_title

    def default_title(self, index: int) -> str:
        """Index 0 is called LDPlayer (雷电模拟器), N LDPlayer-N (captured by androtools)."""
        word = "雷电模拟器" if self.spec.language == "zh" else "LDPlayer"
        return word if index == 0 else f"{word}-{index}"

    def visible(self) -> list[Instance]:
        """The emulators that list2 knows of now, by index."""
        now = self.clock.now()
        for instance in self.instances.values():
            self._settle(instance, now)
        return [self.instances[index] for index in sorted(self.instances) if self.instances[index].appears <= now]

    def phase(self, instance: Instance) -> tuple[int, int, int]:
        """list2's Android state, pid of the player, pid of the VM."""
        if instance.launched is None:
            return 0, -1, -1
        age = self.clock.now() - instance.launched
        if age < WINDOW_SECONDS:
            return 0, -1, -1
        if instance.ailment == "hang" or age < ANDROID_SECONDS:
            return 2, instance.pid, -1
        if instance.ailment == "no_vm":
            return 1, instance.pid, -1
        return 1, instance.pid, instance.vm_pid

    def booted(self, instance: Instance) -> bool:
        """Whether Android has started (sys.boot_completed is 1)."""
        if instance.launched is None or self.phase(instance)[2] < 0:
            return False
        return self.clock.now() - instance.launched >= BOOT_SECONDS + (REPAIR_SECONDS if instance.killed else 0.0)

    def answers(self, instance: Instance) -> bool:
        """Whether the guest answers adb: it has booted, its config lets adb in, and the channel is not silent. Being asked mends a channel that fell
        silent (one call of `ldconsole adb` did, LDPlayer 14)."""
        values = instance.held if instance.held is not None else {}
        if not self.booted(instance) or not values.get("basicSettings.adbDebug") or self._port_taken(instance):
            return False
        if instance.ailment == "silent":
            instance.ailment = ""
            return False
        return instance.ailment != "deaf"

    def _port_taken(self, instance: Instance) -> bool:
        """Ports follow from the index alone, so of two LDPlayers only the emulator that was started first has its port (as beside MuMu and
        BlueStacks, which use the same ones)."""
        others = (world.instances.get(instance.index) for world in self.beside)
        return any(other is not None and other.launched is not None and other.launched < (instance.launched or 0.0) for other in others)

    def running(self, instance: Instance) -> bool:
        """Whether it has processes, or is about to."""
        self._settle(instance, self.clock.now())
        return instance.launched is not None

    def add(self, title: str | None) -> int:
        """Create an emulator at the lowest free index (captured: holes are reused) and return the index."""
        index = self._free_index()
        self._make(index, title)
        self.save()
        return index

    def copy(self, source: Instance, title: str | None, seconds: float) -> int:
        """Clone one: the config goes along, with the new title, and with a new identity unless the quirk says otherwise. It is visible after ``seconds``."""
        index = self._free_index()
        values = dict(self.config(source.index) or {})
        if not self.quirks.copy_keeps_identity:
            values.update(layout.identity(self.random))
        values["statusSettings.playerName"] = title if title is not None else f"{self.title(source)}-{index}"
        self._make(index, None, values)
        self.instances[index].guest = source.guest.cloned()
        self.instances[index].appears = self.clock.now() + seconds
        self.save()
        return index

    def export(self, instance: Instance) -> dict[str, Any]:
        """What a backup holds of an emulator."""
        return {"config": self.config(instance.index), "guest": instance.guest.document(), "killed": instance.killed}

    def replace(self, instance: Instance, document: Mapping[str, Any]) -> None:
        """What a restore does: config (with title, identity and display) and disks become those of the backup."""
        self.write_config(instance.index, document["config"] or layout.new_config(self.spec, self.random))
        instance.guest, instance.killed = Android.read(document["guest"]), bool(document["killed"])
        layout.make_disks(self.drive, self.spec, instance.index)
        self._written(instance)
        self.save()

    def disk_bytes(self, instance: Instance) -> int:
        """What its disks take."""
        return sum(file.stat().st_size for file in self._disks(instance).iterdir())

    def _disks(self, instance: Instance) -> Path:
        return self.drive.local(f"{self.spec.install_dir}\\vms\\leidian{instance.index}")

    def _free_index(self) -> int:
        return next(index for index in range(10_000) if index not in self.instances)

    def _make(self, index: int, title: str | None, values: dict[str, Any] | None = None) -> None:
        self.instances[index] = Instance(index)
        layout.make_disks(self.drive, self.spec, index)
        for disk in self._disks(self.instances[index]).iterdir():
            self.touch(disk)
        if values is None:
            values = layout.new_config(self.spec, self.random)
            if title is not None:
                values["statusSettings.playerName"] = title
        self.write_config(index, values)

    def remove(self, instance: Instance) -> None:
        """Delete an emulator with its config and disks."""
        del self.instances[instance.index]
        self.config_path(instance.index).unlink(missing_ok=True)
        self._configs.pop(instance.index, None)
        layout.remove_disks(self.drive, self.spec, instance.index)
        self.save()

    def remake(self, index: int) -> None:
        """LDPlayer 14 makes an empty emulator at an index that was removed, with 8 keys in its config (AUTO-MAS)."""
        values = layout.new_config(self.spec, self.random)
        self._make(index, None, dict(list(values.items())[:8]))
        self.save()

    def rename(self, instance: Instance, title: str) -> None:
        """The title in list2 changes at once; a running one writes its old title back at exit (not measured: the careful guess)."""
        self.edit(instance, {"statusSettings.playerName": title})

    def edit(self, instance: Instance, keys: Mapping[str, Any]) -> None:
        """Change keys in the file, as modify does: at once, also while it runs (LDPlayer 9 English), and a running one keeps them."""
        values = self.config(instance.index)
        self.write_config(instance.index, {**(values if values is not None else layout.new_config(self.spec, self.random)), **keys})
        if instance.held is not None and "statusSettings.playerName" not in keys:
            instance.held.update(keys)
        self.save()

    def launch(self, instance: Instance, caller: Caller | None = None) -> bool:
        """Start it; False when nothing happens because it lives already (a silent no-op of LDPlayer). Without a caller: a person at the desktop."""
        if self.running(instance):
            return False
        caller = caller or (self.desktop.caller if self.desktop else self.service)
        values = self.config(instance.index)
        if values is None:
            values = layout.new_config(self.spec, self.random)  # a garbled config is replaced by defaults at the start
        if instance.killed and self.spec.major >= 14:
            # After a kill the next boot wrote the config of a new machine, without resolution and adb (twice on LDPlayer 14).
            values = {
                key: value for key, value in values.items() if not key.startswith(("advancedSettings.resolution", "basicSettings.adb"))
            }
            values.update({"statusSettings.isNewPlayer": True, "propertySettings.phoneModel": "SM-A5560"})
        first = {key: value for key, value in layout.started_config(self.spec).items() if key not in values}
        instance.held = {**values, **first}
        self.write_config(instance.index, instance.held)
        now = self.clock.now()
        rested = instance.ended is None or now - instance.ended >= REST_SECONDS or self.spec.major < 14
        instance.launched, instance.quitting = now, None
        instance.ailment = self.quirks.ailment(self.title(instance)) or ("" if rested else "hang")
        instance.user, instance.session, instance.job = caller.user, caller.session, caller.job
        instance.pid, instance.vm_pid = self.new_pid(), self.new_pid()
        self._written(instance)
        self.save()
        return True

    def _written(self, instance: Instance) -> None:
        """Android writes to its disk as long as it runs."""
        self.touch(self._disks(instance) / "data.vmdk")

    def restart(self, instance: Instance, caller: Caller) -> None:
        """LDPlayer's own reboot: without waiting, and on LDPlayer 14 as a new machine without resolution and adb, as after a kill."""
        if instance.launched is not None:
            if instance.held is not None:
                self.write_config(instance.index, instance.held)
            self._down(instance, killed=self.spec.major >= 14)
            instance.ended = None
        self.launch(instance, caller)

    def quit(self, instance: Instance, caller: Caller | None = None) -> None:
        """Ask it to end; its processes vanish some seconds later. From another session it does nothing (a hosted LDPlayer 9)."""
        if caller is not None and caller.session != instance.session:
            return
        if instance.launched is not None and instance.quitting is None:
            instance.quitting = self.clock.now()
            self.save()

    def _settle(self, instance: Instance, now: float) -> None:
        if instance.quitting is not None and now - instance.quitting >= QUIT_SECONDS:
            if instance.held is not None:
                self.write_config(instance.index, instance.held)  # its whole config, from memory (LDPlayer 9.5.37)
            self._down(instance)
            self.save()

    def _down(self, instance: Instance, killed: bool = False) -> None:
        if instance.launched is not None:
            instance.ended = self.clock.now()
            instance.killed = killed
            self._written(instance)
        instance.launched = instance.quitting = instance.held = None
        instance.pid = instance.vm_pid = -1
        instance.ailment = ""
        instance.cpu_rate = 100
        instance.guest.power_off()

    # ---- processes ------------------------------------------------------------------------------------------------------------------
    def processes(self) -> list[Running]:
        return [*super().processes(), *(process for world in (self, *self.beside) for process in world.own_processes())]

    def own_processes(self) -> list[Running]:
        """Those of this LDPlayer: 9 and 14 call their VM alike, the 64-bit line before them otherwise (scoop's uninstall.bat)."""
        with self.lock:
            living = [(instance, self.phase(instance)) for instance in self.visible()]
        image = "LdBoxHeadless.exe" if self.spec.major < 9 else "Ld9BoxHeadless.exe"
        players = [Running(phase[1], "dnplayer.exe", i.session, i.user) for i, phase in living if phase[1] > 0]
        return [*players, *(Running(phase[2], image, i.session, i.user) for i, phase in living if phase[2] > 0)]

    def kill(self, pid: int) -> bool:
        """The player and its VM go together. What it held in memory is lost; a kill during its exit cuts the config (LDPlayer 9)."""
        for world in (self, *self.beside):
            for instance in world.instances.values():
                if instance.launched is not None and pid in (instance.pid, instance.vm_pid):
                    world._killed(instance)
                    return True
        return super().kill(pid)

    def _killed(self, instance: Instance) -> None:
        if instance.quitting is not None:
            path = self.config_path(instance.index)
            path.write_bytes(path.read_bytes()[:1024])
            self.touch(path)
        self._down(instance, killed=True)
        self.save()

    def end_job(self, job: int) -> None:
        with self.lock:
            for world in (self, *self.beside):
                for instance in world.instances.values():
                    if job and instance.job == job and instance.launched is not None:
                        world._killed(instance)

    def mutator(self, seconds: float) -> bool:
        """A command that changes emulators begins; True when another one is still at work, which corrupts (parallel add, LDPlayer 9)."""
        now = self.clock.now()
        overlap = now < self._mutator_until
        self.overlaps += overlap
        self._mutator_until = max(self._mutator_until, now + seconds)
        return overlap

    # ---- meddling: what people, crashes and power cuts do ---------------------------------------------------------------------------
    def find(self, title: str) -> Instance:
        """The emulator of a title; KeyError when there is none."""
        for instance in self.visible():
            if self.title(instance) == title:
                return instance
        raise KeyError(title)

    def titles(self) -> list[str]:
        """All titles, by index."""
        with self.lock:
            return [self.title(instance) for instance in self.visible()]

    def truncate_config(self, title: str, size: int = 100) -> None:
        """Cut a config, as a kill during exit does (LDPlayer 9: 4 KB became 1 KB)."""
        with self.lock:
            path = self.config_path(self.find(title).index)
            path.write_bytes(path.read_bytes()[:size])
            self.touch(path)

    def power_cut(self) -> None:
        """Everything that ran is gone; nothing was written back."""
        with self.lock:
            for world in (self, *self.beside):
                for instance in world.instances.values():
                    world._down(instance, killed=True)
                world.save()

    def log_off(self) -> None:
        """The user leaves: everything on the desktop ends."""
        with self.lock:
            for world in (self, *self.beside):
                for instance in world.instances.values():
                    if self.desktop is not None and instance.session == self.desktop.session and instance.launched is not None:
                        world._killed(instance)
            self.seat(None)

    def seat(self, desktop: Desktop | None) -> None:
        """Who is logged on at the desktop from now on, on the whole machine."""
        for world in (self, *self.beside):
            world.desktop = desktop

    def settle(self, seconds: float = 60.0) -> None:
        """Let time pass until what was begun has ended. Only sensible with a clock that skips."""
        self.clock.sleep(seconds)
        with self.lock:
            self.visible()
