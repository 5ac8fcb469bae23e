# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ldfleet takes for true of LDPlayer and Windows, each as a question that a host answers on a scratch emulator.

A chapter is a conversation: it yields operations, is sent replies, and ends with findings. Only emulators that a chapter made itself are touched;
whatever happens they are removed in the end (`leftovers`). Findings carry no name, address, account or identity of the host (`scrubbed`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words import config, install, settings
from ..words.dialect import DIALECTS
from ..words.options import shown
from . import guest, observed
from .observed import Observation

#: Titles of scratch emulators begin so; nobody else's do.
SCRATCH = "ldfleet-conformance-"
_REG = r"{systemroot}\System32\reg.exe"
_COMMAND_MS, _COPY_MS, _BOOT_MS = 60_000, 900_000, 300_000


class Verdict(enum.Enum):
    """What a host said of a fact. UNKNOWN: it could not be asked."""

    HELD = "held"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """``fact``: a stable name; ``says``: what ldfleet takes for true; ``found``: the evidence, scrubbed."""

    fact: str
    says: str
    verdict: Verdict
    found: str


@dataclass(frozen=True)
class Ask:
    """One batch. ``desktop``: where it runs, None for the task's own choice; ``slice_ms``: how long it may go on."""

    operations: tuple[Operation, ...]
    desktop: str | None = None
    slice_ms: int = 60_000


Chapter = Generator[Ask, Reply, list[Finding]]


@dataclass
class Bench:
    """What the chapters share. ``index``: of the scratch emulator once it is there; ``run``: digits that make its title new."""

    seen: Observation
    run: str
    index: int = -1
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The scratch emulator's."""
        return f"{SCRATCH}{self.run}"

    def batch(self, *work: Operation, desktop: str | None = None, slice_ms: int = 60_000) -> Ask:
        """Operations with the install found before them."""
        return Ask((operations.find("ld", [{"path": self.seen.install}], install.CONSOLE), *work), desktop, slice_ms)

    def console(self, id: str, *words: str, timeout_ms: int = _COMMAND_MS) -> Operation:
        """One command of ldconsole, whatever it exits with."""
        return operations.execute(id, install.PROGRAM, words, timeout_ms)

    def list2(self, id: str = "list2") -> Operation:
        """What list2 says."""
        return self.console(id, "list2")

    def row(self, reply: Reply, id: str = "list2") -> str:
        """The scratch emulator's row of list2, or nothing."""
        return next((line for line in _text(reply.results[id]).splitlines() if line.split(",")[0] == str(self.index)), "")

    def config(self, id: str = "config") -> Operation:
        """The scratch emulator's config."""
        return operations.read(id, install.CONFIG_FOLDER, f"leidian{self.index}.config")

    def values(self, reply: Reply, id: str = "config") -> Mapping[str, object]:
        """Its keys; empty where there is none."""
        files = reply.results[id].values.get("files", ())
        return config.read("", Result(id, "ok", files[0]).data("data")).values if files else {}


def _text(result: Result) -> str:
    return result.data("stdout").decode("utf-8", "replace")


def _exit(result: Result) -> int | None:
    found = result.values.get("exit")
    return found if isinstance(found, int) else None


def _finding(fact: str, says: str, holds: bool | None, found: object) -> Finding:
    verdict = Verdict.UNKNOWN if holds is None else Verdict.HELD if holds else Verdict.DIFFERS
    return Finding(fact, says, verdict, str(found))


def _listing(bench: Bench) -> Chapter:
    """Before anything is made: the form of list2, and what wrong words get."""
    reply = yield bench.batch(
        bench.list2(),
        bench.console("nonsense", "ldfleetnonsense"),
        bench.console("modify-missing", "modify", "--index", "99999", "--cpu", "2"),
        bench.console("quit-missing", "quit", "--index", "99999"),
        bench.console("isrunning", "isrunning", "--index", "99999"),
    )
    output = reply.results["list2"].data("stdout")
    columns = sorted({line.count(b",") + 1 for line in output.splitlines()})
    missing, nonsense = reply.results["modify-missing"], reply.results["nonsense"]
    return [
        _finding("list2.columns", "list2 has 10 columns (7 before LDPlayer 9)", columns in ([10], [7]), f"columns: {columns}"),
        _finding("list2.lines", "list2 ends every line with CR LF", output.endswith(b"\r\n"), f"ends with {output[-4:]!r}"),
        _finding("usage.exit", "a misspelt command prints the usage and exits -1000", _exit(nonsense) == -1000, f"exit {_exit(nonsense)}"),
        _finding(
            "modify.missing", "modify of a missing index exits 0 and prints nothing",
            (_exit(missing), _text(missing)) == (0, ""), f"exit {_exit(missing)}, printed {shown(_text(missing))}",
        ),
        _finding(
            "quit.missing", "quit of a missing index prints player don't exist! and exits -1001",
            _exit(reply.results["quit-missing"]) == -1001 and "player don't exist" in _text(reply.results["quit-missing"]),
            f"exit {_exit(reply.results['quit-missing'])}, printed {shown(_text(reply.results['quit-missing']))}",
        ),
        _finding(
            "isrunning.missing", "isrunning of a missing index says stop, without a line end",
            _text(reply.results["isrunning"]) == "stop", shown(_text(reply.results["isrunning"])),
        ),
    ]  # fmt: skip


def _creation(bench: Bench) -> Chapter:
    """add: its exit code, the index it takes, what it writes."""
    taken = {emulator.index for emulator in bench.seen.emulators}
    lowest = next(number for number in range(len(taken) + 1) if number not in taken)
    appears = operations.until(
        "there", install.PROGRAM, ["list2"], _COMMAND_MS, rf"(?m)^\d+,{operations.literal(bench.title.encode())},", 500, 20_000
    )
    reply = yield bench.batch(bench.console("add", "add", "--name", bench.title), appears)
    added = reply.results["add"]
    rows = [line.split(",") for line in _text(reply.results["there"]).splitlines()]
    bench.index = next((int(row[0]) for row in rows if len(row) > 1 and row[1] == bench.title), -1)
    if bench.index < 0:
        return [_finding("add.works", "add makes an emulator", False, f"exit {_exit(added)}, printed {shown(_text(added))}")]
    disks = operations.listing("disks", rf"{{ld}}\vms\leidian{bench.index}", "*")
    reply = yield bench.batch(bench.config(), disks)
    values = bench.values(reply)
    return [
        _finding(
            "add.disks", "the disks of a new emulator lie in vms, also where that is a link to another folder",
            bool(reply.results["disks"].values.get("files")), f"{len(reply.results['disks'].values.get('files', ()))} files there",
        ),
        _finding("add.works", "add makes an emulator", True, "it is in list2"),
        _finding("add.exit", "the exit code of add is the new index", _exit(added) == bench.index, f"exit {_exit(added)}, index {bench.index}"),
        _finding("add.silent", "add prints nothing", _text(added) == "", shown(_text(added))),
        _finding("add.lowest", "add takes the lowest free index", bench.index == lowest, f"index {bench.index}, lowest free was {lowest}"),
        _finding(
            "add.title", "the title stands in statusSettings.playerName", values.get(settings.TITLE_KEY) == bench.title,
            f"{len(values)} keys, playerName {'as given' if values.get(settings.TITLE_KEY) == bench.title else 'another or none'}",
        ),
    ]  # fmt: skip


def _settings(bench: Bench) -> Chapter:
    """modify: which keys it writes, what it refuses, what it ignores."""
    index = str(bench.index)
    reply = yield bench.batch(
        bench.console("modify", "modify", "--index", index, "--cpu", "2", "--memory", "2048", "--resolution", "960,540,160", "--root", "1"),
        bench.config(),
        bench.list2(),
        bench.console("bad", "modify", "--index", index, "--cpu", "5"),
        bench.console("unknown", "modify", "--index", index, "--ldfleetnonsense", "1"),
        bench.config("after"),
    )
    current = settings.current(bench.values(reply))
    wanted = {"cpu": 2, "memory": 2048, "resolution": "960x540@160", "root": True}
    told = {option: current.get(option) for option in wanted}
    row, bad = bench.row(reply), reply.results["bad"]
    return [
        _finding("modify.keys", "modify writes cpu, memory, resolution and root to the keys that ldfleet reads", told == wanted, told),
        _finding("list2.screen", "list2 shows width, height and dpi of the config", row.endswith(",960,540,160") if row.count(",") >= 9 else None, "checked"),
        _finding(
            "modify.refuses", "modify --cpu 5 prints parameter error! and exits -1005",
            _exit(bad) == -1005 and "parameter error" in _text(bad), f"exit {_exit(bad)}, printed {shown(_text(bad))}",
        ),
        _finding(
            "modify.ignores", "an unknown option of modify exits 0 and changes nothing",
            _exit(reply.results["unknown"]) == 0 and bench.values(reply, "after") == bench.values(reply), f"exit {_exit(reply.results['unknown'])}",
        ),
    ]  # fmt: skip


def _titles(bench: Bench) -> Chapter:
    """rename: at once, exactly, and in which bytes list2 shows it."""
    findings = []
    index = str(bench.index)
    for number, hostile in enumerate(("%PATH% ^& (x) 'y'", "a,b,0,0", "end\\", "--name x")):
        title = f"{bench.title} {hostile}"
        reply = yield bench.batch(bench.console("rename", "rename", "--index", index, "--title", title), bench.config(), bench.list2())
        exact = bench.values(reply).get(settings.TITLE_KEY) == title and f",{title}," in bench.row(reply)
        findings.append(
            _finding(f"rename.exact.{number}", f"a title with {hostile} arrives exactly", exact, "read back from list2 and config")
        )
    page = bench.seen.host.acp
    letter = {936: "雷", 1252: "ü", 932: "ア", 949: "한", 950: "雷", 1251: "ж", 1250: "ř", 1254: "ş"}.get(page)
    if letter is not None:
        reply = yield bench.batch(bench.console("rename", "rename", "--index", index, "--title", bench.title + letter), bench.list2())
        output = reply.results["list2"].data("stdout")
        codecs = {"the ANSI code page": observed.codec(page), "GBK": "gbk", "UTF-8": "utf-8"}
        forms = [name for name, codec in codecs.items() if _encoded(bench.title + letter, codec) in output]
        findings.append(
            _finding(
                "list2.encoding", "list2 prints titles in the ANSI code page", "the ANSI code page" in forms, f"{forms or 'none known'}"
            )
        )
    yield bench.batch(bench.console("rename", "rename", "--index", index, "--title", bench.title))
    return findings


def _encoded(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return b"\xff\xfe\xff"


def _starting(bench: Bench) -> Chapter:
    """launch: how the states follow one another, whether adb answers, what a second launch does. The config's adb key is set by hand first."""
    if bench.seen.host.place != "desktop":
        return [_finding("start", "an emulator starts on the desktop", None, "nobody is logged on, so nothing was started")]
    index = str(bench.index)
    reply = yield bench.batch(bench.config())
    files = reply.results["config"].values["files"]
    if not files:
        return [_finding("start", "an emulator starts on the desktop", None, "LDPlayer has written no config yet")]
    kept = config.read(str(files[0]["name"]), Result("config", "ok", files[0]).data("data"))
    path = f"{install.CONFIG_FOLDER}\\{kept.name}"
    edited = kept.edited({"basicSettings.adbDebug": 1})
    states = [
        operations.until(f"state{number}", install.PROGRAM, ["list2"], _COMMAND_MS, rf"(?m)^{index},.*,{tail}", 250, 120_000)
        for number, tail in enumerate((r"[12],[1-9]\d*,-1(?:,|\r?$)", r"1,[1-9]\d*,[1-9]\d*(?:,|\r?$)"))
    ]
    booted = operations.until(
        "booted", install.PROGRAM, ["adb", "--index", index, "--command", guest.BOOTED], _COMMAND_MS, guest.BOOTED_ANSWER, 1000, 240_000
    )
    reply = yield bench.batch(
        operations.write("adb", path, edited, kept.sha256), bench.console("launch", "launch", "--index", index), *states, booted, bench.list2(),
        bench.console("serial", "adb", "--index", index, "--command", "get-serialno"),
        bench.console("quoted", "adb", "--index", index, "--command", "shell echo '$HOME'"),
        bench.console("failing", "adb", "--index", index, "--command", "shell exit 3"),
        bench.console("again", "launch", "--index", index), bench.config("running"),
        slice_ms=_BOOT_MS,
    )  # fmt: skip
    ms = {name: int(reply.results[name].values.get("ms", -1)) for name in ("launch", "state0", "state1", "booted")}
    bench.facts["row"] = bench.row(reply)
    up, answers = reply.results["state1"].ok, reply.results["booted"].ok
    serial = _text(reply.results["serial"]).strip()
    return [
        _finding(
            "launch.returns", "launch returns at once and prints nothing", ms["launch"] < 5000 and not _text(reply.results["launch"]),
            f"{ms['launch']} ms",
        ),
        _finding("start.states", "list2 shows 2 (or 1) without a VM first, then 1 with player and VM", up, f"{ms['state0']} and {ms['state1']} ms"),
        _finding("adb.by_config", "basicSettings.adbDebug 1, written while stopped, lets adb in", answers, f"boot_completed after {ms['booted']} ms more"),
        _finding(
            "adb.serial", "the serial is emulator-(5554 + 2 x index)", serial == f"emulator-{5554 + 2 * bench.index}" if answers else None,
            shown(serial),
        ),
        _finding(
            "adb.quotes", "single quotes pass through --command to the guest's shell",
            _text(reply.results["quoted"]).strip() == "$HOME" if answers else None, shown(_text(reply.results["quoted"])),
        ),
        _finding(
            "adb.exit", "adb's exit code is swallowed", _exit(reply.results["failing"]) == 0 if answers else None,
            f"exit {_exit(reply.results['failing'])}",
        ),
        _finding("launch.again", "a second launch is silent and exits 0", (_exit(reply.results["again"]), _text(reply.results["again"])) == (0, ""), "checked"),
    ]  # fmt: skip


def _stopping(bench: Bench) -> Chapter:
    """quit: from session 0 and from the desktop; what processes the ids of list2 are; what the exit writes."""
    if "row" not in bench.facts:
        return []
    index = str(bench.index)
    system = r"{systemroot}\System32"
    pids = [part for part in bench.facts["row"].split(",")[5:7] if part.isdigit()]
    named = [
        operations.execute(f"name{number}", rf"{system}\tasklist.exe", ["/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"], _COMMAND_MS)
        for number, pid in enumerate(pids)
    ]
    reply = yield bench.batch(
        *named, bench.console("quit", "quit", "--index", index), operations.pause("wait", 10_000), bench.list2(), desktop="never"
    )
    images = [_text(reply.results[f"name{number}"]).split(",")[0].strip('"') for number in range(len(pids))]
    alive = f",{pids[0]}," in bench.row(reply) if pids else None
    gone = operations.until("gone", install.PROGRAM, ["list2"], _COMMAND_MS, rf"(?m)^{index},.*,0,-1,-1(?:,|\r?$)", 250, 60_000)
    reply = yield bench.batch(bench.console("quit", "quit", "--index", index), gone, bench.config(), slice_ms=90_000)
    values = bench.values(reply)
    return [
        _finding(
            "pids.images",
            "list2's two process ids are dnplayer.exe and a …BoxHeadless.exe",
            [*map(_kind, images)] == ["player", "vm"],
            images,
        ),
        _finding(
            "quit.session0",
            "quit from session 0 does not end an emulator of the desktop",
            alive,
            "alive after 10 s" if alive else "ended, or unseen",
        ),
        _finding(
            "quit.gone",
            "after quit the processes are gone within 60 s",
            reply.results["gone"].ok,
            f"{reply.results['gone'].values.get('ms')} ms",
        ),
        _finding("quit.keeps", "a quit keeps the config's settings", settings.current(values).get("cpu") == 2, f"{len(values)} keys"),
    ]


def _kind(image: str) -> str:
    return "player" if image.lower() == "dnplayer.exe" else "vm" if image.lower().endswith("boxheadless.exe") else "another"


def _copying(bench: Bench) -> Chapter:
    """copy: exit code, title, whether it blocks, and whether a clone gets an identity of its own."""
    title = f"{bench.title}-copy"
    there = operations.until(
        "there", install.PROGRAM, ["list2"], _COMMAND_MS, rf"(?m)^\d+,{operations.literal(title.encode())},", 500, _COPY_MS
    )
    work = bench.console("copy", "copy", "--name", title, "--from", str(bench.index), timeout_ms=_COPY_MS)
    reply = yield bench.batch(work, there, operations.read("configs", install.CONFIG_FOLDER, "leidian*.config"), slice_ms=_COPY_MS)
    rows = [line.split(",") for line in _text(reply.results["there"]).splitlines()]
    copied = next((int(row[0]) for row in rows if len(row) > 1 and row[1] == title), -1)
    configs = {
        str(item["name"]): config.read("", Result("", "ok", item).data("data")).values for item in reply.results["configs"].values["files"]
    }
    source, clone = configs.get(f"leidian{bench.index}.config", {}), configs.get(f"leidian{copied}.config", {})
    shared = [key.rpartition(".")[2] for key in settings.IDENTITY_KEYS if source.get(key) and source.get(key) == clone.get(key)]
    code = _exit(reply.results["copy"])
    return [
        _finding("copy.exit", "the exit code of copy is the new index", code == copied and copied >= 0, f"exit {code}, index {copied}"),
        _finding(
            "copy.blocks", "copy returns when the emulator is there", int(reply.results["there"].values.get("tries", 0)) == 1,
            f"copy took {reply.results['copy'].values.get('ms')} ms",
        ),
        _finding("copy.identity", "a clone gets an identity of its own", not shared if clone else None, f"shared with the source: {shared or 'nothing'}"),
    ]  # fmt: skip


def _removal(bench: Bench) -> Chapter:
    """remove: silent, at once, and whether LDPlayer makes an empty emulator again."""
    index = str(bench.index)
    reply = yield bench.batch(
        bench.console("remove", "remove", "--index", index), operations.pause("wait", 5_000), bench.list2(), bench.config()
    )
    row = bench.row(reply)
    again = f",{bench.title}," not in row if row else True
    return [
        _finding(
            "remove.gone",
            "remove takes the emulator out of list2 and its config away",
            again and not reply.results["config"].values["files"],
            "checked",
        ),
        _finding("remove.stays", "LDPlayer makes no emulator again at the removed index", not row, shown(row) if row else "no row"),
    ]


def _installed(bench: Bench) -> Chapter:
    """What laying and finding an LDPlayer rest on: what its own setup wrote, and the repair tool. Only looked at."""
    keys = [key for dialect in DIALECTS for key in dialect.keys]
    names = [(key, name) for key in keys for name in ("InstallDir", "DataDir")]
    asked = [
        operations.execute(f"key.{number}", _REG, ["query", f"HKCU\\SOFTWARE\\{key}", "/v", name], _COMMAND_MS)
        for number, (key, name) in enumerate(names)
    ]
    looks = (
        operations.listing("programs", "{ld}", "*", folders=True),
        operations.listing("disks", r"{ld}\vms", "*", folders=True, link=True),
    )
    reply = yield bench.batch(*looks, bench.list2(), *asked)
    told = [re.search(r"REG_(?:EXPAND_)?SZ\s+(\S[^\r\n]*)", _text(reply.results[f"key.{number}"])) for number in range(len(names))]
    folders = {pair: found[1].strip() for pair, found in zip(names, told, strict=True) if found}
    home = bench.seen.install.rstrip("\\").lower()
    own = [key for key in keys if folders.get((key, "InstallDir"), "").rstrip("\\").lower() == home]
    data = {folders.get((key, "DataDir"), "").lower() for key in own}
    there = {str(item["name"]).lower() for item in reply.results["programs"].values.get("files", ())}
    disks = reply.results["disks"]
    lie = {str(item["name"]).lower() for item in disks.values.get("folders", ()) if re.fullmatch(r"(?i)leidian[0-9]+", str(item["name"]))}
    listed = {f"leidian{line.split(',')[0]}" for line in _text(reply.results["list2"]).splitlines() if line}
    kind = "a link to another" if disks.values.get("link") else "a folder of its own"
    return [
        _finding(
            "installed.folder", "the user's registry has LDPlayer's folder as InstallDir, with a backslash at the end",
            all(folders[key, "InstallDir"].endswith("\\") for key in own) if own else None, f"keys: {own or 'none names this folder'}",
        ),
        _finding(
            "installed.data", "beside it DataDir is the folder vms in it, with a backslash at the end",
            data == {f"{home}\\vms\\"} if own else None, f"DataDir: {sorted(path.replace(home, '…') for path in data)}",
        ),
        _finding(
            "installed.disks", "list2 tells the emulators whose folders lie in vms, also where that is a link to another folder",
            lie == listed if disks.ok else None, f"vms is {kind}: {len(lie)} lie there, {len(listed)} are told",
        ),
        _finding("installed.repairer", "dnrepairer.exe lies in LDPlayer's folder", "dnrepairer.exe" in there, f"{len(there)} files there"),
    ]  # fmt: skip


CHAPTERS: Mapping[str, Callable[[Bench], Chapter]] = {
    "installed": _installed,
    "listing": _listing,
    "creation": _creation,
    "settings": _settings,
    "titles": _titles,
    "starting": _starting,
    "stopping": _stopping,
    "copying": _copying,
    "removal": _removal,
}


def examine(seen: Observation, run: str) -> Chapter:
    """All chapters in order. After a creation that failed the rest is left out, since there is nothing to try it on."""
    bench = Bench(seen, run)
    findings: list[Finding] = []
    for name, chapter in CHAPTERS.items():
        if name not in ("installed", "listing", "creation") and bench.index < 0:
            break
        findings += yield from chapter(bench)
    return [replace(finding, found=scrubbed(finding.found, seen)) for finding in findings]


def leftovers(seen: Observation) -> list[Operation]:
    """What removes every scratch emulator that is there, each only while its index still has its title."""
    removals: list[Operation] = []
    for emulator in seen.emulators:
        if not emulator.title.startswith(SCRATCH):
            continue
        row = rf"(?m)^{emulator.index},{operations.literal(emulator.raw_title)},"
        guard = operations.execute(f"{emulator.index}.guard", install.PROGRAM, ["list2"], _COMMAND_MS, match=[row])
        quit_ = operations.execute(f"{emulator.index}.quit", install.PROGRAM, ["quit", "--index", str(emulator.index)], _COMMAND_MS)
        down = operations.until(f"{emulator.index}.down", install.PROGRAM, ["list2"], _COMMAND_MS, row + r".*,0,-1,-1", 500, 60_000)
        remove = operations.execute(f"{emulator.index}.remove", install.PROGRAM, ["remove", "--index", str(emulator.index)], _COMMAND_MS)
        removals += [
            guard,
            operations.needing(quit_, guard["id"]),
            operations.needing(down, quit_["id"]),
            operations.needing(remove, down["id"]),
        ]
    found = operations.find("ld", [{"path": seen.install}], install.CONSOLE)
    return [found, *removals] if removals else []


def scrubbed(text: str, seen: Observation) -> str:
    """Without the host's and its user's name, titles of other emulators, and anything that looks like an identity."""
    names = [
        seen.host.name,
        *seen.host.desktop_user.split("\\"),
        *(emulator.title for emulator in seen.emulators if len(emulator.title) > 3),
    ]
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(re.escape(name), "…", text, flags=re.IGNORECASE)
    return re.sub(r"\b(?:\d{15,20}|[0-9a-fA-F]{16}|00DB[0-9A-Fa-f]{8}|(?:\d{1,3}\.){3}\d{1,3})\b", "…", text)


def summary(findings: Iterable[Finding]) -> dict[str, int]:
    """How many held, differ, and could not be asked."""
    listed = list(findings)
    return {verdict.value: sum(finding.verdict is verdict for finding in listed) for verdict in Verdict}
