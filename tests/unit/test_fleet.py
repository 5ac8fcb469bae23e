"""The fleet file: its words, by cases, and what the inventory plugin makes of it through `ansible-inventory`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import build
import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet.fleet import Share
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOptions

CASES = Path(__file__).parents[1] / "cases" / "fleet"


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
    return found


def _names(cases: list[dict[str, Any]]) -> list[str]:
    return [case["why"] for case in cases]


WRONG, ODD, SHARES = _cases("invented-wrong-words.yml"), _cases("invented-odd-but-right.yml"), _cases("invented-shares.yml")


@pytest.mark.parametrize("case", WRONG, ids=_names(WRONG))
def test_every_wrong_word_is_named_by_its_path(case: dict[str, Any]) -> None:
    with pytest.raises(BadOptions) as caught:
        build.fleet(case["fleet"])
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(case["says"]), told
    for text, wanted in zip(told, case["says"], strict=True):
        assert text == wanted or (wanted.endswith("…") and text.startswith(wanted[:-1])), told


@pytest.mark.parametrize("case", ODD, ids=_names(ODD))
def test_what_is_odd_but_right_is_taken_as_it_is_meant(case: dict[str, Any]) -> None:
    found = build.fleet(case["fleet"])
    for pool, entry in case.get("entries", {}).items():
        assert found.pools[pool].entry == entry
    for pool, hosts in case.get("takes", {}).items():
        assert [name for name, host in found.hosts.items() if found.pools[pool].takes(host)] == hosts
    for pool, wants in case.get("wants", {}).items():
        assert list(found.pools[pool].wants) == wants
    for profile, options in case.get("profiles", {}).items():
        assert found.profiles[profile] == options
    for host, entries in case.get("pinned", {}).items():
        assert list(found.pinned[host]) == entries


@pytest.mark.parametrize("case", SHARES, ids=[str(case["text"]) for case in SHARES])
def test_a_share_is_a_number_or_a_percentage_rounded_down(case: dict[str, Any]) -> None:
    share = Share.of(case["text"])
    assert (share is None) == (case["among"] is None)
    for total, number in (case["among"] or {}).items():
        assert share is not None
        assert share.among(total) == number


def test_a_template_passes_in_a_file_and_is_judged_once_it_is_filled_in() -> None:
    words = {"hosts": {"ws-01": {"drain": "{{ d }}"}}, "pools": {"farm": {"replicas": "{{ n }}", "state": "{{ s }}"}}}
    assert fleet.templated(fleet.checked(build.words(words), *build.SPECS))
    with pytest.raises(BadOptions, match=r"pools\.farm\.replicas is '{{ n }}'; a whole number is wanted"):
        build.fleet(words)  # what a play hands on is filled in: such a word is just text


def test_a_replica_has_one_title_and_a_title_one_number() -> None:
    pool = build.fleet({"hosts": {"ws-01": {}}, "pools": {"farm": {"replicas": 1200}}}).pools["farm"]
    assert [pool.number(title) for title in pool.titles()] == list(range(1200))
    for other in ("farm", "farm-", "farm-1", "farm-01", "farm-0001", "farm-00x", "farm-٠٠١", "farms-001", "farm-001-001", "Farm-001"):
        assert pool.number(other) is None, other


def test_the_fingerprint_is_that_of_the_value() -> None:
    assert fleet.fingerprint({"a": 1, "b": [1, 2]}) == fleet.fingerprint({"b": [1, 2], "a": 1})
    assert fleet.fingerprint({"a": 1}) != fleet.fingerprint({"a": "1"})


def _inventory(folder: Path, files: dict[str, str], *options: str) -> tuple[dict[str, Any], str]:
    """What `ansible-inventory --list` makes of fleet files, all read by one process."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [part for name in files for part in ("-i", str(folder / name))]
    done = _ansible(folder, "inventory", *sources, "--list", *options)
    return _bare(json.loads(done.stdout)) if done.returncode == 0 else {}, done.stderr


def _ansible(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(rig.ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": rig.COLLECTIONS,
        "ANSIBLE_INVENTORY_ENABLED": "ldfleet.ldplayer.fleet",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false",
        "ANSIBLE_NOCOLOR": "1",
        "COLUMNS": "10000",
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible", *words],
        cwd=rig.ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def _bare(value: Any) -> Any:
    """Values without Ansible's marks for text that is no template."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {name: _bare(item) for name, item in value.items()}
    return [_bare(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the big fleet of the cases lies, and the password of its vault."""
    made = tmp_path_factory.mktemp("inventory")
    (made / "password").write_text("open sesame", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def listed(folder: Path) -> dict[str, Any]:
    """The big fleet of the cases."""
    vaulted = _ansible(folder, "vault", "encrypt_string", "--vault-password-file", str(folder / "password"), "s3cret").stdout
    indented = vaulted.strip().replace("\n", "\n      ")
    text = (CASES / "invented-whole.fleet.yml").read_text(encoding="utf-8").replace(": VAULTED", f": {indented}")
    found, errors = _inventory(folder, {"fleet.yml": text}, "--vault-password-file", str(folder / "password"))
    assert found["_meta"]["hostvars"], errors
    return found


def test_the_inventory_has_a_group_for_all_for_each_label_and_for_each_pool(listed: dict[str, Any]) -> None:
    groups = {name: group["hosts"] for name, group in listed.items() if "hosts" in group}
    assert groups == {
        "ldplayer": ["ws-01", "ws-02", "103"],
        "ldplayer_lost": ["ws-09"],
        "rack_a": ["ws-01"],
        "rack_b": ["ws-02", "ws-09"],
        "gpu_true": ["ws-01"],
        "floor_7": ["ws-02"],
        "pool_farm": ["ws-01", "ws-02"],
        "pool_test-lab": ["ws-01", "ws-02", "103"],
    }


def test_a_vaulted_value_stays_one_until_it_is_used(listed: dict[str, Any], folder: Path) -> None:
    assert "s3cret" not in json.dumps(listed)
    asked = (
        "-i",
        str(folder / "fleet.yml"),
        "--vault-password-file",
        str(folder / "password"),
        "-m",
        "debug",
        "-a",
        "var=ansible_password",
    )
    assert "s3cret" in _ansible(folder, "adhoc", "ws-01", *asked).stdout


def test_variables_of_hosts_are_theirs_and_stay_out_of_the_fleet_since_there_are_secrets_among_them(listed: dict[str, Any]) -> None:
    variables = listed["_meta"]["hostvars"]
    assert variables["ws-01"]["ansible_host"] == "10.0.0.11"
    assert variables["ws-02"]["ansible_user"] == "ldfleet"
    assert "drain" not in variables["ws-02"]
    told = variables["ws-02"]["ldplayer_fleet"]
    assert told["hosts"] == {
        "ws-01": {"capacity": {"emulators": 20}, "labels": {"rack": "a", "gpu": True}},
        "ws-02": {"drain": True, "labels": {"rack": "b", "floor": 7}},
        "103": {},
        "ws-09": {"lost": True, "labels": {"rack": "b"}},
    }
    assert "password" not in json.dumps(told)


def test_templates_and_defaults_reach_what_they_are_for(listed: dict[str, Any]) -> None:
    variables = listed["_meta"]["hostvars"]["ws-01"]
    told = variables["ldplayer_fleet"]
    assert told["pools"]["farm"]["replicas"] == "{{ farm_size }}"
    assert variables["ldplayer_profiles"] == told["profiles"]
    assert told["profiles"]["game"] == {"fps": 30, "adb": "local", "cpu": 2, "memory": 2048}
    assert variables["ldplayer_emulators"] == [{"name": "golden", "profile": "game", "state": "stopped"}, {"name": "free", "fps": 30}]
    assert "ldplayer_defaults" not in variables  # a task would give them to replicas that keep what they have
    assert variables["ldplayer_members"] == [
        {"name": "farm", "members": True, "profile": "game", "state": "running"},
        {"name": "test-lab", "members": True, "fps": 30, "state": "stopped"},
    ]


def test_each_fault_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    cases = _cases("invented-lines.yml")
    files = {f"case-{number:02d}.fleet.yml": case["text"] for number, case in enumerate(cases)}
    _found, errors = _inventory(tmp_path, files)
    assert "Traceback" not in errors
    flat = " ".join(errors.split())
    for number, case in enumerate(cases):
        path = tmp_path / f"case-{number:02d}.fleet.yml"
        for line, text in case["faults"]:
            assert f"{path}:{line}: {text}" in flat, f"{case['why']}: {errors}"
        count = len(case["faults"])
        assert f"{path} has {count} fault{'s'[: count > 1]}" in flat
