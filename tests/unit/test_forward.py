"""The programs of a simulated drive on Linux: what they print and exit with is the world's, and what they leave open is what LDPlayer leaves open."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import rig
from ldfleet.sim.engines.forward import Forwarder
from ldfleet.sim.engines.real import RealPowerShell
from ldfleet.sim.ldplayer import layout
from ldfleet.sim.ldplayer.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = rig.world(tmp_path)
    RealPowerShell(Path("nowhere"), None, made)  # lays the programs; no PowerShell is started
    return made


@pytest.fixture
def forwarder(world: World) -> Iterator[Forwarder]:
    made = Forwarder(world, world.service, mapped=True)
    yield made
    made.close()


def _started(world: World, forwarder: Forwarder, *words: str) -> subprocess.Popen[bytes]:
    (program,) = (path for path in layout.consoles(world.spec) if path.endswith("ldconsole.exe"))
    environment = {**os.environ, "LDFLEET_FORWARD": forwarder.address}
    return subprocess.Popen([str(world.drive.local(program)), *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("command", ["launch", "launchex"])
def test_launch_ends_and_its_output_stays_open_in_the_emulator(world: World, forwarder: Forwarder, command: str) -> None:
    """Who waits for the end of the output waits as long as the emulator runs."""
    with _started(world, forwarder, command, "--index", "0") as process:
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 0.2)[0] == []
        forwarder.close()
        assert process.communicate(timeout=20) == (b"", b"")


@pytest.mark.parametrize(("words", "quirk"), [(("launch", "--index", "0"), False), (("launch", "--index", "7"), True), (("list2",), True)])
def test_what_starts_no_emulator_or_leaves_nothing_open_ends_with_its_output(
    world: World, forwarder: Forwarder, words: tuple[str, ...], quirk: bool
) -> None:
    world.quirks.leak_output = quirk
    with _started(world, forwarder, *words) as process:
        process.communicate(timeout=20)
