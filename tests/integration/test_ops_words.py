"""Wrong words for the modules beside `emulators`: each is named, before anything is sent. The cases are data (tests/cases/bad-input)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import rig

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "bad-input" / "invented-ops-words.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", sorted({case["module"] for case in CASES}))
def test_wrong_words_are_named_before_anything_is_sent(tmp_path: Path, module: str) -> None:
    cases = [case for case in CASES if case["module"] == module]
    with rig.farm(tmp_path / "farm") as farm:
        inventory = farm.inventory()
        group = inventory["ldplayer"]
        (connection,) = group["hosts"].values()
        group["hosts"] = {f"case-{number:02d}": {**connection, "case": case["arguments"]} for number, case in enumerate(cases)}
        play = rig.ansible(inventory, tmp_path, module, "{{ case }}")
        assert farm.endpoints[0].wire.counters.requests == 0
    assert "Traceback" not in play.output
    for number, case in enumerate(cases):
        message = play.results[f"case-{number:02d}"].get("msg", "")
        for part in case["says"]:
            assert part in message, case["why"]
