"""What tests stand on: simulated hosts on loopback for real clients, and a shorter way into the same world for laws that need thousands of runs."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import fleet_specs
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import converge, desired, lower, observed, report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.conversation import Ask, Talk
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.fleet import Fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.look import Look
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError, ReplyLost
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE, Where
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session
from ldfleet.sim.assembly import assemble
from ldfleet.sim.engines import port
from ldfleet.sim.farm import USER, Farm, Plan
from ldfleet.sim.host import SimHost
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.clock import Clock
from ldfleet.sim.machine.process import CommandLine
from ldfleet.sim.machine.windows import Caller

ROOT = Path(__file__).parent.parent
AGENT = ROOT / "plugins" / "module_utils" / "_agent.ps1"
BIN = Path(sys.executable).parent
#: Where Ansible finds the collection, and those that it depends on.
COLLECTIONS = os.pathsep.join((str(ROOT / ".build"), str(ROOT / ".cache" / "collections")))
SLICE_MS = 30_000


@contextmanager
def farm(folder: Path, **plan: Any) -> Iterator[Farm]:
    """Simulated hosts whose PowerShell starts at once and whose waiting takes no time, unless the plan says otherwise."""
    with Farm(Plan(**{"skip": True, "powershell_start": 0.0, **plan}), folder) as made:
        yield made


@dataclass(frozen=True)
class Play:
    """What `ansible` did: exit code, all output, and for each host the result of the module."""

    code: int
    output: str
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def one(self) -> dict[str, Any]:
        """The result of the only host."""
        (result,) = self.results.values()
        return result


#: Versions of ansible-core beside the one in .venv that the product supports and this Python runs; `make setup` lays them here.
CORES = {folder.name: folder for folder in sorted((ROOT / ".cache" / "cores").glob("2.*"))}


def environment(folder: Path, core: str | None = None) -> dict[str, str]:
    """What Ansible's programs need to find the collection, with all that they keep in ``folder``, where results of hosts are written too."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_CALLBACKS_ENABLED": "ldfleet_tree",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "LDFLEET_TEST_RESULTS": str(folder / "results"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")]),
        **({"PYTHONPATH": str(CORES[core])} if core is not None else {}),
    }


def playbook(
    inventory: Path, folder: Path, name: str, *options: str, core: str | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook by its name, as a user does. ``more``: environment variables beside the usual ones."""
    (folder / "results").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), name, *options],
        cwd=ROOT, env={**environment(folder, core), **(more or {})}, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip


def cut_off(inventory: Path, folder: Path, name: str, when: Callable[[], bool], *options: str) -> str:
    """Begin a playbook, and kill it with all that it started as soon as ``when`` says so; returns its output until then."""
    (folder / "results").mkdir(exist_ok=True)
    with (folder / "cut.log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), name, *options],
            cwd=ROOT, env=environment(folder), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 100
        while running.poll() is None and not when() and time.monotonic() < deadline:
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        code = running.wait(10)
    told = (folder / "cut.log").read_text(encoding="utf-8")
    assert code == -signal.SIGKILL, f"it ended by itself, with {code}: {told}"
    return told


def ansible(
    inventory: dict[str, Any],
    folder: Path,
    module: str,
    arguments: dict[str, Any] | str,
    *options: str,
    core: str | None = None,
    task: dict[str, Any] | None = None,
) -> Play:
    """Run one module on every host of an inventory with the real `ansible-playbook`, and return what it returned.

    ``module``: ours by its name, another by its full one. ``arguments``: a mapping, or a template that gives one for each host. ``core``: another
    ansible-core. ``task``: further keywords.
    """
    named = module if "." in module else f"ldfleet.ldplayer.{module}"
    return tasks(inventory, folder, [{named: arguments, **(task or {})}], *options, core=core)


def tasks(inventory: dict[str, Any], folder: Path, tasks: Sequence[dict[str, Any]], *options: str, core: str | None = None) -> Play:
    """Run tasks on every host of an inventory with the real `ansible-playbook`, and return what the last of them returned."""
    play = {"hosts": "all", "gather_facts": False, "tasks": list(tasks)}
    (folder / "play.json").write_text(yaml.safe_dump([play], allow_unicode=True), encoding="utf-8")
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory, allow_unicode=True), encoding="utf-8")
    (folder / "results").mkdir(exist_ok=True)
    for old in (folder / "results").iterdir():
        old.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "inventory.yml"), str(folder / "play.json"), *options],
        cwd=ROOT, env=environment(folder, core), capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (folder / "results").iterdir()}
    return Play(done.returncode, done.stdout + done.stderr, results)


def four_steps(farm: Farm, folder: Path, module: str, arguments: dict[str, Any], undo: dict[str, Any], *takes: str) -> list[Play]:
    """Check, do, again, undo on a farm's only host: the plan is told alike before and after, nothing is done twice, all is given back.

    ``takes``: the way in."""
    world, inventory = farm.hosts[0].world, farm.inventory(*takes)
    before = world.titles()
    planned = ansible(inventory, folder, module, arguments, "--check", "--diff")
    assert planned.one()["changed"], planned.output
    assert world.titles() == before
    done = ansible(inventory, folder, module, arguments, "--diff")
    assert done.one()["actions"] == planned.one()["actions"], done.output
    assert done.one()["diff"] == planned.one()["diff"]
    again = ansible(inventory, folder, module, arguments)
    assert (again.one()["changed"], again.one()["actions"]) == (False, []), again.output
    gone = ansible(inventory, folder, module, undo)
    assert gone.one()["changed"], gone.output
    assert world.titles() == before
    return [planned, done, again, gone]


def usable_way(way: str) -> None:
    """Skip the test, with the reason, where this machine lacks what the way needs."""
    if way == "ssh" and shutil.which("ssh") is None:
        pytest.skip("there is no program ssh")


@dataclass
class Direct:
    """A session's transport straight into the port: the whole product but Ansible and the wire.

    ``cuts``: what goes wrong at which run: the controller dies ``before`` the batch runs or ``after``, or the answer is ``lost``.
    """

    world: World
    cuts: dict[int, str] = field(default_factory=dict)
    runs: int = 0
    desktop: str = "auto"
    user: str = "Administrator"
    agent: ClassVar[str] = "# agent"
    install: ClassVar[Where] = ANYWHERE

    def run(self, script: str, payload: bytes) -> str:
        self.runs += 1
        cut = self.cuts.get(self.runs)
        if cut == "before":
            raise ControllerDied
        text = port.answer(self.world, payload.decode("ascii"), Caller(self.user)).text
        if cut == "after":
            raise ControllerDied
        if cut == "lost":
            raise ConnectionResetError("the answer was lost")
        return text

    def reset(self) -> None:
        """Nothing to forget."""


@dataclass
class Through:
    """A session's transport through a host's own shell: the real bootstrap and the real agent, on whatever engine the host has."""

    host: SimHost
    desktop: str = "auto"
    agent: str = field(default_factory=lambda: AGENT.read_text(encoding="ascii"))
    runs: int = 0

    @property
    def install(self) -> Where:
        """Hosts on Wine share one registry, so there the folder is named."""
        engine = self.host.engine
        return Where(self.host.world.spec.install_dir) if engine is not None and engine.seat is not None else ANYWHERE

    def run(self, script: str, payload: bytes) -> str:
        self.runs += 1
        encoded = base64.b64encode(script.encode("utf-16-le")).decode()
        process = self.host.spawn(CommandLine(f"PowerShell -NoProfile -NonInteractive -EncodedCommand {encoded}", USER))
        process.feed(payload, True)
        output = process.read(120)
        assert output.exit_code == 0, output
        return output.stdout.decode("ascii")

    def reset(self) -> None:
        """Nothing to forget."""


class ControllerDied(Exception):
    """The controller is gone at this point: nothing catches this."""


def misread(engine: Path, file: Path) -> list[str]:
    """What PowerShell's parser finds wrong in a file, also for 5.1; that commands of Windows are not in this engine does not count."""
    done = subprocess.run([str(engine), "--check", str(file)], capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout.splitlines()
    assert re.fullmatch(r"clean|\d+ findings", said[-1]), done.stdout + done.stderr
    return [line for line in said[:-1] if not line.endswith("cannot run in this host")]


def world(folder: Path, spec: Spec | None = None, seed: int = 1) -> World:
    """A host that needs no listener."""
    return assemble(folder, "WS-01", spec or Spec(), Clock(skip=True), seed=seed)


def session(direct: Direct | Through) -> Session:
    """A session over it, without pauses."""
    return Session(
        direct, direct.agent, "ws-01", desktop=direct.desktop, sleep=lambda _seconds: None, clock=lambda: 0.0, jitter=lambda: 0.0
    )


def wanted(entries: Sequence[dict[str, Any]], **more: Any) -> desired.Desired:
    """Desired, from entries as a user writes them."""
    return desired.build(entries, **more)


def check(direct: Direct | Through, goal: desired.Desired) -> Outcome:
    """What check mode does."""
    return converge.check(goal, _observe(session(direct), goal, direct.install))


def apply(direct: Direct | Through, goal: desired.Desired, slice_ms: int = SLICE_MS) -> Outcome:
    """What a real run does (see _action.py; only Ansible is left out)."""
    link = session(direct)
    lease = lower.Lease(link.new_id(), "somebody")
    asked = lower.questions(goal)
    work = converge.converge(goal, _observe(link, goal, direct.install), direct.install, lease, slice_ms)
    try:
        batch = next(work)
        while True:
            try:
                reply = link.act(batch.operations, slice_ms, report.note(batch, lease))
            except ReplyLost:
                reply = link.ask(observed.look(direct.install, asked), slice_ms)
            batch = work.send(reply)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


@dataclass
class Controller:
    """What playbooks/tasks/fleet.yml does with a fleet file's words on hosts by name (only Ansible is left out). ``gone``: hosts that do not answer.

    ``backwards``: hosts work at the same time, so whatever hangs on their order must hold for either one.
    """

    hosts: Mapping[str, Direct]
    gone: set[str] = field(default_factory=set)
    backwards: bool = False

    def place(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """Look at every host and decide, as the playbook plan does. Raises FleetError."""
        return self._place(words)[-1]

    def converge(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """All of it: what the last task returns, with the decision under ``placed``. Raises FleetError, and ControllerDied at a host's cut."""
        declared, looks, placed = self._place(words)
        done: dict[str, dict[str, Any]] = {}
        before = None
        for number in placed["waves"]:
            wave = decision.course(declared, placed["decision"], before, looks, done).wave(number, checking=False)
            before = wave["progress"]
            for host, told in sorted(wave["hosts"].items(), reverse=self.backwards):
                done[host] = self._module(declared, host, told["emulators"], told["restart"])
        end = decision.course(declared, placed["decision"], before, looks, done)
        return {**end.finish(looks, placed["stale"]), "placed": placed}

    def _place(self, words: Mapping[str, Any]) -> tuple[Fleet, dict[str, Look], dict[str, Any]]:
        declared = decision.fleet(words, *SPECS)
        families = [{"name": pool.name, "members": True, **pool.entry} for pool in declared.pools.values()]
        asked = [name for name, host in declared.hosts.items() if not host.lost]
        looks = decision.looked(
            declared, {host: self._module(declared, host, [*declared.pinned.get(host, ()), *families], checking=True) for host in asked}
        )
        return declared, looks, decision.place(declared, looks, words, None, (), False)

    def _module(
        self, declared: Fleet, host: str, entries: Sequence[Mapping[str, Any]], restart: Sequence[str] = (), checking: bool = False
    ) -> dict[str, Any]:
        """What the module emulators returns for a host."""
        if host in self.gone:
            return {"unreachable": True, "msg": "no route to host"}
        try:
            goal = desired.build(entries, None, declared.profiles, restart=restart)
            outcome = (check if checking else apply)(self.hosts[host], goal)
        except FleetError as error:
            return {"failed": True, "msg": str(error), "errors": [single.as_dict() for single in error.each()]}
        told: dict[str, Any] = json.loads(json.dumps(report.result(outcome, host, False)))
        return told


#: Of a fleet file, and of an emulator in it.
SPECS = fleet_specs()


def talk(direct: Direct, conversation: Talk, check: bool = False) -> dict[str, Any]:
    """What FleetAction.talk does (only Ansible is left out): the result, in check mode that of the plan. Raises FleetError."""
    link = session(direct)
    lease = lower.Lease(link.new_id(), "somebody")
    try:
        wish = next(conversation)
        while True:
            if isinstance(wish, Ask):
                reply = link.ask(wish.operations, SLICE_MS)
            elif check:
                return wish.planned
            else:
                reply = link.act(lower.leased(wish.operations, lease, wish.slice_ms), wish.slice_ms, {"steps": list(wish.steps)})
                converge.refuse_if_held(reply)
            wish = conversation.send(reply)
    except StopIteration as end:
        result: dict[str, Any] = end.value
        return result


def _observe(link: Session, goal: desired.Desired, install: Where) -> observed.Observation:
    return look(link, lower.questions(goal), install)


def look(link: Session, asked: Sequence[observed.Asked], install: Where = ANYWHERE) -> observed.Observation:
    """What an action's observation is."""
    return link.converse(converge.observing(install, asked), SLICE_MS)


__all__ = [
    "BIN",
    "ROOT",
    "SPECS",
    "Controller",
    "ControllerDied",
    "Direct",
    "Outcome",
    "Play",
    "Through",
    "ansible",
    "apply",
    "check",
    "cut_off",
    "farm",
    "four_steps",
    "look",
    "options",
    "session",
    "talk",
    "tasks",
    "usable_way",
    "wanted",
    "world",
]
