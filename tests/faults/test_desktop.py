"""Sessions as Windows has them: what a remote shell starts dies with it, its quit reaches nobody, and only the task of the user who is logged on helps."""

from __future__ import annotations

from pathlib import Path

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import Host
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World

RUNNING = [{"name": "a", "state": "running", "adb": "local"}]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return rig.world(tmp_path)


def _reasons(outcome: rig.Outcome) -> list[str]:
    return [hold.reason for hold in outcome.plan.holds]


def test_a_converge_starts_emulators_on_the_desktop_and_they_outlive_the_shell(world: World) -> None:
    assert not rig.apply(rig.Direct(world), rig.wanted(RUNNING)).failures
    instance = world.find("a")
    assert (instance.session, instance.user, instance.job) == (1, "player", 0)


def test_a_launch_from_a_remote_shell_dies_with_it(tmp_path: Path) -> None:
    with rig.farm(tmp_path) as farm:
        import winrm

        session = winrm.Session(
            f"http://127.0.0.1:{farm.endpoints[0].http_port}/wsman", auth=("Administrator", "ldfleet-sim"), transport="basic"
        )
        assert session.run_cmd(r"C:\LDPlayer\LDPlayer9\ldconsole.exe launch --index 0").status_code == 0
        world = farm.hosts[0].world
        assert world.find("LDPlayer").launched is None
        assert world.find("LDPlayer").killed


def test_quit_from_another_session_does_nothing_and_never_is_what_the_user_said(world: World) -> None:
    world.launch(world.find("LDPlayer"))
    world.settle()
    goal = rig.wanted([{"name": "LDPlayer", "state": "stopped"}], desktop_needed=False, starting=rig.desired.Starting(remedies=0))
    outcome = rig.apply(rig.Direct(world, desktop="never"), goal)
    assert "StopHangs" in str(outcome.failures[0])
    assert world.find("LDPlayer").launched is not None


def test_with_nobody_logged_on_everything_that_needs_no_desktop_is_done(world: World) -> None:
    world.log_off()
    goal = rig.wanted([{"name": "a", "state": "running", "cpu": 2}, {"name": "b", "cpu": 4}])
    outcome = rig.apply(rig.Direct(world), goal)
    assert _reasons(outcome) == ["NoInteractiveSession"]
    assert "nobody is logged on at WS-01, so 'a' cannot be started" in str(outcome.failures[0])
    assert world.titles() == ["LDPlayer", "a", "b"]
    assert ("launch", "--index", "1") not in world.commands()
    again = rig.check(rig.Direct(world), goal)
    assert ([*again.plan.steps], _reasons(again)) == ([], ["NoInteractiveSession"])


def test_require_refuses_when_nobody_is_logged_on(world: World) -> None:
    world.log_off()
    with pytest.raises(Host, match="nobody is logged on"):
        rig.check(rig.Direct(world, desktop="require"), rig.wanted(RUNNING))


def test_the_users_own_registry_is_found_from_the_desktop(tmp_path: Path) -> None:
    """LDPlayer's keys lie in the hive of the desktop's user, under a folder that no default names."""
    world = rig.world(tmp_path, Spec(install_dir="C:\\Games\\Emulators\\LD"))
    assert not rig.apply(rig.Direct(world), rig.wanted([{"name": "a"}])).failures


def test_an_account_without_rights_is_told_so(world: World) -> None:
    with pytest.raises(Host, match="could not be handed to the desktop: schtasks /Create said: ERROR: Access is denied"):
        rig.check(rig.Direct(world, user="guest"), rig.wanted(RUNNING))


def test_only_administrators_the_system_and_that_user_may_open_what_is_ours(world: World) -> None:
    rig.check(rig.Direct(world), rig.wanted(RUNNING))
    assert world.rights == {"c:\\programdata\\ldfleet": frozenset({"*S-1-5-32-544", "*S-1-5-18", f"*{world.sid('player')}"})}
