"""The fleet file: its schema says of each word what the plugin says, every key is documented, and every fleet that a page shows is taken."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

import pages
import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import sidecar, spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOptions

SCHEMA = json.loads((rig.ROOT / "schemas" / "fleet.schema.json").read_text(encoding="utf-8"))
FILE = spec("fleet", "inventory")
ENTRY = spec("emulators")["emulators"]["suboptions"]
PLUGIN = "ldfleet.ldplayer.fleet"
#: Options of an entry but for those that only the module takes.
OWN = {name: option for name, option in ENTRY.items() if name not in ("count", "members", "moving")}


def _by_schema(words: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(words)]


def _by_plugin(words: Mapping[str, Any]) -> list[str]:
    """As the inventory plugin asks, which has every name as text."""
    try:
        values = fleet.checked(words, FILE, ENTRY)
        if not fleet.templated(values):
            fleet.build(values)
    except BadOptions as bad:
        return [str(problem) for problem in bad.problems]
    return []


# ---- schema and plugin --------------------------------------------------------------------------------------------------------------

#: A file in which each option can be tried by itself: it has what the rules between options ask for.
_BASE: dict[str, Any] = {
    "plugin": PLUGIN,
    "defaults": {},
    "profiles": {"game": {}},
    "ways": [{"name": "main", "variables": {"ansible_connection": "psrp"}}],
    "hosts": {"ws-01": {"labels": {"rack": "a"}, "capacity": {}, "ways": [{"name": "main", "variables": {"ansible_port": 5986}}]}},
    "emulators": {"ws-01": [{"name": "golden", "profile": "game", "ready": {}, "apps": [{"package": "com.example.game"}]}]},
    "pools": {"farm": {"profile": "game", "replicas": 1, "move_folder": "C:\\moves", "update": {}}},
}

_VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 5, 100, 101, 240, 241, 1024, 3000, 3601, 10000, 10001, -1, 2.5,
    "", " ", "yes", "No", " on ", "maybe", "off", "0", "1", "2", "+2", "007", "9", "10", "3600", "3601", "1024", "3000", "-1", "2.5", "10000", "10001",
    "20%", "0%", "000%", "100%", "101%", "20 %", "%", "auto", "running", "runing", "local", "x", "a b", " a", "a" * 64, "a" * 65, 'say "hi"', "a\nb",
    "Überwachung", "com.example.game", "com", "960x540@160", "0960x540@160", "960x540@59", "7681x540@160", "960*540", "10.0.0.1", "10.0.0.256",
    "1" * 15, "1" * 16, "1" * 20, int("1" * 15), int("1" * 16), "+4912345", "abcdef012345", "0123456789abcdef", "f" * 64, "f" * 63,
    "{{ said }}", "farm-{{ said }}", "{% if said %}1{% endif %}", [], ["x"], [None], {}, {"x": 1},
]  # fmt: skip

#: What hangs on other words of the file, or on rules that no schema tells: the schema may take more than the plugin there, never less.
_LOOSE = re.compile(r"\.(profile|inherit|spread|source|shell|matches)$|^pools\.farm\.hosts$|\.ready$")


def _places() -> Iterator[tuple[str, list[Any]]]:
    """Each option of the file: its path for people, and the keys that lead to it."""

    def under(options: Mapping[str, Any], where: str, keys: list[Any]) -> Iterator[tuple[str, list[Any]]]:
        for name, option in options.items():
            yield f"{where}.{name}".removeprefix("."), [*keys, name]
            first = [0] if option["type"] == "list" else []
            yield from under(option.get("suboptions") or {}, f"{where}.{name}".removeprefix("."), [*keys, name, *first])

    named = {"hosts": "ws-01", "pools": "farm", "profiles": "game"}
    for section, name in named.items():
        yield from under(FILE[section]["suboptions"], f"{section}.{name}", [section, name])
    yield from under({name: FILE[name] for name in ("vars", "ways", "purge", "max_destroy")}, "", [])
    yield from under(OWN, "emulators.ws-01[0]", ["emulators", "ws-01", 0])
    shared = {name: {**option, "suboptions": None} for name, option in OWN.items() if name not in desired.ENTRYS_OWN}
    yield from under(shared, "profiles.game", ["profiles", "game"])
    yield from under(shared, "defaults", ["defaults"])


PLACES = dict(_places())


def _with(keys: list[Any], value: object) -> dict[str, Any]:
    words = copy.deepcopy(_BASE)
    place: Any = words
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return words


@pytest.mark.parametrize("path", PLACES)
def test_schema_and_plugin_agree_on_every_option(path: str) -> None:
    for value in _VALUES:
        if path.endswith(("vars", ".inherit")) and isinstance(value, str) and fleet.templated(value):
            continue  # worked in before anything is filled in: see the cases below
        words = _with(PLACES[path], value)
        by_schema, by_plugin = _by_schema(words), _by_plugin(words)
        if _LOOSE.search(path):
            assert by_plugin or not by_schema, f"{path}: {value!r}\n{by_schema}"
        else:
            assert bool(by_schema) == bool(by_plugin), f"{path}: {value!r}\nschema: {by_schema}\nplugin: {by_plugin}"


def _files() -> list[tuple[str, dict[str, Any], bool]]:
    cases = yaml.safe_load((rig.ROOT / "tests" / "cases" / "schema" / "invented.yml").read_text(encoding="utf-8"))
    return [(case["name"], {"plugin": PLUGIN, **case["file"]}, verdict == "good") for verdict in ("good", "bad") for case in cases[verdict]]


@pytest.mark.parametrize(("words", "good"), [pytest.param(*rest, id=name) for name, *rest in _files()])
def test_schema_and_plugin_agree_on_whole_files(words: dict[str, Any], good: bool) -> None:
    assert (not _by_schema(words), not _by_plugin(words)) == (good, good)


def test_what_ansible_alone_can_read_passes() -> None:
    """Sections are read before anything is filled in; a vaulted value is text to an editor, whose tag it is told of."""
    for section in ("vars", "ways", "defaults", "profiles", "hosts", "emulators", "pools"):
        assert _by_schema({"plugin": PLUGIN, section: "{{ said }}"})
    assert _by_schema({"plugin": PLUGIN, "emulators": {"ws-01": ["{{ said }}"]}})
    assert _by_schema({"plugin": PLUGIN, "profiles": {"game": {"inherit": "{{ said }}"}}})
    vaulted = "$ANSIBLE_VAULT;1.1;AES256\n3230303030\n"
    assert not _by_schema(_with(["emulators", "ws-01", 0, "phone_number"], vaulted))
    assert not _by_schema(_with(["emulators", "ws-01", 0, "cpu"], vaulted))


def test_the_file_says_which_plugin_it_is_for() -> None:
    for words in ({}, {"plugin": "ansible.builtin.yaml"}, {"plugin": "{{ said }}"}, {"plugin": None}, [], None):
        assert _by_schema(words)


def test_the_schema_is_one_and_tells_every_option_in_plain_words() -> None:
    Draft7Validator.check_schema(SCHEMA)
    options = [found for found in _parts(SCHEMA) if "type" in found or "anyOf" in found or "enum" in found]
    told = [found["description"] for found in options if "description" in found]
    assert len(told) > len(OWN)
    assert [text for text in told if not text or re.search(r"\b[A-Z]{1,2}\(", text)] == []
    for name in [*FILE, *OWN]:
        assert SCHEMA["properties"].get(name, SCHEMA["definitions"].get(name, {})).get("description"), name
    for pattern in [found["pattern"] for found in _parts(SCHEMA) if isinstance(found.get("pattern"), str)]:
        re.compile(pattern)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from _parts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _parts(part)


# ---- documentation ------------------------------------------------------------------------------------------------------------------


def test_every_key_is_documented() -> None:
    def names(options: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for name, option in options.items():
            yield prefix + name
            below = f"{prefix}{name}{'.NAME' if not prefix and name in ('hosts', 'pools', 'profiles') else ''}"
            yield from names(option.get("suboptions") or {}, f"{below}{'[]' if option['type'] == 'list' else ''}.")

    page = (rig.ROOT / "docs" / "fleet-file.md").read_text(encoding="utf-8")
    keys = [*names(FILE, ""), *names(OWN, "")]
    assert [key for key in keys if f"| `{key}` |" not in page] == []


def _fleets() -> list[tuple[str, str]]:
    """Every fleet file that is shown or shipped: whose it is, and its text. One that leaves out ``plugin`` shows a part."""
    found = [("fleet.yml", sidecar("fleet", "inventory")["EXAMPLES"])]
    for block in pages.every("yaml"):
        if pages.is_fleet(yaml.safe_load(block.text)):
            found.append((pages.name(block.page), block.text))
    for file in sorted((rig.ROOT / "inventories").rglob("*fleet.y*ml")):
        found.append((str(file.relative_to(rig.ROOT)), file.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("text", [pytest.param(text, id=f"{number}-{whose}") for number, (whose, text) in enumerate(_fleets())])
def test_fleets_that_are_shown_are_taken(text: str, tmp_path: Path) -> None:
    words = yaml.safe_load(text)
    if "plugin" not in words:
        text = f"plugin: {PLUGIN}\n{text}"
    assert _by_schema({"plugin": PLUGIN, **words}) == []
    (tmp_path / "fleet.yml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [str(rig.BIN / "ansible-inventory"), "-i", str(tmp_path / "fleet.yml"), "--list"],
        cwd=rig.ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "ANSIBLE_INVENTORY_ENABLED": PLUGIN, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(words.get("hosts") or {}) <= set(json.loads(done.stdout)["_meta"]["hostvars"])
