"""The program `ldfleet` as a person starts it: the simulator with state that survives, and words that are wrong."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import rig
from ldfleet.sim.wire import ways

LDFLEET = [sys.executable, "-m", "ldfleet"]


@contextmanager
def sim(folder: Path, *options: str) -> Iterator[dict[str, object]]:
    """`ldfleet sim` until the block ends; the inventory that it printed. It must end by itself with exit code 0, on SIGINT, or on what the block sent to
    the number in its file."""
    inventory = folder / "sim.yml"
    inventory.unlink(missing_ok=True)
    command = [*LDFLEET, "sim", "--port", "0", "--powershell-start", "0", "--inventory", str(inventory), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "running until Ctrl-C\n"
        yield yaml.safe_load(inventory.read_text(encoding="utf-8"))
        if "--pid-file" not in options:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_sim_serves_hosts_that_survive_its_restart(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with sim(tmp_path, "--hosts", "2", "--speed", "100", "--state", state) as inventory:
        assert rig.ansible(inventory, tmp_path, "emulator", {"name": "scout", "cpu": 2, "state": "running"}).code == 0
    with sim(tmp_path, "--hosts", "2", "--speed", "100", "--state", state) as inventory:
        play = rig.ansible(inventory, tmp_path, "emulator", {"name": "scout", "cpu": 2, "state": "running"})
        assert {name: result["changed"] for name, result in play.results.items()} == {"sim-01": False, "sim-02": False}


def test_sim_tells_its_number_while_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "sim.pid"
    with sim(tmp_path, "--hosts", "1", "--pid-file", str(file)):
        process = int(file.read_text(encoding="ascii"))
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(process, number)
    assert not file.exists()


def test_sim_on_a_chinese_windows_with_https(tmp_path: Path) -> None:
    with sim(tmp_path, "--hosts", "1", "--https", "--chinese", "--ldplayer", "14") as inventory:
        found = rig.ansible(inventory, tmp_path, "emulator_info", {}).one()
    assert [emulator["name"] for emulator in found["emulators"]] == ["雷电模拟器"]
    assert (found["host"]["ansi_code_page"], found["host"]["install_dir"]) == (936, "C:\\leidian\\LDPlayer14")


def test_sim_of_a_bare_windows_takes_an_ldplayer_that_stays_over_its_restart(tmp_path: Path) -> None:
    options = ("--hosts", "1", "--bare", "windows11", "--speed", "100", "--state", str(tmp_path / "state"))
    package: dict[str, object] = {"ldplayer_version": 14, "source": r"\\files\ldplayer\ldplayer-14.0.26.1.zip"}
    with sim(tmp_path, *options) as inventory:
        play = rig.ansible(inventory, tmp_path, "ansible.windows.win_powershell", {"script": "whoami"})
        assert "no other" in play.one()["msg"]
        kept = {"path": r"HKLM:\SOFTWARE\ldfleet", "name": "test", "data": "kept"}
        assert rig.ansible(inventory, tmp_path, "ansible.windows.win_regedit", kept).one()["changed"]
        logon = [
            {"ansible.windows.win_user": {"name": "player", "password": "planted-secret"}},
            {"ansible.windows.win_auto_logon": {"username": "player", "password": "planted-secret"}},
            {"ansible.windows.win_reboot": {"pre_reboot_delay": 0, "reboot_timeout": 60}},
        ]
        assert rig.tasks(inventory, tmp_path, logon).one()["rebooted"] is True
        digest = hashlib.sha256((tmp_path / "state/shares/files/ldplayer/ldplayer-14.0.26.1.zip").read_bytes()).hexdigest()
        package.update(sha256=digest, install_dir=r"C:\Games\LDPlayer14")
        laid = rig.ansible(inventory, tmp_path, "installation", package).one()
        assert laid["changed"], laid
        assert rig.ansible(inventory, tmp_path, "emulator", {"name": "scout", "ldplayer_version": 14}).one()["changed"]
    with sim(tmp_path, *options) as inventory:
        assert rig.ansible(inventory, tmp_path, "ansible.windows.win_regedit", kept).one()["changed"] is False
        assert rig.ansible(inventory, tmp_path, "installation", package).one()["changed"] is False
        assert rig.ansible(inventory, tmp_path, "emulator", {"name": "scout", "ldplayer_version": 14}).one()["changed"] is False


def test_sim_leads_to_its_hosts_by_different_ways_that_survive_its_restart(tmp_path: Path) -> None:
    rig.usable_way("ssh")
    options = ["--hosts", "4", "--state", str(tmp_path / "state"), *(word for way in ways.NAMES for word in ("--way", way))]
    for _ in range(2):
        with sim(tmp_path, *options) as inventory:
            play = rig.ansible(inventory, tmp_path, "emulator_info", {})
        assert {name: result["round_trips"] for name, result in play.results.items()} == dict.fromkeys(sorted(play.results), 1), play.output
        assert len(play.results) == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "quantum"], "'quantum' is no engine; port, pwsh or wine is wanted"),
        (["--ldplayer", "7"], "'7' is not simulated; 5, 9 or 14 is wanted"),
        (["--bare", "windows7"], "'windows7' is not simulated; windows11 or server2022 is wanted"),
        (["--bare", "windows11", "--ldplayer", "9"], "do not go with it"),
        (["--way", "carrier pigeon"], "'carrier pigeon' is no way; ntlm, certificate, psrp or ssh is wanted"),
        (["--hosts", "0"], "greater than or equal to 1"),
        (["--speed", "-1"], "greater than or equal to 0.01"),
    ],
)
def test_wrong_words_are_named(options: list[str], says: str) -> None:
    done = subprocess.run([*LDFLEET, "sim", *options], capture_output=True, text=True, check=False, timeout=60, env={"COLUMNS": "200"})
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*LDFLEET, "sim", "--hosts", "1", "--port", port], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_version() -> None:
    done = subprocess.run([*LDFLEET, "--version"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ldfleet 0.1.0\n")
