"""The acts on a running emulator: what each says to LDPlayer, what it refuses, and that a word of LDPlayer is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import control
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import NotConverged, Refused
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.install import ANYWHERE
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World


@pytest.fixture(params=["9.0.79.2", "14.0.26.1"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    made = rig.world(tmp_path, Spec(version=request.param))
    made.add("scout")
    made.edit(made.find("scout"), {"advancedSettings.resolution": {"width": 960, "height": 540}})
    made.launch(made.find("scout"))
    made.settle()
    return made


def _do(world: World, **given: Any) -> dict[str, Any]:
    checked = options.checked(spec("emulator_control"), {"name": "scout", **given})
    return rig.talk(rig.Direct(world), control.talk({**checked, "where": ANYWHERE}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"action": "key", "key": "home"}, ("action", "--index", "1", "--key", "call.keyboard", "--value", "home")),
        ({"action": "network", "network": "offline"}, ("action", "--index", "1", "--key", "call.network", "--value", "offline")),
        ({"action": "shake"}, ("action", "--index", "1", "--key", "call.shake", "--value", "null")),
        ({"action": "locate", "latitude": 52.5, "longitude": -13}, ("locate", "--index", "1", "--LLI", "-13.000000,52.500000")),
        ({"action": "locate", "latitude": 0.00001, "longitude": 0}, ("locate", "--index", "1", "--LLI", "0.000000,0.000010")),
        ({"action": "cpu_rate", "rate": 50}, ("downcpu", "--index", "1", "--rate", "50")),
        ({"action": "sort_windows", "name": None}, ("sortWnd",)),
    ],
)
def test_what_ldplayer_is_told(world: World, given: dict[str, Any], words: tuple[str, ...]) -> None:
    assert _do(world, **given)["changed"]
    assert [said for said in world.commands() if said[0] == words[0]] == [words]


def test_reboot_keeps_the_config_on_every_version(world: World) -> None:
    before = world.config(1)
    _do(world, action="reboot")
    world.settle()
    assert world.config(1) == before
    assert world.phase(world.find("scout"))[0] == 1


def test_what_does_not_run_or_is_not_there_is_refused(world: World) -> None:
    world.add("sleeper")
    for name, says in (("sleeper", "'sleeper' is stopped, and key is for one that runs"), ("nobody", "it has no emulator called 'nobody'")):
        with pytest.raises(Refused) as refused:
            _do(world, name=name, action="key", key="home")
        assert says in str(refused.value)


def test_without_a_desktop_it_is_refused(world: World) -> None:
    world.desktop = None
    with pytest.raises(Refused) as refused:
        _do(world, action="shake")
    assert "nobody is logged on" in str(refused.value)


@pytest.mark.parametrize("quirk", [{"hang_commands": {"action"}}, {"action_complains_times": 1}])
def test_a_word_of_ldplayer_is_a_failure(world: World, quirk: dict[str, Any]) -> None:
    for name, value in quirk.items():
        setattr(world.quirks, name, value)
    with pytest.raises(NotConverged) as failed:
        _do(world, action="shake")
    assert "shake did not take: act said" in str(failed.value)
    world.quirks.hang_commands = set()
    assert _do(world, action="shake")["changed"]
