# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replica that leaves a host with all that it is: stopped there, backed up, restored on the other host, started and proved there, and only then
removed from the first. Pure: what each host is told at each stage, and what the stage before says of it.

While it is on its way the copy carries the mark ``moving`` on its host, so whoever finds both after an interruption knows which one is whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .fleet import Fleet, Pool
from .look import Look
from .placement import Move

#: After the wave's own task has stopped the replica on one host and made an empty one on the other.
STAGES = ("backup", "restore", "start", "remove", "settle")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """By host, what the modules emulators and emulator_backup are told."""

    emulators: Mapping[str, list[Entry]] = field(default_factory=dict)
    backups: Mapping[str, list[Entry]] = field(default_factory=dict)


def entries(move: Move, pool: Pool, moved: bool) -> dict[str, Entry]:
    """By host, what a wave's own task is told of a replica whose turn it is, or was (``moved``)."""
    if moved:
        return {move.target: {"name": move.title, **pool.entry}}
    stopped = {"name": move.title, "state": "stopped"}
    return {move.source: stopped, move.target: {**stopped, "moving": True}}


def told(
    fleet: Fleet, moves: Iterable[Move], files: Mapping[str, str], stuck: Collection[str], looks: Mapping[str, Look], stage: str
) -> Part:
    """What hosts are told at a stage about replicas that go on. ``files``: backups by title; ``stuck``: replicas that do not; ``looks``: of before it
    all."""
    emulators: dict[str, list[Entry]] = {}
    backups: dict[str, list[Entry]] = {}
    for move in moves:
        pool = fleet.pool_with(move.title)
        member = looks[move.source].members[move.title]
        copy = {"name": move.title, **pool.entry, **member.identity, **({"protect": True} if member.protected else {})}
        if move.title in stuck:
            continue
        if stage == "backup":
            backups.setdefault(move.source, []).append({"name": move.title, "folder": move.folder, "state": "present"})
        elif stage == "restore":
            restored = {"name": move.title, "folder": move.folder, "state": "restored", "file": files[move.title]}
            backups.setdefault(move.target, []).append(restored)
        elif stage == "remove":
            emulators.setdefault(move.source, []).append({"name": move.title, "state": "absent", "protect": False})
        else:
            emulators.setdefault(move.target, []).append({**copy, "moving": True} if stage == "start" else copy)
    return Part(emulators, backups)


def returned(fleet: Fleet, moves: Iterable[Move], files: Collection[str]) -> dict[str, list[Entry]]:
    """What hosts are told in the end of replicas whose copy did not prove itself: the one that it was to replace goes on where it was, and the copy,
    where it got as far as a backup (``files``), is stopped."""
    found: dict[str, list[Entry]] = {}
    for move in moves:
        pool = fleet.pool_with(move.title)
        found.setdefault(move.source, []).append({"name": move.title, "state": pool.state})
        if move.title in files:
            found.setdefault(move.target, []).append({"name": move.title, "state": "stopped", "moving": True})
    return found


def judged(fleet: Fleet, move: Move, stage: str, looks: Mapping[str, Look], results: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """What came of the step before a stage: why the replica does not go on (empty when it does), and the file of its backup where that was made.

    ``looks``: what the module emulators returned of hosts; ``results``: what emulator_backup returned, by title.
    """
    here, there = (looks.get(host, Look(problem="it gave no answer")) for host in (move.source, move.target))
    if stage in ("restore", "start"):
        result = results.get(move.title, {"msg": "it gave no answer"})
        if result.get("failed") or result.get("unreachable") or "backups" not in result:
            return str(result.get("msg") or "it failed"), ""
        listed = [backup["file"] for backup in result["backups"] if not backup.get("problem")]
        return ("", str(listed[0])) if listed or stage == "start" else ("the backup is not to be seen in its folder", "")
    host, look = (move.target, there) if stage in ("remove",) else (move.source, here)
    if not look.known:
        return f"{host}: {look.problem}", ""
    member = look.members.get(move.title)
    if stage == "backup":
        return _begun(move, here, there), ""
    if stage == "settle":
        return (f"it is still on {host}: {look.fault or 'it was not removed'}" if member is not None else ""), ""
    if member is None or member.failed or (fleet.pool_with(move.title).state == "running" and not member.available):
        return f"its copy on {host} is not well: {member.failed if member is not None and member.failed else 'it is not available'}", ""
    return "", ""


def _begun(move: Move, here: Look, there: Look) -> str:
    """Why neither side is ready for the backup; empty when both are."""
    if not there.known:
        return f"{move.target}: {there.problem}"
    source, copy = here.members.get(move.title), there.members.get(move.title)
    if source is None or source.up:
        return f"it was not stopped on {move.source}: {here.fault or 'it still runs'}"
    if copy is None or not copy.moving:
        return f"nothing was made for it on {move.target}: {there.fault or 'it is not to be seen'}"
    return ""
