"""Puts a simulated host together: the world, LDPlayer's console and Windows' own programs. Who needs a whole machine takes it from here."""

from __future__ import annotations

from pathlib import Path

from . import layout, ldconsole, programs
from .clock import Clock
from .drive import Drive
from .layout import Spec
from .world import World


def assemble(folder: Path, name: str, spec: Spec, clock: Clock | None = None, drive: Drive | None = None, seed: int = 1) -> World:
    """A machine with everything that stands on it, from its state in ``folder`` or new."""
    world = World(folder, name, spec, clock, drive, seed)
    world.install(programs.PROGRAMS)
    if spec.installed:
        world.install(dict.fromkeys(layout.consoles(spec), ldconsole.run))
    return world
