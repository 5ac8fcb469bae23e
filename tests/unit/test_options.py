"""Wrong words are named as the user wrote them, all at once, with the near word."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils import _action
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOptions
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.settings import SETTINGS


def _build(given: dict[str, Any]) -> desired.Desired:
    """As the action does it."""
    spec = _action.spec("emulators")
    checked = options.checked(spec, given, desired.TAKERS)
    defaults, profiles = desired.shared(checked["defaults"], checked["profiles"], spec["emulators"]["suboptions"])
    return desired.build(checked["emulators"], defaults, profiles, checked["purge"], checked["max_destroy"])


def _entry(**entry: Any) -> dict[str, Any]:
    return {"emulators": [{"name": "ok"}, {"name": "fine"}, {"name": "a", **entry}]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (_entry(memory=3000), "emulators[2].memory is 3000; LDPlayer takes one of 256, 512, 768, 1024, 1536, 2048, 4096, 8192"),
        (_entry(memroy=2048), "emulators[2].memroy is not an option; did you mean memory?"),
        (_entry(cpu="two"), "emulators[2].cpu is 'two'; a whole number is wanted"),
        (_entry(cpu=1.5), "emulators[2].cpu is 1.5; a whole number is wanted"),
        (_entry(root="maybe"), "emulators[2].root is 'maybe'; true or false is wanted"),
        (
            _entry(state="runing"),
            "emulators[2].state is 'runing'; it takes one of running, stopped, present, absent (did you mean running?)",
        ),
        (_entry(resolution="960*540"), "emulators[2].resolution is '960*540'; LDPlayer takes WIDTHxHEIGHT@DPI, such as 960x540@160"),
        (_entry(resolution="960x540@5"), "emulators[2].resolution is '960x540@5'"),
        (_entry(fps=0), "emulators[2].fps is 0; LDPlayer takes 1 to 240"),
        (_entry(imei="12"), "emulators[2].imei is '12'; LDPlayer takes 15 digits or auto"),
        (_entry(network_dns1="8.8.8.800"), "emulators[2].network_dns1 is '8.8.8.800'; LDPlayer takes an IPv4 address"),
        (_entry(name='say "hi"'), 'emulators[2].name is \'say "hi"\'; a title has no "'),
        (_entry(name="a\nb"), r"emulators[2].name is 'a\nb'; a title has no control characters"),
        (_entry(name="x" * 200), "a title has at most 64 characters (this one has 200)"),
        (_entry(name=" a"), "a title needs characters, and no blank at either end"),
        (_entry(name="ok"), "emulators[2].name is 'ok', as emulators[0].name is; give each emulator one entry"),
        (_entry(profile="gmae"), "emulators[2].profile is 'gmae', which no profile is called; profiles are not given"),
        (_entry(count=-1), "emulators[2].count is -1; 0 to 1000 is wanted"),
        (_entry(count=2, state="absent"), "emulators[2].state is 'absent' beside count; say count: 0 to remove them all"),
        (_entry(count=2, renamed_from="b"), "emulators[2].renamed_from cannot stand beside count"),
        (_entry(clone_from="a"), "emulators[2].clone_from is the emulator itself"),
        (_entry(renamed_from="ok"), "emulators[0].name is 'ok', which emulators[2].renamed_from renames"),
        ({"emulators": [{"cpu": 1}]}, "emulators[0].name is missing; it is required"),
        ({"emulators": ["farm"]}, "emulators[0] is 'farm'; a mapping of options is wanted"),
        ({"emulator": []}, "emulator is not an option; did you mean emulators?"),
        ({"emulators": [], "max_destroy": -1}, "max_destroy is -1; 0 or more is wanted"),
        ({"emulators": [], "defaults": {"cpus": 2}}, "defaults.cpus is not an option; did you mean cpu?"),
        ({"emulators": [], "profiles": {"game": {"memory": 3}}}, "profiles.game.memory is 3; LDPlayer takes one of 256"),
        ({"emulators": [], "profiles": {"game": {"name": "x"}}}, "profiles.game.name is not an option"),
    ],
)
def test_each_fault_is_named_by_its_path(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOptions) as caught:
        _build(given)
    assert message in str(caught.value)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(BadOptions) as caught:
        _build({"emulators": [{"name": "a", "cpu": 9}, {"name": "b", "memory": 1, "wrong": 1}]})
    assert len(caught.value.problems) == 3


def test_an_entry_wins_over_its_profile_and_that_over_the_defaults() -> None:
    wanted = _build(
        {
            "defaults": {"cpu": 1, "memory": 256, "fps": 20, "state": "stopped"},
            "profiles": {"game": {"memory": 512, "fps": 30, "state": "running"}},
            "emulators": [{"name": "a", "profile": "game", "fps": 60}, {"name": "b"}],
        }
    )
    assert [(e.state.value, dict(e.settings)) for e in wanted.emulators] == [
        ("running", {"cpu": 1, "memory": 512, "fps": 60}),
        ("stopped", {"cpu": 1, "memory": 256, "fps": 20}),
    ]


def test_bare_off_in_yaml_is_the_word_off() -> None:
    assert _build(_entry(adb=False)).emulators[2].settings == {"adb": "off"}


def test_a_count_stands_for_numbered_titles() -> None:
    assert [e.name for e in _build({"emulators": [{"name": "farm", "count": 3}]}).emulators] == ["farm-000", "farm-001", "farm-002"]


def test_one_wrong_word_in_a_count_is_said_once() -> None:
    with pytest.raises(BadOptions) as caught:
        _build({"emulators": [{"name": "farm", "count": 50, "fps": 0}]})
    assert len(caught.value.problems) == 1


def test_sidecar_and_table_name_the_same_settings() -> None:
    entry = set(_action.spec("emulators")["emulators"]["suboptions"])
    assert set(SETTINGS) == entry - {
        "name",
        "count",
        "members",
        "moving",
        "state",
        "profile",
        "clone_from",
        "renamed_from",
        "protect",
        "ready",
        "apps",
    }


def test_one_emulator_takes_what_a_host_takes_but_for_what_is_about_several() -> None:
    """An option that no action reads would be taken without a word."""
    assert set(_action.spec("emulators")) - set(_action.spec("emulator")) == {
        "emulators",
        "defaults",
        "profiles",
        "purge",
        "max_destroy",
        "restart",
    }


def test_no_two_rows_share_a_key_or_a_flag() -> None:
    keys = [key for row in SETTINGS.values() for key in row.keys]
    flags = [row.flag for row in SETTINGS.values() if row.flag]
    assert len(set(keys)) == len(keys)
    assert len(set(flags)) == len(flags)
