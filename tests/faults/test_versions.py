"""Versions of LDPlayer: alone, side by side on one host, found wherever they are written down, and under the old name of their console."""

from __future__ import annotations

from pathlib import Path

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired, report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import NotInstalled
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE, Where
from ldfleet.sim.assembly import assemble
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.clock import Clock

FIVE, NINE, FOURTEEN = Spec.of("5.0.13.1"), Spec.of("9.0.79.2"), Spec.of("14.0.26.1")


class Meant(rig.Direct):
    """A transport to a host on which one LDPlayer is meant."""

    where: Where = ANYWHERE

    @property
    def install(self) -> Where:  # type: ignore[override]
        """What the task says."""
        return self.where


def _direct(world: World, where: Where = ANYWHERE) -> Meant:
    direct = Meant(world)
    direct.where = where
    return direct


def _host(folder: Path, *specs: Spec) -> World:
    return assemble(folder, "WS-01", specs[0], Clock(skip=True), beside=specs[1:])


def _apply(world: World, where: Where, *entries: dict[str, object]) -> Outcome:
    outcome = rig.apply(_direct(world, where), rig.wanted(list(entries)))
    assert not outcome.failures
    return outcome


@pytest.mark.parametrize(
    "spec", [FIVE, NINE, FOURTEEN, Spec.chinese("5.0.13.1"), Spec.chinese("14.0.26.1")], ids=lambda spec: spec.install_dir
)
def test_a_life_of_an_emulator_on_each_version(tmp_path: Path, spec: Spec) -> None:
    world = _host(tmp_path, spec)
    entry = {"name": "a", "cpu": 2, "fps": 30, "state": "running"}
    _apply(world, ANYWHERE, entry)
    assert rig.check(_direct(world), rig.wanted([entry])).plan.done
    _apply(world, ANYWHERE, {"name": "a", "cpu": 3})
    outcome = _apply(world, ANYWHERE, {"name": "a", "state": "absent"})
    assert len(world.titles()) == 1
    assert [(one.version, one.folder) for one in outcome.seen.installed] == [(spec.major, spec.install_dir)]


def test_the_newest_is_taken_and_the_others_are_told_and_left_alone(tmp_path: Path) -> None:
    world = _host(tmp_path, NINE, FOURTEEN, FIVE)
    nine, (fourteen, five) = world, world.beside
    outcome = _apply(world, ANYWHERE, {"name": "a"})
    assert (nine.titles(), fourteen.titles(), five.titles()) == (["LDPlayer"], ["LDPlayer", "a"], ["LDPlayer"])
    host = report.host(outcome.seen)
    assert [one["ldplayer_version"] for one in host["installed"]] == [14, 9, 5]
    (several,) = [condition for condition in host["conditions"] if condition["type"] == "SeveralInstalled"]
    assert several["message"].startswith(
        "C:\\LDPlayer\\LDPlayer14 was taken; there are also C:\\LDPlayer\\LDPlayer9, C:\\LDPlayer\\LDPlayer64"
    )


@pytest.mark.parametrize(("where", "wanted"), [(Where(version=5), 5), (Where(version=9), 9), (Where("C:\\ldplayer\\ldplayer9\\"), 9)])
def test_a_version_or_a_folder_says_which(tmp_path: Path, where: Where, wanted: int) -> None:
    world = _host(tmp_path, FOURTEEN, NINE, FIVE)
    _apply(world, where, {"name": "a", "state": "running"})
    assert {each.spec.major: each.titles() for each in (world, *world.beside)} == {
        number: ["LDPlayer", "a"] if number == wanted else ["LDPlayer"] for number in (14, 9, 5)
    }


def test_equal_titles_on_two_ldplayers_are_two_emulators(tmp_path: Path) -> None:
    world = _host(tmp_path, NINE, FOURTEEN)
    for version in (9, 14):
        _apply(world, Where(version=version), {"name": "a", "cpu": version // 4})
    _apply(world, Where(version=9), {"name": "a", "state": "absent"})
    assert (world.titles(), world.beside[0].titles()) == (["LDPlayer"], ["LDPlayer", "a"])
    assert rig.check(_direct(world, Where(version=14)), rig.wanted([{"name": "a", "cpu": 3}])).plan.done


def test_of_two_emulators_with_one_port_the_first_one_has_it(tmp_path: Path) -> None:
    world = _host(tmp_path, NINE, FOURTEEN)
    entry = {"name": "LDPlayer", "adb": "local", "state": "running"}
    _apply(world, Where(version=9), entry)
    outcome = rig.apply(_direct(world, Where(version=14)), desired.build([entry], starting=desired.Starting(timeout=30, remedies=0)))
    assert "GuestSilent" in str(outcome.failures[0])


def test_it_is_found_by_what_only_the_uninstaller_wrote(tmp_path: Path) -> None:
    world = _host(tmp_path, Spec(install_dir="C:\\Games\\LD"))
    for key, name, _value in list(world.registry.entries()):
        if name == "InstallDir":
            world.registry.remove(key)
    uninstall = "HKLM\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\LDPlayer9"
    for dropped in ("DisplayIcon", "UninstallString"):
        assert _apply(world, ANYWHERE).seen.install == "C:\\Games\\LD"
        world.registry.set(uninstall, dropped, "")
    with pytest.raises(NotInstalled):
        rig.check(_direct(world), rig.wanted([]))


def test_the_consoles_old_name_is_used_where_the_new_one_is_missing(tmp_path: Path) -> None:
    world = _host(tmp_path, NINE)
    console = f"{NINE.install_dir}\\ldconsole.exe"
    world.drive.local(console).unlink()
    del world.programs[console.lower()]
    _apply(world, ANYWHERE, {"name": "a", "cpu": 2, "state": "running"})
    assert world.commands() == []
    assert ("add", "--name", "a") in world.commands("dnconsole.exe")


def test_a_version_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled) as missing:
        rig.check(_direct(_host(tmp_path, NINE), Where(version=14)), rig.wanted([]))
    assert "LDPlayer was not found of version 14 in the registry and in the usual folders" in str(missing.value)
