"""The house keeps its walls: who may import whom, where check mode is asked, and that every file opens with its law."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ldfleet.sim.ldplayer.quirks import Quirks

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = ROOT / "src" / "ldfleet"
FILES = sorted([*PLUGINS.rglob("*.py"), *PACKAGE.rglob("*.py")])


def _imports(path: Path) -> Iterator[str]:
    """Every absolute module that a file imports, and relative ones as ``.name``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


DECIDING = PLUGINS / "plugin_utils" / "_fleet"


@pytest.mark.parametrize("path", sorted(DECIDING.rglob("*.py")), ids=_name)
def test_what_decides_imports_the_standard_library_and_its_own_rooms_only(path: Path) -> None:
    for name in _imports(path):
        assert name.startswith(".") or name.split(".")[0] in sys.stdlib_module_names, name
        assert name.split(".")[0] not in {"socket", "subprocess", "time", "random", "os", "pathlib", "threading", "secrets"}, name


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=_name)
def test_the_collection_never_imports_the_package(path: Path) -> None:
    assert not [name for name in _imports(path) if name.split(".")[0] == "ldfleet"]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=_name)
def test_the_package_never_imports_the_collection(path: Path) -> None:
    names = list(_imports(path))
    assert not [name for name in names if name.startswith("ansible_collections") or "plugins" in name.split(".")]
    if path.name != "runs.py":
        assert not [name for name in names if name.split(".")[0] in {"ansible_runner", "ansible"}]


def test_no_file_of_the_package_imports_what_imports_it_not_even_for_types() -> None:
    graph = {path: set(_beside(path)) for path in PACKAGE.rglob("*.py")}
    assert sum(map(len, graph.values())) > len(graph)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


def _beside(path: Path) -> Iterator[Path]:
    """Every file of the package that a file imports by a relative name, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            room = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [room.with_suffix(".py"), *(room / f"{alias.name}.py" for alias in node.names)]
            yield from (name for name in names if name.is_file())


SIM = PACKAGE / "sim"
#: Houses whose rooms are floors, with each of their rooms.
ROOMS = [(house, path.parent) for house in (SIM, DECIDING) for path in sorted(house.glob("*/__init__.py"))]


def _room(path: Path, house: Path) -> str:
    """The room that a file lives in; a file at the top of its house is a room of its own."""
    return path.relative_to(house).with_suffix("").parts[0]


def _rooms_imported(paths: Iterable[Path], house: Path) -> set[str]:
    return {_room(beside, house) for path in paths for beside in _beside(path) if beside.is_relative_to(house)}


@pytest.mark.parametrize("house", [SIM, DECIDING], ids=_name)
def test_rooms_are_floors_no_room_imports_what_imports_it(house: Path) -> None:
    files = [path for path in house.rglob("*.py") if path != house / "__init__.py"]
    graph = {
        name: _rooms_imported((path for path in files if _room(path, house) == name), house) - {name}
        for name in {_room(path, house) for path in files}
    }
    assert {room.name for its, room in ROOMS if its == house} <= set(graph)
    assert any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the rooms


@pytest.mark.parametrize(("house", "room"), ROOMS, ids=[_name(room) for _house, room in ROOMS])
def test_a_room_imports_the_rooms_that_its_law_names(house: Path, room: Path) -> None:
    law = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    assert len(law.body) == 1  # a room hands nothing on: who wants a thing names its file
    named = set(re.findall(r"``(\w+)``", ast.get_docstring(law) or "")) & {other.name for its, other in ROOMS if its == house}
    assert named == _rooms_imported(room.glob("*.py"), house) - {room.name}


def test_every_quirk_is_played_by_the_simulator_and_tried_by_a_test() -> None:
    names = [field.name for field in dataclasses.fields(Quirks)]
    played = _words(path for path in SIM.rglob("*.py") if path.name != "quirks.py")
    tried = _words(path for path in (ROOT / "tests").rglob("*") if path.suffix in (".py", ".yml"))
    assert [name for name in names if name not in played or name not in tried] == []


def _words(paths: Iterable[Path]) -> set[str]:
    return {word for path in paths for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}


def test_only_the_session_and_what_makes_connections_touch_them() -> None:
    touching = {path.name for path in PLUGINS.rglob("*.py") if "exec_command" in path.read_text(encoding="utf-8")}
    assert touching == {"session.py", "linking.py"}


def test_check_mode_is_asked_in_one_place() -> None:
    asking = [
        _name(path) for path in PLUGINS.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines() if "task.check_mode" in line
    ]
    assert asking == ["plugins/plugin_utils/_action.py"]


@pytest.mark.parametrize("path", [path for path in FILES if path.stat().st_size], ids=_name)
def test_every_file_opens_with_its_law(path: Path) -> None:
    if path.parent.name == "modules":
        return  # stubs for ansible-doc
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_shell_and_no_broad_except() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, path
                assert not (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}), path
            if isinstance(node, ast.keyword) and node.arg == "shell":
                raise AssertionError(f"{path}: shell=")
