"""Check mode of the roles, which tells what a run would change and changes nothing; and site with a tag, which does that part and no other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sites import VERSION, differs, play, recap, said, state, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec

KEY = {
    "ssh_controllers": ["127.0.0.1"],
    "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZsZWV0ZmxlZXRmbGVldGZsZWV0ZmxlZXRmbGVldGZs fleet",
}
#: What only a run can know: there are no settings of an LDPlayer that is not there yet.
LATER = {"ldplayer": {"ldfleet.ldplayer.ldplayer : Keep it from looking for updates"}}


@pytest.fixture(params=["windows11", "server2022"])
def farm(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare(request.param)) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


def tasks(done: subprocess.CompletedProcess[str], how: str = "changed") -> set[str]:
    """Names of the tasks of which a host said this."""
    found = re.findall(r"^TASK \[(.*?)\] \*+\n(.*?)(?=^(?:TASK|PLAY)|\Z)", done.stdout, re.MULTILINE | re.DOTALL)
    return {name for name, rest in found if re.search(rf"^{how}: \[sim-01\]", rest, re.MULTILINE)}


def everything(**more: Any) -> dict[str, Any]:
    return wanted(**KEY, ldplayer_max_destroy=2, **more)


def test_check_mode_tells_role_by_role_what_a_run_changes(farm: Farm, tmp_path: Path) -> None:
    for tag in ("winrm", "ssh", "windows", "ldplayer", "emulators"):
        before = state(farm)
        titles = farm.hosts[0].world.titles()
        checked = play(farm, tmp_path, "site", everything(), "--check", "--diff", "--tags", tag)
        assert checked.returncode == 0, said(checked)
        assert ("sim-01 has no LDPlayer yet: what its emulators need is told once one is laid" in said(checked)) == (tag == "ldplayer")
        assert (differs(farm, before), farm.hosts[0].world.titles()) == (set(), titles), tag
        done = play(farm, tmp_path, "site", everything(), "--tags", tag)
        assert done.returncode == 0, said(done)
        assert tasks(done) - tasks(checked) == LATER.get(tag, set())
        assert tasks(checked) - tasks(done) == set()
        assert tasks(done), tag
        others = {name for name in tasks(done) if not name.startswith(f"ldfleet.ldplayer.{tag} : ")}
        assert others == ({"Keep the emulators as declared"} if tag == "emulators" else set())
    assert farm.hosts[0].world.running(farm.hosts[0].world.find("farm-000"))
    again = play(farm, tmp_path, "site", everything(), "--check")
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)
    before = state(farm)
    leaving = play(farm, tmp_path, "decommission", everything(), "--check")
    assert leaving.returncode == 0, said(leaving)
    assert "what goes with LDPlayer itself is told once its emulators are gone" in said(leaving)
    assert differs(farm, before) == set()
    assert sorted(farm.hosts[0].world.titles()) == ["farm-000", "golden"]


def test_check_mode_of_all_of_it_says_what_waits_until_ldplayer_is_there(farm: Farm, tmp_path: Path) -> None:
    before = state(farm)
    checked = play(farm, tmp_path, "site", everything(), "--check")
    assert checked.returncode == 0, said(checked)
    assert "in check mode Administrator is not logged on: what LDPlayer needs is not told" in said(checked)
    assert differs(farm, before) == set()


def test_some_hosts_at_a_time_and_no_further_where_none_came_through(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", hosts=3, spec=Spec.bare("windows11")) as farm:
        variables = wanted(windows_autologon_password="wrong", windows_reboot_timeout=30)
        done = play(farm, tmp_path, "install", variables, "--tags", "windows", "-e", "ldplayer_at_once=1")
        assert done.returncode == 2, said(done)
        assert [host.world.power.starts for host in farm.hosts] == [1, 0, 0]
