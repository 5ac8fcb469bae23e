"""The demo: three simulated hosts, everything over real WinRM, and each promise checked as it is shown. Its exit code is 0 only if all held."""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from .runs import Run, Said, play
from .sim.farm import Farm
from .sim.farm import Plan as SimPlan

Say = Callable[[str], None]

_SPEED = 25.0
_COLUMNS = 80

_INTRODUCTION = """\
HOSTS: an inventory of three simulated Windows machines, ws-01 to ws-03, which
       listen on 127.0.0.1 and are spoken to over real WinRM.
DEMO:  inventories/demo, which declares four emulators for each of them."""


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
            say(_INTRODUCTION)
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
    def run(playbook: str, *options: str, variables: Mapping[str, object] | None = None) -> Run:
        more = [f"-e {name}=…" for name in variables or {}]
        say("$ " + " ".join(["ansible-playbook -i DEMO -i HOSTS", f"ldfleet.ldplayer.{playbook}", *options, *more]))
        return play(playbook, [_declared(), inventory], options, variables, show=_Screen(say))

    def hold(holds: bool, promise: str) -> None:
        if not holds:
            raise _Broken(f"it should hold that {promise}")
        say(f"  held: {promise}")

    _title(say, "1. The plan for 12 emulators on 3 hosts (check mode)")
    planned = run("converge", "--check", "--diff")
    _say_steps(planned, say)
    say("")
    hold(planned.code == 0 and len(planned.changed()) == 3, "the plan shows changes on all 3 hosts")
    hold(all(host.world.titles() == ["LDPlayer"] for host in farm.hosts), "planning touched nothing")

    _title(say, "2. The real run, with progress")
    done = run("converge")
    hold(done.code == 0, "the run succeeded")
    hold(_steps(done) == _steps(planned), "it reports exactly the steps of the plan")
    hold(sum(len(host.world.titles()) - 1 for host in farm.hosts) == 12, "12 emulators were made")

    _title(say, "3. Again: nothing differs, so nothing is done")
    batches = [host.counters.batches for host in farm.hosts]
    again = run("converge")
    trips = [host.counters.batches - before for host, before in zip(farm.hosts, batches, strict=True)]
    hold(again.code == 0 and not again.changed(), "no host was changed")
    hold(trips == [1, 1, 1], "one round trip a host was enough to know")

    _title(say, "4. Somebody meddles: one emulator stopped, one removed, one setting changed")
    _meddle(farm)
    drift = run("converge", "--check", "--diff")
    _say_steps(drift, say)
    say("")
    hold(len(drift.changed()) == 3, "the drift of all 3 hosts is seen")

    _title(say, "5. Healed, and proved by looking again")
    healed = run("converge")
    hold(healed.code == 0 and _steps(healed) == _steps(drift), "healing did what the drift called for, and no more")
    proof = run("converge")
    hold(proof.code == 0 and not proof.changed(), "looking again finds nothing to do")

    _title(say, "6. The desktop: LDPlayer belongs to the user who is logged on")
    sessions = {(instance.user, instance.session) for host in farm.hosts for instance in host.world.instances.values() if instance.launched}
    hold(sessions == {("player", 1)}, "every emulator runs on the desktop of player, none in WinRM's session 0")

    _title(say, "7. An app, which each host pulls from its own disk, on every running game")
    source = "C:\\apps\\game-1.4.apk"
    for host in farm.hosts:
        _lay_app(host.world.drive.local(source))
    profiles = yaml.safe_load((_declared() / "group_vars" / "ldplayer.yml").read_text(encoding="utf-8"))["ldplayer_profiles"]
    apps = [{"package": "com.example.game", "source": source, "version": "1.4", "state": "started"}]
    with_app = {"ldplayer_profiles": {**profiles, "game": {**profiles["game"], "apps": apps}}}
    installed = run("converge", variables=with_app)
    hold(installed.code == 0 and len(installed.changed()) == 3, "nine games have the app, and it runs")
    again = run("converge", variables=with_app)
    hold(again.code == 0 and not again.changed(), "looking again finds nothing to do")

    _title(say, "8. A backup of the spare one, and nothing to do the second time")
    backups = {"ldplayer_backups": ["spare-000"], "ldplayer_backup_folder": "C:\\backups"}
    hold(len(run("backup", variables=backups).changed()) == 3, "each host has made a backup, proved by the file")
    hold(not run("backup", variables=backups).changed(), "what has not changed since is not backed up again")

    _title(say, "9. An emulator whose start hangs")
    world = farm.hosts[0].world
    world.quirks.starts = {"game-000": ["hang"]}
    world.kill(world.find("game-000").pid)
    cured = run("converge", "--limit", "ws-01", "-e", "ldplayer_start_timeout=40")
    steps = [text for text in _steps(cured).get("ws-01", ()) if "game-000" in text]
    for step in steps:
        say(f"  {step}")
    hold(
        cured.code == 0 and any("remedy 1 for StartHangs" in step for step in steps),
        "the hang was seen, named, and cured by stop and start",
    )

    _title(say, "10. Status")
    status = play("status", [_declared(), inventory])
    say(_table(status) + "\n")
    hold(status.code == 0, "every host answered")


class _Screen:
    """Ansible's output for a reader: equal diffs of several hosts are shown once, and the recap is left to what the demo says after it."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._diffs: dict[str, str] = {}

    def __call__(self, said: Said) -> None:
        text = said.text.strip("\n")
        if said.event == "playbook_on_stats" or not text:
            return
        if said.event == "runner_on_file_diff":
            first = self._diffs.setdefault(text, said.host)
            if first != said.host:
                text = f"(the same diff as of {first})"
        self._say(text)


def _title(say: Say, text: str) -> None:
    say(f"\n== {text}")


def _steps(run: Run) -> dict[str, list[str]]:
    return {name: [action["text"] for action in host.result.get("actions", ())] for name, host in sorted(run.hosts.items())}


def _say_steps(run: Run, say: Say) -> None:
    """The steps of the plan, once for all hosts that have the same."""
    hosts: dict[tuple[str, ...], list[str]] = {}
    for name, own in _steps(run).items():
        hosts.setdefault(tuple(own), []).append(name)
    for steps, names in hosts.items():
        each = " each" if len(names) > 1 else ""
        say(f"\n{', '.join(names)}: {len(steps)} step{'s'[: len(steps) != 1]}{each}")
        for step in steps:
            say(f"  {step}")


def _lay_app(path: Path) -> None:
    """An app as the simulated guest takes it (docs/simulator.md); on a real host it would be an APK."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ldfleet-sim.json", json.dumps({"package": "com.example.game", "version_code": 14, "version_name": "1.4"}))


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


def _table(status: Run) -> str:
    """What every host has, 80 columns wide."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("host", "emulator", "state", "owned", "cpu", "memory", "resolution", "adb"):
        table.add_column(heading, no_wrap=True)
    for name, host in sorted(status.hosts.items()):
        for emulator in host.result.get("emulators", ()):
            table.add_row(name, *_cells(emulator))
        table.add_section()
    console = Console(width=_COLUMNS, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join(lines).strip("\n")


def _cells(emulator: Mapping[str, object]) -> list[str]:
    settings = emulator["settings"]
    assert isinstance(settings, Mapping)
    values = [str(settings.get(option, "-")) for option in ("cpu", "memory", "resolution")]
    owned = "yes" if emulator["owned"] else "no"
    return [str(emulator["name"]), str(emulator["state"]), owned, *values, f"{settings.get('adb', '-')} {emulator['adb_port']}"]
