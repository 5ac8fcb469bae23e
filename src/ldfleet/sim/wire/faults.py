"""What can go wrong on the wire, as data, and what went over it, counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["drop", "lost_reply", "stall", "truncate", "status", "fault"]


@dataclass(frozen=True)
class WireFault:
    """``at``: Connect, Create, Command, Send, Receive, Signal, Delete or any. ``times``: how often, after the first ``after`` matches.

    ``drop``: the connection closes before anything was done; ``lost_reply``: after it was done; ``stall``: nothing for ``seconds``, then drop;
    ``truncate``: half an answer; ``status``: an HTTP status ``code`` without body; ``fault``: a WS-Man fault with ``code``.
    """

    at: str
    kind: Kind
    times: int = 1
    after: int = 0
    code: int = 503
    seconds: float = 1.0


@dataclass(frozen=True)
class WireCounters:
    """HTTP requests (all, and by what they ask), connections, failed authentications, bytes of bodies."""

    requests: int = 0
    connections: int = 0
    auth_failures: int = 0
    creates: int = 0
    commands: int = 0
    sends: int = 0
    receives: int = 0
    signals: int = 0
    deletes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


_BY_ACTION = {"Create": "creates", "Command": "commands", "Send": "sends", "Receive": "receives", "Signal": "signals", "Delete": "deletes"}


class Wire:
    """The faults that wait for one endpoint, and its counters. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[WireFault] = []
        self.counters = WireCounters()

    def inject(self, fault: WireFault) -> None:
        """Play this fault when its place is reached."""
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """No further fault."""
        with self._lock:
            self._faults.clear()

    def fault(self, place: str) -> WireFault | None:
        """The fault to be played at this place now."""
        with self._lock:
            for position, fault in enumerate(self._faults):
                if fault.at not in (place, "any"):
                    continue
                if fault.after > 0:
                    self._faults[position] = replace(fault, after=fault.after - 1)
                    return None
                if fault.times <= 1:
                    del self._faults[position]
                else:
                    self._faults[position] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def count(self, **more: int) -> None:
        """Add to counters by name."""
        with self._lock:
            self.counters = replace(self.counters, **{name: getattr(self.counters, name) + value for name, value in more.items()})

    def count_action(self, action: str) -> None:
        """Count a WS-Man action."""
        if action in _BY_ACTION:
            self.count(**{_BY_ACTION[action]: 1})

    def reset(self) -> None:
        """All counters to 0; faults stay."""
        with self._lock:
            self.counters = WireCounters()
