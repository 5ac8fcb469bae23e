"""LDPlayers that come to a host later: packages of simulated programs, and what becomes of them where somebody has laid them.

A simulated program's file says what it is (its first line), so that it works wherever it lies, of whichever version it is, and no more when it is gone.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .console import ldconsole
from .ldplayer import layout
from .ldplayer.layout import Spec
from .ldplayer.world import World
from .machine.windows import Answer, Caller, Program, Windows

_LINE = re.compile(rb"ldfleet-sim: (\S+) of LDPlayer (\d+(?:\.\d+)+) (en|zh)\n")
#: Packed files have a time; this one, so that the same package has the same hash.
_MADE = (2026, 1, 1, 0, 0, 0)
_REPAIR_SECONDS = 3.0
#: Programs of a package that do something.
_PLAYED = ("ldconsole.exe", "dnconsole.exe", "dnrepairer.exe")


def package(version: str, language: str = "en") -> bytes:
    """A zip with the programs of a version: what `ldfleet sim` calls LDPlayer's package."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in layout.PROGRAM_NAMES:
            archive.writestr(zipfile.ZipInfo(name, _MADE), f"ldfleet-sim: {name} of LDPlayer {version} {language}\n")
        # A real package has a folder for emulators too, which must not take the place of one that is there.
        archive.writestr(zipfile.ZipInfo("vms/config/leidians.config", _MADE), layout.text(layout.FRESH))
    return target.getvalue()


def installer(version: str) -> bytes:
    """A package in a package, as LDPlayer's own installer has its programs in parts since 9.1.75 (ScoopInstaller/Extras 16560)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo("1.7z", _MADE), package(version))
    return target.getvalue()


def finder(world: World) -> Callable[[str], Program | None]:
    """What finds the program in a file that was laid on this machine."""

    def found(path: str) -> Program | None:
        if path.rsplit("\\", 1)[-1].lower() not in _PLAYED:
            return None
        try:
            file = world.drive.local(path)
        except ValueError:  # a word without a folder, such as hostname
            return None
        said = _LINE.match(file.read_bytes()[:200]) if file.is_file() else None
        if said is None:
            return None
        name, version, language = said[1].decode().lower(), said[2].decode(), said[3].decode()
        if name == "dnrepairer.exe":
            return _repairer
        home = _home(world, path.rsplit("\\", 1)[0], version, language)

        def run(_machine: Windows, words: Sequence[str], raw: str, caller: Caller) -> Answer:
            return ldconsole.run(home, words, raw, caller)

        return run

    return found


def _home(world: World, folder: str, version: str, language: str) -> World:
    """The LDPlayer of a folder: the one that is known there, a machine's first, or one more beside it."""
    every = [world, *world.beside]
    for one in every:
        one.look_after_folder()
    spec = Spec(**{**vars(world.spec), "version": version, "language": language, "install_dir": folder, "installed": True})
    known = next((one for one in every if one.spec.installed and one.spec.install_dir.lower() == folder.lower()), None)
    if known is None:
        known = next((one for one in every if not one.spec.installed), None)
    if known is None:
        # Not one that a setup installed, which would be among the programs to uninstall. There may be several of one version.
        state = f"{spec.product}-{hashlib.sha256(folder.lower().encode()).hexdigest()[:8]}"
        known = World(world.folder / state, world.name, replace(spec, installed=False), world.clock, world.drive)
        world.join(known)
    if known.spec != spec:
        known.move_in(spec)
    return known


def _repairer(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``-RegServer`` registers the VM's service (kkzzhizhou/scoop-apps); what it prints was never seen."""
    if [word.lower() for word in words] == ["-regserver"]:
        machine.vm_service = True
    return Answer(0, seconds=_REPAIR_SECONDS)


def share(folder: Path, versions: Sequence[str]) -> None:
    """Put packages where hosts find them as \\\\files\\ldplayer\\ldplayer-VERSION.zip. ``folder``: that of the shares."""
    place = folder / "files" / "ldplayer"
    place.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (place / f"ldplayer-{version}.zip").write_bytes(package(version))
