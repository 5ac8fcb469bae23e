# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that can go wrong, as one small tree. A class carries fields; its text is derived here and nowhere else.

FleetError
├── Yours                 the desired state cannot be carried out; mend it where you wrote it
│   ├── BadOption         a word or value that no option takes
│   ├── Refused           the words are right, but the host's state forbids them
│   │   ├── Guarded       … or a guard against loss does
│   │   └── Foreign       … or it is somebody else's
│   └── Stale             a saved plan is not of this fleet, or the fleet has moved since
├── Host                  the host did not do what it should; nothing is known to be wrong with your words
│   ├── Unreachable       no answer at all
│   ├── Held              another controller works on the host
│   ├── ReplyLost         a batch was sent and its answer could not be had
│   ├── NotInstalled      no LDPlayer on the host
│   ├── Unreadable        the host answered what cannot be understood: unknown, never absent
│   └── NotConverged      the work was done, and looking again shows that it did not hold
├── Cancelled             the run was told to stop
└── Ours                  a bug of ldfleet
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class FleetError(Exception):
    """``about``: the thing as the user knows it; ``problem``: what was found and what is wanted; ``advice``: what to do."""

    about: str
    problem: str
    advice: str = ""

    owner = "ours"

    @property
    def code(self) -> str:
        """The class name: stable, for programs."""
        return type(self).__name__

    def __str__(self) -> str:
        text = f"{self.about}: {self.problem}" if self.about else self.problem
        return f"{text}. {self.advice}" if self.advice else text

    def each(self) -> tuple[FleetError, ...]:
        """The single failures: itself, unless it gathers several."""
        return (self,)

    def as_dict(self) -> dict[str, str]:
        """JSON form: owner (yours, host, ours), code, about, problem, advice."""
        return {"owner": self.owner, "code": self.code, "about": self.about, "problem": self.problem, "advice": self.advice}


class Yours(FleetError):
    """Mend the desired state."""

    owner = "yours"


class BadOption(Yours):
    """``about`` is the option's path, such as ``emulators[2].memory``; ``problem`` begins with a verb."""

    def __str__(self) -> str:
        return f"{self.about} {self.problem}" + (f"; {self.advice}" if self.advice else "")


class Refused(Yours):
    """Nothing was touched."""


class Guarded(Refused):
    """More would be removed than was allowed."""


class Foreign(Refused):
    """What is there was not made by ldfleet."""


class Stale(Yours):
    """A saved plan does not fit any more."""


class Host(FleetError):
    """Mend the host, or try again."""

    owner = "host"


class Unreachable(Host):
    """No connection, or a connection that never answered."""


class Held(Host):
    """The lease of the host is somebody else's; nothing was done."""


class ReplyLost(Host):
    """The batch may or may not have run: observe before anything else."""


class NotInstalled(Host):
    """No candidate folder holds ldconsole.exe."""


class Unreadable(Host):
    """Output or a file that cannot be parsed counts as unknown."""


class NotConverged(Host):
    """``about`` names the emulator; what was tried did not take."""


class Cancelled(FleetError):
    """What was begun was ended, and nothing more was begun."""

    owner = "yours"


class Ours(FleetError):
    """Report it."""


class BadOptions(Yours):
    """Several wrong options at once, so that one run names them all."""

    def __init__(self, problems: list[BadOption]) -> None:
        super().__init__("", "\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def each(self) -> tuple[FleetError, ...]:
        return self.problems


class Several(FleetError):
    """What is wrong with several hosts or emulators of a fleet at once."""

    def __init__(self, failures: Sequence[FleetError]) -> None:
        super().__init__("", "\n".join(str(failure) for failure in failures))
        self.failures = tuple(failures)

    def each(self) -> tuple[FleetError, ...]:
        return self.failures
