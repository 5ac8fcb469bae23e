"""Many hosts and emulators at once: what they take in memory and in round trips. No times: those are in tests/bench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rig

HOSTS, EMULATORS, MEGABYTES = 50, 40, 500

#: A process of its own, so that its memory is the simulator's: it fills each host, lists it over WinRM, and tells the most memory it had.
_FULL_FARM = f"""
import pathlib, sys, winrm
from ldfleet.sim.farm import PASSWORD, USER, Farm, Plan

with Farm(Plan(hosts={HOSTS}, skip=True, powershell_start=0.0), pathlib.Path(sys.argv[1])) as farm:
    for host, endpoint in zip(farm.hosts, farm.endpoints, strict=True):
        for number in range({EMULATORS}):
            host.world.add(f"farm-{{number:03d}}")
        session = winrm.Session(f"http://127.0.0.1:{{endpoint.http_port}}/wsman", auth=(USER, PASSWORD), transport="ntlm")
        said = session.run_ps("ldconsole list2")
        assert said.std_out.count(b",farm-") == {EMULATORS}, said.std_out
    status = pathlib.Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no process's memory under /proc")
def test_one_process_serves_50_full_hosts_in_less_than_500_megabytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_FARM, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < MEGABYTES


@pytest.mark.slow
def test_the_bench_runs_and_its_counts_hold() -> None:
    """A quick run: its exit code is 1 when round trips, exchanges, PowerShell starts or memory are not what they must be."""
    bench = rig.ROOT / "tests" / "bench" / "bench.py"
    done = subprocess.run([sys.executable, str(bench), "--quick"], capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout
    assert "1 round trip for no change" in done.stdout
