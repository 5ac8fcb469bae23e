"""Puts a simulated host together: the world, LDPlayer's console and Windows' own programs. Who needs a whole machine takes it from here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import laid
from .console import ldconsole
from .ldplayer import boot, layout
from .ldplayer.layout import Spec
from .ldplayer.world import World
from .machine.clock import Clock
from .machine.drive import Drive
from .machine.windows import Answer, Caller, Program
from .programs import admin, files, power, probe


def assemble(
    folder: Path,
    name: str,
    spec: Spec,
    clock: Clock | None = None,
    drive: Drive | None = None,
    seed: int = 1,
    beside: Sequence[Spec] = (),
) -> World:
    """A machine with everything that stands on it, from its state in ``folder`` or new. ``beside``: further LDPlayers on it."""
    world = World(folder, name, spec, clock, drive, seed)
    world.install({**admin.PROGRAMS, **files.PROGRAMS, **power.PROGRAMS, **probe.PROGRAMS})
    world.laid = laid.finder(world)
    world.power.stop, world.power.start = partial(boot.shut_down, world), partial(boot.start_up, world)
    if spec.installed:
        world.install(dict.fromkeys(layout.consoles(spec), ldconsole.run))
    for other_spec in beside:
        other = World(folder / other_spec.product, name, other_spec, world.clock, world.drive, seed)
        world.join(other)
        world.install(dict.fromkeys(layout.consoles(other_spec), _console_of(other)))
    return world


def _console_of(world: World) -> Program:
    """The console of an LDPlayer that is not the machine's first."""

    def run(_machine: World, words: Sequence[str], raw: str, caller: Caller) -> Answer:
        return ldconsole.run(world, words, raw, caller)

    return run
