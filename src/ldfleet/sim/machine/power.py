"""A simulated machine's power: when it goes down for a start, how long it is away, and whether it comes back. Time only; what a start does is boot.py's.

How long a real machine is away was not measured: minutes with updates, some tens of seconds without. DOWN_SECONDS is a guess.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .clock import Clock

#: Simulated seconds from the end of a countdown until Windows has started and its listeners answer.
DOWN_SECONDS = 40.0
#: With a clock that skips nobody waits, so an attempt to connect lets so many simulated seconds pass.
KNOCK_SECONDS = 15.0
#: Real seconds that a countdown lasts at least, so that whoever began it hears what came of it, however fast the clock runs.
_LEAST_SECONDS = 1.0


class Interrupted(Exception):
    """The machine went down under what ran on it."""


class Power:
    """``stop`` and ``start``: what happens to the machine then (set by who puts it together). ``comes_back`` False: it stays down for good.
    ``without_network``: simulated seconds for which Windows runs already and nobody reaches it. ``starts`` counts."""

    def __init__(self, clock: Clock) -> None:
        self.stop: Callable[[], None] = lambda: None
        self.start: Callable[[], None] = lambda: None
        self.comes_back = True
        self.without_network = 0.0
        self.starts = 0
        self._clock = clock
        self._lock = threading.RLock()
        self._watchers: list[Callable[[], None]] = []
        self._countdown: threading.Timer | None = None
        self._off_until: float | None = None
        self._deaf_until = 0.0
        self._waker: threading.Timer | None = None

    def watch(self, act: Callable[[], None]) -> None:
        """Have something done whenever the machine goes down: its connections end."""
        self._watchers.append(act)

    def plan(self, seconds: float) -> bool:
        """Go down after so many simulated seconds; False when that is planned already."""
        with self._lock:
            if self._countdown is not None:
                return False
            self._countdown = _timer(max(_LEAST_SECONDS, self._clock.real(seconds)), lambda: self._elapsed(seconds))
            return True

    def abort(self) -> bool:
        """Stay up after all; False when nothing was planned."""
        with self._lock:
            planned, self._countdown = self._countdown, None
        if planned is not None:
            planned.cancel()
        return planned is not None

    def _elapsed(self, seconds: float) -> None:
        if self._clock.skips:
            self._clock.sleep(seconds)
        self.restart()

    def restart(self) -> None:
        """Go down now, and come back after a while."""
        with self._lock:
            self._countdown = None
            if self._off_until is not None:
                return
            self.starts += 1
            self._off_until = self._clock.now() + DOWN_SECONDS
            self.stop()
            if not self._clock.skips and self.comes_back:
                self._waker = _timer(self._clock.real(DOWN_SECONDS), self._advance)
        for act in self._watchers:
            act()

    def knock(self) -> bool:
        """Whether somebody who connects now is heard."""
        if self._clock.skips and not self.up:
            self._clock.sleep(KNOCK_SECONDS)
        self._advance()
        return self.up

    @property
    def up(self) -> bool:
        """Whether Windows runs and the network reaches it."""
        with self._lock:
            return self._off_until is None and self._clock.now() >= self._deaf_until

    def _advance(self) -> None:
        with self._lock:
            if self._off_until is None or not self.comes_back or self._clock.now() < self._off_until:
                return
            self._deaf_until = self._off_until + self.without_network
            self._off_until = None
            self.start()

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in (self._countdown, self._waker):
            if timer is not None:
                timer.cancel()


def _timer(seconds: float, act: Callable[[], None]) -> threading.Timer:
    made = threading.Timer(seconds, act)
    made.daemon = True
    made.start()
    return made
