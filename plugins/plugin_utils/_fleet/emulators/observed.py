# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was read of a host at one moment: what to ask (``look``) and how the answers are understood (``observation``).

What cannot be understood is unknown, never absent: the whole host when it is list2's output, one emulator when it is its config.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..._host import operations
from ..._host.batch import HostFacts, Reply, Result
from ..._host.operations import Operation
from ..words import config, install, settings
from ..words.config import ConfigFile
from ..words.errors import Host, NotInstalled, Unreadable
from ..words.install import Installed, Where
from ..words.options import shown
from ..words.settings import Value
from . import ownership
from .ownership import Owned

#: list2 takes 15 ms (LDPlayer 14); 20 s is for a host that is starting ten emulators.
QUERY_TIMEOUT_MS = 20_000
#: list2 prints nothing now and then although emulators exist, and does at the next call.
_EMPTY_PATIENCE_MS = 3_000


class Run(enum.Enum):
    """CHANGING: on its way up or down, or half of it is missing; only another look can tell."""

    STOPPED = "stopped"
    CHANGING = "changing"
    RUNNING = "running"


@dataclass(frozen=True)
class Emulator:
    """One row of list2 with its config and record. ``raw_title``: the title's bytes as printed; ``index`` holds for this moment only.

    ``pid``, ``vm_pid``: of the player and its VM, -1 without. ``ready``: what the guest said when it was asked whether it can be worked with;
    None where nobody asked, or where nobody can (adb is off). ``said``: what it said to a question without a right answer, None as before.
    """

    index: int
    title: str
    raw_title: bytes
    run: Run
    config: ConfigFile | None
    owned: Owned | None
    pid: int = -1
    vm_pid: int = -1
    state: int = 0
    ready: bool | None = None
    said: bytes | None = None

    @property
    def settings(self) -> Mapping[str, Value]:
        """What its config tells; empty when that is unknown."""
        return settings.current(self.config.values) if self.config and not self.config.problem else {}


@dataclass(frozen=True)
class Observation:
    """``stale``: records whose emulator is gone (title -> SHA-256 of the file). ``records``: SHA-256 of each known record by title.

    ``kept``: configs that were kept when they were good, by ownership.key; read only where one on the host cannot be understood. ``files``: what
    was asked about files of the host. ``installed``: every LDPlayer of the host that was seen, the newest first.
    ``listings``: what was asked about folders. ``free_bytes``: of the drive where emulators' disks lie, which need not be that of ``install``.
    """

    host: HostFacts
    install: str
    free_bytes: int
    emulators: tuple[Emulator, ...]
    records: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, Owned] = field(default_factory=dict)
    kept: Mapping[str, ConfigFile] = field(default_factory=dict)
    files: Mapping[Files, tuple[FileSeen, ...]] = field(default_factory=dict)
    installed: tuple[Installed, ...] = ()
    listings: Mapping[Listing, Result] = field(default_factory=dict)

    @property
    def sick(self) -> bool:
        """Whether a config cannot be understood: then it is worth looking at the kept ones."""
        return any(emulator.config is not None and emulator.config.problem for emulator in self.emulators)

    def titled(self, title: str) -> Emulator | None:
        """The emulator with this title; when several have it, the first."""
        return next((emulator for emulator in self.emulators if emulator.title == title), None)

    def owned(self) -> list[str]:
        """Titles of the emulators that ldfleet created or adopted."""
        return [emulator.title for emulator in self.emulators if emulator.owned is not None]

    def duplicates(self) -> frozenset[str]:
        """Titles that more than one emulator has."""
        return frozenset(title for title, times in Counter(emulator.title for emulator in self.emulators).items() if times > 1)


@dataclass(frozen=True)
class Question:
    """What to ask guests that run: the value of ``--command``, and the pattern of a good answer (None: the answer is kept as it is).

    ``titles``: whom. ``families``: and whoever is called NAME-000, NAME-001 and so on.
    """

    command: str
    answer: str | None
    titles: frozenset[str]
    families: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Files:
    """Which files of the host to look at. Those bigger than ``max_bytes`` are told of without their hash."""

    folder: str
    pattern: str
    max_bytes: int


@dataclass(frozen=True)
class Listing:
    """What a folder holds, without hashes: sizes and times of its files, on wish their first bytes, the sizes of its folders, and free space."""

    folder: str
    pattern: str
    head: int = 0
    space: bool = False
    folders: bool = False


@dataclass(frozen=True)
class FileSeen:
    """``modified_ms``: Unix time by the host's clock; ``sha256``: None where it could not be read or was too big."""

    name: str
    size: int
    modified_ms: int
    sha256: str | None


#: What else an observation asks, beside what it always reads.
Asked = Question | Files | Listing


def look(where: Where, questions: Sequence[Asked] = ()) -> list[Operation]:
    """The operations that a host's observation needs."""
    return [*install.look(where), *look_again(questions, None)]


def look_again(questions: Sequence[Asked], host: HostFacts | None) -> list[Operation]:
    """The same for a batch that has found the install already. Without ``host`` its code pages are not known yet, and each title is tried in
    all of them."""
    asked = [operations.always(_ask(f"asked.{number}", question, host)) for number, question in enumerate(questions)]
    return [
        operations.always(operations.until("list2", install.PROGRAM, ["list2"], QUERY_TIMEOUT_MS, r"(?m)^\d+,", 300, _EMPTY_PATIENCE_MS)),
        *asked,
        operations.always(operations.read("configs", install.CONFIG_FOLDER, "leidian*.config", space=True)),
        operations.always(operations.read("owned", ownership.FOLDER, "*.json")),
    ]


def _ask(id: str, asked: Asked, host: HostFacts | None) -> Operation:
    if isinstance(asked, Files):
        return operations.listing(id, asked.folder, asked.pattern, asked.max_bytes)
    if isinstance(asked, Listing):
        return operations.listing(id, asked.folder, asked.pattern, 0, asked.head, asked.space, asked.folders)
    command = ["adb", "--index", "{1}", "--command", asked.command]
    return operations.each(id, "list2", _row_of(asked, host), install.PROGRAM, command, QUERY_TIMEOUT_MS)


def look_at_kept() -> list[Operation]:
    """What to ask of a sick host."""
    return [operations.read("kept", ownership.KNOWN_GOOD, "*.config")]


def kept(reply: Reply) -> dict[str, ConfigFile]:
    """Understand the result of ``look_at_kept``; what cannot be read is left out."""
    files = reply.results["kept"].values.get("files", ()) if reply.results["kept"].ok else ()
    found = {str(item["name"]).rpartition(".")[0]: _config(str(item["name"]), item) for item in files}
    return {key: config for key, config in found.items() if not config.problem}


def _row_of(asked: Question, host: HostFacts | None) -> str:
    """A pattern for the rows of emulators that are asked and run, its group the index."""
    members = [f"{form}-\\d{{3,}}" for form in _forms(asked.families, host)]
    listed = "|".join([*_forms(asked.titles, host), *members])
    return rf"(?m)^(\d+),(?:{listed}), ?-?\d+, ?-?\d+, ?1, ?[1-9]\d*, ?[1-9]\d*(?:,\d+,\d+,\d+)?\r?$"


def _forms(titles: Iterable[str], host: HostFacts | None) -> list[str]:
    """Patterns for these titles as list2 may print them."""
    forms = dict.fromkeys(form for title in sorted(titles) for form in (possible_bytes(title, host) if host else _any_bytes(title)))
    return [operations.literal(form) for form in forms]


def observation(reply: Reply, where: Where, questions: Sequence[Asked] = ()) -> Observation:
    """Understand the results of ``look`` with the same questions. Raises NotInstalled, Unreadable, or Host when an operation failed."""
    found = reply.results["ld"]
    if not found.ok:
        raise NotInstalled(
            reply.host.name, f"LDPlayer was not found {where.told()} ({install.CONSOLE})", "Install it, or name its folder with install_dir"
        )
    folder = str(found.values["path"])
    configs = _configs(reply)
    records = _records(reply, folder)
    _there(reply, folder, bool(records))
    rows = _rows(reply, configs)
    answers = list(_answers(reply, questions))
    emulators = tuple(_emulator(row, configs, records, answers, reply.host) for row in rows)
    titles = {emulator.title for emulator in emulators}
    return Observation(
        host=reply.host,
        install=folder,
        free_bytes=free_bytes(reply.results["configs"]),
        emulators=emulators,
        records={title: digest for title, (_record, digest) in records.items()},
        stale={title: record for title, (record, _digest) in records.items() if title not in titles},
        installed=install.installed(reply),
        listings={asked: _listed(reply, f"asked.{n}", asked) for n, asked in enumerate(questions) if isinstance(asked, Listing)},
        files={asked: _files(reply.results.get(f"asked.{n}")) for n, asked in enumerate(questions) if isinstance(asked, Files)},
    )


def _there(reply: Reply, folder: str, recorded: bool) -> None:
    """Where `vms` leads to a drive that is away, LDPlayer has no emulators as far as anybody sees, which is not that there are none. Raises Unreadable."""
    configs = reply.results["configs"]
    if not configs.values["exists"] and (recorded or configs.values.get("free_bytes") == -1):
        raise Unreadable(
            reply.host.name, f"{folder}\\vms\\config is not there" + (", and emulators are on record" if recorded else ", and neither is its drive"),
            "Bring back the drive that it lies on. If the emulators are gone for good, make that folder by hand (without the link), and run again",
        )  # fmt: skip


def free_bytes(listing: Result) -> int:
    """Of the drive of a folder that was listed or read with its space, however it is linked there; -1 where unknown."""
    found = listing.values.get("free_bytes")
    return -1 if found is None else int(found)


def _listed(reply: Reply, id: str, asked: Listing) -> Result:
    result = reply.results[id]
    if not result.ok:
        raise _failed(reply, result, f"looking into {asked.folder}")
    return result


@dataclass(frozen=True)
class _Row:
    index: int
    title: bytes
    state: int
    pid: int
    vm_pid: int


# Ten columns since LDPlayer 9, seven before: index, title, two window handles, Android's state, pid of the player, pid of the VM, and then
# width, height, dpi.
# A title may hold commas, so both ends of the row are fixed and the title is what remains.
_TEN = re.compile(rb"(\d+),(.*),-?\d+,-?\d+,([012]),(-1|\d+),(-1|\d+),\d+,\d+,\d+")
_SEVEN = re.compile(rb"(\d+),(.*), ?-?\d+, ?-?\d+, ?([012]), ?(-1|\d+), ?(-1|\d+)")


def _rows(reply: Reply, configs: Mapping[int, ConfigFile]) -> list[_Row]:
    result = reply.results["list2"]
    unmatched = result.problem is not None and result.problem.code in ("Deadline", "SliceOver")
    if not result.ok and not unmatched:
        raise _failed(reply, result, "ldconsole list2")
    if result.values.get("timed_out"):
        raise Host(reply.host.name, "ldconsole list2 does not come to its end", "Nothing was touched. Is LDPlayer hanging on the host?")
    output = result.data("stdout")
    if not output.strip():
        if configs:
            raise Unreadable(
                reply.host.name,
                f"list2 printed nothing, but there are configs of {len(configs)} emulators",
                "Nothing was touched. Look at LDPlayer's multi-instance window on the host, then run again",
            )
        return []
    return parse_list2(output, reply.host.name)


def parse_list2(output: bytes, about: str) -> list[_Row]:
    """The rows of list2. Raises Unreadable for anything that is not wholly understood."""
    if not output.endswith(b"\n"):
        raise _bad_list2(about, (output.splitlines() or [b""])[-1], "its last line is cut off")
    lines = [line.rstrip(b"\r") for line in output.split(b"\n")[:-1]]
    for pattern in (_TEN, _SEVEN):
        matches = [pattern.fullmatch(line) for line in lines]
        if all(matches):
            rows = [_Row(int(m[1]), m[2], int(m[3]), int(m[4]), int(m[5])) for m in matches if m]
            if len({row.index for row in rows}) != len(rows):
                raise _bad_list2(about, lines[-1], "an index stands there twice")
            return rows
    wrong = next(line for line in lines if not (_TEN.fullmatch(line) or _SEVEN.fullmatch(line)) or line is lines[-1])
    raise _bad_list2(about, wrong, "it has neither 10 nor 7 columns as list2 prints them")


def _bad_list2(about: str, line: bytes, why: str) -> Unreadable:
    return Unreadable(
        about,
        f"list2 printed {shown(line.decode('latin-1'))}, and {why}",
        "Nothing was touched. Run ldconsole list2 on the host; if it is right there, run again",
    )


def _failed(reply: Reply, result: Result, what: str) -> Host:
    problem = result.problem
    why = f"{problem.code}: {problem.message}" if problem else f"{result.status} (needs {result.needs})"
    return Host(reply.host.name, f"{what} failed ({why})", "Nothing was touched after that")


def _configs(reply: Reply) -> dict[int, ConfigFile]:
    result = reply.results["configs"]
    if not result.ok:
        raise _failed(reply, result, "reading the configs")
    configs: dict[int, ConfigFile] = {}
    for item in result.values["files"]:
        name = str(item["name"])
        number = re.fullmatch(r"leidian(\d{1,6})\.config", name, re.IGNORECASE | re.ASCII)
        if number:
            configs[int(number[1])] = _config(name, item)
    return configs


def _config(name: str, item: Mapping[str, object]) -> ConfigFile:
    error = item.get("error")
    if isinstance(error, Mapping):
        return ConfigFile(name, "", b"", {}, f"the host could not read it ({error.get('code')}: {error.get('message')})")
    return config.read(name, Result("configs", "ok", item).data("data"))


def _records(reply: Reply, folder: str) -> dict[str, tuple[Owned, str]]:
    result = reply.results["owned"]
    if not result.ok:
        raise _failed(reply, result, "reading the ownership record")
    records: dict[str, tuple[Owned, str]] = {}
    for item in result.values["files"]:
        if "error" in item:
            raise Unreadable(reply.host.name, f"the ownership record {item['name']} cannot be read", "Nothing was touched. Run again")
        record = ownership.read(Result("owned", "ok", item).data("data"))
        if record is not None and item["name"] == f"{ownership.key(folder, record.title)}.json":
            records[record.title] = (record, str(item["sha256"]))
    return records


def _answers(reply: Reply, questions: Sequence[Asked]) -> Iterator[tuple[int, bool | None, bytes | None]]:
    """Index, whether the guest gave the good answer, and what it said where no answer is the good one; None is for the other kind."""
    for number, question in enumerate(questions):
        result = reply.results.get(f"asked.{number}")
        if result is None or not isinstance(question, Question):
            continue
        for run in result.values.get("runs", ()):
            said = Result("asked", "ok", run).data("stdout")
            if question.answer is None:
                yield int(run["key"]), None, said
            else:
                yield int(run["key"]), re.search(question.answer, said.decode("utf-8", "replace")) is not None, None


def _files(result: Result | None) -> tuple[FileSeen, ...]:
    listed = result.values.get("files", ()) if result is not None and result.ok else ()
    return tuple(FileSeen(str(item["name"]), int(item["size"]), int(item["modified_ms"]), item.get("sha256")) for item in listed)


def _emulator(
    row: _Row,
    configs: Mapping[int, ConfigFile],
    records: Mapping[str, tuple[Owned, str]],
    answers: Iterable[tuple[int, bool | None, bytes | None]],
    host: HostFacts,
) -> Emulator:
    found = configs.get(row.index)
    title = _title(row.title, found, host)
    record = records.get(title)
    # With adb off nobody can ask: silence then tells nothing.
    mine = [answer for answer in answers if answer[0] == row.index] if has_adb(found) else []
    ready = next((good for _index, good, _said in mine if good is not None), None)
    said = next((said for _index, _good, said in mine if said is not None), None)
    return Emulator(
        row.index, title, row.title, _run(row), found, record[0] if record else None, row.pid, row.vm_pid, row.state, ready, said
    )  # fmt: skip


def has_adb(found: ConfigFile | None) -> bool:
    """Whether the guest listens to adb (off unless the config says otherwise, LDPlayer 9 English)."""
    return found is not None and not found.problem and settings.SETTINGS["adb"].current(found.values) in ("local", "remote")


def _run(row: _Row) -> Run:
    # Both processes there means really running, one of the two missing half-started (measured on LDPlayer 9.0.79.2); state 1 can stand
    # without a VM when the VM service hangs.
    if row.state == 0 and row.pid == -1 and row.vm_pid == -1:
        return Run.STOPPED
    return Run.RUNNING if row.state == 1 and row.pid > 0 and row.vm_pid > 0 else Run.CHANGING


def _title(raw: bytes, found: ConfigFile | None, host: HostFacts) -> str:
    """list2 prints titles in the ANSI code page, or in GBK whatever the page (sources disagree), with ? for what does not fit; the config
    has UTF-8. So ASCII is taken from list2, everything else from the config where that names one."""
    if raw.isascii() and b"?" not in raw:
        return raw.decode()
    named = found.values.get(settings.TITLE_KEY) if found and not found.problem else None
    if isinstance(named, str) and named:
        return named
    for encoding in ("utf-8", codec(host.acp), codec(host.oemcp)):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def codec(page: int) -> str:
    """Python's codec for a Windows code page; ASCII where the page is unknown. 936 is read as GB18030, its superset."""
    if page == 936:
        return "gb18030"
    if page == 65001:
        return "utf-8"
    try:
        "".encode(f"cp{page}")
    except LookupError:
        return "ascii"
    return f"cp{page}"


def _any_bytes(title: str) -> list[bytes]:
    """How some Windows may print a title, whatever its code pages."""
    forms = [title.encode("utf-8")]
    for page in _ANSI_PAGES:
        try:
            forms.append(title.encode(page))
        except UnicodeEncodeError:
            continue
    return list(dict.fromkeys(forms))


#: The ANSI code pages of Windows (Microsoft's table), GBK first since LDPlayer may print it anywhere.
_ANSI_PAGES = ("gbk", *(f"cp{page}" for page in (1252, 1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874, 932, 949, 950)))


def possible_bytes(title: str, host: HostFacts) -> list[bytes]:
    """How list2 may print a title: in the ANSI code page, in GBK, or in UTF-8."""
    forms: Sequence[tuple[str, str]] = ((codec(host.acp), "replace"), ("gbk", "replace"), ("utf-8", "strict"))
    return list(dict.fromkeys(title.encode(encoding, errors) for encoding, errors in forms))
