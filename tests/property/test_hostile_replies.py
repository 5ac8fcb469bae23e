"""Hosts are hostile: whatever stands in a reply, it ends in an error that says so, never in a traceback, and never in a step that nobody wanted."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError

_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
_JUNK = [None, "", "x", -1, 2**70, 1.5, True, [], {}, [None], {"name": None}, "\u0000", "🙂" * 50]


class Garbled(rig.Direct):
    """A host that says what it likes from its ``first`` answer on: ``slips`` values of each reply are replaced or left out."""

    seed = 0
    slips = 1
    first = 1

    def run(self, script: str, payload: bytes) -> str:
        said = super().run(script, payload)
        if self.runs < self.first:
            return said
        head, _, rest = said.partition("#{")
        body, _, tail = ("{" + rest).rpartition("#ldfleet-end")
        document = json.loads(body)
        dice = random.Random(self.seed * 1000 + self.runs)
        for _ in range(self.slips):
            _slip(document, dice)
        return f"{head}#{json.dumps(document)}#ldfleet-end{tail}"


def _slip(document: Any, dice: random.Random) -> None:
    places = list(_places(document))
    if places:
        holder, key = dice.choice(places)
        if isinstance(holder, dict) and dice.random() < 0.5:
            del holder[key]
        else:
            holder[key] = dice.choice(_JUNK)


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_a_garbled_reply_is_an_error_that_says_so(seed: int, slips: int, first: int) -> None:
    with tempfile.TemporaryDirectory(dir=_FAST) as folder:
        world = rig.world(Path(folder))
        world.add("hers")
        goal = rig.wanted([{"name": "a", "cpu": 2, "adb": "local", "state": "running"}, {"name": "hers-not", "state": "absent"}])
        direct = Garbled(world)
        direct.seed, direct.slips, direct.first = seed, slips, first
        with contextlib.suppress(FleetError):
            rig.check(direct, goal)
        with contextlib.suppress(FleetError):
            rig.apply(direct, goal)
        assert "hers" in world.titles()
        assert "LDPlayer" in world.titles()
