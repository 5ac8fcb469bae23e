# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One emulator's backups, as a conversation: make one, put one back, remove them. Files and their names are in backups.py.

A backup is up to date while neither the emulator's disks nor its config changed after it. What is old goes only when the new one has been proven.
`restore` puts the source's title and display in place of the emulator's own, so title, identity and resolution are put right again after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words import install, places, settings
from ..words.errors import BadOption, BadOptions, NotConverged, Refused
from ..words.install import Where
from ..words.options import shown
from . import backups, conversation, desired, interlude, observed, ownership, report
from .backups import Backup
from .conversation import Ask, Do, Json, Talk
from .observed import Emulator, Observation, Run

_VMS = r"{ld}\vms"
_RESTORED = r"{programdata}\ldfleet\restored"
#: `rename` and `modify` return at once; 60 s is for a busy host.
_COMMAND_MS = 60_000


@dataclass(frozen=True)
class Wish:
    """What a task says. ``max_age``: hours that a backup may be old though the emulator changed; ``keep``: how many good ones stay; ``file``: which one
    to put back or to remove; ``stop``: a running emulator may be stopped for it; ``timeout``: seconds."""

    name: str
    folder: str
    state: str = "present"
    file: str | None = None
    keep: int | None = None
    max_age: int = 0
    stop: bool = False
    force: bool = False
    timeout: int = 600
    desktop_needed: bool = True


def wish(given: Mapping[str, Any]) -> Wish:
    """From a module's options. Raises BadOptions."""
    problems = [BadOption(about, f"is {shown(given[about])}", problem) for about, problem in _problems(given) if problem]
    if problems:
        raise BadOptions(problems)
    own = {option: given[option] for option in ("name", "state", "file", "keep", "max_age", "stop", "force", "timeout")}
    return Wish(folder=places.spelled(given["folder"]), desktop_needed=given["desktop_session"] != "never", **own)


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    yield "name", desired.title_problem(given["name"])
    yield "folder", places.folder_problem(given["folder"])
    if given["file"] is not None:
        yield "file", "file is for states restored and absent" if given["state"] == "present" else backups.file_problem(given["file"])
    if given["keep"] is not None:
        yield "keep", None if 1 <= given["keep"] <= 1000 else "1 to 1000 is wanted"
    yield "max_age", None if 0 <= given["max_age"] <= 87_600 else "0 to 87600 hours is wanted"
    yield "timeout", None if 10 <= given["timeout"] <= 7200 else "10 to 7200 seconds is wanted"


@dataclass(frozen=True)
class _Found:
    """What a look told. ``disks``: bytes and latest change of each emulator's disks, by index; ``changed``: latest change of its config;
    ``restored``: notes of what was put back, by file name; ``folder``: whether the folder of the backups is there."""

    seen: Observation
    listing: Result
    disks: Mapping[int, tuple[int, int]]
    changed: Mapping[int, int]
    restored: Mapping[str, Result]

    @property
    def folder(self) -> bool:
        return bool(self.listing.values["exists"])

    @property
    def free_bytes(self) -> int:
        """Of the drive of the backups; -1 where unknown."""
        return observed.free_bytes(self.listing)

    def last_change(self, emulator: Emulator) -> int:
        """When its disks or its config changed last; milliseconds since 1970."""
        return max(self.disks.get(emulator.index, (0, 0))[1], self.changed.get(emulator.index, 0))


def talk(wanted: Wish, where: Where) -> Talk:
    """Look, and do what the state asks for."""
    found = _found((yield Ask(tuple(_look(wanted, observed.look(where))))), where)
    return (yield from _STATES[wanted.state](wanted, found, where))


def _look(wanted: Wish, look: Iterable[Operation]) -> list[Operation]:
    return [
        *look,
        operations.always(operations.listing("backups", f"{wanted.folder}\\", f"*{backups.SUFFIX}", head=backups.HEAD, space=True)),
        operations.always(operations.listing("disks", _VMS, "leidian*", folders=True)),
        operations.always(operations.read("restored", _RESTORED, "*.json")),
    ]


def _found(reply: Reply, where: Where) -> _Found:
    seen = observed.observation(reply, where)
    listing = conversation.expect(reply, "backups", "looking into the folder of the backups")
    folders = {str(item["name"]).lower(): item for item in conversation.expect(reply, "disks", "looking at the disks").values["folders"]}
    files = {str(item["name"]).lower(): item for item in reply.results["configs"].values["files"]}
    disks, changed = {}, {}
    for index in (emulator.index for emulator in seen.emulators):
        if (disk := folders.get(f"leidian{index}")) is not None:
            disks[index] = int(disk["bytes"]), int(disk["modified_ms"])
        if (file := files.get(f"leidian{index}.config")) is not None:
            changed[index] = int(file["modified_ms"])
    notes = {str(item["name"]): Result("restored", "ok", item) for item in reply.results["restored"].values.get("files", ())}
    return _Found(seen, listing, disks, changed, notes)


# ---- present ------------------------------------------------------------------------------------------------------------------------


def _present(wanted: Wish, found: _Found, where: Where) -> Talk:
    emulator = conversation.one(found.seen, wanted.name)
    before = backups.listed(found.listing, wanted.name)
    reason = _outdated(wanted, emulator, before, found)
    surplus = backups.surplus(before, wanted.keep, 1 if reason else 0)
    making = _around(emulator, conversation.action("backup", wanted.name, reason), "a backup needs it stopped") if reason else []
    actions = [*making, *_removals(surplus, "is surplus")]
    planned = _result(found, before, actions, surplus, [f"{backups.prefix(wanted.name)}(new){backups.SUFFIX}"] if reason else [])
    there = before
    if reason:
        _refuse_to_make(wanted, emulator, found)
        reply = yield Do(_make(wanted, emulator, found), conversation.texts(making), planned, _slice_ms(wanted))
        found = _found(reply, where)
        there = backups.listed(found.listing, wanted.name)
        yield from _proved(wanted, before, there, reply, planned)
    if surplus:
        found = _found((yield _delete(surplus, wanted, found, planned)), where)
        there = backups.listed(found.listing, wanted.name)
        _gone(surplus, there)
    return {**planned, "backups": _listed(there)}


def _outdated(wanted: Wish, emulator: Emulator, there: tuple[Backup, ...], found: _Found) -> str:
    """Why a new backup is needed; empty when none is."""
    good = [backup for backup in there if backup.problem is None]
    if not good:
        return "there is no whole backup of it" if there else "there is no backup of it"
    if emulator.run is Run.STOPPED and good[0].modified_ms >= found.last_change(emulator):
        return ""
    if wanted.max_age and good[0].stamp >= backups.stamp(found.seen.host.time_ms - wanted.max_age * 3_600_000):
        return ""
    return "it runs" if emulator.run is not Run.STOPPED else "it changed after the newest backup"


def _around(emulator: Emulator, act: Json, why: str) -> list[Json]:
    if emulator.run is Run.STOPPED:
        return [act]
    return [conversation.action("stop", emulator.title, why), act, conversation.action("start", emulator.title, "was running before")]


def _removals(gone: Iterable[Backup], why: str) -> list[Json]:
    return [conversation.action("remove", backup.file, f"it is no good ({backup.problem})" if backup.problem else why) for backup in gone]


def _refuse_to_make(wanted: Wish, emulator: Emulator, found: _Found) -> None:
    interlude.refuse(found.seen, emulator, "a backup", wanted.stop, wanted.desktop_needed)
    size = found.disks.get(emulator.index, (0, 0))[0]
    if 0 <= found.free_bytes < size:
        raise Refused(
            found.seen.host.name,
            f"a backup of {shown(wanted.name)} may need {_gigabytes(size)} (the size of its disks), and the drive of {wanted.folder} has "
            f"{_gigabytes(found.free_bytes)} free",
            "Free the drive, or name a folder on another one",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _make(wanted: Wish, emulator: Emulator, found: _Found) -> tuple[Operation, ...]:
    path = f"{wanted.folder}\\{backups.file_name(wanted.name, found.seen.host.time_ms)}"
    words = ["backup", "--index", str(emulator.index), "--file", path]
    work = [operations.execute("backup", install.PROGRAM, words, wanted.timeout * 1000)]
    if not found.folder:
        work.insert(0, operations.write("folder", f"{wanted.folder}\\{backups.README}", backups.README_TEXT, "any", parents=True))
    done = conversation.guarded(found.seen, [emulator], interlude.around(found.seen, emulator, work))
    return (*done, *_look(wanted, observed.look_again((), found.seen.host)))


def _slice_ms(wanted: Wish) -> int:
    return wanted.timeout * 1000 + interlude.LONGEST_MS


def _proved(wanted: Wish, before: tuple[Backup, ...], there: tuple[Backup, ...], reply: Reply, planned: Json) -> Generator[Do, Reply, None]:
    """A new file that is a whole archive proves the backup. What is not whole goes again: it is ours, and may fill the drive."""
    old = {backup.file for backup in before}
    new = [backup for backup in there if backup.file not in old]
    if any(backup.problem is None for backup in new):
        _back_up_again(reply, wanted.name)
        return
    evidence = _evidence(reply, ("folder", "guard", "stopped", "backup"))
    if not new:
        raise NotConverged(wanted.name, f"no backup came of it ({evidence})", "Nothing older was removed")
    if new[0].unread:
        raise NotConverged(wanted.name, f"whether {new[0].file} is good cannot be told: {new[0].problem}", "It stays. Run again")
    yield _delete(tuple(new), wanted, _found(reply, install.ANYWHERE), planned)
    raise NotConverged(
        wanted.name, f"the backup is no good, and was removed again: {new[0].problem} ({evidence})", "Nothing older was removed"
    )


def _back_up_again(reply: Reply, name: str) -> None:
    started = reply.results.get("started")
    if started is not None and not started.ok:
        raise NotConverged(
            name, f"it was stopped, and did not come back ({conversation.told(started)})", "The work itself is done. Start it"
        )


def _evidence(reply: Reply, ids: Iterable[str]) -> str:
    """What the first operation that went wrong said."""
    wrong = [reply.results[id] for id in ids if id in reply.results and not reply.results[id].ok]
    return f"{wrong[0].id} said {conversation.told(wrong[0])}" if wrong else "every command reported success"


def _delete(gone: tuple[Backup, ...], wanted: Wish, found: _Found, planned: Json) -> Do:
    work = [operations.remove(f"remove.{number}", f"{wanted.folder}\\{backup.file}", "any") for number, backup in enumerate(gone)]
    look = _look(wanted, observed.look_again((), found.seen.host))
    return Do((conversation.found_again(found.seen), *work, *look), conversation.texts(_removals(gone, "is surplus")), planned)


def _gone(removed: tuple[Backup, ...], there: tuple[Backup, ...]) -> None:
    left = {backup.file for backup in there} & {backup.file for backup in removed}
    if left:
        raise NotConverged(sorted(left)[0], "it was removed and is still there", "Is it open in another program?")


# ---- restored -----------------------------------------------------------------------------------------------------------------------


def _restored(wanted: Wish, found: _Found, where: Where) -> Talk:
    seen, emulator = found.seen, conversation.one(found.seen, wanted.name)
    chosen = _chosen(wanted, found)
    note, path = _note(wanted, emulator, chosen), f"{_RESTORED}\\{ownership.key(seen.install, wanted.name)}.json"
    there = backups.listed(found.listing, wanted.name)
    noted = found.restored.get(path.rpartition("\\")[2])
    act = conversation.action("restore", wanted.name, f"from {chosen.file}")
    old = noted is not None and noted.data("data") == note and not wanted.force
    actions = [] if old else _around(emulator, act, "a restore needs it stopped")
    planned = _result(found, there, actions)
    if old:
        return planned
    _refuse_to_restore(wanted, emulator, chosen, found)
    own = _own_before(noted, note) or _own(emulator)
    begun = json.dumps({"begun": note.decode(), "own": own}).encode()
    mark = operations.write("mark_own", path, begun, noted.values["sha256"] if noted is not None else "absent", parents=True)
    work = _restore(wanted, emulator, chosen, found, own, mark)
    reply = yield Do(work, conversation.texts(actions), planned, _slice_ms(wanted))
    after = _found(reply, where)
    _put_right(wanted, emulator, own, found, after, reply)
    write = operations.write("note", path, note, hashlib.sha256(begun).hexdigest())
    conversation.expect((yield Do((write,), (), planned)), "note", "remembering what was restored")
    return {**planned, "host": report.host(after.seen)}


def _chosen(wanted: Wish, found: _Found) -> Backup:
    """The file that is named, or the newest good one of this emulator."""
    host, folder = found.seen.host.name, wanted.folder
    if wanted.file is None:
        good = [backup for backup in backups.listed(found.listing, wanted.name) if backup.problem is None]
        if not good:
            raise Refused(
                host, f"{folder} holds no whole backup of {shown(wanted.name)}", "Make one first, or name another one's with file"
            )
        return good[0]
    named = backups.called(found.listing, wanted.file)
    if named is None:
        raise Refused(host, f"there is no {wanted.file} in {folder}", "Look at what is there: state present tells it in check mode")
    if named.problem:
        raise Refused(host, f"{wanted.file} cannot be restored: {named.problem}", "Nothing was touched. Name another one")
    return named


def _note(wanted: Wish, emulator: Emulator, chosen: Backup) -> bytes:
    """Which file was put back into which emulator: one that was made anew under the same title is owned since later."""
    kept = {"file": chosen.file, "folder": wanted.folder.lower(), "size": chosen.size, "modified_ms": chosen.modified_ms}
    return json.dumps({**kept, "owned_since_ms": emulator.owned.since_ms if emulator.owned is not None else 0}).encode()


def _refuse_to_restore(wanted: Wish, emulator: Emulator, chosen: Backup, found: _Found) -> None:
    if emulator.owned is None:
        raise Refused(
            found.seen.host.name,
            f"ldfleet neither created nor adopted {shown(wanted.name)}, and puts nothing in place of what it does not own",
            "Adopt it first (ldfleet.ldplayer.emulator with state: present)",
        )
    interlude.refuse(found.seen, emulator, "a restore", wanted.stop, wanted.desktop_needed)
    if 0 <= found.seen.free_bytes < chosen.size:
        raise Refused(
            found.seen.host.name,
            f"{chosen.file} has {_gigabytes(chosen.size)}, and the drive of the emulators has {_gigabytes(found.seen.free_bytes)} free",
            "Free the drive",
        )


#: What a restore replaces and is put right again.
_OWN = (*settings.IDENTITY, "resolution")

Own = Mapping[str, settings.Value]


def _own(emulator: Emulator) -> Own:
    return {option: emulator.settings[option] for option in _OWN if option in emulator.settings}


def _own_before(noted: Result | None, note: bytes) -> Own:
    """What was written down before a restore of the same file that did not come to its end: since then the emulator may have the backup's."""
    try:
        document = json.loads(noted.data("data")) if noted is not None else {}
        kept = document["own"] if document["begun"] == note.decode() else {}
        return {option: kept[option] for option in _OWN if option in kept and settings.SETTINGS[option].codec.problem(kept[option]) is None}
    except (ValueError, KeyError, TypeError):
        return {}


def _restore(wanted: Wish, emulator: Emulator, chosen: Backup, found: _Found, own: Own, mark: Operation) -> tuple[Operation, ...]:
    """Restore, then title, identity and resolution; these are written down first (``mark``). The config of before is kept beside, for a restore
    that breaks it."""
    index, modified = str(emulator.index), settings.modify_arguments(own)
    words = ["restore", "--index", index, "--file", f"{wanted.folder}\\{chosen.file}"]
    work = [
        operations.execute("restore", install.PROGRAM, words, wanted.timeout * 1000),
        operations.execute("rename", install.PROGRAM, ["rename", "--index", index, "--title", wanted.name], _COMMAND_MS),
    ]
    if modified:
        work.append(operations.execute("modify", install.PROGRAM, ["modify", "--index", index, *modified], _COMMAND_MS))
    if emulator.config is not None and not emulator.config.problem:
        path = f"{install.CONFIG_FOLDER}\\{emulator.config.name}"
        work.insert(0, operations.copy("keep", path, ownership.known_good(found.seen.install, wanted.name), "any", parents=True))
    done = conversation.guarded(found.seen, [emulator], interlude.around(found.seen, emulator, [mark, *work]))
    return (*done, *_look(wanted, observed.look_again((), found.seen.host)))


def _put_right(wanted: Wish, emulator: Emulator, own: Own, before: _Found, after: _Found, reply: Reply) -> None:
    """The disks changed, and the emulator is who it was."""
    evidence = _evidence(reply, ("guard", "stopped", "mark_own", "keep", "restore", "rename", "modify"))
    now = after.seen.titled(wanted.name)
    if after.disks.get(emulator.index) == before.disks.get(emulator.index):
        raise NotConverged(wanted.name, f"its disks are as they were before the restore ({evidence})", "Is the file good? Try it by hand")
    if now is None or now.index != emulator.index:
        raise NotConverged(
            wanted.name,
            f"its title was not put right after the restore ({evidence})",
            f"Call the emulator of index {emulator.index} so again in LDPlayer before anything else: a converge would make another one",
        )
    if now.config is not None and now.config.problem:
        raise NotConverged(wanted.name, f"its config is broken after the restore ({evidence})", "Run emulators to heal it")
    wrong = [option for option, value in own.items() if settings.SETTINGS[option].differs(now.config.values if now.config else {}, value)]
    if wrong:
        raise NotConverged(wanted.name, f"{', '.join(wrong)} still are those of the backup ({evidence})", "Run it again")
    _back_up_again(reply, wanted.name)


# ---- absent -------------------------------------------------------------------------------------------------------------------------


def _absent(wanted: Wish, found: _Found, where: Where) -> Talk:
    there = backups.listed(found.listing, wanted.name)
    doomed = tuple(backup for backup in there if wanted.file is None or backup.file.lower() == wanted.file.lower())
    planned = _result(found, there, _removals(doomed, "shall be absent"), doomed)
    if not doomed:
        return planned
    found = _found((yield _delete(doomed, wanted, found, planned)), where)
    there = backups.listed(found.listing, wanted.name)
    _gone(doomed, there)
    return {**planned, "backups": _listed(there)}


def _result(found: _Found, there: tuple[Backup, ...], actions: list[Json], gone: Iterable[Backup] = (), new: Iterable[str] = ()) -> Json:
    files, removed = [backup.file for backup in reversed(there)], {backup.file for backup in gone}
    return {
        "changed": bool(actions),
        "actions": actions,
        "backups": _listed(there),
        "host": report.host(found.seen),
        "diff": conversation.diff(files, [*(file for file in files if file not in removed), *new]),
    }


def _listed(there: tuple[Backup, ...]) -> list[Json]:
    return [
        {"file": backup.file, "size": backup.size, "made": backup.stamp, **({"problem": backup.problem} if backup.problem else {})}
        for backup in there
    ]


_STATES = {"present": _present, "restored": _restored, "absent": _absent}
