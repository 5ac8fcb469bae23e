"""The demo: a fleet file and three simulated hosts, everything over real WinRM, and each promise checked as it is shown. Its exit code is 0 only if
all of them held."""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from . import show
from .fleet import Fleet, FleetFailed
from .plans import Outcome, Plan
from .runs import Event, HostResult, Run, TaskStarted, play
from .sim.farm import Farm
from .sim.farm import Plan as SimPlan
from .sim.ldplayer.world import World

Say = Callable[[str], None]

_SPEED = 60.0
_COLUMNS = 80
_APP = "C:\\apps\\game-1.4.apk"

#: Shown as it is; the file has the ways to the hosts too. One emulator belongs to ws-01, five are spread by ldfleet.
_FLEET = """\
plugin: ldfleet.ldplayer.fleet
profiles:
  game: {cpu: 2, memory: 2048, adb: local}
hosts:
  ws-01: {capacity: {emulators: 4}}
  ws-02: {capacity: {emulators: 4}}
  ws-03: {capacity: {emulators: 4}}
emulators:
  ws-01:
    - {name: golden, cpu: 2, memory: 2048, state: stopped, protect: true}
pools:
  farm: {profile: game, replicas: 5, update: {max_unavailable: 2}}
"""


class _Broken(AssertionError):
    """A promise of the demo did not hold."""


def demo(say: Say) -> int:
    """Run it; 0 when every promise held, else 1 with the reason."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ldfleet-demo-") as folder:
        plan = SimPlan(hosts=3, prefix="ws-", speed=_SPEED, powershell_start=0.2)
        with Farm(plan, Path(folder) / "hosts") as farm:
            say("Three simulated Windows machines listen on 127.0.0.1 and are spoken to over real")
            say("WinRM. fleet.yml says what shall be on them:\n\n" + _FLEET.rstrip())
            try:
                _story(_Stage(farm, Path(folder) / "fleet.yml", say))
            except (_Broken, FleetFailed) as broken:
                say(f"\nThe demo is broken: {broken}")
                return 1
    say(f"\nEverything held. It took {time.monotonic() - began:.0f} s; the simulator has been stopped.")
    return 0


def _story(on: _Stage) -> None:
    for part in (_from_nothing, _meddled_with, _desktop, _changed, _backed_up, _drained, _hanging):
        part(on)
    on.title("Status")
    status = on.look("status")
    on.hold(not status.faults and status.pools["farm"]["available"] == 5, "every host answered, and the pool is whole")


@dataclass
class _Stage:
    """Where the story is played: the hosts, the file and its words, which ``edit`` writes, and what the reader is shown."""

    farm: Farm
    file: Path
    say: Say
    words: dict[str, Any] = field(default_factory=lambda: yaml.safe_load(_FLEET))
    parts: int = 0

    def __post_init__(self) -> None:
        ways = self.farm.inventory()["ldplayer"]
        self.words["vars"] = ways["vars"]
        for name, variables in ways["hosts"].items():
            self.words["hosts"][name].update(variables)
        self._write()

    @property
    def worlds(self) -> list[World]:
        """The machines, as their simulator sees them."""
        return [host.world for host in self.farm.hosts]

    def title(self, text: str) -> None:
        """Begin a part."""
        self.parts += 1
        self.say(f"\n== {self.parts}. {text}")

    def hold(self, holds: bool, promise: str) -> None:
        """Check a promise. Raises _Broken."""
        if not holds:
            raise _Broken(f"it should hold that {promise}")
        self.say(f"  held: {promise}")

    def edit(self, path: str, **words: Any) -> None:
        """Change the file, and show how. ``path``: to the mapping that takes ``words``."""
        found = self.words
        for word in path.split("."):
            found = found[word]
        found.update(words)
        lines = yaml.safe_dump(words, sort_keys=False).splitlines()
        self.say(f"fleet.yml, {path}:" + "".join(f"\n  {line}" for line in lines))
        self._write()

    def _write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.words, sort_keys=False), encoding="utf-8")

    def look(self, verb: str) -> Plan:
        """`ldfleet plan` or `ldfleet status`, and what it shows."""
        self.say(f"$ ldfleet {verb}")
        fleet = Fleet(self.file)
        if verb == "status":
            found = fleet.status()
            self._shown(lambda to: show.status(found, to, emulators=True))
        else:
            found = fleet.plan()
            self._shown(lambda to: show.plan(found, to))
        return found

    def apply(self, watch: Callable[[Event], None] | None = None) -> Outcome:
        """`ldfleet apply`: its progress and its last word. Its steps are left out, where a plan has just shown them."""
        self.say("$ ldfleet apply")
        told = show.progress(self.say)

        def both(event: Event) -> None:
            told(event)
            if watch is not None:
                watch(event)

        done = Fleet(self.file).apply(watch=both).wait()
        self._shown(lambda to: show.outcome(done, to), last_word=True)
        return done

    def play(self, playbook: str, variables: Mapping[str, object], *options: str) -> Run:
        """One of the collection's playbooks on the same file."""
        self.say(" ".join([f"$ ansible-playbook -i fleet.yml ldfleet.ldplayer.{playbook}", *options, "-e …"]))
        return play(playbook, [self.file], options, variables)

    def _shown(self, tell: Callable[[Console], None], last_word: bool = False) -> None:
        to = Console(width=_COLUMNS, color_system=None, highlight=False)
        with to.capture() as captured:
            tell(to)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        self.say("\n".join((["…"] if len(lines) > 1 else []) + lines[-1:] if last_word else lines))


def _from_nothing(on: _Stage) -> None:
    on.title("The plan: five replicas of a pool, spread over three hosts")
    planned = on.look("plan")
    on.hold(planned.counts()["add"] == 6 and not planned.faults, "six emulators are missing, and the plan says which host gets which")
    on.hold(all(world.titles() == ["LDPlayer"] for world in on.worlds), "planning touched nothing")

    on.title("It is applied, with progress")
    done = on.apply()
    on.hold(_steps(done) == _steps(planned), "what was done is what the plan said, step for step")
    on.hold(_running(on) == [["farm-002"], ["farm-000", "farm-003"], ["farm-001", "farm-004"]], "the five replicas run")

    on.title("Again: nothing differs, so nothing is done")
    batches = [host.counters.batches for host in on.farm.hosts]
    again = on.apply()
    trips = [host.counters.batches - before for host, before in zip(on.farm.hosts, batches, strict=True)]
    on.hold(not again.steps and not again.faults, "no host was changed")
    on.hold(trips == [1, 1, 1], "one round trip a host was enough to know")


def _meddled_with(on: _Stage) -> None:
    on.title("Somebody meddles: one emulator stopped, one removed, one setting changed")
    for world, words in zip(on.worlds, _MEDDLING, strict=True):
        _by_hand(world, words)
    on.worlds[0].clock.sleep(10)  # until the processes are gone
    drift = on.look("plan")
    on.hold({step.emulator for step in drift.steps} == {"farm-000", "farm-002", "farm-004"}, "the drift is seen, and nothing else")
    healed = on.apply()
    on.hold(not healed.faults and _steps(healed) == _steps(drift), "healing did what the drift called for, and proved it by looking again")


def _desktop(on: _Stage) -> None:
    on.title("The desktop: LDPlayer belongs to the user who is logged on")
    sessions = {(one.user, one.session) for world in on.worlds for one in world.instances.values() if one.launched is not None}
    on.hold(sessions == {("player", 1)}, "every emulator runs on the desktop of player, none in WinRM's session 0")


def _changed(on: _Stage) -> None:
    on.title("A new profile, with more memory and an app: first on a canary")
    for world in on.worlds:
        _lay_app(world.drive.local(_APP))
    app = {"package": "com.example.game", "source": _APP, "version": "1.4", "state": "started"}
    on.edit("profiles.game", memory=4096, apps=[app])
    on.edit("pools.farm.update", partition=4)
    planned = on.look("plan")
    done, waves = _waves(on)
    on.hold(_steps(done) == _steps(planned) and waves == [["farm-004"]], "farm-004 alone was changed, and has the app, which runs")

    on.title("The canary is well: on to the others, two at a time")
    on.edit("pools.farm.update", partition=0)
    done, waves = _waves(on)
    on.hold(not done.faults and waves == [["farm-002", "farm-003"], ["farm-000", "farm-001"]], "never were more than two of them down")
    on.hold(all(_has_app(world) for world in on.worlds), "every replica has the app, which each host took from its own disk")


def _backed_up(on: _Stage) -> None:
    on.title("A backup, and nothing to do the second time")
    wish = {"ldplayer_backups": ["golden"], "ldplayer_backup_folder": "C:\\backups"}
    on.hold(len(on.play("backup", wish, "--limit", "ws-01").changed()) == 1, "the backup was made, and proved by its file")
    on.hold(not on.play("backup", wish, "--limit", "ws-01").changed(), "what has not changed since is not backed up again")


def _drained(on: _Stage) -> None:
    on.title("A host is drained: its replica moves, with all that it is")
    old = on.worlds[0]
    old.find("farm-002").guest.files["/sdcard/score.txt"] = b"42"
    identity = _identity(old)
    on.edit("pools.farm", on_move="backup", move_folder="\\\\files\\ldfleet")
    on.edit("hosts.ws-01", drain=True)
    planned = on.look("plan")
    done = on.apply()
    on.hold(not done.faults and _steps(done) == _steps(planned), "it was backed up, restored and proved elsewhere before it left ws-01")
    on.hold(
        [bool(_running(on)[0]), sum(map(len, _running(on)))] == [False, 5] and "golden" in old.titles(),
        "all five run, none of them on ws-01; golden belongs there and stays",
    )
    new = next(world for world in on.worlds if "farm-002" in world.titles())
    on.hold(new.find("farm-002").guest.files.get("/sdcard/score.txt") == b"42", "what its player had is there")
    on.hold(_identity(new) == identity, "it is the same phone as before: IMEI and MAC have not changed")


def _hanging(on: _Stage) -> None:
    on.title("An emulator whose start hangs")
    world = on.worlds[1]
    world.quirks.starts = {"farm-000": ["hang"]}
    world.kill(world.find("farm-000").pid)
    on.edit("vars", ldplayer_start_timeout=40)
    cured = on.apply()
    for step in cured.steps:
        on.say(f"  {step.text}")
    on.hold(
        not cured.faults and any("remedy 1 for StartHangs" in step.text for step in cured.steps),
        "the hang was seen, named, and cured by stop and start",
    )


#: What a person does at each host, with LDPlayer's own program.
_MEDDLING = (
    ("quit", "--name", "farm-002"),
    ("remove", "--name", "farm-000"),
    ("modify", "--name", "farm-004", "--cpu", "4"),
)


def _by_hand(world: World, words: Sequence[str]) -> None:
    assert world.desktop is not None
    world.run_program(f"{world.spec.install_dir}\\ldconsole.exe", list(words), "", world.desktop.caller)


def _steps(of: Plan | Outcome) -> list[tuple[str, str]]:
    """In whatever order they were carried out."""
    return sorted((step.host, step.text) for step in of.steps)


def _running(on: _Stage) -> list[list[str]]:
    """The replicas that run, by host."""
    return [
        sorted(title for title in world.titles() if title.startswith("farm-") and world.find(title).launched is not None)
        for world in on.worlds
    ]


def _waves(on: _Stage) -> tuple[Outcome, list[list[str]]]:
    """Apply, and tell which replicas each wave took down."""
    waves: list[list[str]] = []

    def watch(event: Event) -> None:
        if isinstance(event, TaskStarted) and event.name == "Begin the wave":
            waves.append([])
        if isinstance(event, HostResult) and event.module == "emulators" and waves:
            waves[-1] += [action["name"] for action in event.result.get("actions", ()) if action["action"] == "stop"]

    done = on.apply(watch)
    return done, [sorted(wave) for wave in waves]


def _lay_app(path: Path) -> None:
    """An app as the simulated guest takes it (docs/simulator.md); on a real host it would be an APK."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ldfleet-sim.json", json.dumps({"package": "com.example.game", "version_code": 14, "version_name": "1.4"}))


def _has_app(world: World) -> bool:
    return all("com.example.game" in world.find(title).guest.packages for title in world.titles() if title.startswith("farm-"))


def _identity(world: World) -> list[Any]:
    config = world.config(world.find("farm-002").index) or {}
    return [config[f"propertySettings.{key}"] for key in ("phoneIMEI", "macAddress")]
