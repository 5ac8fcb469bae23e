# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet has to know of one host: which emulators it has, and what would be done with each. Read from the results of the module emulators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..words.errors import Guarded, Refused
from ..words.settings import IDENTITY

#: A host's first words about why it cannot be asked are enough in a sentence about something else.
_SHOWN = 120
#: Codes of errors with any of which a host's task does nothing.
_REFUSALS = (Refused.__name__, Guarded.__name__)


#: The problem of a host that the run was told to leave out.
LEFT_OUT = "it is not among the hosts of this run"


@dataclass(frozen=True)
class Member:
    """One emulator. ``up``: it is not stopped; ``available``: it runs, and its guest is not known to be silent; ``silent``: it runs, and its guest is.

    ``steps``: what the plan does with it. ``waits``: it is on its way already. ``moving``: it is on its way from another host.
    ``identity``: the values that tell this phone from others. ``failed``: why the last run did not bring it to what was declared; empty when it did.
    """

    title: str
    owned: bool = True
    protected: bool = False
    up: bool = False
    available: bool = False
    steps: tuple[str, ...] = ()
    waits: bool = False
    failed: str = ""
    moving: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False


@dataclass(frozen=True)
class Look:
    """``problem``: why nothing is known of the host; then nothing else is told. ``desktop``: somebody is logged on there.

    ``free_bytes``: of the emulators' drive, -1 where unknown. ``digest``: of all that can drift. ``new``: emulators that the plan would make there.
    ``fault``: what could not be planned, or was not done, in the words of the host's own task. ``refused``: why it did nothing at all.
    """

    members: Mapping[str, Member] = field(default_factory=dict)
    problem: str = ""
    desktop: bool = True
    free_bytes: int = -1
    digest: str = ""
    new: tuple[str, ...] = ()
    fault: str = ""
    refused: str = ""

    @property
    def left_out(self) -> bool:
        """Whether nothing is known of the host only because the run was told to leave it out."""
        return self.problem == LEFT_OUT

    @property
    def known(self) -> bool:
        """Whether the host was asked and answered."""
        return not self.problem


def read(result: Mapping[str, Any] | None) -> Look:
    """From what the module returned for a host; None where it did not run there."""
    if result is None:
        return Look(problem="nobody looked at it")
    if "emulators" not in result:
        return Look(problem=_short(result.get("msg")) or "it gave no answer")
    steps: dict[str, list[str]] = {}
    for action in result.get("actions", ()):
        steps.setdefault(str(action["name"]), []).append(str(action["action"]))
    failed = {str(error["about"]): _short(error["problem"]) for error in result.get("errors", ()) if error.get("about")}
    host = result.get("host", {})
    members = [_member(emulator, steps, failed) for emulator in result["emulators"]]
    return Look(
        {member.title: member for member in members},
        desktop=not any(c["type"] == "DesktopSession" and c["status"] == "False" for c in host.get("conditions", ())),
        free_bytes=int(host.get("free_bytes", -1)),
        digest=str(result.get("digest", "")),
        new=tuple(sorted(steps.keys() - {member.title for member in members})),
        fault=str(result.get("msg") or "the task failed") if result.get("errors") else "",
        refused=next((_short(error["problem"]) for error in result.get("errors", ()) if error.get("code") in _REFUSALS), ""),
    )


def _member(emulator: Mapping[str, Any], steps: Mapping[str, Iterable[str]], failed: Mapping[str, str]) -> Member:
    title = str(emulator["name"])
    conditions = {c["type"]: c for c in emulator.get("conditions", ())}
    ready = conditions.get("Ready", {}).get("status", "Unknown")
    return Member(
        title,
        owned=bool(emulator["owned"]),
        protected=bool(emulator["protected"]),
        up=emulator["state"] != "stopped",
        available=emulator["state"] == "running" and ready != "False",
        steps=tuple(steps.get(title, ())),
        waits=conditions.get("Synced", {}).get("reason") == "Changing",
        failed=failed.get(title, ""),
        moving=bool(emulator.get("moving")),
        silent=emulator["state"] == "running" and ready == "False",
        identity={option: value for option, value in emulator["settings"].items() if option in IDENTITY},
    )


def _short(text: object) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
