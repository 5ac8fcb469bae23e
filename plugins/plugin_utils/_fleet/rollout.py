# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order a placement comes true: waves, and what each host is told in each of them. Pure.

A replica that runs and would be taken down for a change waits for its wave, so that no more of its pool are down than the file allows. All else
(what is missing, what does not run, what is too much) comes with the first wave, so a broken replica never waits for its own mending. The next
wave of a pool begins only when every changed replica of it is available; else the pool stops there, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import moving
from .fleet import Fleet, Pool
from .look import Look, Member
from .placement import Placement
from .plan import Verb

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

    def later(self, wave: int, stopped: Iterable[str]) -> frozenset[str]:
        """Replicas that still keep what they have in a wave (counted from 0): those of later ones, and all that a stopped pool has not changed."""
        halted = set(stopped)
        return self.kept | {
            title
            for pool, waves in self.waves.items()
            for number, titles in enumerate(waves)
            if number > wave or (pool in halted and number == wave)
            for title in titles
        }

    def turn(self, title: str) -> int:
        """The wave that a replica's turn is in. What is in no wave comes with the first."""
        return next((number for waves in self.waves.values() for number, titles in enumerate(waves) if title in titles), 0)


@dataclass(frozen=True)
class Progress:
    """Between two waves. ``stopped``: pools that do not go on, and why. ``down``: replicas that are not available. ``faults``: by host, what went wrong.

    ``moved``: replicas that have left their host. ``stuck``: those that could not, and why. ``files``: their backups, while they are on their way.
    """

    stopped: Mapping[str, str] = field(default_factory=dict)
    down: frozenset[str] = frozenset()
    faults: Mapping[str, str] = field(default_factory=dict)
    moved: frozenset[str] = frozenset()
    stuck: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def plan(fleet: Fleet, placement: Placement, looks: Mapping[str, Look], restart: Iterable[str] = ()) -> Rollout:
    """Cut the changes of each pool into waves. ``restart``: titles (or names of pools) that are restarted in the same way."""
    wishes = set(restart)
    waves: dict[str, tuple[tuple[str, ...], ...]] = {}
    kept: set[str] = set()
    restarts: set[str] = set()
    for pool in fleet.pools.values():
        members = {title: _member(placement, looks, title) for title in _present(pool, placement)}
        again = {title for title, member in members.items() if member.up and (title in wishes or pool.name in wishes)}
        changed = [title for title, member in members.items() if _CHANGES & set(member.steps) or title in again]
        held = {title for title in changed if (pool.number(title) or 0) < pool.update.partition and title not in again}
        kept |= held
        restarts |= again
        going = placement.moving().keys() & members.keys()
        disruptive = [title for title in {*changed, *going} if title not in held - going and members[title].available]
        waves[pool.name] = tuple(_cut(pool, disruptive, members))
    return Rollout({name: cut for name, cut in waves.items() if cut}, frozenset(kept), frozenset(restarts))


def _present(pool: Pool, placement: Placement) -> list[str]:
    return [title for title in placement.at if pool.number(title) is not None and title not in placement.created]


def _member(placement: Placement, looks: Mapping[str, Look], title: str) -> Member:
    return looks[placement.at[title]].members[title]


def _cut(pool: Pool, disruptive: Sequence[str], members: Mapping[str, Member]) -> Iterable[tuple[str, ...]]:
    """From the highest number down. What is not available already takes its share of the first wave: it is brought back in that wave."""
    left = sorted(disruptive, key=lambda title: -(pool.number(title) or 0))
    budget = pool.update.budget(pool.replicas)
    if pool.state == "stopped":
        yield from [tuple(left)] if left else []
        return
    down = sum(not member.available for member in members.values()) if pool.state == "running" else 0
    if left and down:
        yield tuple(left[: max(0, budget - down)])
        left = left[max(0, budget - down) :]
    yield from (tuple(left[start : start + budget]) for start in range(0, len(left), budget))


def begin(fleet: Fleet, placement: Placement, looks: Mapping[str, Look]) -> Progress:
    """Before the first wave."""
    return Progress(down=_down(fleet, placement.at, looks, placement.at))


def advance(fleet: Fleet, placement: Placement, rollout: Rollout, before: Progress, looks: Mapping[str, Look], wave: int) -> Progress:
    """Before a wave above 0, or after the last one. ``looks``: of the hosts that took part in the wave before, as they were then."""
    moves = placement.moving()
    home = {
        **placement.at,
        **{title: move.target for title, move in moves.items() if move.how == "recreate" and rollout.turn(title) < wave},
    }
    carried = {title for title, move in moves.items() if move.how == "backup"}
    asked = [title for title, host in home.items() if host in looks and title not in carried]
    down = (before.down - set(asked) - before.moved) | _down(fleet, home, looks, asked) | before.stuck.keys()
    found = dict(before.stopped)
    for name, waves in rollout.waves.items():
        pool = fleet.pools[name]
        if name in found or wave >= len(waves):
            continue
        told = [_unwell(pool, home[title], looks, title) for title in waves[wave - 1] if title not in carried]
        told += [f"{title}: {before.stuck[title]}" for title in waves[wave - 1] if title in before.stuck]
        bad = [reason for reason in told if reason]
        missing = sorted(title for title in down if pool.number(title) is not None)
        if not bad and len(missing) + len(waves[wave]) > pool.update.budget(pool.replicas):
            bad = [f"{title} on {home[title]} is not available" for title in missing]
        if bad:
            left = sum(len(titles) for titles in waves[wave:])
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            found[name] = f"{left} of {pool.replicas} keep what they had, because {'; '.join(bad[:_NAMED])}{more}"
    faults = {host: look.problem or look.fault for host, look in looks.items() if look.problem or look.fault}
    return replace(before, stopped=found, down=frozenset(down), faults={**before.faults, **faults}, files={})


def _down(fleet: Fleet, home: Mapping[str, str], looks: Mapping[str, Look], titles: Iterable[str]) -> frozenset[str]:
    """Replicas that should run and are not available."""
    found = set()
    for title in titles:
        pool, look = fleet.pool_of(title), looks.get(home[title])
        member = look.members.get(title) if look is not None else None
        if pool is not None and pool.state == "running" and (member is None or not member.available):
            found.add(title)
    return frozenset(found)


def _unwell(pool: Pool, host: str, looks: Mapping[str, Look], title: str) -> str | None:
    look = looks.get(host, Look(problem="it gave no answer"))
    member = look.members.get(title)
    where = f"{title} on {host}"
    if not look.known:
        return f"{where}: {look.problem}"
    if member is None:
        return f"{where} is gone"
    if member.failed:
        return f"{where}: {member.failed}"
    return f"{where} is not available" if pool.state == "running" and not member.available else None


def entries(fleet: Fleet, placement: Placement, rollout: Rollout, progress: Progress, wave: int, host: str) -> list[dict[str, Any]]:
    """What the module emulators is told of one host in a wave: its pinned emulators, its replicas, and what goes. Of replicas that keep what they
    have only the state is told."""
    kept, moves = rollout.later(wave, progress.stopped), placement.moving()
    told: list[dict[str, Any]] = [dict(entry) for entry in fleet.pinned.get(host, ())]
    for title, at in sorted(placement.at.items()):
        pool = fleet.pool_of(title)
        assert pool is not None
        move = moves.get(title)
        still = {"name": title, "state": pool.state}
        if move is None:
            told += [still if title in kept else {"name": title, **pool.entry}] if at == host else []
        elif host in (move.source, move.target):
            told += moving.entry(move, pool, still, host, title in kept or rollout.turn(title) > wave, progress.moved, progress.stuck)
    told += [{"name": title, "state": "stopped"} for title, at in placement.surplus if at == host]
    told += [{"name": title, "state": "absent"} for title, at, _reason in placement.removals if at == host]
    return told


def busy(placement: Placement, rollout: Rollout, looks: Mapping[str, Look], wave: int) -> list[str]:
    """Hosts that have something to do in a wave."""
    touched = {placement.at[title] for waves in rollout.waves.values() for title in (waves[wave] if wave < len(waves) else ())}
    touched |= {host for move in placement.moves if rollout.turn(move.title) == wave for host in (move.source, move.target)}
    if wave == 0:
        touched |= {placement.at[title] for title in placement.created} | {host for _title, host, _reason in placement.removals}
        touched |= {host for title, host in placement.surplus if looks[host].members[title].up}
        touched |= {host for host, look in looks.items() if look.known and (look.fault or _to_do(look, rollout))}
    return sorted(touched)


def _to_do(look: Look, rollout: Rollout) -> bool:
    """Whether a look's plan has a step that is not put off."""
    off = rollout.later(0, ())
    return any(member.steps for title, member in look.members.items() if title not in off) or bool(look.new)


def length(rollout: Rollout) -> int:
    """How many waves there are, at least one."""
    return max((len(waves) for waves in rollout.waves.values()), default=1)
