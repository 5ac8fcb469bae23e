"""Shells of WS-Man without a wire: what is no PSRP ends in a fault, and quotas hold however requests meet."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psrpcore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rig
from ldfleet.sim.host import SimHost
from ldfleet.sim.wire import soap
from ldfleet.sim.wire.quotas import Quotas
from ldfleet.sim.wire.shells import Shells
from ldfleet.sim.wire.soap import Refused, Request

USER = "Administrator"


def _opening() -> bytes:
    pool = psrpcore.ClientRunspacePool()
    pool.open()
    sent = pool.data_to_send()
    assert sent is not None
    return bytes(sent.data)


OPENING = _opening()


def _fault(shells: Shells, creation: bytes) -> soap.Fault | None:
    """Open a session: the fault that it ends in, if any."""
    wished = str(uuid.uuid4())
    try:
        shells.handle(Request("Create", "x", f"{soap.POWERSHELL}Microsoft.PowerShell", wished_id=wished, creation=creation), USER, "")
    except Refused as refused:
        return refused.fault
    return None


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> SimHost:
    return SimHost(rig.world(tmp_path_factory.mktemp("host")), {USER: "x"})


@settings(max_examples=300)
@given(at=st.integers(0, len(OPENING)), gone=st.integers(0, 60), put=st.binary(max_size=8))
def test_what_is_no_psrp_ends_in_a_fault(host: SimHost, at: int, gone: int, put: bytes) -> None:
    shells = Shells(host, Quotas())
    assert _fault(shells, OPENING[:at] + put + OPENING[at + gone :]) in (None, soap.BAD_MESSAGE)
    shells.close()


def test_a_quota_holds_when_many_ask_at_once(tmp_path: Path) -> None:
    shells = Shells(SimHost(rig.world(tmp_path), {USER: "x"}, powershell_start_seconds=0.05), Quotas(shells_per_user=3))

    with ThreadPoolExecutor(10) as asking:
        faults = list(asking.map(lambda _number: _fault(shells, OPENING), range(10)))
    assert (faults.count(None), faults.count(soap.SHELL_QUOTA)) == (3, 7)
    assert shells.open_shells == 3
    shells.close()
