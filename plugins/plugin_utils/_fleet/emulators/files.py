# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files between a host and a guest, as a conversation: push, pull, and a picture of the screen. Contents never travel to the controller.

What `push` and `pull` say proves nothing (adb's exit code is swallowed), so both ends are hashed before and after: equal before is nothing to do, equal
after is the proof. The guest is asked through adb, so it must run and let adb in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words import install, places
from ..words.errors import BadOption, BadOptions, NotConverged, Refused
from ..words.install import Where
from ..words.options import shown
from . import conversation, desired, guest, observed, report
from .conversation import Ask, Do, Json, Talk
from .observed import Emulator, Observation, Question, Run

#: The agent hashes a file in memory; .NET's arrays end at 2 GB.
_LARGEST = 2**30
_ADB_MS = 60_000
_PNG = b"\x89PNG\r\n\x1a\n"
#: Where a picture lies until it is fetched.
_SHOT = "/data/local/tmp/ldfleet-screen.png"
_SHARED = {"applications": "sharedApplications", "pictures": "sharedPictures", "misc": "sharedMisc"}


@dataclass(frozen=True)
class Wish:
    """What a task says. ``host_path`` without its folder is ``file``; ``timeout``: seconds that LDPlayer may take."""

    name: str
    action: str
    folder: str
    file: str
    guest_path: str
    timeout: int

    @property
    def host_path(self) -> str:
        """The whole path on the host."""
        return f"{self.folder}\\{self.file}"

    @property
    def question(self) -> Question:
        """Asks the guest for the hash of its file."""
        return Question(guest.exact(f"sha256sum {guest.word(self.guest_path)}"), None, frozenset({self.name}))


@dataclass(frozen=True)
class _Ends:
    """Both ends of a transfer. ``host``: the file's hash, None where it is missing; ``size``, ``modified_ms``, ``head`` of it; ``there``: its folder."""

    seen: Observation
    there: bool
    host: str | None
    size: int
    modified_ms: int
    head: bytes


def wish(given: Mapping[str, Any]) -> Wish:
    """From a module's options. Raises BadOptions."""
    problems = [BadOption(about, problem, "") for about, problem in _problems(given) if problem]
    if problems:
        raise BadOptions(problems)
    folder, _, file = given["host_path"].replace("/", "\\").rpartition("\\")
    return Wish(given["name"], given["action"], folder, file, given["guest_path"] or _SHOT, given["timeout"])


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    title = desired.title_problem(given["name"])
    yield "name", f"is {shown(given['name'])}; {title}" if title else ""
    path = places.folder_problem(given["host_path"]) or ("a file is wanted" if re.search(r"[\\/:]\Z", given["host_path"]) else None)
    yield "host_path", f"is {shown(given['host_path'])}; {path}" if path else ""
    if given["action"] == "screenshot":
        yield "guest_path", "does not belong here; a screenshot has none" if given["guest_path"] is not None else ""
    elif given["guest_path"] is None:
        yield "guest_path", f"is missing; action {given['action']} needs it"
    else:
        yield "guest_path", _guest_problem(given["guest_path"])
    yield "timeout", "" if 10 <= given["timeout"] <= 7200 else f"is {given['timeout']}; 10 to 7200 seconds is wanted"


def _guest_problem(path: str) -> str:
    if not path.startswith("/") or path.endswith("/"):
        return f"is {shown(path)}; the full path of a file in the guest is wanted, such as /sdcard/Download/a.txt"
    if '"' in path or any(ord(character) < 32 or ord(character) == 127 for character in path):
        return f"is {shown(path)}; a path without double quotes and control characters is wanted"
    problem = guest.exact_problem(f"sha256sum {guest.word(path)}")
    return f"is {shown(path)}; {problem}" if problem else ""


def talk(wanted: Wish, where: Where) -> Talk:
    """Look at both ends, and carry the file over where they differ."""
    ends = _ends((yield Ask((*observed.look(where, (wanted.question,)), _listing(wanted)))), wanted, where)
    emulator = conversation.one(ends.seen, wanted.name)
    _refuse(wanted, emulator, ends)
    before = _guest_hash(emulator)
    wanted_hash = {"push": ends.host, "pull": before}.get(wanted.action)
    same = wanted.action != "screenshot" and ends.host == before
    step = conversation.action(wanted.action, wanted.name, _tells(wanted))
    planned = _result(ends, emulator, [] if same else [step], wanted_hash)
    if same:
        return planned
    reply = yield Do(_operations(wanted, emulator, ends), (step["text"],), planned, wanted.timeout * 1000 + 2 * _ADB_MS)
    after = _ends(reply, wanted, where)
    _judge(wanted, wanted_hash, ends, after, reply)
    return {**planned, "sha256": after.host}


def _listing(wanted: Wish) -> Operation:
    return operations.always(operations.listing("file", wanted.folder + "\\", wanted.file, _LARGEST, head=len(_PNG)))


def _ends(reply: Reply, wanted: Wish, where: Where) -> _Ends:
    seen = observed.observation(reply, where, (wanted.question,))
    result = conversation.expect(reply, "file", f"looking for {wanted.host_path}")
    found = next(iter(result.values["files"]), None)
    if found is None:
        return _Ends(seen, bool(result.values["exists"]), None, 0, 0, b"")
    if "error" in found:
        raise Refused(
            reply.host.name,
            f"{wanted.host_path} cannot be read ({found['error'].get('code')}: {found['error'].get('message')})",
            f"Files of up to {_LARGEST // 2**20} MB that no other program holds can be transferred",
        )
    head = Result("file", "ok", found).data("head")
    return _Ends(seen, True, str(found["sha256"]), int(found["size"]), int(found["modified_ms"]), head)


def _guest_hash(emulator: Emulator) -> str | None:
    """The hash that the guest told; None where it has no such file."""
    found = re.match(rb"\\?([0-9a-f]{64}) ", emulator.said or b"")
    return found[1].decode() if found else None


def _refuse(wanted: Wish, emulator: Emulator, ends: _Ends) -> None:
    host = ends.seen.host.name
    if emulator.run is not Run.RUNNING:
        raise Refused(host, f"{shown(wanted.name)} is {emulator.run.value}, and only a guest that runs has files", "Start it first")
    if emulator.said is None:
        raise Refused(
            host, f"adb of {shown(wanted.name)} is off, so nothing can be proven", "Set adb: local for it (ldfleet.ldplayer.emulator)"
        )
    if _guest_hash(emulator) is None and b"sha256sum:" not in emulator.said:
        said = shown(emulator.said.decode("utf-8", "replace").strip())
        raise Refused(host, f"the guest of {shown(wanted.name)} does not answer as it should: it said {said}", "Is it still starting?")
    if not ends.there:
        raise Refused(host, f"there is no folder {wanted.folder}", "Make it first")
    if wanted.action == "push" and ends.host is None:
        raise Refused(host, f"there is no {wanted.host_path}", "Name a file of the host")
    if wanted.action == "pull" and _guest_hash(emulator) is None:
        raise Refused(host, f"there is no {wanted.guest_path} in {shown(wanted.name)}", "Name a file of the guest")


def _tells(wanted: Wish) -> str:
    if wanted.action == "screenshot":
        return f"to {wanted.host_path}"
    ends = [wanted.host_path, wanted.guest_path]
    return " to ".join(ends if wanted.action == "push" else reversed(ends))


def _operations(wanted: Wish, emulator: Emulator, ends: _Ends) -> tuple[Operation, ...]:
    index = str(emulator.index)
    way = "push" if wanted.action == "push" else "pull"
    words = [way, "--index", index, "--remote", wanted.guest_path, "--local", wanted.host_path]
    work = [operations.execute("transfer", install.PROGRAM, words, wanted.timeout * 1000)]
    if wanted.action == "screenshot":
        take, tidy = (["adb", "--index", index, "--command", guest.shell(f"{verb} {_SHOT}")] for verb in ("screencap -p", "rm -f"))
        work = [
            operations.execute("take", install.PROGRAM, take, _ADB_MS),
            *work,
            operations.execute("tidy", install.PROGRAM, tidy, _ADB_MS),
        ]
    look = observed.look_again((wanted.question,), ends.seen.host)
    return (*conversation.guarded(ends.seen, [emulator], work), *look, _listing(wanted))


def _judge(wanted: Wish, wanted_hash: str | None, before: _Ends, after: _Ends, reply: Reply) -> None:
    wrong = [reply.results[id] for id in ("guard", "take", "transfer") if id in reply.results and not reply.results[id].ok]
    evidence = f"{wrong[0].id} said {conversation.told(wrong[0])}" if wrong else "every command reported success"
    if wanted.action == "screenshot":
        fresh = (after.modified_ms, after.size) != (before.modified_ms, before.size) or before.host is None
        if not fresh or not after.head.startswith(_PNG):
            raise NotConverged(wanted.name, f"no picture came to {wanted.host_path} ({evidence})", "Is there room on the drive?")
        return
    emulator = after.seen.titled(wanted.name)
    arrived = after.host if wanted.action == "pull" else _guest_hash(emulator) if emulator is not None else None
    if arrived != wanted_hash:
        there = "nothing" if arrived is None else "something else, perhaps half of it,"
        raise NotConverged(wanted.name, f"{there} arrived ({evidence})", "Is there room on the other side? Run again")


def _result(ends: _Ends, emulator: Emulator, actions: list[Json], digest: str | None) -> Json:
    values = emulator.config.values if emulator.config is not None else {}
    shared = {name: str(values[key]) for name, word in _SHARED.items() if (key := f"statusSettings.{word}") in values}
    return {
        "changed": bool(actions),
        "actions": actions,
        "sha256": digest,
        "shared_folders": shared,
        "host": report.host(ends.seen),
        "diff": conversation.diff((), conversation.texts(actions)),
    }
