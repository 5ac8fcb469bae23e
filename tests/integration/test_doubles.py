"""Ansible's own modules for Windows against a simulated host, sent as they are sent to Windows: over each way in, with each ansible-core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec

BARE = Spec.bare("windows11")


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=BARE) as made:
        yield made


def run(farm: Farm, folder: Path, module: str, arguments: dict[str, Any], *options: str, way: str = "ntlm", **more: Any) -> dict[str, Any]:
    play = rig.ansible(farm.inventory(way), folder, module, arguments, *options, **more)
    assert play.results, play.output
    return play.one()


# ---- how they travel --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("core", [None, *rig.CORES])
@pytest.mark.parametrize("way", ["ntlm", "psrp", "ssh"])
def test_a_module_travels_over_each_way_with_each_core(tmp_path: Path, way: str, core: str | None) -> None:
    rig.usable_way(way)
    with rig.farm(tmp_path / "farm", spec=BARE, ssh=way == "ssh") as farm:
        found = run(farm, tmp_path, "ansible.windows.win_ping", {"data": "ö"}, way=way, core=core)
        assert (found["ping"], found["changed"]) == ("ö", False)
        refused = run(farm, tmp_path, "ansible.windows.win_package", {"path": "x", "state": "present"}, way=way, core=core)
        assert refused["failed"] is True
        assert "simulated host: the module ansible.windows.win_package is not played" in refused["msg"]


def test_become_and_async_are_refused(farm: Farm, tmp_path: Path) -> None:
    for words in ({"become": True, "become_method": "runas", "become_user": "SYSTEM"}, {"async": 10, "poll": 1}):
        found = run(farm, tmp_path, "ansible.windows.win_ping", {}, task=words)
        assert "is not played" in str(found), found


# ---- what they do -----------------------------------------------------------------------------------------------------------------------

CASES = yaml.safe_load((rig.ROOT / "tests" / "cases" / "doubles-invented.yml").read_text(encoding="utf-8"))


def steps(farm: Farm, folder: Path, steps: Sequence[Mapping[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """What each of these tasks returned, in one play."""
    tasks = [
        {
            **step["do"],
            "register": f"step_{number}",
            "ignore_errors": True,
            "check_mode": step.get("check", False),
            "diff": step.get("diff", False),
        }
        for number, step in enumerate(steps)
    ]
    told = {f"step_{number}": f"{{{{ step_{number} }}}}" for number in range(len(steps))}
    play = rig.tasks(farm.inventory(), folder, [*tasks, {"ansible.builtin.set_fact": told}], **more)
    assert play.results, play.output
    assert "planted" not in play.output
    facts = play.one()["ansible_facts"]
    return [facts[name] for name in told]


def differs(wanted: Any, found: Any, at: str = "") -> list[str]:
    """Where a result is not what a case says: what the case does not name does not matter, and a text that begins with ~ need only be in it."""
    if isinstance(wanted, str) and wanted.startswith("~"):
        return [] if wanted[1:] in str(found) else [f"{at} is {found!r}, {wanted!r} is wanted"]
    if isinstance(wanted, dict) and isinstance(found, dict) and wanted:
        return [line for name, value in wanted.items() for line in differs(value, found.get(name), f"{at}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for number, value in enumerate(wanted) for line in differs(value, found[number], f"{at}[{number}]")]
    return [] if wanted == found else [f"{at} is {found!r}, {wanted!r} is wanted"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_double_gives_what_the_module_gives(tmp_path: Path, case: Mapping[str, Any]) -> None:
    with rig.farm(tmp_path / "farm", spec=Spec.bare(case.get("edition", "windows11"))) as farm:
        found = steps(farm, tmp_path, case["steps"])
        wrong = [
            f"{number}: {step['do']}: {line}"
            for number, (step, result) in enumerate(zip(case["steps"], found, strict=True))
            for line in differs({"failed": False, **step["gives"]}, {"failed": False, **result})
        ]
        assert wrong == []
        kept = farm.hosts[0].world.system
    assert not any(b"planted" in file.read_bytes() for file in (tmp_path / "farm").rglob("*") if file.is_file())
    with rig.farm(tmp_path / "farm", spec=Spec.bare(case.get("edition", "windows11"))) as again:
        assert again.hosts[0].world.system == kept


# ---- who may come -----------------------------------------------------------------------------------------------------------------------


def test_an_account_that_was_made_can_connect_as_long_as_it_may(farm: Farm, tmp_path: Path) -> None:
    """While this simulator runs: administrators that are not disabled, with the password of now, by NTLM and by SPNEGO."""

    def answers(password: str) -> list[str]:
        found = []
        for way in ("ntlm", "psrp"):
            inventory = farm.inventory(way)
            inventory["ldplayer"]["vars"].update(ansible_user="ops", ansible_password=password)
            result = rig.ansible(inventory, tmp_path, "ansible.windows.win_ping", {}).one()
            found.append("unreachable" if result.get("unreachable") else result["ping"])
        return found

    assert answers("planted-one") == ["unreachable"] * 2
    run(farm, tmp_path, "ansible.windows.win_user", {"name": "ops", "password": "planted-one"})
    assert answers("planted-one") == ["unreachable"] * 2, "no administrator"
    run(farm, tmp_path, "ansible.windows.win_user", {"name": "ops", "groups": ["Administrators"], "groups_action": "add"})
    assert answers("planted-one") == ["pong"] * 2
    run(farm, tmp_path, "ansible.windows.win_user", {"name": "ops", "password": "planted-two"})
    assert [answers(password) for password in ("planted-one", "planted-two")] == [["unreachable"] * 2, ["pong"] * 2]
    run(farm, tmp_path, "ansible.windows.win_user", {"name": "ops", "account_disabled": True})
    assert answers("planted-two") == ["unreachable"] * 2
