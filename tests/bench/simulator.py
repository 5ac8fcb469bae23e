"""Simulated hosts in a process of their own, so that its time and memory are its own: the child that serves, and the handle that starts it.

The child answers every line of its standard input, a word and a host's number, and ends when the input does: it cannot outlive its parent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ldfleet.sim.farm import Farm, Plan
from ldfleet.sim.wire.faults import WireFault

#: The child's end is a save of each host; more than this means that it hangs.
_END_SECONDS = 30.0
#: A guest's file that is all that its player has, for who asks whether it comes along.
_SCORE = "/sdcard/score.txt"


@dataclass(frozen=True)
class Knobs:
    """``powershell_start``: real seconds of each start of PowerShell. ``skip``: LDPlayer's own time is jumped over instead of waited for."""

    hosts: int
    powershell_start: float = 0.0
    skip: bool = True


@dataclass(frozen=True)
class Cost:
    """What one host has cost: commands run over WinRM (ldfleet's batches, or one for each `raw`), HTTP requests, PowerShells started.

    ``ldplayer``: seconds of the simulated clock that LDPlayer's own commands took.
    """

    round_trips: int
    exchanges: int
    powershell_starts: int
    ldplayer: float

    def since(self, before: Cost) -> Cost:
        """The cost of what happened in between."""
        return Cost(*(now - then for now, then in zip(vars(self).values(), vars(before).values(), strict=True)))


@dataclass(frozen=True)
class Emulator:
    """``launched``: it runs. ``score``: what its player left in it, or nothing."""

    launched: bool
    score: str


class Simulator:
    """The handle. Use it as a context; ``folder`` keeps the hosts' state, so that another one can go on with them."""

    def __init__(self, folder: Path, knobs: Knobs) -> None:
        self.knobs = knobs
        self._words = [sys.executable, __file__, str(folder), json.dumps(asdict(knobs))]

    def __enter__(self) -> Simulator:
        self._child = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._inventory = self._heard()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        try:
            self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def inventory(self, transport: str = "ntlm") -> dict[str, Any]:
        """The way to the hosts; ``transport``: ntlm (with message encryption) or basic."""
        group = self._inventory["ldplayer"]
        return {"ldplayer": {**group, "vars": {**group["vars"], "ansible_winrm_transport": transport}}}

    def costs(self) -> list[Cost]:
        """So far, of each host."""
        return [Cost(**cost) for cost in self._asked("costs")]

    def emulators(self) -> dict[str, dict[str, Emulator]]:
        """Of each host, by title."""
        told = self._asked("emulators")
        return {host: {title: Emulator(**one) for title, one in listed.items()} for host, listed in told.items()}

    def play(self, number: int) -> None:
        """In every emulator of a host, counted from 0, a player leaves his score: its title."""
        self._asked(f"play {number}")

    def unplug(self, number: int) -> None:
        """From now on a host does not answer."""
        self._asked(f"unplug {number}")

    def _asked(self, line: str) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(f"{line}\n")
        self._child.stdin.flush()
        return self._heard()

    def megabytes(self) -> float:
        """The most that the process has ever had in memory (VmHWM)."""
        status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    def _heard(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with exit code {self._child.wait()}")
        return json.loads(line)


def _serve(folder: Path, knobs: Knobs) -> None:
    with Farm(Plan(hosts=knobs.hosts, skip=knobs.skip, powershell_start=knobs.powershell_start), folder) as farm:
        _say(farm.inventory())
        for line in sys.stdin:
            word, *numbers = line.split()
            _say(_ANSWERS[word](farm, *map(int, numbers)))


def _cost(farm: Farm, number: int) -> Cost:
    wire = farm.endpoints[number].wire.counters
    host = farm.hosts[number]
    return Cost(wire.commands, wire.requests, host.counters.powershell_starts, host.world.program_seconds)


def _emulators(farm: Farm) -> Any:
    return {
        host.name.lower(): {
            title: asdict(Emulator(found.launched is not None, found.guest.files.get(_SCORE, b"").decode()))
            for title in host.world.titles()
            for found in (host.world.find(title),)
        }
        for host in farm.hosts
    }


def _play(farm: Farm, number: int) -> None:
    world = farm.hosts[number].world
    for title in world.titles():
        world.find(title).guest.files[_SCORE] = title.encode()


def _unplug(farm: Farm, number: int) -> None:
    farm.endpoints[number].wire.inject(WireFault("any", "drop", times=10**9))


_ANSWERS: dict[str, Callable[..., Any]] = {
    "costs": lambda farm: [asdict(_cost(farm, number)) for number in range(len(farm.hosts))],
    "emulators": _emulators,
    "play": _play,
    "unplug": _unplug,
}


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Knobs(**json.loads(sys.argv[2])))
