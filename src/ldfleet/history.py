"""The last ten states of a fleet file that were applied without a fault, beside it in ``.ldfleet/history``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .writing import write

KEPT = 10
_NAME = re.compile(r"(\d{6})\..*")


class NoHistory(Exception):
    """There is nothing to go back to."""


@dataclass(frozen=True)
class Entry:
    """One state. ``number`` grows; ``applied`` is local time."""

    number: int
    path: Path
    applied: datetime


class History:
    """Of one fleet file. The file may hold secrets, so what is kept of it can be read by its owner only."""

    def __init__(self, fleet: Path) -> None:
        self._fleet = fleet
        self._folder = fleet.resolve().parent / ".ldfleet" / "history"

    def entries(self) -> list[Entry]:
        """Oldest first."""
        files = self._folder.glob(f"*.{self._fleet.name}") if self._folder.is_dir() else ()
        numbered = [(int(match[1]), path) for path in files if (match := _NAME.fullmatch(path.name))]
        return [Entry(number, path, datetime.fromtimestamp(path.stat().st_mtime, UTC)) for number, path in sorted(numbered)]

    def last(self) -> Path | None:
        """The file as it was applied last."""
        entries = self.entries()
        return entries[-1].path if entries else None

    def keep(self, text: str) -> None:
        """Remember a text as applied. One that equals the last is not kept twice."""
        entries = self.entries()
        if entries and entries[-1].path.read_text(encoding="utf-8") == text:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = entries[-1].number + 1 if entries else 1
        write(self._folder / f"{number:06d}.{self._fleet.name}", text)
        for entry in entries[: max(0, len(entries) + 1 - KEPT)]:
            entry.path.unlink(missing_ok=True)

    def undo(self, number: int | None = None) -> Entry:
        """Put an applied state back into the fleet file: the one before the last that differs from the file as it is, or the one with a number.
        Raises NoHistory."""
        entries = self.entries()
        now = self._fleet.read_text(encoding="utf-8")
        if number is None:
            fit = [entry for entry in entries if entry.path.read_text(encoding="utf-8") != now]
            if entries and entries[-1] not in fit:
                fit = [entry for entry in fit if entry.number < entries[-1].number]
        else:
            fit = [entry for entry in entries if entry.number == number]
        if not fit:
            known = ", ".join(str(entry.number) for entry in entries) or "none"
            raise NoHistory(f"there is no {'earlier state' if number is None else f'state {number}'} of {self._fleet} (kept are: {known})")
        write(self._fleet, fit[-1].path.read_text(encoding="utf-8"))
        return fit[-1]
