"""The simulated host's clock: it runs as fast as it is told, or jumps when somebody sleeps. Nothing else here tells time."""

from __future__ import annotations

import threading
import time

#: Where a new world begins: 2026-01-01 00:00 UTC.
START = 1_767_225_600.0


class Clock:
    """Simulated Unix time in seconds.

    ``speed``: simulated seconds a real second. ``skip``: sleep() jumps ahead and nobody waits, which is what tests want.
    """

    def __init__(self, start: float = START, speed: float = 1.0, skip: bool = False) -> None:
        if speed <= 0:
            raise ValueError(f"speed is {speed}; more than 0 is wanted")
        self._base = start
        self._began = time.monotonic()
        self._speed = speed
        self._skip = skip
        self._lock = threading.Lock()

    def now(self) -> float:
        """Simulated Unix time."""
        with self._lock:
            return self._base + (time.monotonic() - self._began) * self._speed

    def resume(self, reached: float) -> None:
        """Go on from a time that was reached in an earlier run; never backwards."""
        with self._lock:
            now = self._base + (time.monotonic() - self._began) * self._speed
            self._base += max(0.0, reached - now)

    @property
    def skips(self) -> bool:
        """Whether sleeping takes no time."""
        return self._skip

    def real(self, seconds: float) -> float:
        """Real seconds that so many simulated ones take."""
        return 0.0 if self._skip else seconds / self._speed

    def sleep(self, seconds: float) -> None:
        """Let so many simulated seconds pass."""
        if self._skip:
            with self._lock:
                self._base += seconds
        elif seconds > 0:
            time.sleep(seconds / self._speed)
