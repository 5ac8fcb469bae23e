"""The demo: three simulated hosts, everything over real WinRM, and each promise checked as it is shown. Its exit code is 0 only if all held."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .runs import Run, play
from .sim.farm import Farm
from .sim.farm import Plan as SimPlan

Say = Callable[[str], None]

_SPEED = 25.0


class _Broken(AssertionError):
    """A promise of the demo did not hold."""


def demo(say: Say) -> int:
    """Run it; 0 when every promise held, else 1 with the reason."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ldfleet-demo-") as folder:
        plan = SimPlan(hosts=3, prefix="ws-", speed=_SPEED, powershell_start=0.7)
        with Farm(plan, Path(folder) / "hosts") as farm:
            inventory = Path(folder) / "inventory.yml"
            inventory.write_text(farm.inventory_text(), encoding="utf-8")
            try:
                _story(farm, inventory, say)
            except _Broken as broken:
                say(f"\nThe demo is broken: {broken}")
                return 1
    say(f"\nEverything held. It took {time.monotonic() - began:.0f} s; the simulator has been stopped.")
    return 0


def _declared() -> Path:
    """What is declared for the demo's hosts: in a checkout its inventories/demo, else the copy that the wheel carries."""
    checkout = Path(__file__).parents[2] / "inventories" / "demo"
    return checkout if checkout.is_dir() else Path(__file__).parent / "demo_inventory"


def _story(farm: Farm, inventory: Path, say: Say) -> None:
    def run(playbook: str, *options: str) -> Run:
        return play(playbook, [_declared(), inventory], options, show=say)

    _title(say, "1. The plan: what would be done for 12 emulators on 3 hosts (check mode, nothing is touched)")
    planned = run("converge", "--check", "--diff")
    _hold(planned.code == 0 and len(planned.changed()) == 3, "the plan shows changes on 3 hosts")
    _hold(all(host.world.titles() == ["LDPlayer"] for host in farm.hosts), "planning touched nothing")

    _title(say, "2. The real run: the same steps, with progress")
    done = run("converge")
    _hold(done.code == 0, "the run succeeded")
    _hold(_steps(done) == _steps(planned), "the run did exactly the steps of the plan")
    _hold(sum(len(host.world.titles()) - 1 for host in farm.hosts) == 12, "12 emulators exist")

    _title(say, "3. Again: nothing differs, so nothing is done")
    batches = [host.counters.batches for host in farm.hosts]
    again = run("converge")
    _hold(again.code == 0 and not again.changed(), "changed=0")
    trips = [host.counters.batches - before for host, before in zip(farm.hosts, batches, strict=True)]
    _hold(trips == [1, 1, 1], "one round trip a host was enough to know")

    _title(say, "4. Somebody meddles: one emulator is stopped, one deleted, one setting changed")
    _meddle(farm)
    drift = run("converge", "--check", "--diff")
    _hold(len(drift.changed()) == 3, "the drift of all 3 hosts was seen")
    for name, steps in _steps(drift).items():
        say(f"  {name} drifted: {'; '.join(steps)}")

    _title(say, "5. Healed, and proved")
    healed = run("converge")
    _hold(healed.code == 0 and _steps(healed) == _steps(drift), "healing did exactly what the drift called for")
    proof = run("converge")
    _hold(proof.code == 0 and not proof.changed(), "looking again finds nothing to do")

    _title(say, "6. Status")
    status = play("status", [_declared(), inventory])
    _hold(status.code == 0, "every host answered")
    _table(status)


def _title(say: Say, text: str) -> None:
    say(f"\n== {text}")


def _hold(holds: bool, promise: str) -> None:
    if not holds:
        raise _Broken(f"it should hold that {promise}")


def _steps(run: Run) -> dict[str, list[str]]:
    return {name: [action["text"] for action in host.result.get("actions", ())] for name, host in sorted(run.hosts.items())}


def _meddle(farm: Farm) -> None:
    """What a person at the host would do, through LDPlayer's own program."""
    first, second, third = (host.world for host in farm.hosts)
    for world, words in (
        (first, ["quit", "--name", "game-001"]),
        (second, ["remove", "--name", "spare-000"]),
        (third, ["modify", "--name", "spare-000", "--cpu", "4"]),
    ):
        assert world.desktop is not None
        world.run_program(f"{world.spec.install_dir}\\ldconsole.exe", words, "", world.desktop.caller)
    first.clock.sleep(10)  # until the processes are gone


def _table(status: Run) -> None:
    table = Table(title="Emulators", show_lines=False)
    for column in ("host", "emulator", "state", "owned", "cpu", "memory", "resolution", "adb"):
        table.add_column(column)
    for name, host in sorted(status.hosts.items()):
        for emulator in host.result.get("emulators", ()):
            settings = emulator["settings"]
            values = [str(settings.get(option, "")) for option in ("cpu", "memory", "resolution")]
            owned = "yes" if emulator["owned"] else "no"
            table.add_row(name, emulator["name"], emulator["state"], owned, *values, f"{emulator['adb_port']} {settings.get('adb', '')}")
    Console().print(table)
