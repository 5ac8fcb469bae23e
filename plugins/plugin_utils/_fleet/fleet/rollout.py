# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order a placement comes true: waves, and what each host is told in each of them. Pure.

A replica that runs and would be taken down for a change, or made anew on another host, waits for its wave, so that no more of its pool are down than
the file allows. All else (what is missing, what does not run, what is too much) comes with the first wave, so a broken replica never waits for its own
mending. The next wave of a pool begins only when every changed replica of it is available; else the pool stops there, and the others go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ..emulators.plan import Verb
from . import moving
from .fleet import Fleet, Pool
from .look import Look, Member
from .placement import Placement

#: Steps that make an emulator another one than it was. Starts, stops and records only bring back what was.
_CHANGES = frozenset(verb.value for verb in (Verb.CONFIGURE, Verb.RENAME, Verb.INSTALL, Verb.UNINSTALL))
#: Replicas that one wave of a restart or of a rollout may name in a message.
_NAMED = 5


@dataclass(frozen=True)
class Rollout:
    """``waves``: by pool, the replicas of each wave that are taken down for a change or to be moved.

    ``kept``: those that keep what they have (their partition). ``restarts``: replicas that are restarted although nothing differs.
    """

    waves: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    restarts: frozenset[str] = frozenset()

    def later(self, wave: int, halted: Mapping[str, int]) -> frozenset[str]:
        """Replicas that still keep what they have in a wave (counted from 0): those of later ones, and of pools that are halted those of the wave that was
        not begun and of all after it."""
        return self.kept | {
            title
            for pool, waves in self.waves.items()
            for number, titles in enumerate(waves)
            if number > wave or number >= halted.get(pool, number + 1)
            for title in titles
        }

    def turn(self, title: str) -> int:
        """The wave that a replica's turn is in. What is in no wave comes with the first."""
        return self._turns.get(title, 0)

    @cached_property
    def _turns(self) -> Mapping[str, int]:
        return {title: number for waves in self.waves.values() for number, titles in enumerate(waves) for title in titles}

    def titles(self, wave: int, halted: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
        """By pool, whose turn is in a wave, without pools that are ``halted`` (as of Progress)."""
        return {pool: waves[wave] for pool, waves in self.waves.items() if wave < len(waves) and wave < halted.get(pool, wave + 1)}


@dataclass(frozen=True)
class Progress:
    """Between two waves. ``stopped``: pools that do not go on, and why; ``halted``: the wave that each of them did not begin. ``down``: replicas that
    are not available. ``faults``: by host, what went wrong.

    ``moved``: replicas that have left their host. ``stuck``: those that could not, and why. ``files``: their backups, while they are on their way.
    """

    stopped: Mapping[str, str] = field(default_factory=dict)
    down: frozenset[str] = frozenset()
    faults: Mapping[str, str] = field(default_factory=dict)
    moved: frozenset[str] = frozenset()
    stuck: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    halted: Mapping[str, int] = field(default_factory=dict)


def plan(fleet: Fleet, placement: Placement, looks: Mapping[str, Look], restart: Iterable[str] = ()) -> Rollout:
    """Cut the changes of each pool into waves. ``restart``: titles (or names of pools) that are restarted in the same way."""
    wishes = set(restart)
    waves: dict[str, tuple[tuple[str, ...], ...]] = {}
    kept: set[str] = set()
    restarts: set[str] = set()
    for pool in fleet.pools.values():
        members = {title: _member(placement, looks, title) for title in _present(pool, placement)}
        leaving = members.keys() & {move.title for move in placement.moves}
        again = {title for title, member in members.items() if member.up and (title in wishes or pool.name in wishes)} - leaving
        changed = [title for title, member in members.items() if _CHANGES & set(member.steps) or title in again | leaving]
        held = {title for title in changed if (pool.number(title) or 0) < pool.update.partition} - again - leaving
        kept |= held
        restarts |= again
        disruptive = [title for title in changed if title not in held and (members[title].available or members[title].silent)]
        silent = {title for title in disruptive if members[title].silent}
        down = sum(not member.available for title, member in members.items() if title not in silent)
        down += sum(pool.number(title) is not None for title in placement.created)
        waves[pool.name] = tuple(_cut(pool, disruptive, silent, down if pool.state == "running" else 0))
    return Rollout({name: cut for name, cut in waves.items() if cut}, frozenset(kept), frozenset(restarts))


def _present(pool: Pool, placement: Placement) -> list[str]:
    return [title for title in placement.at if pool.number(title) is not None and title not in placement.created]


def _member(placement: Placement, looks: Mapping[str, Look], title: str) -> Member:
    return looks[placement.at[title]].members[title]


def _cut(pool: Pool, disruptive: Sequence[str], silent: Collection[str], down: int) -> Iterable[tuple[str, ...]]:
    """First who runs and does not answer, then from the highest number down. What does not run (``down``) takes its share of the first wave: it is
    brought up in that wave. Who is silent waits for a wave like the others: it may be so only because a new probe asks for more."""
    left = sorted(disruptive, key=lambda title: (title not in silent, -(pool.number(title) or 0)))
    budget = pool.update.budget(pool.replicas)
    if pool.state == "stopped":
        yield from [tuple(left)] if left else []
        return
    if left and down:
        yield tuple(left[: max(0, budget - down)])
        left = left[max(0, budget - down) :]
    yield from (tuple(left[start : start + budget]) for start in range(0, len(left), budget))


def begin(fleet: Fleet, placement: Placement, looks: Mapping[str, Look]) -> Progress:
    """Before the first wave."""
    return Progress(down=_down(fleet, placement.at, looks, placement.at))


def advance(fleet: Fleet, placement: Placement, rollout: Rollout, before: Progress, looks: Mapping[str, Look], wave: int) -> Progress:
    """Before a wave above 0, or after the last one. ``looks``: of the hosts that took part in the wave before, as they were then."""
    homes = _homes(placement, rollout.later(wave - 1, before.halted))
    carried = placement.carried.keys()
    asked = [title for title, host in homes.items() if host in looks and title not in carried]
    down = (before.down - set(asked) - before.moved) | _down(fleet, homes, looks, asked) | before.stuck.keys()
    found, halted = dict(before.stopped), dict(before.halted)
    for name, waves in rollout.waves.items():
        pool = fleet.pools[name]
        if name in found or wave >= len(waves):
            continue
        told = [_unwell(pool, homes[title], looks, title) for title in waves[wave - 1] if title not in carried]
        told += [f"{title}: {before.stuck[title]}" for title in waves[wave - 1] if title in before.stuck]
        bad = [reason for reason in told if reason]
        waiting = {title for titles in waves[wave:] for title in titles}
        missing = sorted(title for title in down - waiting if pool.number(title) is not None)
        if not bad and missing and len(missing) + len(waves[wave]) > pool.update.budget(pool.replicas):
            bad = [f"{title} on {homes[title]} is not available" for title in missing]
        if bad:
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            found[name] = f"{len(waiting)} of {pool.replicas} keep what they had, because {'; '.join(bad[:_NAMED])}{more}"
            halted[name] = wave
    faults = {host: look.problem or look.fault for host, look in looks.items() if look.problem or look.fault}
    return replace(before, stopped=found, halted=halted, down=frozenset(down), faults={**before.faults, **faults}, files={})


def _homes(placement: Placement, keeping: Collection[str]) -> dict[str, str]:
    """The host of each replica, of which those that are recreated have moved unless they are among ``keeping``."""
    moved = {title: move.target for title, move in placement.recreated.items() if title not in keeping}
    return {**placement.at, **moved}


def _down(fleet: Fleet, homes: Mapping[str, str], looks: Mapping[str, Look], titles: Iterable[str]) -> frozenset[str]:
    """Replicas that should run and are not available."""
    found = set()
    for title in titles:
        pool, look = fleet.pool_of(title), looks.get(homes[title])
        member = look.members.get(title) if look is not None else None
        if pool is not None and pool.state == "running" and (member is None or not member.available):
            found.add(title)
    return frozenset(found)


def _unwell(pool: Pool, host: str, looks: Mapping[str, Look], title: str) -> str | None:
    look = looks.get(host, Look(problem="it gave no answer"))
    member = look.members.get(title)
    where = f"{title} on {host}"
    if not look.known or look.refused:
        return f"{where}: {look.problem or look.refused}"
    if member is None:
        return f"{where} is gone"
    if member.failed:
        return f"{where}: {member.failed}"
    return f"{where} is not available" if pool.state == "running" and not member.available else None


_FRESH = Progress()


def entries(fleet: Fleet, placement: Placement, keeping: Iterable[str], progress: Progress = _FRESH) -> dict[str, list[dict[str, Any]]]:
    """By host, what the module emulators is told: its pinned emulators, its replicas, and what goes. ``keeping``: replicas that keep what they have, so
    only their state is told."""
    kept = {*keeping, *progress.stuck}
    told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for host, pinned in fleet.pinned.items():
        told[host] += map(dict, pinned)
    for title, home in sorted(_homes(placement, kept).items()):
        pool = fleet.pool_with(title)
        if title in kept:
            told[home].append({"name": title, "state": pool.state})
        elif title not in placement.carried:
            told[home].append({"name": title, **pool.entry})
    for title in [title for title in placement.carried if title not in kept]:
        for host, entry in moving.entries(placement.carried[title], fleet.pool_with(title), title in progress.moved).items():
            told[host].append(entry)
    for title in [title for title in placement.recreated if title not in kept]:
        told[placement.recreated[title].source].append({"name": title, "state": "absent"})
    for title, host in placement.surplus:
        told[host].append({"name": title, "state": "stopped"})
    for title, host, _reason in placement.removals:
        told[host].append({"name": title, "state": "absent"})
    return dict(told)


def deadlines(fleet: Fleet, placement: Placement, rollout: Rollout, wave: int) -> dict[str, int]:
    """By host, how many seconds a start may take in a wave: the longest progress_deadline of the pools that change something there. Hosts of pools that
    say nothing are left out."""
    found: dict[str, int] = {}
    for pool, titles in rollout.titles(wave, {}).items():
        said = fleet.pools[pool].update.progress_deadline
        for host in _hosts(placement, titles) if said is not None else ():
            found[host] = max(said or 0, found.get(host, 0))
    return found


def _hosts(placement: Placement, titles: Iterable[str]) -> set[str]:
    """Where replicas are, and where they move to."""
    listed = set(titles)
    return {placement.at[title] for title in listed} | {move.target for move in placement.moves if move.title in listed}


def busy(
    placement: Placement, rollout: Rollout, looks: Mapping[str, Look], wave: int, halted: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """Hosts that have something to do in a wave. ``halted``: as of Progress."""
    titles = {title for each in rollout.titles(wave, halted).values() for title in each}
    if wave:
        return sorted(_hosts(placement, titles))
    off = rollout.later(0, {})
    touched = _hosts(placement, titles | placement.created | ({move.title for move in placement.moves} - off))
    touched |= {host for _title, host, _reason in placement.removals}
    touched |= {host for title, host in placement.surplus if looks[host].members[title].up}
    going = set(placement.surplus)
    return sorted(touched | {host for host, look in looks.items() if look.known and _to_do(host, look, going, off)})


def _to_do(host: str, look: Look, going: Collection[tuple[str, str]], off: Collection[str]) -> bool:
    """Whether a look's plan has something that is not put off (``off``). What goes is none of that plan's business."""
    open_ = [_open(member, title in off) for title, member in look.members.items() if (title, host) not in going]
    return any(open_) or bool(look.new or look.fault)


def _open(member: Member, keeps: bool) -> bool:
    """Whether there is something to do about an emulator. One that keeps what it has is only brought to its state: a start or a stop, but not both."""
    to_state = (Verb.START.value in member.steps) != (Verb.STOP.value in member.steps)
    return member.waits or (to_state if keeps else bool(member.steps))


def length(rollout: Rollout) -> int:
    """How many waves there are, at least one."""
    return max((len(waves) for waves in rollout.waves.values()), default=1)
