# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an LDPlayer is laid on a host or taken off it, as a conversation: fetch, unpack beside its place, copy over, register, and look again.

Emulators are never in the way of it: the folder with their disks is left out of every copy, nothing is deleted from a folder that is kept, and each
piece can be done again. The mark says "begun" before the first program is touched and "done" after the last, so a rerun heals whatever was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..emulators import conversation
from ..emulators.conversation import Ask, Do, Json, Talk
from ..words import places, sources
from ..words.dialect import CONSOLE
from ..words.errors import Host, NotConverged
from . import data_dir, installation, marks
from .data_dir import PLAYER
from .installation import REG, TASKLIST, Found, Steps, Wish

_PACKAGES = r"{programdata}\ldfleet\packages"
_SYSTEM = r"{systemroot}\System32"
_LARGEST = 8 * 2**30
_SHORT_MS = 60_000
_STOP_MS = 120_000
#: Packed programs become about twice as much, which lies there twice while it is copied.
_ROOM = 4
#: Of all processes, none is LDPlayer's.
_NOTHING_RUNS = r"(?s)\A(?!.*(?:" + "|".join(image.replace(".", r"\x2e") for image in installation.IMAGES) + "))"
#: What LDPlayer's own setup lets start with Windows beside it (kkzzhizhou/scoop-apps deletes both).
_ADVERTISERS = ("LDNews", "ldremote")
_RUN = r"HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\Run"


def talk(wanted: Wish) -> Talk:
    """One batch to look; stopping, fetching, unpacking and placing are one each."""
    there = installation.found((yield Ask(installation.look(wanted))), wanted)
    steps = installation.decide(wanted, there)
    if not steps:
        return _result(wanted, there, steps)
    planned = _result(wanted, there, steps)
    texts = conversation.texts(steps)
    verbs = [str(step["action"]) for step in steps]
    if verbs[0] == "stop":
        reply = yield Do(tuple(_stopping(wanted)), texts[:1], planned, _STOP_MS + _SHORT_MS)
        _stopped(wanted, reply)
        texts = texts[1:]
    if verbs[-1] == "remove":
        reply = yield Do(tuple(_removing(wanted, there)), texts, planned)
    elif verbs[-1] in ("link", "note", "register"):
        reply = yield Do(tuple(_arranging(wanted, there, verbs)), texts, planned)
    else:
        fetched = yield from _fetched(wanted, there, texts, planned)
        folder = yield from _unpacked(wanted, str(fetched["package"]), texts, planned)
        reply = yield Do(tuple(_placing(wanted, there, folder)), texts, planned, wanted.timeout * 1000)
    return _proved(wanted, reply, planned)


# ---- stopping -----------------------------------------------------------------------------------------------------------------------
def _stopping(wanted: Wish) -> Iterator[Operation]:
    """Never by killing: an emulator that is killed while it ends loses its config (LDPlayer 9)."""
    console = rf"{wanted.folder}\{CONSOLE}"
    yield operations.execute("quit", console, ["quitall"], _SHORT_MS)
    yield operations.execute("windows", rf"{_SYSTEM}\taskkill.exe", ["/IM", "dnmultiplayer.exe", "/F"], _SHORT_MS)
    yield operations.until("quiet", TASKLIST, ["/FO", "CSV", "/NH"], _SHORT_MS, _NOTHING_RUNS, 2_000, _STOP_MS)


def _stopped(wanted: Wish, reply: Reply) -> None:
    if reply.results["quiet"].ok:
        return
    said = reply.results["quiet"].data("stdout").decode("latin-1").lower()
    left = [image for image in installation.IMAGES if image.lower() in said]
    raise NotConverged(
        reply.host.name, f"{wanted.name} was told to end, and still runs ({', '.join(left) or conversation.told(reply.results['quiet'])})",
        "Nothing was changed. End it on the host (of another LDPlayer too, whose processes have the same names), then run again",
    )  # fmt: skip


# ---- fetching and unpacking -----------------------------------------------------------------------------------------------------------
def _package(wanted: Wish) -> str:
    return rf"{_PACKAGES}\{wanted.sha256}{wanted.suffix}" if wanted.pulled else wanted.source


def _fetched(wanted: Wish, there: Found, texts: tuple[str, ...], planned: Json) -> Talk:
    """The package is on the host, and has the hash that was said. Returned is where, without a variable: the agent fills in none in arguments."""
    folder, _, name = _package(wanted).rpartition("\\")
    if wanted.pulled:
        get = operations.fetch("get", wanted.source, _package(wanted), wanted.sha256, _LARGEST, wanted.timeout * 1000)
    else:
        # Windows 10 and later print the hash without blanks between its bytes.
        hashed = rf"(?m)^{wanted.sha256}\r?$"
        get = operations.execute(
            "get", rf"{_SYSTEM}\certutil.exe", ["-hashfile", wanted.source, "SHA256"], wanted.timeout * 1000, exits=(0,), match=[hashed]
        )
    size = operations.listing("size", folder, name, space=True)
    reply = yield Do((get, size), texts[-1:], planned, wanted.timeout * 1000)
    if not reply.results["get"].ok:
        raise _not_fetched(wanted, reply)
    files = conversation.expect(reply, "size", f"looking at {_package(wanted)}").values["files"]
    needed = _ROOM * int(files[0]["size"]) if files else 0
    if 0 <= there.free_bytes < needed:
        raise Host(
            reply.host.name, f"the drive of {wanted.folder} has {there.free_bytes // 2**20} MB free, and unpacking needs about {needed // 2**20} MB",
            "Nothing was changed. Free some, then run again",
        )  # fmt: skip
    return {"package": _package(wanted).replace("{programdata}", reply.host.programdata)}


def _not_fetched(wanted: Wish, reply: Reply) -> Host:
    result, source = reply.results["get"], sources.public(wanted.source)
    code = result.problem.code if result.problem else ""
    advice = "Nothing was changed. Run again: a download goes on from where it was cut off"
    if code == "NoMatch":
        problem = f"{source} has not the sha256 {wanted.sha256}"
        advice = "Nothing was changed. Is it the file that was meant, and whole?"
    elif code == "Mismatch":
        problem = f"what came from {source} has the sha256 {result.values.get('found', 'of something else')}, and {wanted.sha256} is wanted"
        advice = "Nothing was changed, and the download was thrown away. Is it the file that was meant?"
    elif code == "HttpStatus":
        problem = f"{source} could not be fetched ({conversation.told(result)})"
        advice = "Nothing was changed. Is the address right, and does its server let this host have the file?"
    elif code == "ExitCode" or result.status == "skipped":
        problem = f"{source} cannot be read on the host"
    else:
        problem = f"{source} could not be fetched ({conversation.told(result)})"
    return Host(reply.host.name, problem, advice)


def _unpacked(wanted: Wish, package: str, texts: tuple[str, ...], planned: Json) -> Talk:
    """The programs lie in the staging folder, or one in it, which is returned."""
    for nested in (False, True) if wanted.suffix != ".zip" else (False,):
        reply = yield Do(tuple(_unpacking(wanted, package, nested)), texts[-1:], planned, wanted.timeout * 1000)
        found = reply.results["new"]
        if found.ok:
            return {"folder": str(found.values["path"])}
        if not reply.results["unpack"].ok:
            raise _not_unpacked(wanted, reply)
    raise Host(
        reply.host.name, f"there is no {PLAYER} in {sources.public(wanted.source)}", "Nothing was changed. Is it LDPlayer's package?"
    )


def _unpacking(wanted: Wish, package: str, nested: bool) -> Iterator[Operation]:
    """``nested``: installers since 9.1.75 hold .7z parts, which 7-Zip finds when it takes the file for no known kind (Scoop Extras #16560)."""
    parts = rf"{wanted.staging}\parts"
    limit = wanted.timeout * 1000
    clear = operations.remove_tree("clear", wanted.staging)
    if wanted.suffix == ".zip":
        # tar.exe has been in Windows since 10 (1803), and unpacks zip. It wants its folder to be there.
        yield clear
        yield operations.write("room", rf"{wanted.staging}\ldfleet.txt", b"ldfleet unpacks LDPlayer here.\r\n", "any", parents=True)
        yield operations.needing(
            operations.execute("unpack", rf"{_SYSTEM}\tar.exe", ["-xf", package, "-C", wanted.staging], limit, (0,)), "room"
        )
    else:
        yield operations.find("zip", [{"registry": r"HKLM\SOFTWARE\7-Zip", "value": "Path"}, {"path": r"C:\Program Files\7-Zip"}], "7z.exe")
        zipper = r"{zip}\7z.exe"
        if nested:
            yield operations.execute("parts", zipper, ["x", "-y", "-t#", f"-o{parts}", package], limit, (0,))
            unpack = operations.execute("unpack", zipper, ["x", "-y", f"-o{wanted.staging}", rf"{parts}\*.7z"], limit, (0,))
            yield operations.needing(unpack, "parts")
        else:
            yield clear
            yield operations.execute("unpack", zipper, ["x", "-y", f"-o{wanted.staging}", package], limit, (0,))
    inner = [rf"{wanted.staging}\{folder.rpartition(chr(92))[2]}" for folder in wanted.dialect.folders]
    yield operations.needing(operations.find("new", [{"path": folder} for folder in (wanted.staging, *inner)], PLAYER), "unpack")


def _not_unpacked(wanted: Wish, reply: Reply) -> Host:
    zipper = reply.results.get("zip")
    if zipper is not None and not zipper.ok:
        return Host(
            reply.host.name,
            f"a {wanted.suffix} needs 7-Zip on the host, and there is none",
            "Install 7-Zip there, or give a .zip as the source",
        )
    wrong = next(reply.results[id] for id in ("clear", "room", "parts", "unpack") if id in reply.results and _bad(reply.results[id]))
    return Host(
        reply.host.name, f"unpacking {sources.public(wanted.source)} failed ({conversation.told(wrong)})",
        "Nothing was changed. Is the drive full, or the package broken?",
    )  # fmt: skip


def _bad(result: Result) -> bool:
    return not result.ok and result.status != "skipped"


# ---- placing and removing -------------------------------------------------------------------------------------------------------------
def _placing(wanted: Wish, there: Found, unpacked: Json) -> Iterator[Operation]:
    mark = rf"{marks.FOLDER}\{wanted.mark}"
    yield operations.write("begun", mark, installation.mark_text(wanted, there, done=False), there.mark_sha256, parents=True)
    linking = list(_linking(wanted, there))
    yield from linking
    words = [str(unpacked["folder"]), wanted.folder, "/E", "/R:5", "/W:2", "/NP", "/NFL", "/NDL", "/NJH"]
    if there.emulators or there.exists or (there.data is not None and not there.data.empty):
        # Whatever the package brings for emulators, those that are there stay as they are.
        words += ["/XD", rf"{unpacked['folder']}\vms"]
    # Below 8 robocopy tells what it did, from 8 on what it could not. Of junctions it asks in its source only (/XJ, /XJD): one in its destination is a folder
    # like any other, so what the package has for vms goes where that leads (learn.microsoft.com, robocopy). Not run on Windows.
    lay = operations.execute("lay", rf"{_SYSTEM}\Robocopy.exe", words, wanted.timeout * 1000, exits=tuple(range(8)))
    yield operations.needing(lay, "begun", *("link" for _ in linking[-1:]))
    keys = list(_registering(wanted, there))
    yield from (operations.needing(operation, "lay") for operation in keys)
    done = operations.write("done", mark, installation.mark_text(wanted, there, done=True), "any")
    yield operations.needing(done, "lay", *(str(operation["id"]) for operation in keys if "exits" in operation))
    yield operations.needing(operations.remove_tree("tidy", wanted.staging), "done")
    if wanted.pulled:
        yield operations.needing(operations.remove("spent", _package(wanted), "any"), "done")
    yield from map(operations.always, installation.look(wanted))


def _linking(wanted: Wish, there: Found) -> Iterator[Operation]:
    """`vms` leads to the data directory, after the mark says so. Nothing where it does, or none is wanted."""
    if there.data is not None and not data_dir.linked(there.vms, wanted.data_dir):
        yield from data_dir.linking(wanted.folder, wanted.data_dir, there.exists, there.vms, there.data, "begun")


def _arranging(wanted: Wish, there: Found, verbs: list[str]) -> Iterator[Operation]:
    """What is done without a package: the mark names the data directory, `vms` leads there, the registry names LDPlayer's folder."""
    if there.data is not None:
        yield operations.write(
            "begun", rf"{marks.FOLDER}\{wanted.mark}", installation.note_text(wanted, there), there.mark_sha256, parents=True
        )
        yield from _linking(wanted, there)
    if "register" in verbs:
        yield from _registering(wanted, there)
    yield from map(operations.always, installation.look(wanted))


def _registering(wanted: Wish, there: Found) -> Iterator[Operation]:
    """The folders as LDPlayer writes them itself, with a backslash at the end, `vms` also where it leads elsewhere (data_dir.py). What the repair tool answers
    was never seen, so nothing waits for it."""
    for number, key in enumerate(there.free_keys(wanted.folder)):
        for name, value in (("InstallDir", f"{wanted.folder}\\"), ("DataDir", f"{wanted.folder}\\vms\\")):
            words = ["add", f"HKCU\\SOFTWARE\\{key}", "/v", name, "/t", "REG_SZ", "/d", value, "/f"]
            yield operations.execute(f"name.{number}.{name.lower()}", REG, words, _SHORT_MS, exits=(0,))
    yield operations.execute("service", rf"{wanted.folder}\dnrepairer.exe", ["-RegServer"], 2 * _SHORT_MS)
    for name in _ADVERTISERS:
        yield operations.execute(f"advertiser.{name.lower()}", REG, ["delete", _RUN, "/v", name, "/f"], _SHORT_MS)


def _removing(wanted: Wish, there: Found) -> Iterator[Operation]:
    """The mark goes last: while it is there, the folder is known to be ours."""
    yield operations.remove_tree("staging", wanted.staging)
    unlinking = list(data_dir.unlinking(wanted.folder, there.vms, there.linked))
    yield from unlinking
    yield operations.needing(operations.remove_tree("folder", wanted.folder), *("unlink" for _ in unlinking[-1:]))
    named = [key for key, value in there.keys.items() if value is not None and places.same(value, wanted.folder)]
    for number, key in enumerate(named):
        forget = operations.execute(f"name.{number}", REG, ["delete", f"HKCU\\SOFTWARE\\{key}", "/f"], _SHORT_MS, exits=(0,))
        yield operations.needing(forget, "folder")
    mark = operations.remove("unmark", rf"{marks.FOLDER}\{wanted.mark}", "any")
    yield operations.needing(mark, "folder", *(f"name.{number}" for number in range(len(named))))
    yield from map(operations.always, installation.look(wanted))


# ---- proving ------------------------------------------------------------------------------------------------------------------------
def _proved(wanted: Wish, reply: Reply, planned: Json) -> Json:
    """Look again: the new decision must be empty."""
    there = installation.found(reply, wanted)
    left = installation.outstanding(wanted, there)
    if not left:
        return {**_result(wanted, there, ()), **{key: planned[key] for key in ("changed", "actions", "diff")}}
    work = [(id, result) for id, result in reply.results.items() if id in _WORK or data_dir.is_work(id)]
    wrong = [f"{id} said {conversation.told(result)}" for id, result in work if _bad(result)]
    raise NotConverged(
        reply.host.name, f"{wanted.name} is not as it should be: {left} ({'; '.join(wrong) or 'every command reported success'})",
        "Emulators were not touched. Run again when that is mended: it goes on from here",
    )  # fmt: skip


_WORK = frozenset(
    {
        "begun",
        "lay",
        "done",
        "folder",
        "staging",
        "unmark",
        *(f"name.{n}{end}" for n in range(3) for end in ("", ".installdir", ".datadir")),
    }
)


def _result(wanted: Wish, there: Found, steps: Steps) -> Json:
    mark = there.mark
    return {
        "changed": bool(steps),
        "actions": list(steps),
        "installation": {
            "ldplayer_version": wanted.dialect.version,
            "install_dir": wanted.folder,
            "present": there.programs,
            "managed": mark is not None,
            "release": mark.release if mark else "",
            "sha256": mark.sha256 if mark else "",
            "emulators": len(there.emulators),
            "free_bytes": there.free_bytes,
            "data_dir": there.vms.link or data_dir.vms(wanted.folder),
            "data_free_bytes": there.vms.free_bytes,
            "desktop_user": there.host.desktop_user,
        },
        "diff": conversation.diff((), conversation.texts(steps)),
    }
