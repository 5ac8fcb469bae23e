"""Apps, by cases: what is to be done, how a guest's answer is understood; and the simulated guest's shell, by its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apks
import pytest
import yaml

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import apps
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.apps import Installed
from ldfleet.sim.android.guest import Android, Phone
from ldfleet.sim.android.programs import shell

CASES = Path(__file__).parent.parent / "cases"


def _cases(name: str) -> list[Any]:
    found: list[Any] = yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
    return found


def _ids(case: dict[str, Any]) -> str:
    return str(case.get("why", case.get("text")))


@pytest.mark.parametrize("case", _cases("apps/invented-todo.yml"), ids=_ids)
def test_todo(case: dict[str, Any]) -> None:
    problems: list[Any] = []
    app = apps.one(case["app"], "", problems)
    assert problems == []
    if case.get("starting"):
        said = apps.after_start(app, None, None)
    else:
        has = case.get("has")
        there = Installed(app.package, **{"version_name": "", "version_code": "", "sha256": "", "running": False, **has}) if has else None
        said = apps.todo(app, {app.package: there} if there else {}, case.get("file"))
    if isinstance(said, apps.Trouble):
        assert said.reason == case.get("trouble"), said
    else:
        assert [[step.verb, step.before, step.after] for step in said] == case["todo"]


def test_half_of_a_surrogate_pair_is_no_package() -> None:
    """JSON takes it, and a file cannot hold it: no question is made of it."""
    problems: list[Any] = []
    apps.wanted([{"package": "\ud800"}], "apps", problems)
    assert [str(problem) for problem in problems] == ["apps[0].package is '\\ud800'; a package name such as com.example.game is wanted"]


@pytest.mark.parametrize("case", _cases("apps/invented-answers.yml"), ids=_ids)
def test_answers(case: dict[str, Any]) -> None:
    found = apps.understood(case["said"].encode())
    told = None if found is None else {name: [it.version_name, it.version_code, it.sha256, it.running] for name, it in found.items()}
    assert told == case["apps"]


@pytest.mark.parametrize("case", _cases("guest/invented-shell.yml"), ids=_ids)
def test_the_simulated_shell(case: dict[str, Any]) -> None:
    android = Android(files={"/sdcard/notes": b"one\ntwo\n"})
    data = apks.apk("com.a", 14, "1.4")
    android.install(data, apks.sha256(data), 0.0)
    phone = Phone(android, {"sys.boot_completed": "1"}, case.get("release", 9), 1.0, lambda _digest: data)
    said, status = shell(phone, case["text"])
    assert (said.decode(), status) == (case["prints"], case.get("status", 0))


def test_a_guest_outlives_its_being_written_down() -> None:
    android = Android(files={"/sdcard/x": b"\0\xff"}, properties={"persist.a": "1"})
    android.install(apks.apk(), "0" * 64, 5.0)
    assert Android.read(android.document()) == android
