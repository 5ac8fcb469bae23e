# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An LDPlayer on a host: what a task wants of it, what is there, and what is to be done. How that is carried out is in laying.py.

Neither LDPlayer's installer nor its uninstaller is known to run without a person (winget-pkgs #153615, #95662). What works is what portable
packages do: unpack the programs, say in the registry where they lie, have LDPlayer's own repair tool register its VM service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..._host import operations
from ..._host.batch import HostFacts, Reply
from ..._host.operations import Operation
from ..emulators import conversation, observed
from ..emulators.conversation import Json
from ..words import places, sources
from ..words.dialect import CONSOLE, DIALECTS, OLD_CONSOLE, Dialect
from ..words.errors import BadOption, BadOptions, Foreign, Guarded, Refused, Unreadable
from ..words.options import shown
from . import data_dir, marks
from .data_dir import PLAYER, Disks, Neighbour
from .marks import Mark

TASKLIST = r"{systemroot}\System32\tasklist.exe"
REG = r"{systemroot}\System32\reg.exe"
#: What runs while an emulator or LDPlayer's window does: 9 and 14 call their VM alike (scoop's uninstall.bat).
IMAGES = ("dnplayer.exe", "dnmultiplayer.exe", "LdBoxHeadless.exe", "Ld9BoxHeadless.exe")
_SOURCES = (".zip", ".7z", ".exe")
#: By one of these a folder is known to be LDPlayer's, whatever else of it is gone: whoever could write a mark may mean another folder.
_ITS = frozenset({CONSOLE, OLD_CONSOLE, PLAYER, *map(str.lower, IMAGES), "dnrepairer.exe", "dnuninst.exe", "adb.exe", "vms"})
_QUERY_MS = 60_000


@dataclass(frozen=True)
class Wish:
    """What a task says. ``state``: present, repaired or absent. ``source``: an address or a file that the host reaches. ``timeout``: seconds for each of
    fetching, unpacking and copying. ``running``: refuse or stop. ``data_dir``: where disks of emulators shall lie; empty: wherever they do."""

    state: str
    dialect: Dialect
    folder: str
    data_dir: str
    source: str
    sha256: str
    release: str
    adopt: bool
    running: str
    max_destroy: int
    timeout: int
    desktop: str

    @property
    def name(self) -> str:
        """For people."""
        return f"LDPlayer {self.dialect.version}"

    @property
    def pulled(self) -> bool:
        """Whether the host fetches it from an address."""
        return sources.is_address(self.source)

    @property
    def suffix(self) -> str:
        """.zip, .7z or .exe, in lower case."""
        return next((suffix for suffix in _SOURCES if re.split("[?#]", self.source)[0].lower().endswith(suffix)), "")

    @property
    def staging(self) -> str:
        """Where it is unpacked: beside its place, so that nothing crosses drives."""
        return _staging(self.folder)

    @property
    def mark(self) -> str:
        """The file that says what ldfleet installed there."""
        return marks.file(self.folder)


@dataclass(frozen=True)
class Found:
    """``programs``: whether the console and the player are there. ``names``: all that the folder holds, in lower case.

    ``vms``: its folder for emulators. ``data``: the data directory that is wanted, None where none is, and ``taken``: the folder of an LDPlayer to which that
    belongs, or nothing. ``running``: what of LDPlayer runs, for people. ``keys``: LDPlayer's registry keys of this version, with the folder that each names
    (None: no such value). ``free_bytes``: of the drive of the programs, -1 where unknown. ``neighbours``: other LDPlayers that ldfleet laid there.
    ``staging``: whether something lies where it is unpacked.
    """

    host: HostFacts
    programs: bool
    exists: bool
    names: frozenset[str]
    mark: Mark | None
    mark_sha256: str
    vms: Disks
    data: Disks | None
    taken: str
    running: tuple[str, ...]
    keys: Mapping[str, str | None]
    free_bytes: int
    neighbours: tuple[Neighbour, ...]
    staging: bool

    @property
    def strange(self) -> str:
        """Something that the folder holds beside its emulators, or nothing."""
        return min(self.names - {"vms"}, default="")

    @property
    def emulators(self) -> tuple[str, ...]:
        """Folders of emulators, wherever they lie."""
        return self.vms.emulators

    @property
    def ours(self) -> bool:
        """Whether ldfleet installed it."""
        return self.mark is not None

    @property
    def linked(self) -> bool:
        """Whether `vms` leads to the data directory that its mark names."""
        return self.mark is not None and bool(self.mark.data_dir) and data_dir.linked(self.vms, self.mark.data_dir)

    def free_keys(self, folder: str) -> list[str]:
        """The keys that name this folder or nothing: those of another install of the same version are left alone."""
        return [key for key, value in self.keys.items() if value is None or places.same(value, folder)]

    def registered(self, folder: str) -> bool:
        """Whether a key names this folder."""
        return any(value is not None and places.same(value, folder) for value in self.keys.values())


def _staging(folder: str) -> str:
    return f"{folder}.ldfleet-new"


def home(dialect: Dialect, folder: str | None) -> str:
    """LDPlayer's folder, in one spelling; where none is named, the usual one."""
    return places.spelled(folder or f"C:\\{dialect.folders[0]}")


def wish(given: Mapping[str, Any]) -> Wish:
    """From a module's options. Raises BadOptions."""
    problems = [BadOption(option, problem, advice) for option, problem, advice in _faults(given)]
    if problems:
        raise BadOptions(problems)
    dialect = _dialect(given["ldplayer_version"])
    return Wish(
        given["state"], dialect, home(dialect, given["install_dir"]), _data_dir(given), given["source"] or "",
        (given["sha256"] or "").lower(), given["release"] or "", given["adopt"], given["running"], given["max_destroy"], given["timeout"],
        given["desktop_session"],
    )  # fmt: skip


def _data_dir(given: Mapping[str, Any]) -> str:
    """Of an LDPlayer that goes, it is where it is, whatever is said."""
    return "" if given["state"] == "absent" else places.spelled(given["data_dir"] or "")


def _dialect(version: int) -> Dialect:
    found = next((row for row in DIALECTS if row.version == version), None)
    if found is None:
        raise ValueError(f"there is no LDPlayer {version}")
    return found


def shared_data_dirs(declared: Iterable[Mapping[str, Any]]) -> list[str]:
    """Data directories that LDPlayers of one host would share, each of ``version``, ``install_dir`` and ``data_dir``, the last two missing or empty where
    nothing is said. Raises ValueError for a version that nobody knows."""
    return places.shared(
        [(home(_dialect(int(one["version"])), one.get("install_dir")), str(one.get("data_dir") or "")) for one in declared]
    )


def _faults(given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if given["state"] != "absent":
        for option in ("source", "sha256"):
            if not given[option]:
                yield option, "is missing", f"state {given['state']} needs it"
    if given["source"]:
        problem = _source_problem(given["source"])
        if problem:
            yield "source", f"is {shown(sources.public(given['source']))}", problem
    if given["sha256"] and not re.fullmatch(r"[0-9A-Fa-f]{64}", given["sha256"]):
        yield "sha256", f"is {shown(given['sha256'])}", "64 hexadecimal digits are wanted"
    if given["install_dir"] is not None:
        folder = given["install_dir"]
        problem = places.place_problem(folder)
        if problem:
            yield "install_dir", f"is {shown(folder)}", problem
    if given["data_dir"] is not None:
        folder = home(_dialect(given["ldplayer_version"]), given["install_dir"])
        problem = places.data_problem(given["data_dir"], folder, _staging(folder))
        if problem:
            yield "data_dir", f"is {shown(given['data_dir'])}", problem
    if given["release"] and not re.fullmatch(r"[0-9A-Za-z._+-]{1,64}", given["release"]):
        yield "release", f"is {shown(given['release'])}", "letters, digits, dots and dashes are wanted, such as 9.5.37"
    if not 60 <= given["timeout"] <= 7200:
        yield "timeout", f"is {given['timeout']}", "60 to 7200 seconds is wanted"
    if given["max_destroy"] < 0:
        yield "max_destroy", f"is {given['max_destroy']}", "0 or more is wanted"


def _source_problem(source: str) -> str | None:
    problem = sources.address_problem(source) if sources.is_address(source) else places.folder_problem(source)
    if problem:
        return problem
    if not any(re.split("[?#]", source)[0].lower().endswith(suffix) for suffix in _SOURCES):
        return f"one of {', '.join(_SOURCES)} is wanted: what tar or 7-Zip unpacks"
    return None


# ---- looking ------------------------------------------------------------------------------------------------------------------------
def look(wanted: Wish) -> tuple[Operation, ...]:
    """One batch that tells everything the decision needs."""
    folder = wanted.folder
    return (
        operations.find("at", [{"path": folder}], CONSOLE),
        operations.listing("programs", folder, "*", space=True, folders=True),
        *data_dir.look(folder, wanted.data_dir),
        operations.listing("unpacked", wanted.staging, "ldfleet.txt"),
        marks.look(),
        operations.execute("living", TASKLIST, ["/FO", "CSV", "/NH"], _QUERY_MS, exits=(0,)),
        operations.execute("list2", rf"{{at}}\{CONSOLE}", ["list2"], observed.QUERY_TIMEOUT_MS, exits=(0,)),
        *(_query(number, key) for number, key in enumerate(wanted.dialect.keys)),
    )


def _query(number: int, key: str) -> Operation:
    return operations.execute(f"key.{number}", REG, ["query", f"HKCU\\SOFTWARE\\{key}", "/v", "InstallDir"], _QUERY_MS, exits=(0, 1))


def found(reply: Reply, wanted: Wish) -> Found:
    """Understand the answers to ``look``. Raises Host or Unreadable."""
    programs = conversation.expect(reply, "programs", f"looking into {wanted.folder}")
    names = {str(item["name"]).lower() for item in programs.values["files"]}
    inner = {str(item["name"]).lower() for item in programs.values.get("folders") or ()}
    noted = {str(item["name"]): item for item in conversation.expect(reply, "marks", f"looking into {marks.FOLDER}").values["files"]}
    own = noted.pop(wanted.mark, None)
    return Found(
        host=reply.host,
        programs=PLAYER in names and not names.isdisjoint((CONSOLE, OLD_CONSOLE)),
        exists=bool(programs.values["exists"]),
        names=frozenset(names | inner),
        mark=None if own is None else _mark(own, reply.host.name),
        mark_sha256="absent" if own is None else str(own.get("sha256", "any")),
        vms=data_dir.found(reply, "disks", data_dir.vms(wanted.folder)),
        data=data_dir.found(reply, "data", wanted.data_dir) if wanted.data_dir else None,
        taken=str(reply.results["taken"].values["path"]) if wanted.data_dir and reply.results["taken"].ok else "",
        running=_running(reply),
        keys={key: _folder(reply, number, key) for number, key in enumerate(wanted.dialect.keys)},
        free_bytes=observed.free_bytes(programs),
        neighbours=tuple(_neighbour(name, item) for name, item in sorted(noted.items())),
        staging=bool(conversation.expect(reply, "unpacked", f"looking for {wanted.staging}").values["exists"]),
    )


def _mark(item: Mapping[str, Any], host: str) -> Mark:
    try:
        return marks.read(item)
    except ValueError as error:
        advice = "Nothing was touched. Remove the file if it is of no use, and adopt LDPlayer anew (adopt: true)"
        raise Unreadable(host, f"{marks.FOLDER}\\{item['name']} cannot be understood ({error})", advice) from error


def _neighbour(name: str, item: Mapping[str, Any]) -> Neighbour:
    mark = marks.readable(item)
    return Neighbour(rf"{marks.FOLDER}\{name}", mark.install_dir if mark else "", mark.data_dir if mark else "")


def mark_text(wanted: Wish, there: Found, done: bool) -> bytes:
    """What the mark holds of what is wanted."""
    return marks.text(Mark(wanted.folder, wanted.sha256, wanted.release, wanted.dialect.version, done, _noted(wanted, there)))


def note_text(wanted: Wish, there: Found) -> bytes:
    """What it holds where only the data directory is new. There is a mark already."""
    assert there.mark is not None
    return marks.text(replace(there.mark, data_dir=_noted(wanted, there)))


def _noted(wanted: Wish, there: Found) -> str:
    """The data directory that it has from now on: where none is named, the one that it has."""
    had = there.mark.data_dir if there.mark else ""
    return wanted.data_dir or (had if data_dir.linked(there.vms, had) else "")


def _running(reply: Reply) -> tuple[str, ...]:
    """Titles where LDPlayer's console tells them, else what processes there are: they may be another LDPlayer's, but who knows."""
    listed = reply.results["list2"]
    if listed.ok:
        try:
            rows = observed.parse_list2(listed.data("stdout"), reply.host.name) if listed.data("stdout").strip() else []
        except Unreadable:
            rows = None
        if rows is not None:
            living = [row for row in rows if row.pid > 0 or row.vm_pid > 0 or row.state]
            return tuple(row.title.decode("utf-8", "replace") for row in living)
    images = conversation.expect(reply, "living", "looking at its processes").data("stdout").lower()
    return tuple(image for image in IMAGES if f'"{image}"'.lower().encode() in images)


def _folder(reply: Reply, number: int, key: str) -> str | None:
    """What `reg query` tells: four blanks, the name, the kind, the value. Only its headings are translated."""
    said = conversation.expect(reply, f"key.{number}", f"asking the registry for {key}").data("stdout")
    told = re.search(rb"InstallDir\s+REG_(?:EXPAND_)?SZ\s+(\S[^\r\n]*)", said, re.IGNORECASE)
    return told[1].decode("utf-8", "replace").strip() if told else None


# ---- deciding -----------------------------------------------------------------------------------------------------------------------
#: What is to be done, and why; the order is that of the work.
Steps = tuple[Json, ...]


def decide(wanted: Wish, there: Found) -> Steps:
    """The steps; none where all is as wanted. Raises Refused or Guarded, with nothing touched."""
    steps = _removal(wanted, there) if wanted.state == "absent" else _laying(wanted, there)
    verbs = [step["action"] for step in steps]
    if set(verbs) <= {"note", "register"}:
        return _on_the_desktop(wanted, there, steps)
    if there.running and wanted.running == "refuse":
        raise Refused(
            there.host.name,
            f"{wanted.name} cannot be changed while it runs: {_listed(there.running)}",
            "Stop that first, or say running: stop",
        )
    stop = [conversation.action("stop", wanted.name, f"{_listed(there.running)} runs")] if there.running else []
    return _on_the_desktop(wanted, there, (*stop, *steps))


def outstanding(wanted: Wish, there: Found) -> str:
    """What still differs after the work, in words; empty where nothing does."""
    if wanted.state == "absent":
        return next((f"{folder} is still there" for folder, is_there in _places(wanted, there) if is_there), "")
    done = Wish(**{**vars(wanted), "state": "present"})
    return "; ".join(str(step["text"]) for step in _laying(done, there))


def _places(wanted: Wish, there: Found) -> tuple[tuple[str, bool], ...]:
    return (wanted.folder, there.exists or there.ours), (wanted.staging, there.staging)


def _on_the_desktop(wanted: Wish, there: Found, steps: Steps) -> Steps:
    """LDPlayer's keys, and with them everything that it is told, belong to the user at the desktop."""
    if steps and wanted.desktop != "never" and there.host.place != "desktop":
        raise Refused(
            there.host.name, f"{wanted.name} belongs to the user at the desktop, and nobody is logged on",
            "Have one logged on (windows_autologon_user of the role windows), or set desktop_session: never for the connection's own account",
        )  # fmt: skip
    return steps


def _laying(wanted: Wish, there: Found) -> Steps:
    mark, name = there.mark, wanted.name
    if mark is not None and mark.version != wanted.dialect.version:
        raise Refused(
            there.host.name, f"{wanted.folder} holds LDPlayer {mark.version}, and {name} is wanted there", "Give each a folder of its own"
        )
    if mark is None and there.programs and not wanted.adopt:
        if wanted.state == "repaired":
            raise Foreign(there.host.name, f"{name} in {wanted.folder} was not installed by ldfleet", "Say adopt: true to take it over")
        return ()
    if mark is None and not there.programs and there.strange:
        raise Refused(
            there.host.name,
            f"{wanted.folder} is no LDPlayer's folder: it holds {shown(there.strange)}",
            "Name a folder of its own (install_dir)",
        )
    verb, why = _reason(wanted, there)
    if verb == "install":
        _alone(wanted, there)
    if verb == "register" and not there.free_keys(wanted.folder):
        verb = ""  # its keys are taken by another install of the same version: whoever means this one names its folder
    return (*_linking(wanted, there), *((conversation.action(verb, name, why),) if verb else ()))


def _linking(wanted: Wish, there: Found) -> Steps:
    """What is to be done for the data directory, before anything else is."""
    if there.data is None:
        return ()
    why = data_dir.reason(there.host.name, wanted.folder, wanted.data_dir, there.vms, there.data, there.names)
    noted = there.mark is not None and places.same(there.mark.data_dir, wanted.data_dir)
    if why or not noted:
        data_dir.alone(there.host.name, wanted.data_dir, there.taken, there.neighbours)
    if why:
        return (conversation.action("link", wanted.name, why),)
    if there.mark is None or noted:
        return ()
    return (conversation.action("note", wanted.name, f"{data_dir.vms(wanted.folder)} leads to {wanted.data_dir} already"),)


def _reason(wanted: Wish, there: Found) -> tuple[str, str]:
    mark = there.mark
    release = f" {wanted.release}" if wanted.release else ""
    if mark is None:
        return ("upgrade", f"{wanted.folder} is taken over") if there.programs else ("install", f"{wanted.folder} has none")
    if mark.sha256 != wanted.sha256:
        return "upgrade", f"to{release} sha256 {wanted.sha256[:12]}, from {mark.release or 'sha256 ' + mark.sha256[:12]}"
    if not mark.done:
        return "repair", "the last work on it did not come to its end"
    if not there.programs:
        return "repair", f"{CONSOLE} or {PLAYER} is gone"
    if wanted.state == "repaired":
        return "repair", "is asked for"
    if not there.registered(wanted.folder):
        return "register", "the registry does not name its folder"
    return "", ""


def _removal(wanted: Wish, there: Found) -> Steps:
    if not there.exists and not there.ours:
        # Work that was cut off before it came to LDPlayer's folder, and to its mark.
        return (conversation.action("remove", wanted.name, f"{wanted.staging} is left over"),) if there.staging else ()
    if not there.ours:
        raise Foreign(
            there.host.name, f"{wanted.name} in {wanted.folder} was not installed by ldfleet", "Use its own uninstaller, or adopt it first"
        )
    _alone(wanted, there)
    if there.strange and there.names.isdisjoint(_ITS):
        raise Refused(
            there.host.name, f"{wanted.folder} holds {shown(there.strange)} and nothing that is known to be LDPlayer's, whatever its mark says",
            rf"Look into it. If it may go, remove it by hand, and the mark {marks.FOLDER}\{wanted.mark}, too",
        )  # fmt: skip
    count = len(there.emulators) if there.linked or not there.vms.link else 0
    if count > wanted.max_destroy:
        raise Guarded(
            there.host.name,
            f"{wanted.folder} holds {data_dir.many(count)}, which would go with it, and max_destroy is {wanted.max_destroy}",
            f"Back them up (ldfleet.ldplayer.emulator_backup), then say max_destroy: {count}",
        )
    with_it = f", with {data_dir.many(count)}" if count else ""
    return (
        conversation.action(
            "remove", wanted.name, f"{wanted.folder} is unwanted{with_it}{data_dir.told(wanted.folder, there.vms, there.linked)}"
        ),
    )


def _alone(wanted: Wish, there: Found) -> None:
    """No other LDPlayer that ldfleet laid lies in this one's folder, nor around it: it would go with it, emulators and all. Raises Refused."""
    for other in there.neighbours:
        if other.install_dir and places.overlap(wanted.folder, other.install_dir):
            raise Refused(
                there.host.name, f"{wanted.folder} overlaps the folder of another LDPlayer, {other.install_dir}",
                "Give each a folder of its own; take off the inner one first",
            )  # fmt: skip


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(shown, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
