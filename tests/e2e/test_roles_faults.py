"""What goes wrong under the roles: sources that fail, runs and hosts that are cut off, starts that nobody comes back from. Each is a clear end, and a run
after its cause is gone heals; one more changes nothing."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sites import VERSION, differs, inventory, play, recap, said, state, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.ldplayer.world import World
from ldfleet.sim.machine.clock import START
from ldfleet.sim.machine.windows import SYSTEM32, Answer, Caller
from ldfleet.sim.programs import files

NEW = "9.1.20.0"
ROBOCOPY = f"{SYSTEM32}\\Robocopy.exe"


@contextmanager
def hosts(tmp_path: Path, **spec: Any) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11", **spec)) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION, NEW))
        yield made


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A bare host."""
    with hosts(tmp_path) as made:
        yield made


@pytest.fixture
def seated(tmp_path: Path) -> Iterator[Farm]:
    """A bare host with somebody at its screen, so that the role ldplayer needs no other before it."""
    with hosts(tmp_path, desktop_user="player") as made:
        yield made


def heals(farm: Farm, folder: Path, name: str, variables: dict[str, Any], *options: str) -> None:
    """A run does what is left, and one more does nothing."""
    healed = play(farm, folder, name, variables, *options)
    assert (healed.returncode, recap(healed)["changed"] > 0) == (0, True), said(healed)
    again = play(farm, folder, name, variables, *options)
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)


# ---- sources ------------------------------------------------------------------------------------------------------------------------
class Shop:
    """A web server on loopback with one package. ``mood``: whole, missing (404), or cut: it breaks off in the middle."""

    def __init__(self, content: bytes) -> None:
        self.content, self.mood = content, "whole"
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if shop.mood == "missing":
                    self.send_error(404)
                    return
                begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
                rest = shop.content[begin:]
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest[: len(rest) // 2] if shop.mood == "cut" else rest)

            def log_message(self, *_words: object) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/ldplayer.zip?key=planted-in-the-query"

    def __enter__(self) -> Shop:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(laid.package(VERSION)) as made:
        yield made


#: What is wrong -> what the shop does, what the variables say, how many bytes the disk has left, and what is said.
SOURCES: dict[str, tuple[str, dict[str, Any], int | None, str]] = {
    "missing": (
        "missing",
        {},
        None,
        "could not be fetched (HttpStatus: the server answered 404). Nothing was changed. Is the address right",
    ),
    "breaks off": ("cut", {}, None, "Run again: a download goes on from where it was cut off"),
    "another hash": ("whole", {"ldplayer_sha256": "0" * 64}, None, f"and {'0' * 64} is wanted"),
    "no room to unpack": ("whole", {}, 4000, "0 MB free, and unpacking needs about"),
    "no room at all": ("whole", {}, 10, "ldfleet cannot write its lease there (DiskFull: "),
}


@pytest.mark.parametrize("wrong", SOURCES)
def test_a_source_that_fails_is_a_clear_end_and_the_next_run_lays_it(seated: Farm, tmp_path: Path, shop: Shop, wrong: str) -> None:
    world = seated.hosts[0].world
    mood, changes, room, text = SOURCES[wrong]
    variables, room_before = wanted(ldplayer_source=shop.address), world.disk_free
    shop.mood, world.disk_free = mood, room if room is not None else room_before
    failed = play(seated, tmp_path, "install", {**variables, **changes}, "--tags", "ldplayer")
    assert failed.returncode == 2, said(failed)
    assert text in said(failed)
    assert "Traceback" not in said(failed)
    assert "planted-in-the-query" not in failed.stdout + failed.stderr
    assert not world.drive.local(r"C:\LDPlayer\LDPlayer9").exists()
    shop.mood, world.disk_free = "whole", room_before
    heals(seated, tmp_path, "install", variables, "--tags", "ldplayer")


# ---- runs that are cut off ----------------------------------------------------------------------------------------------------------
class Tripwire:
    """One of Windows' programs that tells when it was started, and waits until it is told to go on."""

    def __init__(self, world: World, act: Callable[[], None] = lambda: None) -> None:
        self.reached, self.act = threading.Event(), act
        world.install({ROBOCOPY: self.run})

    def run(self, machine: Any, words: Any, raw: str, caller: Caller) -> Answer:
        if not self.reached.is_set():
            self.reached.set()
            self.act()
        return files.robocopy(machine, words, raw, caller)


def test_a_controller_that_dies_while_ldplayer_is_laid(seated: Farm, tmp_path: Path) -> None:
    world = seated.hosts[0].world
    gone = threading.Event()
    wire = Tripwire(world, lambda: gone.wait(20) and None)
    rig.cut_off(inventory(seated, tmp_path, wanted()), tmp_path, "ldfleet.ldplayer.install", wire.reached.is_set, "--tags", "ldplayer")
    gone.set()
    held = play(seated, tmp_path, "install", wanted(), "--tags", "ldplayer")
    print("HELD", held.returncode, said(held)[-1500:])
    world.clock.sleep(3600)
    healed = play(seated, tmp_path, "install", wanted(), "--tags", "ldplayer")
    assert healed.returncode == 0, said(healed)
    again = play(seated, tmp_path, "install", wanted(), "--tags", "ldplayer")
    assert (again.returncode, recap(again)["changed"]) == (0, 0), said(again)
    assert not world.drive.local(r"C:\LDPlayer\LDPlayer9.ldfleet-new").exists()


def test_a_host_that_goes_down_while_ldplayer_is_laid(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    Tripwire(world, world.power.restart)
    ended = play(farm, tmp_path, "site", wanted())
    print("ENDED", ended.returncode, said(ended)[-2500:])
    assert ended.returncode in (2, 4), said(ended)
    assert "Traceback" not in said(ended)
    world.clock.sleep(3600)
    heals(farm, tmp_path, "site", wanted())
    assert world.running(world.find("farm-000"))


#: Moments in the middle of the role windows, in their order.
MOMENTS: dict[str, Callable[[World], bool]] = {
    "a first note": lambda world: len(world.registry.values("HKLM\\SOFTWARE\\ldfleet")) > 0,
    "half of the values": lambda world: world.registry.get("HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate", "ActiveHoursEnd")
    is not None,
    "a logon": lambda world: bool(world.system.lsa_secrets),
    "a start": lambda world: world.power.starts > 0,
}  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_controller_that_dies_while_windows_is_changed(farm: Farm, tmp_path: Path, moment: str) -> None:
    """What was there is noted before it is changed: so all is given back, whether it was brought to its end before or not."""
    world, reached = farm.hosts[0].world, MOMENTS[moment]
    before = state(farm)
    file = inventory(farm, tmp_path, wanted())
    for healing in (False, True):
        rig.cut_off(file, tmp_path, "ldfleet.ldplayer.install", lambda: reached(world), "--tags", "windows")
        if healing:
            heals(farm, tmp_path, "install", wanted(), "--tags", "windows")
        gone = play(farm, tmp_path, "decommission", wanted())
        assert gone.returncode == 0, said(gone)
        assert differs(farm, before) == set(), healing
        world.power.starts = 0


# ---- starts -------------------------------------------------------------------------------------------------------------------------
def test_a_start_that_the_host_does_not_come_back_from(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    world.clock.sleep(600)
    world.power.comes_back = False
    away = play(farm, tmp_path, "site", wanted(windows_reboot_timeout=5))
    assert away.returncode == 2, said(away)
    assert "sim-01 was told to start anew (features change with the next start)" in said(away) or "VBS changes with the next start" in said(
        away
    )
    assert "Wanted: that it answers within windows_reboot_timeout, 5 s. Look at its screen" in said(away)
    assert play(farm, tmp_path, "site", wanted()).returncode == 4
    world.power.comes_back = True
    heals(farm, tmp_path, "site", wanted())
    assert world.running(world.find("farm-000"))


def test_nobody_is_logged_on_with_a_wrong_password(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    wrong = wanted(windows_autologon_password="Planted-wrong-1", windows_reboot_timeout=10)
    alone = play(farm, tmp_path, "site", wrong)
    assert alone.returncode == 2, said(alone)
    assert "within 10 s nobody was logged on at its screen. Wanted: Administrator. Is windows_autologon_password right" in said(alone)
    assert "Planted-wrong-1" not in alone.stdout + alone.stderr
    assert world.desktop is None
    heals(farm, tmp_path, "site", wanted())
    assert world.desktop is not None


#: The host's own clock, by how many minutes it is behind UTC, what windows_reboot_window says, and whether the host may start anew then.
WINDOWS = {
    "before": ("01:59", 0, "02:00-05:00", False),
    "first minute": ("02:00", 0, "02:00-05:00", True),
    "last minute": ("05:00", 0, "02:00-05:00", False),
    "over midnight": ("23:30", 0, "22:00-01:00", True),
    "ahead of UTC": ("01:30", -60, "02:00-05:00", True),
    "behind UTC": ("03:00", 300, "02:00-05:00", False),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_a_window_for_starts_is_kept_by_the_hosts_own_clock(farm: Farm, tmp_path: Path, case: str) -> None:
    clock, bias, window, may = WINDOWS[case]
    world, variables = farm.hosts[0].world, wanted(windows_reboot_window=window)
    hours, minutes = map(int, clock.split(":"))
    world.clock.sleep(START + 86_400 + hours * 3600 + minutes * 60 - world.clock.now())
    world.system.bias = bias
    for changed in (True, False):
        done = play(farm, tmp_path, "install", variables, "--tags", "windows")
        assert (done.returncode, recap(done)["changed"] > 0) == (0, changed), said(done)
        assert (world.power.starts > 0) == may
        assert (f"and windows_reboot_window is {window}" in said(done)) == (not may)
        if may:
            return
    world.clock.sleep(START + 2 * 86_400 + (2 + bias // 60) * 3600 + 600 - world.clock.now())
    late = play(farm, tmp_path, "install", variables, "--tags", "windows")
    assert (late.returncode, world.power.starts) == (0, 1), said(late)
    assert world.desktop is not None


# ---- emulators that run -------------------------------------------------------------------------------------------------------------
def test_a_new_release_waits_for_emulators_that_run_until_it_may_stop_them(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    assert play(farm, tmp_path, "site", wanted()).returncode == 0
    source = {"ldplayer_source": rf"\\files\ldplayer\ldplayer-{NEW}.zip", "ldplayer_sha256": hashlib.sha256(laid.package(NEW)).hexdigest()}
    newer = wanted(**source, ldplayer_release=NEW)
    pid = world.find("farm-000").pid
    refused = play(farm, tmp_path, "site", newer)
    assert refused.returncode == 2, said(refused)
    assert "cannot be changed while it runs: 'farm-000'" in said(refused)
    assert (world.spec.version, world.find("farm-000").pid) == (VERSION, pid)
    heals(farm, tmp_path, "site", {**newer, "ldplayer_running": "stop"})
    assert (world.spec.version, world.running(world.find("farm-000"))) == (NEW, True)
    assert world.find("farm-000").pid != pid


def test_windows_is_not_started_anew_under_emulators_that_run_until_it_may_stop_them(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    assert play(farm, tmp_path, "site", wanted()).returncode == 0
    guard = (r"HKLM\SYSTEM\CurrentControlSet\Control\DeviceGuard", "EnableVirtualizationBasedSecurity")
    world.registry.set(*guard, 1)
    world.system.features["VirtualMachinePlatform"] = True
    pid, starts = world.find("farm-000").pid, world.power.starts
    waits = play(farm, tmp_path, "site", wanted())
    assert waits.returncode == 0, said(waits)
    assert "waits for a start (features change with the next start): emulators run, and windows_running is refuse: farm-000" in said(waits)
    assert (world.registry.get(*guard), world.find("farm-000").pid, world.power.starts) == (0, pid, starts)

    world.add("stranger")
    world.launch(world.find("stranger"))
    world.settle()
    stopping = wanted(windows_running="stop")
    waits = play(farm, tmp_path, "site", stopping)
    assert (waits.returncode, recap(waits)["changed"]) == (0, 0), said(waits)
    assert "emulators run that ldfleet does not own: stranger" in said(waits)
    assert (world.find("farm-000").pid, world.power.starts) == (pid, starts)

    world.quit(world.find("stranger"))
    world.settle()
    heals(farm, tmp_path, "site", stopping)
    assert (world.power.starts, world.running(world.find("farm-000"))) == (starts + 1, True)
    assert (world.find("farm-000").pid != pid, world.system.features["VirtualMachinePlatform"]) == (True, False)


# ---- features -----------------------------------------------------------------------------------------------------------------------
TOOLS = ("Microsoft-Hyper-V-All", "Microsoft-Hyper-V-Tools-All", "Microsoft-Hyper-V-Management-PowerShell")


def test_where_windows_tells_nothing_of_its_features_all_else_is_done_and_then_it_is_said(farm: Farm, tmp_path: Path) -> None:
    world, variables = farm.hosts[0].world, wanted()
    world.unanswered["features"] = "Provider load failure"
    for changed in (True, False):
        done = play(farm, tmp_path, "install", variables, "--tags", "windows")
        assert (done.returncode, recap(done)["changed"] > 0) == (2, changed), said(done)
        assert "cannot be known: Windows tells nothing of its features. Wanted: off (windows_hypervisor). All else is done." in said(done)
        assert (world.power.starts, world.desktop is not None) == (1, True)
    left = play(farm, tmp_path, "install", {**variables, "windows_hypervisor": "leave"}, "--tags", "windows")
    assert (left.returncode, recap(left)["changed"]) == (0, 0), said(left)
    del world.unanswered["features"]
    told = play(farm, tmp_path, "install", variables, "--tags", "windows")
    assert (told.returncode, recap(told)["changed"]) == (0, 0), said(told)


def test_of_hyper_v_what_was_there_comes_back_and_no_more_once_windows_has_started(farm: Farm, tmp_path: Path) -> None:
    """Its tools alone were on. Nobody starts Windows when the host is given back, and so the notes stay until somebody did."""
    world, variables = farm.hosts[0].world, wanted(ldplayer_max_destroy=2)
    world.system.features.update(dict.fromkeys(TOOLS, True))
    before = state(farm)
    assert play(farm, tmp_path, "bootstrap", variables).returncode == 0
    assert play(farm, tmp_path, "install", variables, "--tags", "windows").returncode == 0
    assert [name for name, on in world.system.features.items() if on] == []
    for changed in (True, False):
        held = play(farm, tmp_path, "decommission", {**variables, "windows_reboot": "never"})
        assert (held.returncode, recap(held)["changed"] > 0) == (0, changed), said(held)
        assert "windows_reboot is never" in said(held)
        assert r"keeps the notes of this role (HKLM\SOFTWARE\ldfleet) until Windows has started anew" in said(held)
        assert "sim-01 keeps its way in, since Windows must start anew first" in said(held)
        assert world.system.pending == dict.fromkeys(TOOLS, True)
    world.clock.sleep(3600)
    world.power.restart()
    done = play(farm, tmp_path, "decommission", {**variables, "windows_reboot": "never"})
    assert (done.returncode, recap(done)["changed"] > 0) == (0, True), said(done)
    assert differs(farm, before) == set()


def test_features_that_could_not_come_back_are_tried_again(farm: Farm, tmp_path: Path) -> None:
    """A run is cut off between its note and Windows' word on features: the next one takes them for neither on nor off."""
    world, variables = farm.hosts[0].world, wanted(ldplayer_access="keep")
    world.system.features.update(dict.fromkeys(TOOLS, True))
    assert play(farm, tmp_path, "install", variables, "--tags", "windows").returncode == 0
    began = {"start": {"began": round(world.system.booted)}}
    world.registry.set(r"HKLM\SOFTWARE\ldfleet", "restart", json.dumps(began))
    done = play(farm, tmp_path, "decommission", variables)
    assert done.returncode == 0, said(done)
    assert [name for name, on in world.system.features.items() if on] == list(TOOLS)


def test_marks_that_cannot_be_understood_keep_the_host(farm: Farm, tmp_path: Path) -> None:
    world = farm.hosts[0].world
    assert play(farm, tmp_path, "site", wanted()).returncode == 0
    folder = world.drive.local(r"C:\ProgramData\ldfleet\installs")
    for content in (b"", b"[" * 100_000, b'{"version": 1, "install_dir": "nonsense"}'):
        (folder / "broken.json").write_bytes(content)
        kept = play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2))
        assert kept.returncode == 2, said(kept)
        assert "sim-01 is not given back" in said(kept)
        assert "(broken.json)" in said(kept)
        assert world.running(world.find("farm-000"))
    (folder / "broken.json").unlink()
    assert play(farm, tmp_path, "decommission", wanted(ldplayer_max_destroy=2)).returncode == 0
