"""The scenarios in extensions/molecule, as somebody types them: each role on a simulated host of its own, and on hosts that an inventory names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

import rig
from ldfleet.sim.ldplayer.layout import Spec

SCENARIOS = sorted(file.parent.name for file in (rig.ROOT / "extensions" / "molecule").glob("*/molecule.yml"))


def molecule(folder: Path, *words: str, inventory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One command of molecule, in the checkout; all that it keeps lies in ``folder``."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_", "LDFLEET_"))}
    environment = {
        **own,
        "PATH": os.pathsep.join([str(rig.BIN), own.get("PATH", "")]),
        "NO_COLOR": "1",
        "ANSIBLE_HOME": str(folder / "home"),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder / "molecule"),
        **({"LDFLEET_MOLECULE_INVENTORY": str(inventory)} if inventory is not None else {}),
    }
    return subprocess.run(
        [str(rig.BIN / "molecule"), *words], cwd=rig.ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def test_every_role_has_a_scenario() -> None:
    assert sorted(folder.name for folder in (rig.ROOT / "roles").iterdir()) == SCENARIOS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_role_converges_twice_heals_what_somebody_meddled_with_and_is_verified(tmp_path: Path, scenario: str) -> None:
    done = molecule(tmp_path, "test", "--scenario-name", scenario)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((tmp_path / "molecule").glob("*.pid"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["psrp", "ssh"])
def test_a_scenario_runs_on_hosts_of_an_inventory_and_neither_starts_nor_ends_any(tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11"), ssh=way == "ssh") as farm:
        inventory = farm.inventory(way)
        inventory["ldplayer"]["vars"] |= {"winrm_controllers": ["127.0.0.1", "10.0.0.0/28"], "winrm_port": 5987}
        (tmp_path / "mine.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        done = molecule(tmp_path, "test", "--scenario-name", "winrm", inventory=tmp_path / "mine.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        assert farm.hosts[0].world.system.listeners["HTTPS"].port == 5987
    assert not (tmp_path / "molecule" / "hosts").exists()


def test_an_inventory_without_hosts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(yaml.safe_dump({"others": {"hosts": {"ws-01": {}}}}), encoding="utf-8")
    done = molecule(tmp_path, "create", "--scenario-name", "winrm", inventory=tmp_path / "mine.yml")
    assert done.returncode != 0
    assert "has no host in the group ldplayer" in done.stdout + done.stderr


def test_destroy_ends_no_process_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "molecule").mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (tmp_path / "molecule" / "simulated.pid").write_text(f"{stranger.pid}\n", encoding="ascii")
        done = molecule(tmp_path, "destroy", "--scenario-name", "winrm")
        alive = stranger.poll() is None
        stranger.kill()
    assert (done.returncode, alive) == (0, True), done.stdout + done.stderr
