"""The script of `ldfleet bootstrap` as a simulated host runs it: what it says, in which order it does its steps, and its notes for taking them back.

What the script is told comes as its parameters Check, Undo and Fleet, as the roles winrm and ssh give them. The steps are bootstrap_steps.py's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..ldplayer.world import World
from .bootstrap_host import ADMINISTRATORS_ONLY, Fault, Fleet, Host, Step
from .bootstrap_steps import steps
from .task import Json

_FIRST_LINE = "# ldfleet bootstrap:"
_WAY = re.compile(r"(?m)^\$way = '(winrm|ssh)'$")


class Unknown(Exception):
    """A script that is not played; the text says why."""


def run(text: str, parameters: Mapping[str, Any], world: World, users: dict[str, str], environment: Mapping[str, str]) -> list[str]:
    """What the script prints, line by line. Raises Unknown, and Fault (with the lines until then) where the script throws."""
    if not text.lstrip("\ufeff").startswith(_FIRST_LINE):
        raise Unknown(f"win_powershell plays ldfleet's bootstrap script, whose first line begins with '{_FIRST_LINE}', and no other")
    ways = _WAY.findall(text)
    told = parameters.get("Fleet")
    if len(ways) != 1 or not isinstance(told, dict):
        raise Unknown("ldfleet's bootstrap script is played for one way, winrm or ssh, with its settings in the parameter Fleet")
    strange = sorted(set(parameters) - {"Check", "Undo", "Fleet"})
    if strange:
        raise Unknown(f"ldfleet's bootstrap script has no parameter {strange[0]}")
    script = _Script(ways[0], Fleet.of(told), world, users, environment.get("LDFLEET_PASSWORD", ""))
    try:
        script.run(bool(parameters.get("Check")), bool(parameters.get("Undo")))
    except Fault as fault:
        raise Fault(str(fault), script.said) from fault
    return script.said


class _Script:
    """One run. ``state``: what was done, as the notes say it."""

    def __init__(self, way: str, fleet: Fleet, world: World, users: dict[str, str], password: str) -> None:
        self.world, self.fleet, self.way = world, fleet, way
        self.folder = f"{world.spec.programdata}\\ldfleet\\bootstrap"
        self.file = f"{self.folder}\\{way}.json"
        self.said: list[str] = []
        self.state: list[Json] = []
        self.host = Host(world, users, fleet, password, self.folder, self.state, self._save)
        self.steps = steps(way, self.host)

    def run(self, check: bool, undo: bool) -> None:
        self._read()
        if undo:
            return self._undo(check)
        self.host.look_before()
        name, todo = self.world.name, [step for step in self.steps if not step.is_so()]
        if not todo:
            self.said.append(f"On {name}, all is as it should be; nothing was changed.")
            return self._outcome()
        self.said += [f"On {name}, this changes:", *(f"  - {step.says}" for step in todo)]
        if not self.host.running():
            self.said.append(f"The service {self.host.service} does not run, so some of that may be so already; it is left alone then.")
        if check:
            self.said.append("Nothing was changed (-Check).")
            return None
        if any(step.name == "account" for step in todo):
            self.host.read_password()
        self._open_folder()
        for step in todo:
            self._do(step)
        self.said.append("Done.")
        return self._outcome()

    def _do(self, step: Step) -> None:
        try:
            if step.is_so():
                return
            record = self.host.record(step.name)
            if record is None:
                record = {"step": step.name, "was": step.was()}
                self.state.append(record)
            self._save()
            step.do(record["was"])
            self._save()
            if not step.is_so():
                raise Fault("Windows reported no error, and yet it is not so")
        except Fault as fault:
            raise Fault(
                f"'{step.name}' failed: {fault}. What was done until then stands in {self.file}; run this again, or with -Undo."
            ) from fault

    def _undo(self, check: bool) -> None:
        if not self.state:
            self.said.append(f"Nothing to take back: {self.file} is not there.")
            return
        known = {step.name: step for step in self.steps}
        strange = [record["step"] for record in self.state if record["step"] not in known]
        if strange:
            raise Fault(f"{self.file} has a step that this script does not know: {strange[0]}")
        self.said.append(f"On {self.world.name}, this takes back:")
        for record in reversed(list(self.state)):
            step = known[record["step"]]
            self.said.append(f"  - {step.back}")
            if check:
                continue
            try:
                step.undo(record["was"])
            except Fault as fault:
                left = f"What is left stands in {self.file}; -Undo goes on from here."
                raise Fault(f"'{step.name}' cannot be taken back: {fault}. {left}") from fault
            self.state.pop()
            self._save()
        self.said.append("Nothing was changed (-Check)." if check else "All of it is taken back.")

    def _outcome(self) -> None:
        addresses = self.host.addresses()
        name = self.world.name.lower()
        self.said += ["", "For the fleet file:", *self.fleet.variables, "hosts:"]
        self.said.append(f"  {name}: {{ansible_host: {addresses[0] if addresses else ''}}}")
        if self.way != "winrm":
            return
        self.said += ["", f"The certificate is {self.host.certificate()}."]
        if not self.fleet.thumbprint:
            self.said.append(f"Add its public half, {self.host.public}, to the file that ansible_winrm_ca_trust_path names.")

    # ---- notes ----------------------------------------------------------------------------------------------------------------------
    def _read(self) -> None:
        local = self.world.drive.local(self.file)
        if not local.is_file():
            return
        document = json.loads(local.read_text(encoding="utf-8-sig"))
        if document["version"] != 1:
            raise Fault(f"{self.file} was written by another version of ldfleet bootstrap")
        self.state += document["done"]

    def _save(self) -> None:
        local = self.world.drive.local(self.file)
        if self.state:
            local.write_text(json.dumps({"version": 1, "done": self.state}), encoding="utf-8")
            return
        local.unlink(missing_ok=True)
        for folder in (local.parent, local.parent.parent):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _open_folder(self) -> None:
        self.world.drive.local(self.folder).mkdir(parents=True, exist_ok=True)
        self.world.rights[self.folder.lower()] = ADMINISTRATORS_ONLY
