"""What the pages show is true: commands run and print what is shown, blocks parse, links lead somewhere, and no page knows a machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

import pages
import rig
import terminal
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import options
from ldfleet import project
from ldfleet.sim.engines import powershell

VERBS = set(re.findall(r"^([a-z]+):.*## ", (rig.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
_CHANGES = 2
TYPED = [page for page in pages.PAGES if any(not command.line.startswith("make ") for command in pages.commands(page))]


@contextmanager
def _sandbox(folder: Path, page: Path) -> Iterator[Path]:
    (folder / "checkout").mkdir()
    here = terminal.checkout(folder / "checkout")
    with ExitStack() as stack:
        if "inventories/mine" in page.read_text(encoding="utf-8"):
            stack.enter_context(terminal.readers_hosts(here, folder / "farm"))
        for name, text in pages.files(page).items():
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_text(text, encoding="utf-8")
        yield here


@pytest.mark.parametrize("page", TYPED, ids=pages.name)
def test_commands_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    """All but make, which is what runs this test. Shown lines must come in the order shown; a page may leave lines out, best with a line `…`."""
    commands = [command for command in pages.commands(page) if not command.line.startswith("make ")]
    with _sandbox(tmp_path, page) as here:
        typed = terminal.type_in(here, [command.line for command in commands])
    for command, done, after in zip(commands, typed, [*commands[1:], None], strict=True):
        assert _told(done, after), f"{done.line} ends with {done.code}\n{done.output}"
        printed = iter([line.rstrip() for line in terminal.told(done.output).splitlines()])
        missing = [line for line in command.shown if line not in ("", "…") and terminal.told(line) not in printed]
        assert not missing, f"{done.line} does not print {missing[0]!r} where it is shown, but\n{done.output}"


def _told(done: terminal.Typed, after: pages.Command | None) -> bool:
    """Whether the reader knows from the page that a command ends as it does: with success, with changes, or as `echo $?` shows next."""
    if after is not None and after.line == "echo $?":
        return after.shown[:1] == (str(done.code),)
    return done.code in (0, None) or (done.code == _CHANGES and done.line.startswith(("ldfleet plan", "ldfleet drift", "ldfleet doctor")))


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_make_verbs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {word for line in re.findall(r"(?:`|^\$ )make ([a-z ]+)(?:`|$)", text, re.MULTILINE) for word in line.split()}
    assert named <= VERBS


def test_python_runs(tmp_path: Path) -> None:
    """But those that are files: commands of their page run them."""
    blocks = [block for block in pages.every("python") if block.text not in pages.files(block.page).values()]
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{pages.name(block.page)}\n{done.stderr}"


def test_powershell_is_read_by_the_real_parser(tmp_path: Path) -> None:
    """Its findings on syntax count, also that of Windows PowerShell 5.1; that commands of Windows are not in this engine does not."""
    engine = powershell.locate("pwsh")
    if isinstance(engine, str):
        pytest.skip(engine)
    for number, block in enumerate(pages.every("powershell")):
        file = tmp_path / f"{number}.ps1"
        file.write_text(block.text, encoding="ascii")
        assert rig.misread(engine, file) == []


# ---- YAML ---------------------------------------------------------------------------------------------------------------------------


def _yaml() -> list[object]:
    return [yaml.safe_load(block.text) for block in pages.every("yaml")]


def _is_plays(document: object) -> bool:
    return isinstance(document, list) and all("hosts" in item or "ansible.builtin.import_playbook" in item for item in document)


def _is_tasks(document: object) -> bool:
    return isinstance(document, list) and not any("hosts" in item for item in document)


def _is_variables(document: object) -> bool:
    return not _is_plays(document) and not _is_tasks(document) and not pages.is_fleet(document)


def test_every_yaml_block_is_plays_tasks_a_fleet_or_its_variables() -> None:
    """Tasks are the modules' own examples, which are run (test_modules); fleets are taken by the plugin (test_fleet_file)."""
    variables = [document for document in _yaml() if _is_variables(document)]
    assert variables
    for document in variables:
        assert isinstance(document, dict)
        assert [key for key in document if not str(key).startswith("ldplayer_") and key not in _of_roles()] == []


def _of_roles() -> set[str]:
    """Variables that the roles take, by their argument specs."""
    specs = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in (rig.ROOT / "roles").glob("*/meta/argument_specs.yml")]
    return {name for found in specs for name in found["argument_specs"]["main"]["options"]}


def test_fleet_variables_are_taken_by_the_module() -> None:
    found = [document for document in _yaml() if _is_variables(document)]
    for file in sorted((rig.ROOT / "inventories").glob("*/group_vars/*.yml")):
        found.append(yaml.safe_load(file.read_text(encoding="utf-8")))
    for document in found:
        named = {key.removeprefix("ldplayer_"): value for key, value in document.items()}
        roles = {key.removeprefix("ldplayer_") for key in _of_roles()} - set(spec("emulators"))
        given = options.checked(spec("emulators"), {key: value for key, value in named.items() if key not in roles}, desired.TAKERS)
        entry = spec("emulators")["emulators"]["suboptions"]
        assert desired.build(given["emulators"], *desired.shared(given["defaults"], given["profiles"], entry)).emulators


def test_the_readmes_fleet_is_what_init_makes(tmp_path: Path) -> None:
    project.init(tmp_path)
    (shown,) = pages.blocks(rig.ROOT / "README.md", "yaml")
    assert yaml.safe_load(shown.text) == yaml.safe_load((tmp_path / "fleet.yml").read_text(encoding="utf-8"))


def test_playbooks_of_pages_and_of_the_collection_pass_the_syntax_check(tmp_path: Path) -> None:
    files = sorted((rig.ROOT / "playbooks").glob("*.yml"))
    for number, document in enumerate(document for document in _yaml() if _is_plays(document)):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(
        [str(rig.BIN / "ansible-playbook"), "--syntax-check", *map(str, files)],
        cwd=rig.ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# ---- links and machines -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in pages.anchors(there), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set(), [rig.ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        targets = [(page.parent / target.partition("#")[0]).resolve() for target in pages.links(page)]
        left += [target for target in targets if target.suffix == ".md" and target not in reached]
    assert set(pages.PAGES) <= reached


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_no_page_knows_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert str(rig.ROOT) not in text
    assert not re.search(r"(?<![\w.])/(?:work|root|home|tmp|opt|mnt|Users)/", text)
