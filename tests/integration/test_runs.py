"""Playbooks from Python: events as they come, asyncio, deadlines, Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fleets
from fleets import Site
from ldfleet.runs import COLLECTION, HostResult, Job, Order, Run, Said, TaskStarted


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with fleets.site(tmp_path, hosts=2, replicas=4) as made:
        yield made


def _validation(site: Site) -> Order:
    return Order("validate", (site.write(),), reader=f"{COLLECTION}.fleet")


def test_events_come_typed_and_in_order_to_whoever_asks(site: Site) -> None:
    watched: list[object] = []
    job = Job(_validation(site), watched.append)
    events = list(job.events())
    assert job.wait().code == 0
    assert job.done
    assert events == watched
    assert [event.name for event in events if isinstance(event, TaskStarted)] == ["Decide with nothing known"]
    (result,) = [event for event in events if isinstance(event, HostResult)]
    assert (result.module, result.status, result.result["pools"]["farm"]["replicas"]) == ("placement", "ok", 4)
    assert any(isinstance(event, Said) and "PLAY RECAP" in event.text for event in events)


def test_asyncio_reads_the_same_and_awaits_the_run(site: Site) -> None:
    async def read() -> tuple[list[object], Run]:
        job = Job(_validation(site))
        return [event async for event in job], await job

    events, run = asyncio.run(read())
    assert run.code == 0
    assert sum(isinstance(event, HostResult) for event in events) == 1


def test_events_that_nobody_reads_are_dropped_and_counted(site: Site) -> None:
    job = Job(_validation(site), kept=2)
    assert job.wait().code == 0
    assert len(list(job.events())) == 2
    assert job.dropped > 0


def test_a_deadline_cancels_the_run(site: Site) -> None:
    done = replace(site.fleet, timeout=0.0).apply()
    with pytest.raises(TimeoutError):
        done.wait(0.01)
    assert done.job.wait(60).cancelled
    assert not site.apply().faults


def _applying(site: Site) -> subprocess.Popen[str]:
    """The program at work: it has told of a host."""
    command = [sys.executable, "-m", "ldfleet", "apply", "--file", str(site.write())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("wave"):
        assert process.poll() is None
    return process


def test_ctrl_c_once_ends_cleanly(site: Site) -> None:
    process = _applying(site)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    assert "ending: hosts finish what they are at (once more to end at once)" in errors
    assert "cancelled" in out
    assert process.returncode in (0, 1, 4)  # by how much was done
    site.agreed()  # no lease is in the way


def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    with fleets.site(tmp_path, hosts=1, replicas=1, skip=False, speed=1.0) as site:  # a start takes its real time here
        process = _applying(site)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        while not process.stderr.readline().startswith("ending:"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode != 0
        world = site.world(1)
        assert not [instance for instance in world.visible() if world.phase(instance)[0] == 1]  # nobody waited for the start to be over
