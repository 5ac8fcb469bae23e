# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet's decision from what its hosts told, as plain JSON values: what tasks hand on to each other, and what a saved plan holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..words.errors import BadOption, FleetError, NotConverged, Several, Stale
from ..words.options import Spec, shown
from . import fleet as fleets
from . import look, moving, placement, rollout
from .fleet import Fleet
from .look import Look
from .placement import Hold, Move, Placement
from .rollout import Progress, Rollout

Json = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """``digests``: of what was seen of each host that was known."""

    placement: Placement
    rollout: Rollout
    digests: Mapping[str, str]


def written(decision: Decision) -> Json:
    """As JSON values; ``read`` gives back an equal one."""
    placed, rolled = decision.placement, decision.rollout
    return {
        "at": dict(sorted(placed.at.items())),
        "created": sorted(placed.created),
        "surplus": [list(item) for item in placed.surplus],
        "removals": [list(item) for item in placed.removals],
        "moves": [asdict(move) for move in placed.moves],
        "holds": [asdict(hold) for hold in placed.holds],
        "waves": {pool: [list(titles) for titles in waves] for pool, waves in rolled.waves.items()},
        "kept": sorted(rolled.kept),
        "restarts": sorted(rolled.restarts),
        "digests": dict(sorted(decision.digests.items())),
    }


def read(data: Mapping[str, Any]) -> Decision:
    """From JSON values."""
    return Decision(
        Placement(
            at=dict(data["at"]),
            created=frozenset(data["created"]),
            surplus=tuple((str(title), str(host)) for title, host in data["surplus"]),
            removals=tuple((str(title), str(host), str(reason)) for title, host, reason in data["removals"]),
            moves=tuple(Move(**move) for move in data["moves"]),
            holds=tuple(Hold(**hold) for hold in data["holds"]),
        ),
        Rollout(
            {str(pool): tuple(tuple(titles) for titles in waves) for pool, waves in data["waves"].items()},
            frozenset(data["kept"]),
            frozenset(data["restarts"]),
        ),
        dict(data["digests"]),
    )


def fleet(values: Mapping[str, Any], spec: Spec, entry: Spec, max_destroy: str | None = None) -> Fleet:
    """The fleet of a fleet file's words, with all templates filled in. Raises BadOptions."""
    said = values if max_destroy is None else {**values, "max_destroy": max_destroy}
    return fleets.build(fleets.checked(said, spec, entry, templates=False))


def looked(declared: Fleet, results: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Look]:
    """What each host told. ``results``: of the hosts that take part in the run."""
    return {
        name: look.read(results[name]) if name in results else Look(problem=look.LEFT_OUT)
        for name, host in declared.hosts.items()
        if not host.lost
    }


def place(
    declared: Fleet,
    looks: Mapping[str, Look],
    words: Mapping[str, Any],
    saved: Mapping[str, Any] | None,
    restart: Iterable[str],
    checking: bool,
) -> Json:
    """What the module placement returns. ``words``: the fleet's own, for the fingerprint; ``saved``: a plan that was made before.

    Raises Guarded when more would be removed than is allowed, and Stale when a saved plan is none of this fleet.
    """
    mark = fleets.fingerprint(words)
    stale: dict[str, str] = {}
    if saved is None:
        placed = placement.place(declared, looks)
        found = Decision(placed, rollout.plan(declared, placed, looks, _known(declared, looks, restart)), _digests(looks))
    else:
        found, stale = _still(saved, mark, looks)
    if found.placement.refusals:
        raise Several(found.placement.refusals)
    known = {name: seen for name, seen in looks.items() if name in found.digests}
    last = rollout.length(found.rollout) - 1
    quiet = last == 0 and not rollout.busy(found.placement, found.rollout, known, 0)
    return {
        "changed": False,
        "fingerprint": mark,
        "decision": written(found),
        "waves": [] if quiet else [last] if checking else list(range(last + 1)),
        "pools": pools(declared, found.placement, found.rollout, looks),
        "hosts": {name: _told(seen) for name, seen in looks.items()},
        "stale": stale,
    }


def _known(declared: Fleet, looks: Mapping[str, Look], restart: Iterable[str]) -> list[str]:
    """Pools and replicas to restart. Raises BadOption for what is neither."""
    there = {title for seen in looks.values() for title in seen.members if declared.pool_of(title) is not None}
    wanted = list(restart)
    wrong = [name for name in wanted if name not in declared.pools and name not in there]
    if wrong:
        raise BadOption("restart", f"names {shown(wrong[0])}", fleets.near(wrong[0], [*declared.pools, *there], "pools and replicas"))
    return wanted


def _told(seen: Look) -> Json:
    return {
        "known": seen.known,
        "problem": seen.problem,
        "emulators": len(seen.members),
        "owned": sum(member.owned for member in seen.members.values()),
        "running": sum(member.available for member in seen.members.values()),
        "desktop": seen.desktop,
        "free_bytes": seen.free_bytes,
        "digest": seen.digest,
    }


def _digests(looks: Mapping[str, Look]) -> dict[str, str]:
    return {name: seen.digest for name, seen in looks.items() if seen.known}


def _still(saved: Mapping[str, Any], mark: str, looks: Mapping[str, Look]) -> tuple[Decision, dict[str, str]]:
    """A saved decision without the hosts that moved since, and why each of them is left out."""
    if saved.get("fingerprint") != mark:
        raise Stale("plan", "was made for other words than those that the fleet file has now", "Make a new plan")
    found = read(saved["decision"])
    moved = {name: _moved(name, found.digests, looks) for name in looks}
    stale = {name: reason for name, reason in moved.items() if reason is not None}
    gone = {*stale, *(name for name, seen in looks.items() if not seen.known)}
    still = {name: digest for name, digest in found.digests.items() if name not in gone}
    return Decision(_without(found.placement, gone), _rest(found.rollout, found.placement, gone), still), stale


def _moved(name: str, digests: Mapping[str, str], looks: Mapping[str, Look]) -> str | None:
    seen = looks[name]
    if seen.left_out:
        return None
    if not seen.known:
        return seen.problem if name in digests else None
    if name not in digests:
        return "it could not be asked when the plan was made, and now it can"
    return None if digests[name] == seen.digest else "it has changed since the plan was made"


def _without(placed: Placement, hosts: Collection[str]) -> Placement:
    return replace(
        placed,
        at={title: host for title, host in placed.at.items() if host not in hosts},
        created=frozenset(title for title in placed.created if placed.at[title] not in hosts),
        surplus=tuple(item for item in placed.surplus if item[1] not in hosts),
        removals=tuple(item for item in placed.removals if item[1] not in hosts),
        moves=tuple(move for move in placed.moves if move.source not in hosts and move.target not in hosts),
    )


def _rest(rolled: Rollout, placed: Placement, hosts: Collection[str]) -> Rollout:
    there = _without(placed, hosts).at
    waves = {pool: tuple(tuple(title for title in titles if title in there) for titles in each) for pool, each in rolled.waves.items()}
    return Rollout(waves, rolled.kept & there.keys(), rolled.restarts & there.keys())


@dataclass(frozen=True)
class Course:
    """A decision that is being carried out. ``looks``: of the hosts that were known when it was made; ``before``: how far it had come when the last wave
    (or stage) began, None before the first; ``done``: what hosts returned there.
    """

    fleet: Fleet
    decision: Decision
    looks: Mapping[str, Look]
    before: Progress | None
    done: Mapping[str, Mapping[str, Any] | None]

    def wave(self, number: int, checking: bool) -> Json:
        """What the module rollout returns for a wave: what each host that takes part is told, and how far the rollout has come. In check mode all waves are
        told as one."""
        placed, rolled = self.decision.placement, self.decision.rollout
        progress = self._progress(number)
        waves = range(number + 1) if checking else [number]
        part = {host for one in waves for host in rollout.busy(placed, rolled, self.looks, one, progress.halted)}
        keeping = rolled.later(number, progress.halted)
        told, deadlines = rollout.entries(self.fleet, placed, keeping, progress), rollout.deadlines(self.fleet, placed, rolled, number)
        again: dict[str, list[str]] = {}
        for title in sorted(rolled.restarts - keeping):
            if checking or rolled.turn(title) == number:
                again.setdefault(placed.at[title], []).append(title)
        going = [title for title in placed.carried if not checking and rolled.turn(title) == number and title not in keeping]
        return {
            "changed": False,
            "hosts": {
                host: {
                    "emulators": told.get(host, []),
                    "restart": again.get(host, []),
                    **({"start_timeout": deadlines[host]} if host in deadlines else {}),
                }
                for host in sorted(part)
            },
            "moves": going,
            "stages": list(moving.STAGES) if going else [],
            "progress": _progress_written(progress),
        }

    def stage(self, titles: Iterable[str], name: str, backups: Mapping[str, Mapping[str, Any] | None]) -> Json:
        """What it returns for a stage of moving: what each host is told. ``titles``: the replicas of this wave; ``backups``: what the module emulator_backup
        returned for the stage before."""
        progress = self.before or Progress()
        moves = [self.decision.placement.carried[title] for title in titles]
        seen = {host: look.read(result) for host, result in self.done.items() if result is not None and not result.get("skipped")}
        results = _by_title(backups)
        stuck, files = dict(progress.stuck), dict(progress.files)
        unproven = [move for move in moves if move.title in stuck]
        for move in moves:
            if move.title not in stuck:
                reason, file = moving.judged(self.fleet, move, name, seen, results)
                files.update({move.title: file} if file else {})
                stuck.update({move.title: reason} if reason else {})
        part = moving.told(self.fleet, moves, files, stuck, self.looks, name)
        last = name == moving.STAGES[-1]
        back = moving.returned(self.fleet, unproven, files) if last else {}
        moved = progress.moved | ({move.title for move in moves if move.title not in stuck} if last else set())
        hosts = {
            host: {"emulators": [*part.emulators.get(host, ()), *back.get(host, ())], "restart": []}
            for host in sorted(part.emulators.keys() | back.keys())
        }
        after = replace(progress, stuck=stuck, files=files, moved=moved)
        return {
            "changed": False,
            "hosts": hosts,
            "backups": dict(part.backups),
            "moves": list(titles),
            "progress": _progress_written(after),
        }

    def finish(self, looks: Mapping[str, Look], stale: Mapping[str, str]) -> Json:
        """What is not as the file says when all waves are over, but is no fault. ``looks``: also of the hosts that were not known. Raises Several where any of
        it is one."""
        progress = self._progress(rollout.length(self.decision.rollout)) if self.before is not None else Progress()
        holds = self.decision.placement.holds
        faults: list[FleetError] = [Stale(host, f"was left out, because {reason}", "Make a new plan") for host, reason in stale.items()]
        faults += [NotConverged(host, fault.removeprefix(f"{host}: ")) for host, fault in progress.faults.items()]
        faults += [
            NotConverged(name, f"could not be asked: {seen.problem}", "Its emulators are taken to be as they were")
            for name, seen in looks.items()
            if not seen.known and not seen.left_out and name not in stale
        ]
        faults += [NotConverged(title, f"could not be moved: {reason}") for title, reason in progress.stuck.items()]
        faults += [NotConverged(f"pool {pool}", f"the rollout stopped: {reason}") for pool, reason in progress.stopped.items()]
        faults += [
            NotConverged(hold.title, f"{hold.reason}: {hold.message}") for hold in holds if hold.fails and not _only_limited(hold, looks)
        ]
        if faults:
            raise Several(faults)
        return {"changed": False, "holds": [asdict(hold) for hold in holds]}

    def _progress(self, number: int) -> Progress:
        """How far it has come when a wave begins, or after the last one."""
        placed, rolled = self.decision.placement, self.decision.rollout
        if self.before is None:
            return rollout.begin(self.fleet, placed, self.looks)
        took = rollout.busy(placed, rolled, self.looks, number - 1, self.before.halted)
        seen = {host: look.read(self.done[host]) for host in took if host in self.done}
        return rollout.advance(self.fleet, placed, rolled, self.before, seen, number)


def course(
    declared: Fleet,
    decision: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    looks: Mapping[str, Look],
    done: Mapping[str, Mapping[str, Any] | None],
) -> Course:
    """From what tasks hand on. ``before``: the ``progress`` that the last wave or stage returned."""
    found = read(decision)
    known = {name: seen for name, seen in looks.items() if name in found.digests}
    return Course(declared, found, known, _progress(before) if before is not None else None, done)


def _by_title(backups: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Mapping[str, Any]]:
    """Results of a loop over emulators, of all hosts."""
    listed = [item for result in backups.values() if result is not None for item in result.get("results", ())]
    return {str(item["item"]["name"]): item for item in listed if isinstance(item.get("item"), Mapping)}


def _progress(data: Mapping[str, Any]) -> Progress:
    return Progress(
        dict(data["stopped"]),
        frozenset(data["down"]),
        dict(data["faults"]),
        frozenset(data["moved"]),
        dict(data["stuck"]),
        dict(data["files"]),
        dict(data["halted"]),
    )


def _progress_written(progress: Progress) -> Json:
    return {
        "stopped": dict(progress.stopped),
        "down": sorted(progress.down),
        "faults": dict(progress.faults),
        "moved": sorted(progress.moved),
        "stuck": dict(progress.stuck),
        "files": dict(progress.files),
        "halted": dict(progress.halted),
    }


def _only_limited(hold: Hold, looks: Mapping[str, Look]) -> bool:
    """Whether a replica is held for no other reason than that hosts were left out of the run."""
    return hold.reason == "Unknown" and all(seen.known or seen.left_out for seen in looks.values())


def pools(declared: Fleet, placed: Placement, rolled: Rollout, looks: Mapping[str, Look]) -> Json:
    """Each pool in numbers: what is wanted, there, available and up to date."""
    told: Json = {}
    for pool in declared.pools.values():
        there = [title for title in placed.at if pool.number(title) is not None and title not in placed.created]
        members = [looks[placed.at[title]].members[title] for title in there]
        waiting = {title for titles in rolled.waves.get(pool.name, ()) for title in titles} | rolled.kept
        told[pool.name] = {
            "replicas": pool.replicas,
            "there": len(there),
            "available": sum(member.available for member in members),
            "updated": sum(title not in waiting for title in there),
            "missing": sum(title not in there for title in pool.titles()),
            "surplus": sum(pool.number(title) is not None for title, _host in placed.surplus),
            "revision": pool.revision,
            "waves": len(rolled.waves.get(pool.name, ())),
        }
    return told
