"""What the role emulators promises, asked of the host over the connection that the inventory gives."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def declared(host: Any) -> dict[str, dict[str, Any]]:
    """The emulators that the inventory declares by name, each with its profile's settings."""
    told = host.ansible.get_variables()
    profiles = told.get("ldplayer_profiles", {})
    every = {one["name"]: {**profiles.get(one.get("profile"), {}), **one} for one in told["ldplayer_emulators"] if "count" not in one}
    return {name: one for name, one in every.items() if one.get("state") != "absent"}


@pytest.fixture(scope="module")
def there(host: Any) -> dict[str, dict[str, Any]]:
    """The emulators of the host, by name."""
    return {one["name"]: one for one in host.ansible("ldfleet.ldplayer.emulator_info")["emulators"]}


def test_they_are_there_with_their_settings_in_their_state(declared: dict[str, dict[str, Any]], there: dict[str, dict[str, Any]]) -> None:
    assert declared
    for name, wanted in declared.items():
        assert there[name]["owned"], name
        assert wanted.get("state", "present") in ("present", there[name]["state"]), name
        settings = {option: wanted[option] for option in ("cpu", "memory", "resolution") if option in wanted}
        assert {option: there[name]["settings"].get(option) for option in settings} == settings, name


def test_ldplayers_own_list_has_them(host: Any, declared: dict[str, dict[str, Any]]) -> None:
    folder = host.ansible("ldfleet.ldplayer.emulator_info")["host"]["install_dir"]
    rows = host.ansible("raw", rf"& '{folder}\ldconsole.exe' list2", check=False)["stdout_lines"]
    titles = [row.split(",")[1] for row in rows if row.count(",") > 1]
    assert set(declared) <= set(titles)
    assert len(titles) == len(set(titles))
