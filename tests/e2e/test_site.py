"""From a bare Windows to running emulators and back: the playbooks site and decommission, as a user runs them, on simulated hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sites import VERSION, differs, play, recap, state, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import PASSWORD, Farm
from ldfleet.sim.ldplayer.layout import Spec

EDITIONS = ("windows11", "server2022")


@pytest.fixture(params=EDITIONS)
def farm(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare(request.param)) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        yield made


def test_site_leads_to_running_emulators_a_second_run_changes_nothing_and_decommission_gives_back(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    before = state(farm)
    checked = play(farm, tmp_path, "install", wanted(), "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert differs(farm, before) == set()
    done = play(farm, tmp_path, "site", wanted())
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(world.titles()) == ["farm-000", "golden"]
    assert world.running(world.find("farm-000"))
    assert world.desktop is not None
    findings = rig.ansible(farm.inventory(), tmp_path, "host_info", {}).one()["findings"]
    # Nothing sets a simulated clock right.
    assert {row["id"] for row in findings if row["status"] != "False" and row["role"]} == {"ClockWrong"}
    again = play(farm, tmp_path, "site", wanted())
    assert (again.returncode, recap(again)["changed"]) == (0, 0), again.stdout + again.stderr
    assert PASSWORD not in done.stdout + again.stdout
    refused = play(farm, tmp_path, "decommission", wanted())
    assert "max_destroy is 0" in refused.stdout
    assert sorted(world.titles()) == ["farm-000", "golden"]
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2))
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert differs(farm, before) == set()


@pytest.mark.parametrize("core", rig.CORES)
@pytest.mark.parametrize("farm", EDITIONS[:1], indirect=True)
def test_every_ansible_core_that_is_supported_runs_site_and_decommission(farm: Farm, tmp_path: Path, core: str) -> None:
    before = state(farm)
    for changed in (True, False):
        done = play(farm, tmp_path, "site", wanted(), core=core)
        assert (done.returncode, recap(done)["changed"] > 0) == (0, changed), done.stdout + done.stderr
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2), core=core)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert differs(farm, before) == set()


@pytest.mark.parametrize("farm", EDITIONS[:1], indirect=True)
def test_decommission_takes_off_every_ldplayer_that_was_laid_whatever_is_declared_by_then(farm: Farm, tmp_path: Path) -> None:
    before, other = state(farm), "14.0.26.1"
    laid.share(tmp_path / "farm" / "shares", (VERSION, other))
    # Two of one version, of which only the mark leads to the second; and one whose programs somebody deleted since.
    every = [(VERSION, ""), (other, ""), (VERSION, "C:\\Second"), (VERSION, "C:\\Deleted")]
    installations = [
        {
            "version": int(version.partition(".")[0]),
            "source": rf"\\files\ldplayer\ldplayer-{version}.zip",
            "sha256": hashlib.sha256(laid.package(version)).hexdigest(),
            "install_dir": folder,
        }
        for version, folder in every
    ]
    done = play(farm, tmp_path, "site", wanted(ldplayer_installations=installations))
    assert done.returncode == 0, done.stdout + done.stderr
    for emulator in ({"name": "fourteen", "ldplayer_version": 14}, {"name": "second", "install_dir": "C:\\Second"}):
        assert rig.ansible(farm.inventory(), tmp_path, "emulator", emulator).code == 0
    drive = farm.hosts[0].world.drive
    drive.local("C:\\Deleted\\ldconsole.exe").unlink()
    guarded = play(farm, tmp_path, "decommission", wanted())
    assert (guarded.returncode, "max_destroy is 0" in guarded.stdout) == (2, True)
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2))
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert differs(farm, before) == set()
    assert [folder for folder in ("C:\\LDPlayer\\LDPlayer14", "C:\\Second", "C:\\Deleted") if drive.local(folder).exists()] == []


@pytest.mark.parametrize("farm", EDITIONS[:1], indirect=True)
def test_decommission_gives_the_data_directory_back_too(farm: Farm, tmp_path: Path) -> None:
    drive = farm.hosts[0].world.drive
    before = state(farm)
    done = play(farm, tmp_path, "site", wanted(ldplayer_data_dir="C:\\emulators"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(entry.name for entry in drive.local("C:\\emulators").iterdir()) == ["config", "leidian0", "leidian1"]
    excluded = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Paths"
    kept = [name for name, _ in farm.hosts[0].world.registry.values(excluded)]
    assert sorted(kept) == ["C:\\LDPlayer", "C:\\ProgramData\\ldfleet", "C:\\emulators"]
    again = play(farm, tmp_path, "site", wanted(ldplayer_data_dir="C:\\emulators"))
    assert (again.returncode, recap(again)["changed"]) == (0, 0), again.stdout + again.stderr
    drive.local("C:\\emulators\\notes.txt").write_text("mine")
    gone = play(farm, tmp_path, "decommission", wanted(ldplayer_data_dir="C:\\emulators", ldplayer_max_destroy=2))
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert differs(farm, before) == set()
    assert [entry.name for entry in drive.local("C:\\emulators").iterdir()] == ["notes.txt"]
