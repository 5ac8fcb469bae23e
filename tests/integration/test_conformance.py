"""The conformance kit against the simulated host: every fact holds there, a host that differs is told, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rig
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World

SPECS = {
    "9": Spec(),
    "14": Spec(version="14.0.26.1", install_dir="C:\\LDPlayer\\LDPlayer14"),
    "9-chinese": Spec.chinese(),
}


def _run(farm: Any, folder: Path) -> dict[str, Any]:
    play = rig.ansible(farm.inventory("basic"), folder, "conformance", {})
    assert play.code == 0, play.output
    return play.one()


def _verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {finding["fact"]: finding["verdict"] for finding in result["findings"]}


def _clean(world: World, before: list[str]) -> bool:
    return world.titles() == before and all(instance.launched is None for instance in world.instances.values())


@pytest.mark.parametrize("kind", SPECS)
def test_every_fact_holds_on_the_simulated_host_and_nothing_is_left(tmp_path: Path, kind: str) -> None:
    with rig.farm(tmp_path / "farm", spec=SPECS[kind]) as farm:
        before = farm.hosts[0].world.titles()
        result = _run(farm, tmp_path)
        assert [finding for finding in result["findings"] if finding["verdict"] != "held"] == []
        assert result["summary"]["held"] >= 30
        assert _clean(farm.hosts[0].world, before)


@pytest.mark.parametrize(
    ("quirk", "value", "fact"),
    [
        ("list2_blind_between_sessions", True, "quit.session0"),
        ("output_encoding", "utf-8", "list2.encoding"),
        ("copy_background_seconds", 60.0, "copy.blocks"),
        ("modify_ignored_times", 99, "modify.keys"),
        ("remove_recreates_times", 1, "remove.stays"),
        ("launch_ignored_times", 99, "start.states"),
    ],
)
def test_a_host_that_differs_is_told_with_evidence(tmp_path: Path, quirk: str, value: Any, fact: str) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        world = farm.hosts[0].world
        before = world.titles()
        setattr(world.quirks, quirk, value)
        result = _run(farm, tmp_path)
        assert _verdicts(result)[fact] == "differs", result["findings"]
        setattr(world.quirks, quirk, type(value)())
        assert [title for title in world.titles() if title.startswith("ldfleet-")] == []
        assert before[0] in world.titles()


def test_a_data_directory_elsewhere_is_told(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        registry = farm.hosts[0].world.registry
        key = next(key for key, name, _ in registry.entries() if name == "DataDir")
        registry.set(key, "DataDir", "D:\\emulators\\")
        assert _verdicts(_run(farm, tmp_path))["installed.data"] == "differs"


def test_emulators_behind_a_junction_are_asked_for_too(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        drive = farm.hosts[0].world.drive
        vms = drive.local("C:\\LDPlayer\\LDPlayer9\\vms")
        vms.rename(drive.local("C:\\emulators"))
        drive.join(vms, drive.local("C:\\emulators"))
        result = _run(farm, tmp_path)
        assert [finding for finding in result["findings"] if finding["verdict"] != "held"] == []
        told = {finding["fact"]: finding["found"] for finding in result["findings"]}
        assert told["installed.disks"] == "vms is a link to another: 1 lie there, 1 are told"
        drive.local("C:\\emulators\\leidian7").mkdir()
        assert _verdicts(_run(farm, tmp_path))["installed.disks"] == "differs"


def test_add_that_does_nothing_ends_the_examination(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        farm.hosts[0].world.quirks.add_does_nothing_times = 99
        result = _run(farm, tmp_path)
    assert _verdicts(result)["add.works"] == "differs"
    assert "modify.keys" not in _verdicts(result)


def test_with_nobody_logged_on_what_needs_the_desktop_is_left_out(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        farm.hosts[0].world.log_off()
        assert _verdicts(_run(farm, tmp_path))["start"] == "unknown"


def test_what_a_broken_off_examination_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        farm.hosts[0].world.add("ldfleet-conformance-abc123")
        _run(farm, tmp_path)
        assert farm.hosts[0].world.titles() == ["LDPlayer"]


def test_the_report_names_nobody(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", prefix="secret-host-", spec=Spec(desktop_user="jane-doe")) as farm:
        world = farm.hosts[0].world
        world.add("my private title")
        identity = [
            str(value) for key, value in (world.config(1) or {}).items() if key.startswith("propertySettings.phone") and len(str(value)) > 9
        ]
        (tmp_path / "sim.yml").write_text(farm.inventory_text(), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "ldfleet", "conformance", "-i", str(tmp_path / "sim.yml"), "--out", str(tmp_path / "reports")],
            capture_output=True, text=True, check=False, timeout=170,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "secret-host-01: " in done.stdout
        report = (tmp_path / "reports" / "secret-host-01.md").read_text()
    assert "0 differ" in report
    for secret in ("secret-host", "jane-doe", "my private title", *identity):
        assert secret not in report
