# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ways into a host: what is written about them, in which order they are tried, when one is spared, and what is said of it all. Pure.

A way is a name and connection variables. The variables may hold secrets: here they are handed on as they are, never looked at and never told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..words.errors import BadOption, BadOptions, FleetError, Unreachable
from ..words.options import shown

#: Ansible's connections that the modules of this collection work over.
CONNECTIONS = ("winrm", "psrp", "ssh")

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_NAME_WANTED = "at most 63 letters, digits, dots, dashes and underscores are wanted, a letter first"


@dataclass(frozen=True)
class Way:
    """``variables``: as they were written, with their templates."""

    name: str
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read(written: Any, where: str) -> tuple[Way, ...]:
    """Ways from a list of ``name`` and ``variables``. Raises BadOptions, which names places and never a variable's value."""
    if not isinstance(written, list | tuple):
        raise BadOptions([BadOption(where, "is no list", "a list of ways is wanted, each with its name and its variables")])
    problems: list[BadOption] = []
    found = [_way(item, f"{where}[{number}]", problems) for number, item in enumerate(written)]
    names = [way.name for way in found]
    problems += [
        BadOption(f"{where}[{number}].name", f"is {shown(name)} again", "each way wants a name of its own")
        for number, name in enumerate(names)
        if name and name in names[:number]
    ]
    if problems:
        raise BadOptions(problems)
    return tuple(found)


def _way(item: Any, where: str, problems: list[BadOption]) -> Way:
    if not isinstance(item, Mapping):
        problems.append(BadOption(where, "is no mapping", "name and variables are wanted"))
        return Way("")
    for word in item:
        if word not in ("name", "variables"):
            near = difflib.get_close_matches(str(word), ("name", "variables"), n=1)
            problems.append(
                BadOption(f"{where}.{word}", "is not an option", f"did you mean {near[0]}?" if near else "options are name, variables")
            )
    name, variables = item.get("name"), item.get("variables")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        problems.append(BadOption(f"{where}.name", "is missing" if name is None else f"is {shown(name)}", _NAME_WANTED))
        name = ""
    if not isinstance(variables, Mapping | None):
        problems.append(BadOption(f"{where}.variables", "is no mapping", "connection variables by name are wanted"))
        variables = None
    return Way(str(name), {str(key): value for key, value in (variables or {}).items()})


def merged(shared: Sequence[Way], own: Sequence[Way]) -> tuple[Way, ...]:
    """The ways of a host: its own where it has some, else the shared ones. Its own variables are laid over those of the shared way of that name."""
    known = {way.name: way.variables for way in shared}
    return tuple(Way(way.name, {**known.get(way.name, {}), **way.variables}) for way in own) if own else tuple(shared)


def empty(shared: Sequence[Way], own: Sequence[Way]) -> list[str]:
    """Ways of a host that say no variable, and that no shared way is called either: slips of the pen."""
    known = {way.name for way in shared}
    return [way.name for way in own if not way.variables and way.name not in known]


@dataclass(frozen=True)
class Attempt:
    """What came of a way. ``reason``: why it leads nowhere; empty when it led in. ``seconds``: how long that took.

    ``account``: a mark that ways with the same account and password share, empty where there is no password. ``refused``: the host did not take it.
    ``spared``: the way was not tried, since its account and password were refused before.
    """

    way: str
    reason: str = ""
    advice: str = ""
    seconds: float = 0.0
    account: str = ""
    refused: bool = False
    spared: bool = False

    @property
    def led_in(self) -> bool:
        """Whether this way can be taken."""
        return not self.reason

    def told(self) -> dict[str, Any]:
        """JSON form."""
        outcome = "ok" if self.led_in else "spared" if self.spared else "failed"
        return {"way": self.way, "outcome": outcome, "reason": self.reason, "advice": self.advice, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Next:
    """Try this way, unless its account and password are among those that were ``refused`` (by their mark, with the way that tried them)."""

    way: Way
    refused: Mapping[str, str]

    def spared(self, account: str) -> Attempt | None:
        """The attempt that is not made: a second wrong password would bring the account nearer to being locked out."""
        if not account or account not in self.refused:
            return None
        before = self.refused[account]
        return Attempt(
            self.way.name,
            f"was not tried: it has the account and password that were refused on the way {before}",
            "",
            0.0,
            account,
            spared=True,
        )


def order(listed: Sequence[Way], remembered: str | None) -> tuple[Way, ...]:
    """The one that worked last time first, if it is still listed; then the others as they are listed."""
    return tuple(sorted(listed, key=lambda way: way.name != remembered))


def choosing(listed: Sequence[Way], remembered: str | None) -> Generator[Next, Attempt, Choice]:
    """Each way once, until one leads in: yields what to try, and is sent what came of it."""
    attempts: list[Attempt] = []
    for way in order(listed, remembered):
        refused = {attempt.account: attempt.way for attempt in attempts if attempt.account and attempt.refused}
        attempts.append((yield Next(way, refused)))
        if attempts[-1].led_in:
            break
    return Choice(tuple(way.name for way in listed), remembered, tuple(attempts))


@dataclass(frozen=True)
class Choice:
    """``listed``: names in their order. ``remembered``: what worked last time, also when it is listed no more."""

    listed: tuple[str, ...]
    remembered: str | None
    attempts: tuple[Attempt, ...]

    @property
    def way(self) -> str | None:
        """The name of the way that led in; None where none did."""
        return next((attempt.way for attempt in self.attempts if attempt.led_in), None)

    @property
    def to_remember(self) -> str | None:
        """What the memory does not say yet; None where it need not change. A host that nobody gets into is not forgotten: it may only be off."""
        return self.way if self.way != self.remembered else None

    def warning(self, host: str) -> str | None:
        """Why it is not the first way, with what to do; None where it is."""
        if self.way is None or self.way == self.listed[0]:
            return None
        failed = [attempt for attempt in self.attempts if not attempt.led_in]
        if not failed:
            return (
                f"{host} is reached on the way {self.way}, which worked last time; the first of its ways, {self.listed[0]}, was not tried"
            )
        advice = " ".join(dict.fromkeys(f"{attempt.advice}." for attempt in failed if attempt.advice))
        return (
            f"{host} is reached on the way {self.way}, since others did not lead in: {'; '.join(map(_reason, failed))}. {advice}".rstrip()
        )

    def closed(self, host: str) -> FleetError | None:
        """The error of a host that no way leads into."""
        if self.way is not None:
            return None
        advice = dict.fromkeys(f"{attempt.way}: {attempt.advice}" for attempt in self.attempts if attempt.advice)
        return Unreachable(host, f"no way leads in: {'; '.join(map(_reason, self.attempts))}", "; ".join(advice))

    def told(self) -> dict[str, Any]:
        """What the module returns."""
        return {
            "changed": False,
            "way": self.way or "",
            "first": self.way == self.listed[0],
            "remembered": self.remembered or "",
            "tried": [attempt.told() for attempt in self.attempts],
        }


def _reason(attempt: Attempt) -> str:
    if attempt.spared:
        return f"{attempt.way} {attempt.reason}"
    return f"{attempt.way} ({attempt.seconds:.1f} s): {attempt.reason.rstrip('.')}"


def variables(written: Any, name: str) -> dict[str, Any]:
    """Those of a way, and ``ldplayer_way`` with its name, for the tasks that follow; none where there is no such way."""
    for way in read(written, "ldplayer_ways"):
        if way.name == name:
            return {**way.variables, "ldplayer_way": name}
    return {}
