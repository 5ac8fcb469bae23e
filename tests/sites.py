"""What tests of the roles stand on: the variables that lead from a bare Windows to emulators, the playbooks with them, and what must be given back."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import PASSWORD, USER, Farm

VERSION = "9.0.79.2"


def wanted(**more: Any) -> dict[str, Any]:
    """Variables that lead from nothing to two emulators, one of which runs."""
    return {
        "winrm_controllers": ["127.0.0.1"],
        "winrm_port": 5986,
        "windows_autologon_user": USER,
        "windows_autologon_password": PASSWORD,
        "windows_hypervisor": "off",
        "windows_pagefile": {"drive": "C", "initial": 8192, "maximum": 16384},
        "windows_timezone": "W. Europe Standard Time",
        "ldplayer_version": 9,
        "ldplayer_release": VERSION,
        "ldplayer_source": rf"\\files\ldplayer\ldplayer-{VERSION}.zip",
        "ldplayer_sha256": hashlib.sha256(laid.package(VERSION)).hexdigest(),
        "ldplayer_emulators": [{"name": "golden", "state": "stopped"}, {"name": "farm", "count": 1, "state": "running"}],
        **more,
    }


def play(
    farm: Farm, folder: Path, name: str, variables: dict[str, Any], *options: str, way: str = "ntlm", core: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on the farm. ``core``: with another ansible-core."""
    return rig.playbook(inventory(farm, folder, variables, way), folder, f"ldfleet.ldplayer.{name}", *options, core=core)


def inventory(farm: Farm, folder: Path, variables: dict[str, Any], way: str = "ntlm") -> Path:
    """The file that leads to the farm, with variables for all of its hosts."""
    found = farm.inventory(way)
    found["ldplayer"]["vars"].update(variables)
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(found, allow_unicode=True), encoding="utf-8")
    return file


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All output, without its breaks and without the quoting of JSON."""
    return " ".join((done.stdout + done.stderr).replace("\\\\", "\\").replace('\\"', '"').split())


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """What Ansible counted for the only host."""
    found = re.findall(r"^sim-01\s*: (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[-1])}


def state(farm: Farm) -> dict[str, str]:
    """What of the host must be as it was, once it was given back: each fact by its path."""
    world = farm.hosts[0].world
    facts: dict[str, str] = {}

    def note(path: str, found: Any) -> None:
        if isinstance(found, dict) and found:
            for name, value in found.items():
                note(f"{path}/{name}", value)
        else:
            facts[path] = json.dumps(found)

    note("system", json.loads(json.dumps({**world.system.document(), "booted": None, "certificates": None})))
    for key, name, value in world.registry.entries():
        # What LDPlayer leaves of itself, Windows' own traces of a logon, and win_auto_logon's word for none (Windows takes it as it takes no word).
        if not re.search(r"(?i)\\Run$|DefaultUserName|DefaultDomainName", key + name) and (name, str(value)) != ("AutoAdminLogon", "0"):
            note(f"registry/{key}/{name}", repr(value))
    for file in world.drive.root.rglob("*"):
        if "ldfleet" in str(file.relative_to(world.drive.root)).lower():
            note(f"file/{file.relative_to(world.drive.root)}", True)
    return facts


def differs(farm: Farm, before: dict[str, str]) -> set[tuple[str, str]]:
    """Every fact that is not as it was, as it was and as it is."""
    return set(state(farm).items()) ^ set(before.items())
