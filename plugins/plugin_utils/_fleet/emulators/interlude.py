# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Taking a running emulator down for something, and bringing it back: the operations around work that needs a stopped one.

It is written down on the host before the stop (as for a change of settings), so that the next converge brings it back where a controller died
between the two. It is started again whatever came of the work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ..._host import operations
from ..._host.operations import Operation
from ..words import install
from ..words.errors import Refused
from ..words.options import shown
from . import lower, observed, ownership
from .observed import Emulator, Observation, Run

#: `quit` ends within 8 s; a boot takes minutes beside Hyper-V; a start needs 10 s of rest after a stop (LDPlayer 14).
_COMMAND_MS, _STOP_MS, _REST_MS, _START_MS, _POLL_MS = 60_000, 60_000, 10_000, 240_000, 500
#: What an interlude may take beside the work.
LONGEST_MS = _STOP_MS + _REST_MS + _START_MS + 2 * _COMMAND_MS


def refuse(seen: Observation, emulator: Emulator, what: str, allowed: bool, desktop_needed: bool) -> None:
    """Raises Refused where an emulator that runs may not, or cannot, be stopped."""
    if emulator.run is Run.STOPPED:
        return
    if not allowed:
        raise Refused(
            seen.host.name,
            f"{shown(emulator.title)} runs, and {what} needs it stopped",
            "Stop it first, or say stop: true to have it stopped and started again",
        )
    if desktop_needed and seen.host.place != "desktop":
        raise Refused(
            seen.host.name,
            f"nobody is logged on, so {shown(emulator.title)} cannot be stopped and started again",
            "Log on at its console (automatic logon keeps it so)",
        )


def around(seen: Observation, emulator: Emulator, work: Sequence[Operation]) -> list[Operation]:
    """``work`` in order, each operation needing the one before; around it a stop and a start where the emulator runs."""
    if emulator.run is Run.STOPPED:
        return _chained(work)
    index = str(emulator.index)
    mark, back = _records(seen, emulator)
    stopped = operations.until(
        "stopped", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, lower.row_of(emulator) + lower.STOPPED, _POLL_MS, _STOP_MS
    )
    quit_ = operations.execute("quit", install.PROGRAM, ["quit", "--index", index], _COMMAND_MS)
    down = _chained([*mark, quit_, stopped])
    rest = operations.needing(operations.pause("rest", _REST_MS), "stopped")
    launch = operations.needing(operations.execute("launch", install.PROGRAM, ["launch", "--index", index], _COMMAND_MS), "stopped")
    # By its index: what was done meanwhile may have changed the title.
    pattern = rf"(?m)^{index},.*," + lower.RUNNING
    started = operations.until("started", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, pattern, _POLL_MS, _START_MS)
    up = _chained([operations.always(launch), started, *back])
    inner = _chained(work)
    return [*down, *(operations.needing(operation, "stopped") for operation in inner), rest, *up]


def _chained(work: Sequence[Operation]) -> list[Operation]:
    chained: list[Operation] = []
    for operation in work:
        chained.append(operations.needing(operation, chained[-1]["id"]) if chained else operation)
    return chained


def _records(seen: Observation, emulator: Emulator) -> tuple[list[Operation], list[Operation]]:
    """The notes before the stop and after the start; none for an emulator that ldfleet does not own."""
    if emulator.owned is None:
        return [], []
    path = ownership.path(seen.install, emulator.title)
    marked, back = replace(emulator.owned, resume=True).data(), replace(emulator.owned, resume=False).data()
    mark = operations.write("mark", path, marked, seen.records[emulator.title])
    return [mark], [operations.write("resumed", path, back, hashlib.sha256(marked).hexdigest())]
