"""The laws of apps, for random guests and wishes; and that a text reaches the guest exactly and never the host."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apks
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import guest, report, shell
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators.converge import Outcome
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host import operations
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.windows import Answer

law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None

PACKAGES = ["com.a", "com.a.b", "org.C_3"]
SPECS = st.sampled_from([Spec(), Spec(version="14.0.26.1", install_dir="C:\\LDPlayer\\LDPlayer14")])
#: What emulators have before: package -> version, and whether it runs.
HAS = st.dictionaries(st.sampled_from(PACKAGES), st.tuples(st.integers(1, 3), st.booleans()), max_size=3)
EXISTING = st.lists(
    st.tuples(st.sampled_from(["x", "y"]), st.booleans(), st.sampled_from([0, 1]), HAS), max_size=2, unique_by=lambda item: item[0]
)


def _app(package: str, state: str, version: int, decides: str) -> dict[str, Any]:
    source = f"C:\\apks\\{package}-{version}.apk"
    digest = apks.sha256(apks.apk(package, version, f"{version}.0"))
    return {
        "package": package,
        "state": state,
        "source": source,
        **{"version": {"version": f"{version}.0"}, "sha256": {"sha256": digest}, "": {}}[decides],
    }


APP = st.builds(
    _app, st.sampled_from(PACKAGES), st.sampled_from(["present", "absent", "started", "stopped"]), st.just(3), st.sampled_from(["version", "sha256", ""])
)  # fmt: skip
APPS = st.lists(APP, max_size=3, unique_by=lambda app: app["package"])
ENTRY = st.builds(
    lambda name, state, more, apps: {"name": name, "state": state, "apps": apps, **more},
    st.sampled_from(["x", "y", "z"]), st.sampled_from(["running", "stopped", "present", "absent"]),
    st.fixed_dictionaries({}, optional={"adb": st.sampled_from(["off", "local"]), "cpu": st.integers(1, 4)}), APPS,
)  # fmt: skip
WISHES = st.lists(ENTRY, max_size=3, unique_by=lambda entry: entry["name"])


@contextmanager
def host(existing: list[Any], spec: Spec) -> Iterator[rig.Direct]:
    """Emulators that ldfleet owns: title, running, adb, apps. Every APK that a wish may name lies on the host."""
    with tempfile.TemporaryDirectory(dir=_FAST) as folder:
        world = rig.world(Path(folder), spec)
        direct = rig.Direct(world)
        world.drive.local("C:\\apks").mkdir()
        for package in PACKAGES:
            for version in (1, 2, 3):
                world.drive.local(f"C:\\apks\\{package}-{version}.apk").write_bytes(apks.apk(package, version, f"{version}.0"))
        made = [{"name": title, "adb": "local" if adb else "off"} for title, _, adb, _ in existing]
        assert not rig.apply(direct, rig.wanted(made)).failures
        for title, running, _, has in existing:
            instance = world.find(title)
            if running:
                world.launch(instance)
            world.settle()
            for package, (version, runs) in has.items():
                data = apks.apk(package, version, f"{version}.0")
                _install(world, title, data)
                if runs and running:
                    instance.guest.start(package, world.clock.now())
        world.save()
        yield direct


def _install(world: World, title: str, data: bytes) -> None:
    digest = apks.sha256(data)
    world.find(title).guest.install(data, digest, 0.0)
    (world.folder / "apks").mkdir(exist_ok=True)
    (world.folder / "apks" / digest).write_bytes(data)


def _texts(outcome: Outcome) -> list[str]:
    return [report.sentence(step) for step in (*outcome.plan.steps, *outcome.extra)]


def _guests(world: World) -> dict[str, dict[str, tuple[int, bool]]]:
    return {
        world.title(i): {name: (package.version_code, package.pid > 0) for name, package in i.guest.packages.items()}
        for i in world.visible()
    }


@law
@given(EXISTING, WISHES, SPECS)
def test_check_equals_apply_and_after_apply_the_plan_is_empty(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        goal = rig.wanted(wishes)
        planned = rig.check(direct, goal)
        done = rig.apply(direct, goal, slice_ms=600_000)
        assert _texts(done) == _texts(planned)
        assert [str(failure) for failure in done.failures] == [str(failure) for failure in planned.failures]
        again = rig.check(direct, goal)
        assert (_texts(again), again.plan.waits) == ([], ())


@law
@given(EXISTING, WISHES, SPECS)
def test_check_touches_no_guest(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        before = _guests(direct.world)
        rig.check(direct, rig.wanted(wishes))
        assert _guests(direct.world) == before
        assert {words[0] for words in direct.world.commands()[-3:]} <= {"list2", "adb", "add", "modify"}


@law
@given(EXISTING, WISHES, SPECS)
def test_apps_are_as_declared_and_others_are_left_alone(existing: Any, wishes: Any, spec: Spec) -> None:
    with host(existing, spec) as direct:
        before = _guests(direct.world)
        done = rig.apply(direct, rig.wanted(wishes))
        after = _guests(direct.world)
        held = {hold.name for hold in done.plan.holds}
        for entry in wishes:
            title, named = entry["name"], {app["package"] for app in entry["apps"]}
            for package, had in before.get(title, {}).items():
                if package not in named and entry["state"] != "absent":
                    assert after[title][package][0] == had[0]
            if entry["state"] == "absent" or title in held or not direct.world.running(direct.world.find(title)):
                continue
            for app in entry["apps"]:
                have = after[title].get(app["package"])
                assert (have is None) == (app["state"] == "absent")
                if have is not None and ("version" in app or "sha256" in app):
                    assert have[0] == 3
                if app["state"] in ("started", "stopped"):
                    assert have is not None
                    assert have[1] == (app["state"] == "started")


# ---- texts ----------------------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "&canary.exe",
    "|canary.exe&",
    "%PATH%",
    "$(id)",
    "`id`",
    "'",
    '"',
    "\\",
    '\\\\"',
    "  ",
    "\t",
    "\n",
    "{1}",
    "é",
    "雷",
    "🐄",
    *"^<>*?;#!-=a",
]
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE), st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), max_size=25).map(
    "".join
)


@contextmanager
def _one(through_cmd: bool) -> Iterator[rig.Direct]:
    with tempfile.TemporaryDirectory(dir=_FAST) as folder:
        world = rig.world(Path(folder))
        world.install({"C:\\Windows\\System32\\canary.exe": lambda *_words: Answer(0, b"sang")})
        world.edit(world.find("LDPlayer"), {"basicSettings.adbDebug": 1})
        world.launch(world.find("LDPlayer"))
        world.settle()
        world.quirks.adb_through_cmd = through_cmd
        yield rig.Direct(world)


def _sing(direct: rig.Direct, text: str) -> tuple[shell.Came, set[str]]:
    """What came of a command, and the programs that were started on the host for it."""
    given_ = {"name": "LDPlayer", "cmd": text, "action": None, "creates": None, "removes": None, "changes": True, "timeout": 60}
    it = shell.errand(given_, "0123456789abcdef")
    link = rig.session(direct)
    seen = rig.look(link, shell.asks(it))
    before = len(direct.world.history)
    reply = link.act(shell.work(it, shell.target(it, seen, True), seen), 60_000)
    return shell.came(it, reply), {start.program for start in list(direct.world.history)[before:]} - {"tasklist.exe"}


@law
@given(TEXTS, st.booleans())
@example("a  b", False)
@example("x&canary.exe", True)
def test_a_text_reaches_the_guest_exactly_and_nothing_of_it_is_run_on_the_host(text: str, through_cmd: bool) -> None:
    """Also if LDPlayer should hand adb's words to cmd.exe, which nobody knows."""
    with _one(through_cmd) as direct:
        came, programs = _sing(direct, f"printf '%s' {guest.word(text)};exit 7")
        assert (came.stdout, came.status, programs) == (text, 7, {"ldconsole.exe"})


def test_the_canary_sings_where_a_text_travels_bare() -> None:
    """Without this the law above would prove nothing."""
    with _one(True) as direct:
        words = ["adb", "--index", "0", "--command", "shell echo a&canary.exe"]
        rig.session(direct).act([operations.execute("it", "C:\\LDPlayer\\LDPlayer9\\ldconsole.exe", words, 1000)], 30_000)
        assert "canary.exe" in {start.program for start in direct.world.history}


@law
@given(st.binary(max_size=60), st.integers(0, 255))
@example(b"no line end", 3)
@example(b"a\r\nb\n", 0)
@example(b"\x89PNG\r\n\x1a\n\xff", 1)
@example(b"0123456789abcde0\n", 2)
def test_any_output_and_status_come_back(data: bytes, status: int) -> None:
    """Binary, without a line end, with CR LF, with what looks like the mark."""
    with _one(False) as direct:
        direct.world.find("LDPlayer").guest.files["/sdcard/x"] = data
        came, _programs = _sing(direct, f"cat /sdcard/x;exit {status}")
        assert came.status == status
        assert came.raw in (None, data.replace(b"\n", b"\r\n"))
        assert came.stdout == re.sub(rb"\r+\n", b"\n", data).decode("utf-8", "replace")
