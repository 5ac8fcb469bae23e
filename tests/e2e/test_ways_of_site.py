"""The playbooks site and decommission over every way in, and over a way that ends while they run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sites import VERSION, differs, play, recap, state, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.layout import Spec


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11"), https=True, ssh=True) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


@pytest.mark.parametrize("way", ["ntlm", "certificate", "psrp", "ssh"])
def test_site_over_every_way_and_back(farm: Farm, tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    world = farm.hosts[0].world
    before = state(farm)
    done = play(farm, tmp_path, "site", wanted(), way=way)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(world.titles()) == ["farm-000", "golden"]
    assert world.running(world.find("farm-000"))
    again = play(farm, tmp_path, "site", wanted(), way=way)
    assert (again.returncode, recap(again)["changed"]) == (0, 0), again.stdout + again.stderr
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2), way=way)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert differs(farm, before) == set()
