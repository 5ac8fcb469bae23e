"""The table of LDPlayer's own settings: what is written is read back as the same value, and nothing is wider than what LDPlayer takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer.host_settings import HOST_SETTINGS


@given(st.sampled_from(sorted(HOST_SETTINGS)), st.integers(0, 1000))
def test_what_is_written_is_read_back(option: str, number: int) -> None:
    row = HOST_SETTINGS[option]
    value = bool(number % 2) if spec("global_settings")[option]["type"] == "bool" else number
    if row.codec.problem(value) is None:
        assert row.codec.parse(row.codec.edit(row.keys, value), row.keys) == value
        assert not row.differs(row.codec.edit(row.keys, value), value)


@pytest.mark.parametrize("option", sorted(HOST_SETTINGS))
def test_every_row_is_an_option_and_reads_nothing_from_an_odd_value(option: str) -> None:
    assert option in spec("global_settings")
    assert HOST_SETTINGS[option].codec.parse(dict.fromkeys(HOST_SETTINGS[option].keys, ("odd",)), HOST_SETTINGS[option].keys) is None
