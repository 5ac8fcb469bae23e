"""From a bare Windows to running emulators and back: the playbooks site and decommission, as a user runs them, on simulated hosts."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import PASSWORD, USER, Farm
from ldfleet.sim.layout import Spec

VERSION = "9.0.79.2"
EDITIONS = ("windows11", "server2022")


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


@pytest.fixture(params=EDITIONS)
def farm(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare(request.param)) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


def play(
    farm: Farm, folder: Path, name: str, variables: dict[str, Any], *options: str, way: str = "ntlm"
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on the farm."""
    inventory = farm.inventory(way)
    inventory["ldplayer"]["vars"].update(variables)
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory, allow_unicode=True), encoding="utf-8")
    return rig.playbook(folder / "inventory.yml", folder, f"ldfleet.ldplayer.{name}", *options)


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


def test_site_leads_to_running_emulators_a_second_run_changes_nothing_and_decommission_gives_back(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = state(farm)
    checked = play(farm, tmp_path, "install", wanted(), "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert set(state(farm).items()) ^ set(before.items()) == set()
    done = play(farm, tmp_path, "site", wanted())
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(world.titles()) == ["farm-000", "golden"]
    assert world.running(world.find("farm-000"))
    assert world.desktop is not None
    again = play(farm, tmp_path, "site", wanted())
    assert (again.returncode, recap(again)["changed"]) == (0, 0), again.stdout + again.stderr
    assert PASSWORD not in done.stdout + again.stdout
    refused = play(farm, tmp_path, "decommission", wanted())
    assert "max_destroy is 0" in refused.stdout
    assert sorted(world.titles()) == ["farm-000", "golden"]
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2))
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert set(state(farm).items()) ^ set(before.items()) == set()
