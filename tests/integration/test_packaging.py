"""What is shipped is complete: one wheel with the package and the collection, and the collection alone as Galaxy would give it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import sidecar

MODULES = [path.stem for path in sorted((rig.ROOT / "plugins" / "modules").glob("*.yml"))]
#: The rooms of the collection, and what its users look for in it.
ROOMS = ("plugins", "playbooks", "roles", "schemas", "meta")
COLLECTION = Path("ansible_collections", "ldfleet", "ldplayer")


def _run(*words: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files in a folder of their own, so that nothing is built that is not in the repository."""
    copy = tmp_path_factory.mktemp("source") / "ldfleet"
    listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=rig.ROOT)
    for name in filter(None, listed.split("\0")):
        if (rig.ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(rig.ROOT / name, copy / name)
    return copy


def _empty(folder: Path) -> Path:
    """A configuration of Ansible that says nothing, so that no file of the machine is read."""
    path = folder / "ansible.cfg"
    path.touch()
    return path


def _files(folder: Path) -> set[str]:
    """Every file of the collection's rooms."""
    found = (path for room in ROOMS for path in (folder / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)) for path in found}


def _takes_a_fleet(folder: Path, **environment: str) -> None:
    """The inventory plugin reads the example of its own documentation, with nothing of the checkout at hand."""
    (folder / "fleet.yml").write_text(sidecar("fleet", "inventory")["EXAMPLES"], encoding="utf-8")
    text = _run(
        sys.executable, "-m", "ansible", "inventory", "-i", "fleet.yml", "--list", cwd=folder, ANSIBLE_HOME=str(folder / "home"),
        ANSIBLE_CONFIG=str(_empty(folder)), ANSIBLE_INVENTORY_ENABLED="ldfleet.ldplayer.fleet", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true",
        **environment,
    )  # fmt: skip
    assert json.loads(text)["ldplayer"]["hosts"] == ["ws-01", "ws-02"]


def _documented(folder: Path, **environment: str) -> dict[str, object]:
    names = [f"ldfleet.ldplayer.{module}" for module in MODULES]
    text = _run(
        sys.executable, "-m", "ansible", "doc", "--json", *names, cwd=folder, ANSIBLE_HOME=str(folder / "home"), ANSIBLE_CONFIG=str(_empty(folder)),
        **environment,
    )  # fmt: skip
    found: dict[str, object] = json.loads(text)
    return found


def test_the_wheel_holds_package_and_collection_and_works_alone(source: Path, tmp_path: Path) -> None:
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    site = {"PYTHONPATH": str(target), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "none")}
    assert set(_documented(tmp_path, **site)) == {f"ldfleet.ldplayer.{module}" for module in MODULES}
    assert _files(target / COLLECTION) == _files(source)
    assert (target / "ldfleet" / "schemas" / "fleet.schema.json").read_bytes() == (source / "schemas" / "fleet.schema.json").read_bytes()
    _takes_a_fleet(tmp_path, **site)
    host = _run(sys.executable, "-m", "ldfleet", "bootstrap", "--account", "ops", "--controller", "10.0.0.5", cwd=tmp_path, **site)
    assert "Account = 'ops'" in host
    said = _run(
        sys.executable,
        "-c",
        "import ldfleet.demo, ldfleet; print(ldfleet.__file__)",
        cwd=tmp_path,
        **site,
    )
    assert said.startswith(str(target))


def test_the_collection_alone_builds_installs_and_is_documented(source: Path, tmp_path: Path) -> None:
    home = {"ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_CONFIG": str(_empty(tmp_path))}
    _run(sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(tmp_path / "dist"), cwd=source, **home)
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    collections = tmp_path / "collections"
    _run(
        sys.executable, "-m", "ansible", "galaxy", "collection", "install", "--offline", "--no-deps", str(archive), "-p", str(collections),
        cwd=tmp_path, **home,
    )  # fmt: skip
    shipped = {path.name for path in (collections / COLLECTION).iterdir()}
    assert _files(collections / COLLECTION) == _files(source)
    _takes_a_fleet(tmp_path, ANSIBLE_COLLECTIONS_PATH=str(collections))
    assert not shipped & {"src", "tests", "tools", "constraints.txt", "Makefile", "pyproject.toml"}
    found = _documented(tmp_path, ANSIBLE_COLLECTIONS_PATH=str(collections))
    assert set(found) == {f"ldfleet.ldplayer.{module}" for module in MODULES}
    said = json.loads((collections / COLLECTION / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]
    assert set(said["dependencies"]) == {"ansible.windows", "community.windows"}


def test_the_collections_that_ours_depends_on_are_found_beside_it(tmp_path: Path) -> None:
    names = ("ansible.windows.win_regedit", "community.windows.win_power_plan")
    text = _run(sys.executable, "-m", "ansible", "doc", "--json", *names, cwd=tmp_path, **rig.environment(tmp_path))
    assert set(json.loads(text)) == set(names)
