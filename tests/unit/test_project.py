"""A project as `ldfleet init` makes it, and edits of its file that leave the rest alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ldfleet import project
from ldfleet.cli import app


def test_a_project_is_made_once_and_spares_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n", encoding="utf-8")
    assert [path.name for path in project.init(tmp_path, 20000)] == ["fleet.yml", "ansible.cfg"]
    assert [host["ansible_port"] for host in project.hosts(tmp_path / "fleet.yml").values()] == [20000, 20001, 20002]
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "mine\n"
    with pytest.raises(project.BadProject, match="there already"):
        project.init(tmp_path)


def test_a_host_is_added_with_what_is_said_and_comments_stay(tmp_path: Path) -> None:
    project.init(tmp_path)
    file = tmp_path / "fleet.yml"
    before = file.read_text(encoding="utf-8").splitlines()
    words = [
        "hosts",
        "add",
        "ws-09",
        "--address",
        "10.0.0.9",
        "--port",
        "5986",
        "--emulators",
        "4",
        "--label",
        "rack=c",
        "--file",
        str(file),
    ]
    assert CliRunner().invoke(app, words).exit_code == 0
    after = file.read_text(encoding="utf-8").splitlines()
    added = "  ws-09: {ansible_host: 10.0.0.9, ansible_port: 5986, capacity: {emulators: 4}, labels: {rack: c}}"
    assert [line for line in after if line not in before] == [added]
    assert [line for line in after if line != added] == before


@pytest.mark.parametrize("label", ["rack", "=a", "rack="])
def test_a_label_without_a_name_or_value_is_refused(tmp_path: Path, label: str) -> None:
    project.init(tmp_path)
    done = CliRunner().invoke(app, ["hosts", "add", "ws-09", "--label", label, "--file", str(tmp_path / "fleet.yml")])
    assert done.exit_code == 2
    assert "NAME=VALUE" in done.output


def test_history_tells_what_the_file_is_now(tmp_path: Path) -> None:
    from ldfleet.history import History

    project.init(tmp_path)
    file = tmp_path / "fleet.yml"
    assert "nothing was applied yet" in CliRunner().invoke(app, ["rollout", "history", "--file", str(file)]).output
    for text in ("a: 1\n", file.read_text(encoding="utf-8")):
        History(file).keep(text)
    marks = [line.split()[3:] for line in CliRunner().invoke(app, ["rollout", "history", "--file", str(file)]).output.splitlines()]
    assert marks == [[], ["now"]]
