"""The playbooks site and decommission over every way in, and over ways that end while they run: closed by the roles themselves, or gone after a start."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sites import VERSION, differs, play, recap, said, state, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import USER, Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.wire import ways


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11"), https=True, ssh=True) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Farm]:
    """A host whose own firewall and services decide who comes in: a fresh server has plain HTTP open."""
    with rig.farm(tmp_path / "farm", spec=Spec.bare("server2022"), https=True, ssh=True, doors=True) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


#: Way -> what it needs said beside the rest: who comes with a certificate has no ansible_user.
WAYS: dict[str, dict[str, Any]] = {"ntlm": {}, "certificate": {"winrm_account": USER}, "psrp": {}, "ssh": {}}


@pytest.mark.parametrize("way", WAYS)
def test_site_over_every_way_and_back(farm: Farm, tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    world, variables = farm.hosts[0].world, wanted(**WAYS[way])
    before = state(farm)
    done = play(farm, tmp_path, "site", variables, way=way)
    assert done.returncode == 0, said(done)
    assert sorted(world.titles()) == ["farm-000", "golden"]
    assert world.running(world.find("farm-000"))
    again = play(farm, tmp_path, "site", variables, way=way)
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)
    gone = play(farm, tmp_path, "decommission", {**variables, "ldplayer_max_destroy": 2}, way=way)
    assert gone.returncode == 0, said(gone)
    assert differs(farm, before) == set()


def test_an_account_that_no_way_tells_is_asked_for(farm: Farm, tmp_path: Path) -> None:
    refused = play(farm, tmp_path, "bootstrap", wanted(), way="certificate")
    assert refused.returncode == 2
    assert "winrm_account is empty; a local account is wanted, which a way without ansible_user does not tell" in said(refused)


# ---- several ways -------------------------------------------------------------------------------------------------------------------
def way(farm: Farm, kind: str, name: str = "", **changes: Any) -> dict[str, Any]:
    """A way into the only host. ``kind``: one of the simulator's, or plain for NTLM over plain HTTP."""
    found = farm.inventory("ntlm" if kind == "plain" else kind)["ldplayer"]
    (own,) = found["hosts"].values()
    plain = {"ansible_port": farm.endpoints[0].http_port, "ansible_winrm_scheme": "http"} if kind == "plain" else {}
    return {"name": name or kind, "variables": {**found["vars"], **own, **plain, **changes}}


def over(folder: Path, name: str, listed: list[dict[str, Any]], variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run a playbook on a host with these ways; one alone is its variables."""
    own = listed[0]["variables"] if len(listed) == 1 else {"ldplayer_ways": listed, "ldplayer_ways_timeout": 4}
    groups = {"ldplayer_ways": {"hosts": {"sim-01": {}}}} if len(listed) > 1 else {}
    hosts = {"ldplayer": {"hosts": {"sim-01": {**own, **variables}}}, **groups}
    (folder / "inventory.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    return rig.playbook(folder / "inventory.yml", folder, f"ldfleet.ldplayer.{name}")


def test_a_first_way_that_is_broken_is_told_and_the_next_leads_through_all_of_site(farm: Farm, tmp_path: Path) -> None:
    rig.usable_way("ssh")
    listed = [way(farm, "ntlm", "https", ansible_port=1), way(farm, "ssh")]
    done = over(tmp_path, "site", listed, wanted())
    assert done.returncode == 0, said(done)
    assert "sim-01 is reached on the way ssh, since others did not lead in: https (" in said(done)
    assert farm.endpoints[0].wire.counters.requests == 0
    assert over(tmp_path, "site", listed, wanted()).returncode == 0


def test_a_way_that_bootstrap_closes_is_left_for_the_one_that_it_opened(house: Farm, tmp_path: Path) -> None:
    """Plain HTTP is what a fresh host answers at; the role winrm closes it, and the answer to that is lost with it."""
    world = house.hosts[0].world
    before = state(house)
    listed = [way(house, "plain"), way(house, "ntlm", "https")]
    done = over(tmp_path, "site", listed, wanted())
    assert done.returncode == 0, said(done)
    assert "sim-01 answered, and then its answer was lost" in said(done)
    assert "sim-01 is reached on the way https, since others did not lead in: plain (" in said(done)
    assert world.running(world.find("farm-000"))
    again = over(tmp_path, "site", listed, wanted())
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)
    gone = over(tmp_path, "decommission", listed, wanted(ldplayer_max_destroy=2))
    assert gone.returncode == 0, said(gone)
    assert "sim-01 answered, and then its answer was lost" in said(gone)
    assert differs(house, before) == set()


def test_without_another_way_the_end_says_which_one_is_wanted(house: Farm, tmp_path: Path) -> None:
    lost = over(tmp_path, "site", [way(house, "plain")], wanted())
    assert lost.returncode == 2
    assert "The role closes plain HTTP (port 5985)" in said(lost)
    assert "Wanted: connection variables for HTTPS, port 5986" in said(lost)
    assert over(tmp_path, "bootstrap", [way(house, "plain")], wanted()).returncode == 4, (
        "it is down for plain HTTP, and nothing more is guessed"
    )
    healed = over(tmp_path, "site", [way(house, "ntlm")], wanted())
    assert healed.returncode == 0, said(healed)


def test_who_comes_over_ssh_keeps_the_door_while_it_is_narrowed(house: Farm, tmp_path: Path) -> None:
    rig.usable_way("ssh")
    key = (tmp_path / "farm" / ways.HOST_KEY).with_name("id.pub")
    keygen = ["ssh-keygen", "-y", "-f", str(tmp_path / "farm" / ways.CLIENT_KEY)]
    key.write_text(subprocess.run(keygen, capture_output=True, text=True, check=True, timeout=20).stdout, encoding="utf-8")
    variables = {"ssh_controllers": ["127.0.0.1"], "ssh_key": key.read_text(encoding="utf-8").strip()}
    assert over(tmp_path, "bootstrap", [way(house, "ssh")], variables).returncode == 4, "there is no OpenSSH yet"
    before = state(house)
    opened = over(tmp_path, "bootstrap", [way(house, "plain")], variables)
    assert opened.returncode == 0, said(opened)
    rules = house.hosts[0].world.system.rules
    rules["OpenSSH-Server-In-TCP"].enabled = True
    narrowed = over(tmp_path, "bootstrap", [way(house, "ssh")], variables)
    assert (narrowed.returncode, recap(narrowed)["changed"]) == (0, 1), said(narrowed)
    assert not rules["OpenSSH-Server-In-TCP"].enabled
    gone = over(tmp_path, "decommission", [way(house, "ssh")], variables)
    assert gone.returncode == 0, said(gone)
    assert "sim-01 answered, and then its answer was lost" in said(gone)
    assert differs(house, before) == set()


def test_a_way_that_is_gone_after_the_start_is_a_clear_end_and_the_next_run_takes_the_other(house: Farm, tmp_path: Path) -> None:
    """A person's rule let plain HTTP in, and a policy takes it away with the start: the way holds for one play, and the next run finds another."""
    world, variables = house.hosts[0].world, wanted(winrm_controllers=[])
    world.clock.sleep(600)  # it has been up for a while
    assert over(tmp_path, "bootstrap", [way(house, "plain")], wanted()).returncode == 2
    world.system.rules["WINRM-HTTP-In-TCP"].enabled = True
    listed = [way(house, "plain"), way(house, "ntlm", "https")]
    begun = world.power.start

    def start() -> None:
        world.system.rules["WINRM-HTTP-In-TCP"].enabled = False
        begun()

    world.power.start = start
    away = over(tmp_path, "site", listed, {**variables, "windows_reboot_timeout": 5})
    assert away.returncode == 2, said(away)
    assert re.search(r"sim-01 was told to start anew \(.*Wanted: that it answers within windows_reboot_timeout, 5 s", said(away))
    healed = over(tmp_path, "site", listed, variables)
    assert healed.returncode == 0, said(healed)
    assert "sim-01 is reached on the way https, since others did not lead in: plain (" in said(healed)
    again = over(tmp_path, "site", listed, variables)
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)
