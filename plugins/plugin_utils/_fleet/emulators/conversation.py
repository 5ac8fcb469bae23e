# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module that is no converge, as a conversation with a host: it asks, decides once, and does what it decided. No connection, and no check mode here.

A room yields Ask and Do, is sent the Reply to each, and ends with the module's result. Whoever carries it stops at the first Do in check mode and
answers with what was planned, so that check mode and a real run cannot decide differently.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words import install
from ..words.errors import Host, Refused
from ..words.options import shown
from . import lower, observed
from .observed import Emulator, Observation

Json = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A batch without effects."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Do:
    """A batch with effects. ``steps``: what it does, for the host's journal; ``planned``: the result of check mode; ``slice_ms``: how long the
    operations that can wait may take together."""

    operations: tuple[Operation, ...]
    steps: tuple[str, ...]
    planned: Json
    slice_ms: int = 60_000


Talk = Generator[Ask | Do, Reply, Json]


def guarded(seen: Observation, emulators: Iterable[Emulator], work: Sequence[Operation]) -> tuple[Operation, ...]:
    """Work on emulators by their index: each must still have its title, and what was found is found again first."""
    rows = [lower.row_of(emulator) for emulator in emulators]
    guard = operations.execute("guard", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, match=rows)
    return (found_again(seen), guard, *(operations.needing(operation, "guard") for operation in work))


def found_again(seen: Observation) -> Operation:
    """LDPlayer's folder as `{ld}` in a further batch."""
    return operations.find("ld", [{"path": seen.install}], install.CONSOLE)


def one(seen: Observation, title: str) -> Emulator:
    """The emulator of this title. Raises Refused when there is none, or more than one."""
    if title in seen.duplicates():
        indexes = ", ".join(str(emulator.index) for emulator in seen.emulators if emulator.title == title)
        raise Refused(
            seen.host.name,
            f"several emulators are called {shown(title)} (index {indexes}), so it cannot be told which is meant",
            "Rename all but one in LDPlayer",
        )
    found = seen.titled(title)
    if found is None:
        there = ", ".join(shown(emulator.title) for emulator in seen.emulators[:_LISTED]) or "none"
        raise Refused(seen.host.name, f"it has no emulator called {shown(title)}", f"There are {there}")
    return found


#: Titles that a message lists.
_LISTED = 10


def expect(reply: Reply, id: str, what: str) -> Result:
    """The result of an operation that must have been ok. Raises Host with what it said."""
    result = reply.results[id]
    if not result.ok:
        raise Host(reply.host.name, f"{what} failed ({told(result)})", "Run again when that is mended; nothing was done after it")
    return result


def told(result: Result) -> str:
    """What went wrong in an operation, in one line."""
    if result.problem is None:
        return f"{result.status}, since {result.needs} failed" if result.needs else result.status
    said = (result.data("stdout") or result.data("stderr")).decode("utf-8", "replace").strip()
    return f"{result.problem.code}: {result.problem.message}" + (f"; it printed {shown(said)}" if said else "")


def action(verb: str, name: str, reason: str) -> Json:
    """One step as it is reported, alike in check mode and in a real run."""
    return {"action": verb, "name": name, "reason": reason, "text": f"{verb} {name}: {reason}"}


def texts(actions: Iterable[Json]) -> tuple[str, ...]:
    """Steps as lines, for the host's journal."""
    return tuple(str(step["text"]) for step in actions)


def diff(before: Iterable[str], after: Iterable[str]) -> Json:
    """Ansible's diff of two lists of lines."""
    return {
        "before_header": "observed",
        "after_header": "planned",
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in after),
    }
