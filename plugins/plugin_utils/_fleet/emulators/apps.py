# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apps of an emulator: what is wanted, what to ask the guest, how its answer is understood, what is to be done, and the operations that do it.

Values in, values out: plan.py orders what `todo` says among the other steps, lower.py puts `operations` into batches. An APK never travels through the
controller: the host pulls it, or has it. What cannot be understood is unknown, never absent.

Sources: commands of ldconsole from the vendor's help; `pm path`, `dumpsys package` and `pidof` as AOSP prints them (Android 9 and 14); an APK that
was installed lies on the guest byte for byte as base.apk (AOSP's package installer), so its hash tells whether it is the wanted one.
"""

from __future__ import annotations

import enum
import hashlib
import ntpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.operations import Operation
from ..words import install, sources
from ..words.errors import BadOption
from ..words.options import shown
from . import guest
from .observed import Files, Observation

DOWNLOADS = r"{programdata}\ldfleet\downloads"
#: Downloads that no task asks for any more go after a week, and the oldest ones beyond 20 GB.
_KEEP_MS = 7 * 24 * 3600 * 1000
_KEEP_BYTES = 20 * 10**9
#: Android takes APKs of up to 4 GiB, and the protocol's numbers end at 2; a game of 2 GB at 20 Mbit/s is 800 s.
_APK_BYTES = 2**31 - 1
_FETCH_MS = 900_000
_COMMAND_MS = 300_000
#: Whether `installapp` waits for the guest was not measured, so the guest is asked until the app is there.
_APPEARS_MS = 180_000
_RUNS_MS = 30_000
_ASK_MS = 20_000
_POLL_MS = 1000


class AppState(enum.Enum):
    """What an app shall be. LATEST: the one that lies at its source. STARTED and STOPPED: installed, and its process there or not."""

    PRESENT = "present"
    ABSENT = "absent"
    STARTED = "started"
    STOPPED = "stopped"
    LATEST = "latest"


@dataclass(frozen=True)
class App:
    """One wanted app. ``where``: the option path that names it; ``sha256``: of the APK, lower case; ``version``: a versionName or versionCode."""

    package: str
    where: str = ""
    state: AppState = AppState.PRESENT
    source: str | None = None
    sha256: str | None = None
    version: str | None = None

    @property
    def download(self) -> bool:
        """Whether the host pulls it from an address."""
        return self.source is not None and sources.is_address(self.source)

    @property
    def hashed(self) -> bool:
        """Whether the guest's APK must be hashed to tell if it is right (seconds for a big one)."""
        return self.state is AppState.LATEST or (self.sha256 is not None and self.version is None)

    @property
    def label(self) -> str:
        """What shall be there, for people."""
        return self.version or (f"sha256 {self.sha256[:12]}" if self.sha256 else self.state.value if self.hashed else "present")


@dataclass(frozen=True)
class Installed:
    """One app as the guest has it. ``sha256``: empty where nobody asked or the guest could not tell."""

    package: str
    version_name: str
    version_code: str
    sha256: str
    running: bool


@dataclass(frozen=True)
class Todo:
    """One thing to do: ``verb`` (install, uninstall, run_app, stop_app), and what is there before and after; None where that is unknown."""

    verb: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Trouble:
    """Why nothing can be done about an app: a reason for programs, and a message."""

    reason: str
    message: str


# ---- what is wanted -------------------------------------------------------------------------------------------------------------------


def wanted(entries: Sequence[Mapping[str, Any]], where: str, problems: list[BadOption]) -> tuple[App, ...]:
    """Apps from entries whose types are checked; ``where`` is the path of the list. What is wrong with the words goes to ``problems``."""
    apps = tuple(one(entry, f"{where}[{position}]", problems) for position, entry in enumerate(entries))
    seen: dict[str, str] = {}
    for app in apps:
        if app.package in seen:
            problems.append(
                BadOption(f"{app.where}.package", f"is {shown(app.package)}, as {seen[app.package]} is", "give each app one entry")
            )
        seen.setdefault(app.package, f"{app.where}.package")
    if len(question(filter(guest.PACKAGE.fullmatch, seen), True)) > guest.LONGEST:
        problems.append(BadOption(where, f"has {len(apps)} apps", "more than one question can name; fewer, or shorter names, are wanted"))
    return apps


def one(entry: Mapping[str, Any], where: str, problems: list[BadOption]) -> App:
    """One app; ``where`` may be empty, when its options are the module's own."""
    source, digest = entry.get("source"), entry.get("sha256")
    state = AppState(entry.get("state") or AppState.PRESENT.value)
    app = App(str(entry["package"]), where, state, source, digest.lower() if digest else None, entry.get("version"))
    problems += [BadOption(f"{where}.{option}" if where else option, *said) for option, *said in _faults(app)]
    return app


def _faults(app: App) -> Iterable[tuple[str, str, str]]:
    if not guest.PACKAGE.fullmatch(app.package):
        yield "package", f"is {shown(app.package)}", "a package name such as com.example.game is wanted"
    if app.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", app.sha256):
        yield "sha256", f"is {shown(app.sha256)}", "64 hexadecimal digits are wanted"
    if app.version is not None and not re.fullmatch(r"[\x20-\x7e]{1,64}", app.version):
        yield "version", f"is {shown(app.version)}", "a versionName or versionCode of at most 64 plain characters is wanted"
    if app.source is not None:
        problem = _source_problem(app.source)
        if problem:
            # An address with a password in it is told of without being shown.
            yield "source", f"is {shown(sources.public(app.source))}", problem
        elif app.download and app.sha256 is None:
            yield "sha256", "is missing", "it is required beside an http or https source, since the host pulls the file itself"
    if app.state is AppState.LATEST:
        if app.source is None:
            yield "source", "is missing", "it is required with state latest"
        if app.version is not None:
            yield "version", "cannot stand beside state latest", "drop one of the two"


def _source_problem(source: str) -> str | None:
    if any(ord(character) < 32 or ord(character) == 127 for character in source):
        return "a source has no control characters"
    if sources.is_address(source):
        return sources.address_problem(source)
    if not re.match(r"(?:[A-Za-z]:\\|\\\\[^\\]+\\[^\\]+\\)", source) or re.search(r'[<>"|?*]', source[3:]):
        return r"an http or https address is wanted, or a path on the host such as C:\apks\game.apk or \\server\share\game.apk"
    if not source.lower().endswith(".apk"):
        return "LDPlayer installs files that end in .apk"
    return None


# ---- what is there --------------------------------------------------------------------------------------------------------------------


def question(packages: Iterable[str], hashed: bool) -> str:
    """The value of ``--command`` that asks a guest about apps. `pm path android` answers wherever the package service does."""
    digest = "[ $# -gt 0 ]&&sha256sum ${1#package:};" if hashed else ""
    asked = (
        f"pm path android;for p in {' '.join(sorted(packages))};do echo @$p;set -- $(pm path $p);echo $1;{digest}"
        "dumpsys package $p|grep -E '^ +version(Name|Code)=';echo pid:$(pidof $p);done;echo @."
    )
    return guest.exact(asked)


def understood(said: bytes) -> dict[str, Installed] | None:
    """The apps that are installed of those that were asked for, by package; None when the answer cannot be understood (a guest that is
    still starting has no package service)."""
    text = said.decode("utf-8", "replace").replace("\r", "")
    head, *sections = re.split(r"(?m)^@", text)
    if "package:/" not in head or not sections or sections[-1].strip() != ".":
        return None
    found = (_section(section) for section in sections[:-1])
    return {app.package: app for app in found if app is not None}


def _section(text: str) -> Installed | None:
    package, _, rest = text.partition("\n")
    if not re.search(r"(?m)^package:", rest):
        return None

    def first(pattern: str) -> str:
        match = re.search(pattern, rest)
        return match[1] if match else ""

    return Installed(
        package.strip(),
        first(r"(?m)^ +versionName=(.*)$"),
        first(r"(?m)^ +versionCode=(\d+)"),
        first(r"(?m)^([0-9a-f]{64}) "),
        bool(re.search(r"(?m)^pid:\d", rest)),
    )


# ---- what is to be done ---------------------------------------------------------------------------------------------------------------


def todo(app: App, found: Mapping[str, Installed], at_source: str | None) -> list[Todo] | Trouble:
    """What leads from what the guest has to what is wanted. ``at_source``: the hash of the file at the source, for LATEST."""
    there = found.get(app.package)
    if app.state is AppState.ABSENT:
        return [Todo("uninstall", _label(there), "absent")] if there is not None else []
    right = there is not None and _right(app, there, at_source)
    if isinstance(right, Trouble):
        return right
    steps = []
    if not right:
        if app.source is None:
            return _no_source(app, there)
        steps.append(Todo("install", _label(there) if there is not None else "absent", app.label))
    runs = there is not None and there.running and not steps  # installing ends it
    if app.state is AppState.STARTED and not runs:
        steps.append(Todo("run_app", "stopped", "running"))
    if app.state is AppState.STOPPED and runs:
        steps.append(Todo("stop_app", "running", "stopped"))
    return steps


def after_start(app: App, found: Mapping[str, Installed] | None, at_source: str | None) -> list[Todo] | Trouble:
    """The same for an emulator that is going to be started: nothing of it runs then, and what it has is unknown unless it was asked before."""
    if found is not None:
        known = {name: Installed(it.package, it.version_name, it.version_code, it.sha256, False) for name, it in found.items()}
        return todo(app, known, at_source)
    if app.state is AppState.ABSENT:
        return [Todo("uninstall", None, "absent")]
    steps = [Todo("install", None, app.label)] if app.source is not None else []
    return [*steps, Todo("run_app", None, "running")] if app.state is AppState.STARTED else steps


def _label(there: Installed) -> str:
    return there.version_name or there.version_code or "present"


def _right(app: App, there: Installed, at_source: str | None) -> bool | Trouble:
    if app.version is not None:
        return app.version in (there.version_name, there.version_code)
    digest = app.sha256
    if app.state is AppState.LATEST and not app.download:
        if at_source is None:
            return Trouble("SourceUnreadable", f"{app.source} cannot be read on the host")
        if digest is not None and digest != at_source:
            return Trouble("SourceDiffers", f"{app.source} has the hash {at_source}, and sha256 says {digest}")
        digest = at_source
    if digest is None:
        return True
    if not there.sha256:
        return Trouble("HashUnknown", f"the guest could not tell the hash of {app.package}; name its version instead of sha256")
    return there.sha256 == digest


def _no_source(app: App, there: Installed | None) -> Trouble:
    if there is None:
        return Trouble("NoSource", f"{app.package} is not installed, and no source is given")
    return Trouble("NoSource", f"{app.package} is {_label(there)}, {app.label} is wanted, and no source is given")


# ---- how it is done -------------------------------------------------------------------------------------------------------------------


def fetch(app: App) -> Operation:
    """The host pulls the APK; one that it has already is taken. The same app of several emulators is one download."""
    assert app.source is not None
    assert app.sha256 is not None
    path = f"{DOWNLOADS}\\{app.sha256}.apk"
    return operations.fetch(f"fetch.{app.sha256[:16]}", app.source, path, app.sha256, _APK_BYTES, _FETCH_MS)


def act(verb: str, index: int, app: App, at_source: str | None, programdata: str) -> list[Operation]:
    """The operations of one Todo on the emulator at ``index``: the command, and the proof by the guest's own answer."""
    slug = f"{index}.{verb}.{hashlib.sha256(app.package.encode()).hexdigest()[:10]}"
    arguments = ["--index", str(index), "--packagename", app.package]
    if verb == "install":
        return _install(slug, index, app, at_source, programdata)
    command = {"uninstall": "uninstallapp", "run_app": "runapp", "stop_app": "killapp"}[verb]
    done = operations.execute(slug, install.PROGRAM, [command, *arguments], _COMMAND_MS, (0,))
    return [done, _proof(f"{slug}.done", index, app, _PROVES[verb], _RUNS_MS)]


#: What stands in the answer about one app once a Todo has taken. The answer ends with ``@.``, so that half of one proves nothing.
_PROVES = {
    "uninstall": r"(?s)package:/.*\n@[A-Za-z0-9_.]+\r*\n\r*\npid:.*\n@\.",
    "run_app": r"\npid:\d[^\n]*\n@\.",
    "stop_app": r"(?s)package:/.*\npid:\r*\n@\.",
}


def _install(slug: str, index: int, app: App, at_source: str | None, programdata: str) -> list[Operation]:
    path = f"{programdata}{DOWNLOADS.removeprefix('{programdata}')}\\{app.sha256}.apk" if app.download else str(app.source)
    guards = [_same(f"{slug}{SAME}", path, app.sha256)] if app.sha256 and not app.download else []
    put = operations.execute(slug, install.PROGRAM, ["installapp", "--index", str(index), "--filename", path], _COMMAND_MS, (0,))
    return [*guards, put, _proof(f"{slug}.done", index, app, _installed(app, at_source), _APPEARS_MS)]


def _installed(app: App, at_source: str | None) -> str:
    if app.version is not None:
        exact = operations.literal(app.version.encode())
        return rf"(?s)\n@[^\n]*\npackage:.*version(?:Name|Code)={exact}(?:\r|\n| ).*\n@\."
    digest = app.sha256 or at_source
    named = f".*\\n{digest} " if app.hashed and digest else ""
    return rf"(?s)\n@[^\n]*\npackage:{named}.*\n@\."


def _proof(id: str, index: int, app: App, pattern: str, deadline_ms: int) -> Operation:
    arguments = ["adb", "--index", str(index), "--command", question([app.package], app.hashed)]
    return operations.until(id, install.PROGRAM, arguments, _ASK_MS, pattern, _POLL_MS, deadline_ms)


#: How the ids of operations end that look whether a file is the one that was named.
SAME = ".same"


def _same(id: str, path: str, sha256: str) -> Operation:
    """A file of the host is installed only if it has the hash that was named. Windows before 10 prints blanks between the bytes."""
    pairs = " ?".join(sha256[position : position + 2] for position in range(0, 64, 2))
    arguments = ["-hashfile", path, "SHA256"]
    return operations.execute(id, r"{systemroot}\System32\certutil.exe", arguments, _COMMAND_MS, (0,), [rf"(?mi)^{pairs}\r?$"])


# ---- files of the host ----------------------------------------------------------------------------------------------------------------

#: What lies in the folder of downloads, without reading any of it.
LISTING = Files(DOWNLOADS, "*", 0)
#: The agent reads a file whole to hash it, and .NET holds no more than this in one piece.
_HASHED_BYTES = 2**31 - 1


def asks(apps: Iterable[App]) -> list[Files]:
    """What must be known of the host's files: what lies at the sources of LATEST, and which downloads there are."""
    listed = list(apps)
    sources = [file for app in listed if (file := _source_file(app)) is not None]
    return [*dict.fromkeys(sources), *([LISTING] if any(app.download for app in listed) else [])]


def _source_file(app: App) -> Files | None:
    if app.state is not AppState.LATEST or app.source is None or app.download:
        return None
    return Files(ntpath.dirname(app.source), ntpath.basename(app.source), _HASHED_BYTES)


def at_source(app: App, seen: Observation) -> str | None:
    """The hash of the file at the source, where it was asked for and could be read."""
    asked = _source_file(app)
    files = seen.files.get(asked, ()) if asked is not None else ()
    return files[0].sha256 if files else None


def sweep(seen: Observation, needed: Iterable[App]) -> list[Operation]:
    """What of the downloads goes: what is old, and the oldest of too much. What is ``needed`` stays."""
    kept = {app.sha256 for app in needed}
    files = sorted(seen.files.get(LISTING, ()), key=lambda file: file.modified_ms)
    total = sum(file.size for file in files)
    gone: list[Operation] = []
    for file in files:
        old = seen.host.time_ms - file.modified_ms > _KEEP_MS
        if file.name.partition(".")[0] not in kept and (old or total > _KEEP_BYTES):
            total -= file.size
            gone.append(operations.remove(f"sweep.{len(gone)}", f"{DOWNLOADS}\\{file.name}", "any"))
    return gone
