"""What the product has is found in the documentation, the modules' examples run, and what they return is what they say they return."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.settings import SETTINGS
from ldfleet.cli import app
from ldfleet.sim.console import ldconsole
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.quirks import AILMENTS, Quirks
from ldfleet.sim.modules import table
from ldfleet.sim.programs import admin, commands, files, power
from ldfleet.sim.wire import faults

MODULES = [path.stem for path in sorted((rig.ROOT / "plugins" / "modules").glob("*.yml"))]
PLAYBOOKS = sorted((rig.ROOT / "playbooks").glob("*.yml"))


def _sidecar(module: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((rig.ROOT / "plugins" / "modules" / f"{module}.yml").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A host with what the examples speak of: a golden image and its backup, an emulator of a person's, and one that runs and lets adb in."""
    with rig.farm(tmp_path_factory.mktemp("farm")) as made:
        world = made.hosts[0].world
        world.add(None)
        world.add("golden")
        assert world.titles() == ["LDPlayer", "LDPlayer-1", "golden"]
        world.add("game-000")
        world.edit(world.find("game-000"), {"basicSettings.adbDebug": 1})
        world.launch(world.find("game-000"))
        world.settle()
        assert rig.ansible(made.inventory(), tmp_path_factory.mktemp("own"), "emulator", {"name": "golden"}).code == 0
        (files := world.drive.local("C:\\files")).mkdir()
        (files / "level.dat").write_bytes(b"level")
        backup = {"name": "golden", "folder": "C:\\backups"}
        assert rig.ansible(made.inventory(), tmp_path_factory.mktemp("backup"), "emulator_backup", backup).code == 0
        yield made


# ---- everything is named ------------------------------------------------------------------------------------------------------------


def _missing(page: str, words: Iterable[str]) -> list[str]:
    text = (rig.ROOT / page).read_text(encoding="utf-8")
    return [word for word in words if f"`{word}`" not in text]


def test_modules_and_their_options_are_documented() -> None:
    def names(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
        for name, option in options.items():
            yield prefix + name
            yield from names(option.get("suboptions") or {}, f"{prefix}{name}{'[]' if option['type'] == 'list' else ''}.")

    for module in MODULES:
        section = (rig.ROOT / "docs" / "modules.md").read_text(encoding="utf-8").partition(f"## ldfleet.ldplayer.{module}\n")[2]
        section = section.partition("\n## ")[0]
        assert [name for name in names(_sidecar(module)["DOCUMENTATION"]["options"]) if f"| `{name}` |" not in section] == []


def test_settings_are_documented() -> None:
    assert _missing("docs/settings.md", SETTINGS) == []
    assert _missing("docs/settings.md", (key for setting in SETTINGS.values() for key in setting.keys)) == []


def test_playbooks_and_their_variables_are_documented() -> None:
    assert _missing("docs/playbooks.md", (f"ldfleet.ldplayer.{playbook.stem}" for playbook in PLAYBOOKS)) == []
    pages = [rig.ROOT / "docs" / "playbooks.md", *(rig.ROOT / "roles").glob("*/README.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert {word for word in _variables() if f"| `{word}` |" not in text} == set()


def _variables() -> set[str]:
    """What playbooks and their tasks take, without what one of them registers or counts for another."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in (rig.ROOT / "playbooks").rglob("*.yml"))
    return set(re.findall(r"ldplayer_\w+", text)) - set(re.findall(r"(?:register|loop_var): (\w+)", text))


def test_verbs_and_options_of_the_program_are_documented() -> None:
    group = typer.main.get_command(app)
    page = (rig.ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    verbs = dict(_verbs(group))
    assert [verb for verb in verbs if f"`ldfleet {verb}`" not in page] == []
    assert [option for parameter in group.params for option in parameter.opts if option not in page] == []
    for verb, command in verbs.items():
        named = [word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts) if word.startswith("-")]
        missing = _missing(_PAGES.get(verb, "docs/cli.md"), named)
        assert [word for word in missing if word.startswith("--") or verb not in _PAGES] == [], verb


def _verbs(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Those of the program and of its groups (``hosts add``)."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


#: Where the (long) options of a verb stand, if not with the others.
_PAGES = {"conformance": "docs/conformance.md", "sim": "docs/simulator.md"}


def test_what_the_simulator_plays_is_documented() -> None:
    page = "docs/simulator.md"
    assert _missing(page, (field.name for field in dataclasses.fields(Quirks))) == []
    assert _missing(page, AILMENTS) == []
    assert _missing(page, get_args(faults.Kind)) == []
    assert _missing(page, ldconsole._COMMANDS) == []
    assert _missing(page, commands._OWN) == []
    assert _missing(page, table.DOUBLES) == []
    for room in (admin, files, power):
        assert _missing(page, (path.rsplit("\\", 1)[1].removesuffix(".exe") for path in room.PROGRAMS)) == []


def test_the_rooms_of_the_readme_are_those_that_exist() -> None:
    rooms = (rig.ROOT / "README.md").read_text(encoding="utf-8").partition("## The rooms\n")[2].partition("\n## ")[0]
    named = {word for row in rooms.splitlines()[2:] for word in row.split("|")[1].replace("`", " ").split()} if rooms else set()
    assert named
    assert {room for room in named if not (rig.ROOT / room).exists()} == set()
    folders = [*(rig.ROOT / "plugins").iterdir(), *(rig.ROOT / "plugins" / "plugin_utils").iterdir()]
    there = {str(path.relative_to(rig.ROOT)) for path in folders if path.is_dir() and not path.name.startswith("__")}
    assert {room for room in there if not any(word.startswith(f"{room}/") for word in named)} == set()


# ---- examples and results -----------------------------------------------------------------------------------------------------------


def test_examples_of_every_module_and_filter_run_in_check_mode(farm: Farm, tmp_path: Path) -> None:
    """Against one host; some examples speak of results that are registered before them. The inventory's example is tried in test_fleet_file."""
    tasks: list[dict[str, Any]] = [
        {"ldfleet.ldplayer.emulator_info": {}, "register": "ldplayer_status"},
        {"ldfleet.ldplayer.host_info": {}, "register": "ldplayer_host"},
        {"ldfleet.ldplayer.conformance": {}, "register": "ldplayer_conformance", "check_mode": False},
        {"ldfleet.ldplayer.emulators": {"emulators": [{"name": "golden"}]}, "register": "ldplayer_converged"},
        {"ldfleet.ldplayer.emulators": {"emulators": [{"name": "lab", "members": True}]}, "register": "ldplayer_look"},
        {"ldfleet.ldplayer.select_connection": {}, "register": "ldplayer_way_in"},
    ]
    for sidecar in sorted((rig.ROOT / "plugins").glob("*/*.yml")):
        if sidecar.stem == "conformance" or sidecar.parent.name == "inventory":
            continue  # conformance is tried above: it has no check mode, and its result is what the filter's example speaks of
        examples = yaml.safe_load(yaml.safe_load(sidecar.read_text(encoding="utf-8"))["EXAMPLES"])
        assert examples, sidecar
        tasks += examples
    fleet = {"plugin": "ldfleet.ldplayer.fleet", "hosts": {farm.hosts[0].name.lower(): {}}, "pools": {"lab": {"replicas": 1}}}
    play = [
        {
            "name": "Examples",
            "hosts": "all",
            "gather_facts": False,
            "vars": {"ldplayer_fleet": fleet, "ldplayer_ways": [{"name": "own"}]},
            "vars_files": [str(rig.ROOT / "roles" / "windows" / folder / "main.yml") for folder in ("defaults", "vars")],
            "tasks": tasks,
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    (tmp_path / "inventory.yml").write_text(farm.inventory_text(), encoding="utf-8")
    before = farm.hosts[0].world.titles()
    done = subprocess.run(
        [str(rig.BIN / "ansible-playbook"), "-i", str(tmp_path / "inventory.yml"), "--check", str(tmp_path / "play.yml")],
        cwd=rig.ROOT, capture_output=True, text=True, check=False, timeout=100, env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nTASK [") == len(tasks)
    assert farm.hosts[0].world.titles() == before


def _undocumented(found: Any, documented: Mapping[str, Any], where: str) -> list[str]:
    """Keys of a result that its documentation does not have. Where it goes no deeper, neither does this."""
    items = found if isinstance(found, list) else [found]
    paths = []
    for item in items:
        for key, value in item.items():
            if key not in documented:
                paths.append(f"{where}{key}")
            elif "contains" in documented[key]:
                paths += _undocumented(value, documented[key]["contains"], f"{where}{key}.")
    return paths


#: Ansible's own keys of a result.
_ANSIBLES = {"changed", "diff", "failed", "msg", "exception", "warnings", "_ansible_no_log", "invocation", "unreachable"}

_RESULTS: list[tuple[str, dict[str, Any]]] = [
    ("emulators", {"emulators": [{"name": "clone", "clone_from": "golden", "cpu": 2}, {"name": "golden", "state": "stopped"}]}),
    ("emulators", {"emulators": [{"name": "clone", "protect": True, "state": "absent"}]}),
    ("emulators", {"emulators": [{"name": "LDPlayer", "memory": 3000}, {"name": "LDPlayer", "cpu": 9}]}),
    ("emulators", {"emulators": [{"name": "new", "clone_from": "nobody"}]}),
    ("emulator", {"name": "golden", "adb": "local"}),
    ("emulator_info", {}),
    ("emulator_info", {"install_dir": "C:\\nowhere"}),
    ("connection_test", {"samples": 1}),
    ("select_connection", {}),
    ("emulator_app", {"name": "game-000", "package": "com.example.game", "state": "absent"}),
    ("emulator_app", {"name": "golden", "package": "com.example.game"}),
    ("emulator_app", {"name": "game-000", "package": "com.example.game", "state": "started", "source": "C:\\nothing.apk"}),
    ("emulator_shell", {"name": "game-000", "cmd": "getprop ro.build.version.release"}),
    ("emulator_shell", {"name": "game-000", "cmd": "screencap -p", "fail_on_error": False}),
    ("emulator_shell", {"name": "game-000", "cmd": "id", "creates": "/sdcard"}),
    ("emulator_shell", {"name": "golden", "cmd": "id"}),
    ("global_settings", {"fps": 20}),
    ("global_settings", {"updates": False}),
    ("emulator_backup", {"name": "golden", "folder": "C:\\backups"}),
    ("emulator_backup", {"name": "nobody", "folder": "C:\\backups"}),
    ("emulator_control", {"name": "game-000", "action": "key", "key": "home"}),
    ("emulator_file", {"name": "game-000", "action": "screenshot", "host_path": "C:\\files\\a.png"}),
    ("emulator_file", {"name": "golden", "action": "screenshot", "host_path": "C:\\files\\a.png"}),
    ("emulator_control", {"name": "golden", "action": "shake"}),
]


@pytest.mark.parametrize(("module", "arguments"), _RESULTS, ids=range(len(_RESULTS)))
def test_what_is_returned_is_documented(farm: Farm, tmp_path: Path, module: str, arguments: dict[str, Any]) -> None:
    result = rig.ansible(farm.inventory(), tmp_path, module, arguments).one()
    found = {key: value for key, value in result.items() if key not in _ANSIBLES and not key.startswith("_ansible")}
    assert _undocumented(found, _sidecar(module)["RETURN"], "") == []
    always = {name for name, value in _sidecar(module)["RETURN"].items() if value["returned"] == "always"}
    assert always <= set(found)


def test_wrong_options_are_returned_one_by_one(farm: Farm, tmp_path: Path) -> None:
    entries = [{"name": "LDPlayer", "memory": 3000}, {"name": "scout", "cpu": 9}]
    errors = rig.ansible(farm.inventory(), tmp_path, "emulators", {"emulators": entries}).one()["errors"]
    assert [(error["code"], error["about"]) for error in errors] == [
        ("BadOption", "emulators[0].memory"),
        ("BadOption", "emulators[1].cpu"),
    ]


def test_only_what_was_compared_is_in_sync(farm: Farm, tmp_path: Path) -> None:
    """Of an emulator that nothing was declared for, also of one that is owned, nobody can say that it is as declared."""

    def synced(module: str, arguments: dict[str, Any]) -> dict[str, str]:
        emulators = rig.ansible(farm.inventory(), tmp_path, module, arguments).one()["emulators"]
        return {e["name"]: condition["reason"] for e in emulators for condition in e["conditions"] if condition["type"] == "Synced"}

    assert synced("emulator", {"name": "golden"})["golden"] == "InSync"
    assert synced("emulator_info", {})["golden"] == "NotCompared"
    wanted = {"LDPlayer": "NotManaged", "golden": "NotCompared", "other": "InSync"}
    assert wanted.items() <= synced("emulator", {"name": "other"}).items()
    assert rig.ansible(farm.inventory(), tmp_path, "emulator", {"name": "other", "state": "absent"}).code == 0


def test_all_modules_say_alike_what_they_return_alike() -> None:
    returns = {module: _sidecar(module)["RETURN"] for module in MODULES}
    for key in ("emulators", "host", "errors", "digest", "round_trips"):
        keys = [set(found[key].get("contains", ())) for found in returns.values() if key in found]
        assert all(found == keys[0] for found in keys), key
