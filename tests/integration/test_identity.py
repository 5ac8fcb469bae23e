"""Who is who on a host, through real ansible-playbook: clones get an identity of their own, and equal ones are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rig
from ldfleet.sim.farm import Farm


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm") as made:
        made.hosts[0].world.quirks.copy_keeps_identity = True
        yield made


ENTRIES = {"emulators": [{"name": "golden", "state": "stopped"}, {"name": "farm", "count": 2, "clone_from": "golden"}]}


def test_clones_that_ldplayer_made_alike_become_different_in_the_same_run(farm: Farm, tmp_path: Path) -> None:
    planned = rig.ansible(farm.inventory(), tmp_path, "emulators", ENTRIES, "--check").one()
    done = rig.ansible(farm.inventory(), tmp_path, "emulators", ENTRIES).one()
    assert done["actions"] == planned["actions"]
    for option in ("imei", "imsi", "sim_serial", "android_id", "mac"):
        assert len({emulator["settings"][option] for emulator in done["emulators"]}) == 4, option
    again = rig.ansible(farm.inventory(), tmp_path, "emulators", ENTRIES).one()
    assert (again["changed"], again["round_trips"]) == (False, 1)


def test_a_clone_that_keeps_its_sources_identity_in_spite_of_it_is_a_failure_and_is_told(farm: Farm, tmp_path: Path) -> None:
    rig.ansible(farm.inventory(), tmp_path, "emulator", {"name": "golden"})
    farm.hosts[0].world.quirks.modify_ignored_times = 99
    failed = rig.ansible(farm.inventory(), tmp_path, "emulator", {"name": "twin", "clone_from": "golden"}).one()
    assert failed["failed"]
    assert "configure was carried out and did not take" in failed["msg"]
    told = rig.ansible(farm.inventory(), tmp_path, "emulator_info", {"names": ["twin"]}).one()
    (twin,) = told["emulators"]
    (condition,) = [c for c in twin["conditions"] if c["type"] == "UniqueIdentity"]
    assert (condition["status"], condition["reason"]) == ("False", "SharedIdentity")
    assert condition["message"] == "has the same imei, imsi, sim_serial, android_id, mac as 'golden'"
