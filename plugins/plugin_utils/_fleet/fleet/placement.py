# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which host carries which replica: a pure function of the fleet and of what was seen of its hosts.

A replica stays where it is. A missing one goes to the value of the spread label that has fewest, and there to the host with the most room. What is too
many goes from the highest number down. Unknown is not absent: while a host does not answer, nothing that may be on it is made elsewhere. The
order of hosts makes no difference.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..words.errors import Guarded, Refused
from ..words.options import shown
from .fleet import Fleet, Host, Pool
from .look import Look

_GIB = 1024**3


@dataclass(frozen=True)
class Move:
    """A replica that leaves a host: ``how`` is backup or recreate. ``folder``: for the backup, one that both hosts reach."""

    title: str
    source: str
    target: str
    how: str
    folder: str = ""


@dataclass(frozen=True)
class Hold:
    """A replica that is not as the file says and is left alone. ``fails``: that is a fault, not only a wait."""

    title: str
    reason: str
    message: str
    fails: bool = True


@dataclass(frozen=True)
class Placement:
    """``at``: host of each replica that is to stay or to be made. ``created``: those of them that do not exist yet. ``surplus``: replicas that are
    too many or there twice, which are stopped, with their hosts. ``removals``: what is removed, with its reason. ``refusals``: with any of these nothing
    at all may be done.
    """

    at: Mapping[str, str] = field(default_factory=dict)
    created: frozenset[str] = frozenset()
    surplus: tuple[tuple[str, str], ...] = ()
    removals: tuple[tuple[str, str, str], ...] = ()
    moves: tuple[Move, ...] = ()
    holds: tuple[Hold, ...] = ()
    refusals: tuple[Refused, ...] = ()

    @cached_property
    def carried(self) -> Mapping[str, Move]:
        """Replicas that go with all that they are, by title."""
        return {move.title: move for move in self.moves if move.how == "backup"}

    @cached_property
    def recreated(self) -> Mapping[str, Move]:
        """Replicas that are removed from one host and made anew on another, by title."""
        return {move.title: move for move in self.moves if move.how == "recreate"}


def place(fleet: Fleet, looks: Mapping[str, Look]) -> Placement:
    """Place all pools, in the order of their names' first mention in the file."""
    work = _Work(fleet, looks)
    for pool in fleet.pools.values():
        work.stay(pool)
    work.measure()
    for pool in fleet.pools.values():
        work.leave(pool)
        work.make(pool)
    work.purge()
    return work.placement()


class _Work:
    """The placement while it grows, and the room that is left on each host."""

    def __init__(self, fleet: Fleet, looks: Mapping[str, Look]) -> None:
        self.fleet = fleet
        self.looks = {
            name: looks.get(name, Look(problem="nobody looked at it")) for name in sorted(fleet.hosts) if not fleet.hosts[name].lost
        }
        self.unknown = [name for name, look in self.looks.items() if not look.known]
        self.room: dict[str, _Room] = {}
        self.at: dict[str, str] = {}
        self.created: list[str] = []
        self.surplus: list[tuple[str, str]] = []
        self.removals: list[tuple[str, str, str]] = []
        self.moves: list[Move] = []
        self.holds: list[Hold] = []
        self.leaving: dict[str, list[tuple[str, str]]] = {}
        self.arriving: dict[str, str] = {}
        self.spread: Counter[tuple[str, str | None]] = Counter()

    def stay(self, pool: Pool) -> None:
        """Find where each replica is, and tell what has to go."""
        leaving = self.leaving.setdefault(pool.name, [])
        for number, places in sorted(self._found(pool).items()):
            title = pool.title(number)
            places = self._at_home(title, places)
            owned = [host for host in places if self.looks[host].members[title].owned]
            if number >= pool.replicas:
                for host in owned:
                    self._too_many(pool, title, host)
                continue
            strangers = [host for host in places if host not in owned]
            if strangers:
                told = f"{shown(title)} is on {strangers[0]}, and ldfleet neither made nor adopted it; rename it there, or pin it under emulators"
                self.holds.append(Hold(title, "NotOwned", told, fails=not owned))
            for place, host in enumerate(sorted(owned, key=lambda host: self._keeps(pool, title, host))):
                if place:
                    self._twice(pool, title, host, self.at[title])
                else:
                    self._put(pool, title, host)
                    if self._shall_leave(pool, host) or title in self.arriving:
                        leaving.append((title, host))

    def _at_home(self, title: str, places: list[str]) -> list[str]:
        """Where a replica is whole. A copy that is on its way is none as long as the one that it comes from is there, or may be."""
        arriving = [host for host in places if self.looks[host].members[title].moving]
        whole = [host for host in places if host not in arriving]
        if arriving and whole:
            self.arriving[title] = arriving[0]
        elif arriving and self.unknown:
            self.holds.append(self._unknown(title))
        elif arriving:
            return arriving[:1]
        return whole

    def _shall_leave(self, pool: Pool, host: str) -> bool:
        return self.fleet.hosts[host].drain or not pool.takes(self.fleet.hosts[host])

    def measure(self) -> None:
        """The room of each host, once it is known what stays there."""
        self.room = {name: _Room.of(self, name) for name in self.looks}

    def _put(self, pool: Pool, title: str, host: str) -> None:
        self.at[title] = host
        self.spread[pool.name, self._value(pool, host)] += 1

    def _value(self, pool: Pool, host: str) -> str | None:
        """Of the label over which a pool is spread."""
        return self.fleet.hosts[host].labels.get(pool.spread) if pool.spread is not None else None

    def _found(self, pool: Pool) -> dict[int, list[str]]:
        """Hosts of each replica, by its number."""
        found: dict[int, list[str]] = {}
        for host, look in self.looks.items():
            for title in look.members:
                number = pool.number(title)
                if number is not None:
                    found.setdefault(number, []).append(host)
        return found

    def _keeps(self, pool: Pool, title: str, host: str) -> tuple[bool, bool, str]:
        """Of several that there should be one of: the one on a host of the pool that is not drained, then the one that runs."""
        return self._shall_leave(pool, host), not self.looks[host].members[title].up, host

    def _twice(self, pool: Pool, title: str, host: str, keeper: str) -> None:
        """What is there once more is stopped and kept, since nobody knows which of the two has what matters. It goes only where it was to be recreated
        elsewhere: that was done, and then broken off."""
        if pool.on_move == "recreate" and self._shall_leave(pool, host) and not self.looks[host].members[title].protected:
            self.removals.append((title, host, f"is on {keeper} now"))
            return
        told = f"{shown(title)} is on {keeper} and on {host}; the one on {host} is stopped and stays until you remove it"
        self.holds.append(Hold(title, "Twice", told))
        self.surplus.append((title, host))

    def _too_many(self, pool: Pool, title: str, host: str) -> None:
        reason = f"is above replicas {pool.replicas}"
        if pool.on_scale_down != "remove":
            self.surplus.append((title, host))
        elif self.looks[host].members[title].protected:
            self.holds.append(Hold(title, "Protected", f"{shown(title)} {reason}, but it is protected and stays", fails=False))
            self.surplus.append((title, host))
        else:
            self.removals.append((title, host, reason))

    def leave(self, pool: Pool) -> None:
        """Replicas on hosts that should not have them."""
        for title, host in self.leaving[pool.name]:
            why = "is drained" if self.fleet.hosts[host].drain else f"is none of the hosts of {pool.name}"
            why = f"began to give it to {self.arriving[title]}" if title in self.arriving else why
            member = self.looks[host].members[title]
            if pool.on_move == "refuse":
                told = f"{shown(title)} waits on {host}, which {why}; on_move: backup or recreate lets it move"
                self.holds.append(Hold(title, "Waits", told, fails=False))
            elif pool.on_move == "recreate" and member.protected:
                self.holds.append(
                    Hold(title, "Protected", f"{shown(title)} stays on {host}, which {why}, because it is protected", fails=False)
                )
            else:
                self.spread[pool.name, self._value(pool, host)] -= 1
                target, reasons = self._choose(pool, title, whole=pool.on_move == "backup")
                target = self.arriving.get(title, target)
                self.spread[pool.name, self._value(pool, target or host)] += 1
                if target is None:
                    self.holds.append(Hold(title, "NoRoom", f"{shown(title)} cannot leave {host}, which {why}: {reasons}"))
                else:
                    self.moves.append(Move(title, host, target, pool.on_move, pool.move_folder or ""))
                    self.room[target].take(pool)

    def make(self, pool: Pool) -> None:
        """Replicas that are nowhere."""
        held = {hold.title for hold in self.holds}
        missing = [title for title in pool.titles() if title not in self.at and title not in held]
        if missing and self.unknown:
            self.holds += [self._unknown(title) for title in missing]
            return
        for title in missing:
            host, reasons = self._choose(pool, title)
            if host is None:
                self.holds.append(Hold(title, "NoRoom", f"no host takes {shown(title)}: {reasons}"))
                continue
            self._put(pool, title, host)
            self.created.append(title)
            self.room[host].take(pool)

    def _unknown(self, title: str) -> Hold:
        if all(self.looks[host].left_out for host in self.unknown):
            hosts = ", ".join(self.unknown)
            message = f"{shown(title)} may be on a host that was left out of this run ({hosts}); a run on all hosts can tell"
        else:
            told = ", ".join(f"{host}: {self.looks[host].problem}" for host in self.unknown)
            message = (
                f"{shown(title)} may be on a host that could not be asked ({told}); it is made when that answers or is declared lost: true"
            )
        return Hold(title, "Unknown", message)

    def _choose(self, pool: Pool, title: str, whole: bool = False) -> tuple[str | None, str]:
        """The host for one more replica of a pool, or why none takes it, host by host. ``whole``: it comes with all it has, and needs no source."""
        reasons = {name: self._against(pool, title, name, whole) for name in self.looks}
        fit = [name for name, reason in reasons.items() if reason is None]
        if not fit:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "the fleet has no hosts"
            return None, told
        return min(fit, key=lambda name: (self.spread[pool.name, self._value(pool, name)], *self.room[name].preference(), name)), ""

    def _against(self, pool: Pool, title: str, name: str, whole: bool) -> str | None:
        host, look = self.fleet.hosts[name], self.looks[name]
        if not look.known:
            return look.problem
        if not pool.takes(host):
            return f"is none of the hosts of {pool.name}"
        if host.drain:
            return "is drained"
        if title in look.members:
            return f"has another {shown(title)}"
        if not look.desktop and pool.state == "running":
            return "nobody is logged on"
        if pool.clone_from is not None and not whole and not self._has(name, pool.clone_from):
            return f"has no {shown(pool.clone_from)} to clone from"
        return self.room[name].against(pool)

    def _has(self, host: str, title: str) -> bool:
        pinned = any(entry.get("name") == title and entry.get("state") != "absent" for entry in self.fleet.pinned.get(host, ()))
        return pinned or title in self.looks[host].members

    def purge(self) -> None:
        """Owned emulators that nothing in the file names."""
        if not self.fleet.purge:
            return
        for host, look in self.looks.items():
            entries = [{**self.fleet.profiles.get(entry.get("profile", ""), {}), **entry} for entry in self.fleet.pinned.get(host, ())]
            pinned = {entry.get(option) for entry in entries for option in ("name", "clone_from", "renamed_from")}
            sources = {pool.clone_from for pool in self.fleet.pools.values()}
            for title, member in look.members.items():
                if not member.owned or title in pinned | sources or self.fleet.pool_of(title) is not None:
                    continue
                if member.protected:
                    self.holds.append(
                        Hold(title, "Protected", f"{shown(title)} on {host} is named nowhere, but it is protected and stays", False)
                    )
                else:
                    self.removals.append((title, host, "is owned and no longer named"))

    def placement(self) -> Placement:
        """What came out, with the guard against too many removals."""
        owned = sum(member.owned for look in self.looks.values() for member in look.members.values())
        return Placement(
            dict(self.at),
            frozenset(self.created),
            tuple(self.surplus),
            tuple(self.removals),
            tuple(self.moves),
            tuple(self.holds),
            tuple(self._guard(owned)),
        )

    def _guard(self, owned: int) -> Iterator[Refused]:
        gone = [f"{shown(title)} on {host}" for title, host, _reason in self.removals]
        gone += [f"{shown(move.title)} on {move.source}" for move in self.moves if move.how == "recreate"]
        most = self.fleet.max_destroy.among(owned)
        if len(gone) > most:
            listed = ", ".join(gone[:10]) + (f" and {len(gone) - 10} more" if len(gone) > 10 else "")
            share = f"{self.fleet.max_destroy} of {owned} owned, which is {most}" if self.fleet.max_destroy.percent else str(most)
            yield Guarded(
                "fleet",
                f"the plan would remove {len(gone)} emulator{'s'[: len(gone) > 1]} ({listed}), and max_destroy is {share}",
                f"Say max_destroy: {len(gone)} to allow it",
            )


class _Room:
    """What is left on one host. Infinite where the file sets no limit."""

    def __init__(self, host: Host, emulators: int, cpu: int, memory: int, free_bytes: int) -> None:
        capacity = host.capacity
        self.limits = capacity
        self.used = emulators
        self.emulators = _left(capacity.emulators, emulators)
        self.cpu = _left(capacity.cpu, cpu)
        self.memory = _left(capacity.memory, memory)
        self.free_bytes = free_bytes

    @staticmethod
    def of(work: _Work, name: str) -> _Room:
        """As it is before anything new is placed: emulators that are owned, pinned, or run."""
        look = work.looks[name]
        pinned = {str(entry.get("name")) for entry in work.fleet.pinned.get(name, ()) if entry.get("state") != "absent"}
        counted = {title for title, member in look.members.items() if member.owned or member.up} | pinned
        kept = [title for title in look.members if work.at.get(title) == name]
        running = [pool for title in kept if (pool := work.fleet.pool_of(title)) is not None and pool.state == "running"]
        cpu, memory = (sum(pool.wants[part] for pool in running) for part in (0, 1))
        return _Room(work.fleet.hosts[name], len(counted), cpu, memory, look.free_bytes)

    def take(self, pool: Pool) -> None:
        """One more replica."""
        self.used += 1
        self.emulators -= 1
        if pool.state == "running":
            self.cpu -= pool.wants[0]
            self.memory -= pool.wants[1]

    def against(self, pool: Pool) -> str | None:
        """Why one more replica does not fit, or None."""
        cpu, memory = pool.wants if pool.state == "running" else (0, 0)
        if self.emulators < 1:
            return f"{self.used} of {self.limits.emulators} emulators"
        if self.cpu < cpu:
            return f"{self.cpu:g} of {self.limits.cpu} cores are left, {cpu} are wanted"
        if self.memory < memory:
            return f"{self.memory:g} of {self.limits.memory} MiB of memory are left, {memory} are wanted"
        if self.limits.disk is not None and 0 <= self.free_bytes < self.limits.disk * _GIB:
            return f"{self.free_bytes // _GIB} GiB of disk are free, {self.limits.disk} shall stay free"
        return None

    def preference(self) -> tuple[float, ...]:
        """Smaller is better: most emulators left, fewest there, most cores, memory and disk left."""
        return -self.emulators, self.used, -self.cpu, -self.memory, -self.free_bytes


def _left(limit: int | None, used: int) -> float:
    return math.inf if limit is None else limit - used
