"""What all commands of ldconsole share: their words, the emulator that these name, and what LDPlayer says to everybody.

What each of them says is in the files beside this one, and which there are in ldconsole.py; nothing here knows of either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..ldplayer.world import Instance, World
from ..machine.windows import Answer, Caller

Options = Mapping[str, str]
#: Exit code, and what stands on standard output: errors too.
Said = tuple[int, str | bytes]

USAGE, MISSING, PARAMETER = -1000, -1001, -1005
NO_PLAYER = "player don't exist!"
PARAMETER_ERROR: Said = (PARAMETER, "parameter error!")


@dataclass(frozen=True)
class Call:
    """One command line: its ``--name value`` pairs, who gave it, and what LDPlayer says to words that it does not know (``usage``)."""

    world: World
    options: Options
    caller: Caller
    usage: str

    def chosen(self) -> Instance | None:
        """The emulator that it names."""
        return choose(self.world, self.options)


#: An Answer instead of what is said: of a command that has its own time.
Command = Callable[[Call], Said | Answer]


def parse(words: Sequence[str]) -> Options:
    """``--name value`` pairs; what is unknown is ignored later, as LDPlayer ignores it."""
    found: dict[str, str] = {}
    position = 0
    while position < len(words):
        if words[position].startswith("--") and position + 1 < len(words):
            found[words[position][2:].lower()] = words[position + 1]
            position += 1
        position += 1
    return found


def choose(world: World, options: Options) -> Instance | None:
    """--index wins when it is a number; --name takes a title (the first that has it)."""
    if "index" in options:
        text = options["index"]
        number = int(text) if re.fullmatch(r"\d{1,6}", text) else -1
        return next((instance for instance in world.visible() if instance.index == number), None)
    if "name" in options:
        return next((instance for instance in world.visible() if world.title(instance) == options["name"]), None)
    return None


def storable(world: World, title: str | None) -> str | None:
    """A program of the ANSI kind gets ? for what its code page does not hold."""
    return title if title is None else title.encode(f"cp{world.spec.acp}", "replace").decode(f"cp{world.spec.acp}")
