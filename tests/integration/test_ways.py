"""The product over each way in: what it does is the same, what it costs is known, and what goes wrong there is told in words that help."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fleets
import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.wire.faults import WireFault

GAME = {"cpu": 2, "memory": 2048, "fps": 30}
WAYS = ["ntlm", "certificate", "psrp", "ssh"]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", https=True, ssh=True) as made:
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_emulators_check_do_again_undo(farm: Farm, tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    entries = [{"name": "golden", "state": "stopped", **GAME}, {"name": "farm", "count": 2, "clone_from": "golden", "state": "running"}]
    undo = {"emulators": [], "purge": True, "max_destroy": 3}
    plays = rig.four_steps(farm, tmp_path, "emulators", {"emulators": entries}, undo, way)
    assert [play.one()["round_trips"] for play in plays] == [1, 4, 1, 2]


@pytest.mark.parametrize("way", ["psrp", "certificate"])
def test_without_tls_too_where_there_is_one_to_be_had(tmp_path: Path, way: str) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        if way == "certificate":
            with pytest.raises(ValueError, match="needs listeners with HTTPS"):
                farm.inventory(way)
            return
        assert rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout"}).one()["changed"]


#: For three batches: PowerShells that the way starts, its commands, HTTP requests at the most, connections.
COSTS = {"ntlm": (3, 3, 16, 1), "certificate": (3, 3, 14, 1), "psrp": (1, 3, 16, 1), "ssh": (6, 3, 0, 1)}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_way_costs(farm: Farm, tmp_path: Path, way: str) -> None:
    """A PowerShell a batch over WinRM, one a task over PSRP, two a batch over SSH, whose default shell is one already."""
    rig.usable_way(way)
    done = rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout", **GAME})
    assert (done.one()["changed"], done.one()["round_trips"], farm.hosts[0].counters.batches) == (True, 3, 3), done.output
    starts, commands, requests, connections = COSTS[way]
    counted = farm.endpoints[0].wire.counters
    assert (farm.hosts[0].counters.powershell_starts, counted.commands, counted.connections) == (starts, commands, connections)
    assert counted.requests <= requests
    assert farm.endpoints[0].shells.open_shells == 0


@pytest.mark.parametrize("core", ["2.16", "2.17", "2.18"])
@pytest.mark.parametrize("way", ["psrp", "ssh"])
def test_every_supported_core(farm: Farm, tmp_path: Path, way: str, core: str) -> None:
    rig.usable_way(way)
    if core not in rig.CORES:
        pytest.skip(f"ansible-core {core} is not laid out (make setup does it)")
    done = rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout", **GAME}, core=core)
    assert (done.code, done.one()["changed"], done.one()["round_trips"]) == (0, True, 3), done.output
    assert farm.hosts[0].counters.powershell_starts == COSTS[way][0]


def test_a_long_answer_and_a_long_batch(farm: Farm, tmp_path: Path) -> None:
    """More than an envelope over PSRP, more than a window of SSH's flow control."""
    entries = [{"name": f"emulator-with-a-long-name-{number:03d}", **GAME} for number in range(60)]
    for way in ("psrp", "ssh"):
        rig.usable_way(way)
        done = rig.ansible(farm.inventory(way), tmp_path, "emulators", {"emulators": entries, "time_slice": 600})
        assert done.one()["changed"] == (way == "psrp"), done.output
        assert len(done.one()["emulators"]) == 61


# ---- a fleet whose hosts use different ways -----------------------------------------------------------------------------------------


def test_a_fleet_of_hosts_with_different_ways(tmp_path: Path) -> None:
    rig.usable_way("ssh")
    with fleets.site(tmp_path, hosts=4, replicas=8, takes=("ntlm", "psrp", "ssh", "certificate"), https=True, ssh=True) as site:
        site.pool(state="running")
        done = site.agreed()
        assert done.code == 0
        assert len(site.replicas()) == 8
        assert all(site.titles().values())
        site.unplug(3)
        site.pool(replicas=8, state="stopped")
        part = site.apply()
        assert part.code == 4
        assert all("sim-03" in str(fault) for fault in part.faults), part.faults
        assert not [replica for replica in site.replicas() if replica.upper() not in site.titles()["sim-03"]]
        site.plug_in(3)
        site.agreed()
        assert site.replicas() == []


# ---- what goes wrong on the wire ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "lost_reply", "truncate"])
@pytest.mark.parametrize(("way", "at"), [("psrp", "Command"), ("psrp", "Send"), ("psrp", "Receive"), ("ssh", "Command")])
def test_an_answer_that_is_lost_is_fetched_again_and_add_is_never_done_twice(
    farm: Farm, tmp_path: Path, way: str, at: str, kind: Any
) -> None:
    rig.usable_way(way)
    # After the look: in the batch that creates. A session of PSRP begins with a Receive of its own.
    farm.endpoints[0].wire.inject(WireFault(at, kind, after=2 if at == "Receive" else 1))
    play = rig.ansible(farm.inventory(way), tmp_path, "emulator", {"name": "scout", **GAME})
    assert (play.code, play.one()["round_trips"]) == (0, 4), play.output
    assert [words for words in farm.hosts[0].world.commands() if words[0] == "add"] == [("add", "--name", "scout")]
    assert farm.endpoints[0].shells.open_shells <= 1  # where the reset could not be said, either


#: What is wrong, and what is told: what happened, what to do, and how often the host was asked.
WRONG: dict[str, tuple[str, dict[str, Any], str, str, int]] = {
    "the password of psrp": ("psrp", {"ansible_password": "wrong"}, "Failed to authenticate the user", "ansible_psrp_auth", 1),
    "the password of winrm": ("ntlm", {"ansible_password": "wrong"}, "credentials were rejected", "ansible_winrm_transport", 1),
    "psrp trusts nobody": ("psrp", {"ansible_psrp_ca_cert": None}, "certificate verify failed", "ansible_psrp_ca_cert", 1),
    "the certificate is not there": (
        "certificate",
        {"ansible_winrm_cert_pem": "/nonexistent"},
        "cert_pem file not found",
        "ansible_winrm_cert_key_pem",
        1,
    ),
    "a user whom ssh does not know": ("ssh", {"ansible_user": "nobody"}, "Permission denied", "ansible_ssh_private_key_file", 1),
    "a host whom ssh does not know": (
        "ssh",
        {"ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null"},
        "Host key verification failed",
        "known_hosts",
        1,
    ),
    "nobody at the port of ssh": ("ssh", {"ansible_port": 1}, "Connection refused", "the service sshd runs", 4),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_the_words_of_the_way(farm: Farm, tmp_path: Path, wrong: str) -> None:
    way, changes, problem, advice, tries = WRONG[wrong]
    rig.usable_way(way)
    inventory = copy.deepcopy(farm.inventory(way))
    (host,) = inventory["ldplayer"]["hosts"].values()
    host.update(inventory["ldplayer"]["vars"] | host | changes)
    inventory["ldplayer"]["vars"] = {}
    failed = rig.ansible(inventory, tmp_path, "emulator_info", {}).one()
    assert failed["unreachable"]
    assert problem in failed["msg"]
    assert failed["msg"].count(problem) == 1
    assert advice in failed["msg"]
    assert failed["round_trips"] == tries
