# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted on one host: from checked options to frozen values, with defaults, profiles and counts worked in.

Everything that is wrong with the words alone is found here, before any host is asked.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..words import options, places
from ..words.errors import BadOption, BadOptions
from ..words.settings import AUTO, IDENTITY, SETTINGS, Value
from . import apps, guest
from .apps import App

#: Longest title that ldfleet gives (LDPlayer's own limit is not known), and the most emulators that one entry's ``count`` may name.
TITLE_LENGTH = 64
COUNT_LIMIT = 1000

#: Who takes an option, for messages: settings are LDPlayer's, everything else is ours.
TAKERS = dict.fromkeys(SETTINGS, "LDPlayer")


class State(enum.Enum):
    """What an emulator shall be. PRESENT: it exists, running or not."""

    RUNNING = "running"
    STOPPED = "stopped"
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True)
class Ready:
    """What proves that a started emulator can be worked with, beyond Android's own word: an app in front, or a shell command whose output
    matches ``matches`` (a regular expression). At most one of the two."""

    package: str | None = None
    shell: str | None = None
    matches: str = "."


@dataclass(frozen=True)
class Starting:
    """How emulators of a host are started. ``stagger``: seconds between two launches; ``limit``: how many may be on their way at once;
    ``timeout``: seconds that a start may take; ``remedies``: how often one may be cured in a run before it is given up.

    Figures of farms: 8 s between launches on NVMe, 12 on SATA, 25 on a hard disk; boots take 20 to 90 s, minutes beside Hyper-V.
    """

    stagger: int = 8
    limit: int = 4
    timeout: int = 240
    remedies: int = 2

    def problems(self) -> list[BadOption]:
        """Values that cannot be meant."""
        bounds = (("start_stagger", self.stagger, 0, 600), ("start_limit", self.limit, 1, 100), ("start_timeout", self.timeout, 10, 3600))
        found = [
            BadOption(name, f"is {value}", f"{low} to {high} is wanted") for name, value, low, high in bounds if not low <= value <= high
        ]
        if not 0 <= self.remedies <= 10:
            found.append(BadOption("remedies", f"is {self.remedies}", "0 to 10 is wanted"))
        return found


@dataclass(frozen=True)
class Emulator:
    """One wanted emulator. ``where``: the option path that names it. ``protect``: None where nothing is said. ``guest_only``: only its apps are
    anybody's business; it is neither created nor owned, started or changed. ``moving``: it is made as the copy of one that still is on another host."""

    name: str
    where: str
    state: State = State.PRESENT
    ready: Ready = Ready()
    settings: Mapping[str, Value] = field(default_factory=dict)
    clone_from: str | None = None
    renamed_from: str | None = None
    protect: bool | None = None
    apps: tuple[App, ...] = ()
    guest_only: bool = False
    moving: bool = False


@dataclass(frozen=True)
class Count:
    """``name`` with ``count`` 3 stands for name-000 to name-002; what is owned beyond that is surplus."""

    name: str
    count: int
    where: str

    def number(self, title: str) -> int | None:
        """The number of a title of this count, None for another title."""
        return number_in(self.name, title)


@dataclass(frozen=True)
class Desired:
    """All that one task says of one host. ``max_destroy``: how many emulators purge and lower counts may remove together.

    ``backup_folder``: where a backup must be before an emulator is removed; None: none is made.

    ``families``: what each member of a family shall be, by the family's name: NAME stands for NAME-000, NAME-001, … (see ``met``).

    ``restart``: emulators that are restarted if they run, with the process id of the player that is to go (see ``met``; 0 until then).

    ``desktop_needed``: starting and stopping works only in the session of the user who is logged on (False: this connection is that session).
    """

    emulators: tuple[Emulator, ...]
    counts: tuple[Count, ...] = ()
    purge: bool = False
    max_destroy: int = 0
    starting: Starting = Starting()
    desktop_needed: bool = True
    backup_folder: str | None = None
    families: tuple[Emulator, ...] = ()
    restart: Mapping[str, int] = field(default_factory=dict)

    def named(self) -> Mapping[str, Emulator]:
        """By title."""
        return {emulator.name: emulator for emulator in self.emulators}

    def met(self, owned: Iterable[str], pids: Mapping[str, int]) -> Desired:
        """The same for a host that owns these titles: each family becomes its members that are there, by number. ``pids``: of players, by title."""
        free = [title for title in owned if title not in self.named()]
        members = [replace(family, name=title) for family in self.families for title in _members(family.name, free)]
        restart = {title: pids[title] for title in self.restart if title in pids}
        return replace(self, emulators=(*self.emulators, *members), families=(), restart=restart)


def backup_folder(given: Mapping[str, Any]) -> str | None:
    """From a module's options. Raises BadOption."""
    folder = given["backup_folder"]
    if given["on_remove"] != "backup":
        return None
    if folder is None:
        raise BadOption("backup_folder", "is missing", "on_remove: backup needs it")
    problem = places.folder_problem(folder)
    if problem:
        raise BadOption("backup_folder", f"is {options.shown(folder)}", problem)
    return places.spelled(str(folder))


def starting(given: Mapping[str, Any]) -> Starting:
    """From a module's options."""
    return Starting(given["start_stagger"], given["start_limit"], given["start_timeout"], given["remedies"])


def numbered(name: str, number: int) -> str:
    """``farm``, 7 -> ``farm-007``."""
    return f"{name}-{number:03d}"


def _members(name: str, titles: Iterable[str]) -> list[str]:
    numbers = [number_in(name, title) for title in titles]
    return [numbered(name, number) for number in sorted(number for number in numbers if number is not None)]


def number_in(name: str, title: str) -> int | None:
    """``farm``, ``farm-007`` -> 7; None for another title."""
    head, dash, digits = title.rpartition("-")
    if not dash or head != name or not digits.isascii() or not digits.isdigit() or len(digits) < 3:
        return None
    return int(digits) if numbered(name, int(digits)) == title else None


_STANDARD = Starting()


def build(
    entries: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any] | None = None,
    profiles: Mapping[str, Mapping[str, Any]] | None = None,
    purge: bool = False,
    max_destroy: int = 0,
    where: str = "emulators",
    starting: Starting = _STANDARD,
    desktop_needed: bool = True,
    backup_folder: str | None = None,
    restart: Iterable[str] = (),
) -> Desired:
    """Make Desired from entries whose types are already checked (see options.checked).

    An entry's own options win over its profile's, and those over the defaults. Raises BadOptions with every fault.
    """
    problems: list[BadOption] = []
    emulators: list[Emulator] = []
    counts: list[Count] = []
    families: list[Emulator] = []
    for position, entry in enumerate(entries):
        path = f"{where}[{position}]" if where else ""
        merged = {
            **(defaults or {}),
            **_profile(entry, profiles or {}, path, problems),
            **{k: v for k, v in entry.items() if v is not None},
        }
        if entry.get("clone_from") is None and merged.get("clone_from") == merged["name"]:
            del merged["clone_from"]  # the source of a profile's clones may have that profile itself
        if entry.get("members"):
            families.append(_family(merged, path, problems))
        elif entry.get("count") is not None:
            _add_count(merged, path, emulators, counts, problems)
        else:
            emulators.append(_emulator(merged, str(merged["name"]), path, problems))
    if max_destroy < 0:
        problems.append(BadOption("max_destroy", f"is {max_destroy}", "0 or more is wanted"))
    problems += _title_problems([*emulators, *families]) + _name_clashes(emulators) + _identity_clashes(emulators) + starting.problems()
    known = {emulator.name for emulator in emulators}
    problems += [
        BadOption("restart", f"names {options.shown(name)}", "name an emulator of an entry") for name in restart if name not in known
    ]
    if problems:
        raise BadOptions(problems)
    again = dict.fromkeys(restart, 0)
    return Desired(tuple(emulators), tuple(counts), purge, max_destroy, starting, desktop_needed, backup_folder, tuple(families), again)


def one_app(given: Mapping[str, Any]) -> Desired:
    """One app of an emulator, from a module's own options: the emulator itself stays as it is, and no remedy restarts it. Raises BadOptions."""
    problems: list[BadOption] = []
    app = apps.one(given, "", problems)
    emulator = Emulator(str(given["name"]), "", apps=(app,), guest_only=True)
    starting = Starting(timeout=given["timeout"], remedies=0)
    problems += _title_problems([emulator])
    problems += [BadOption("timeout", f"is {given['timeout']}", "10 to 3600 is wanted")] if not 10 <= given["timeout"] <= 3600 else []
    if problems:
        raise BadOptions(problems)
    return Desired((emulator,), starting=starting, desktop_needed=given["desktop_session"] != "never")


def shared(
    defaults: Mapping[str, Any], profiles: Mapping[str, Any], spec: options.Spec
) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
    """Check defaults and profiles: the same options as an entry (``spec``) without those that name one emulator. Raises BadOptions."""
    inner = {name: {**option, "default": None} for name, option in spec.items() if name not in ENTRYS_OWN}
    every = {"type": "dict", "suboptions": inner}
    document = {"defaults": every, "profiles": {"type": "dict", "suboptions": dict.fromkeys(profiles, every)}}
    checked = options.checked(document, {"defaults": defaults, "profiles": profiles}, TAKERS)
    return _given(checked["defaults"]), {name: _given(profile) for name, profile in (checked["profiles"] or {}).items()}


#: Options of an entry by which one entry is about several emulators, or a fleet's own tasks tell what an emulator is at; no file has them.
TASKS_OWN = ("count", "members", "moving")
#: Options of an entry that neither profiles nor defaults take.
ENTRYS_OWN = ("name", *TASKS_OWN, "profile", "renamed_from")


def _given(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}


def _profile(
    entry: Mapping[str, Any], profiles: Mapping[str, Mapping[str, Any]], path: str, problems: list[BadOption]
) -> Mapping[str, Any]:
    name = entry.get("profile")
    if name is None:
        return {}
    if name not in profiles:
        near = difflib.get_close_matches(str(name), [str(key) for key in profiles], n=1)
        advice = f"did you mean {near[0]}?" if near else f"profiles are {', '.join(sorted(map(str, profiles))) or 'not given'}"
        problems.append(BadOption(_at(path, "profile"), f"is {options.shown(name)}, which no profile is called", advice))
        return {}
    return profiles[name]


def _at(path: str, option: str) -> str:
    return f"{path}.{option}" if path else option


def _add_count(merged: Mapping[str, Any], path: str, emulators: list[Emulator], counts: list[Count], problems: list[BadOption]) -> None:
    count, name = int(merged["count"]), str(merged["name"])
    if not 0 <= count <= COUNT_LIMIT:
        problems.append(BadOption(_at(path, "count"), f"is {count}", f"0 to {COUNT_LIMIT} is wanted"))
        return
    if merged.get("renamed_from") is not None:
        problems.append(BadOption(_at(path, "renamed_from"), "cannot stand beside count", "rename each emulator in an entry of its own"))
    if merged.get("state") == State.ABSENT.value:
        problems.append(BadOption(_at(path, "state"), "is 'absent' beside count", "say count: 0 to remove them all"))
    if any(count_.name == name for count_ in counts):
        problems.append(BadOption(_at(path, "name"), f"is {options.shown(name)}, which has a count in another entry", "name it once"))
    counts.append(Count(name, count, path))
    shared: list[BadOption] = []
    emulators += [_emulator(merged, numbered(name, number), path, shared if number == 0 else []) for number in range(count)]
    problems += shared


def _family(merged: Mapping[str, Any], path: str, problems: list[BadOption]) -> Emulator:
    for option in ("count", "renamed_from"):
        if merged.get(option) is not None:
            problems.append(BadOption(_at(path, option), "cannot stand beside members", "drop one of the two"))
    return _emulator({**merged, "renamed_from": None, "clone_from": None}, str(merged["name"]), path, problems)


def _emulator(merged: Mapping[str, Any], name: str, path: str, problems: list[BadOption]) -> Emulator:
    settings = {option: merged[option] for option in SETTINGS if merged.get(option) is not None}
    for option, value in settings.items():
        problem = SETTINGS[option].codec.problem(value)
        if problem:
            problems.append(BadOption(_at(path, option), f"is {options.shown(value)}", problem))
    return Emulator(
        name=name,
        where=path,
        state=State(merged.get("state") or State.PRESENT.value),
        ready=_ready(merged.get("ready") or {}, path, problems),
        settings=settings,
        clone_from=merged.get("clone_from"),
        renamed_from=merged.get("renamed_from"),
        protect=merged.get("protect"),
        apps=apps.wanted(merged.get("apps") or (), _at(path, "apps"), problems),
        moving=bool(merged.get("moving")),
    )


def _ready(given: Mapping[str, Any], path: str, problems: list[BadOption]) -> Ready:
    where = _at(path, "ready")
    package, shell, matches = given.get("package"), given.get("shell"), given.get("matches")
    if package is not None and shell is not None:
        problems.append(BadOption(where, "has both package and shell", "one of the two is wanted"))
    if package is not None and not guest.PACKAGE.fullmatch(package):
        problems.append(BadOption(f"{where}.package", f"is {options.shown(package)}", "a package name such as com.example.game is wanted"))
    if shell is not None:
        problem = guest.exact_problem(shell)
        if problem:
            problems.append(BadOption(f"{where}.shell", f"is {options.shown(shell)}", problem))
    if matches is not None:
        try:
            re.compile(matches)
        except re.error as error:
            problems.append(BadOption(f"{where}.matches", f"is {options.shown(matches)}", f"a regular expression is wanted ({error})"))
    return Ready(package, shell, matches or ".")


def _title_problems(emulators: Iterable[Emulator]) -> list[BadOption]:
    problems: dict[tuple[str, str], BadOption] = {}
    for emulator in emulators:
        titles = (("name", emulator.name), ("clone_from", emulator.clone_from), ("renamed_from", emulator.renamed_from))
        for option, title in titles:
            problem = title_problem(title) if title is not None else None
            if problem:
                problems[emulator.where, option] = BadOption(_at(emulator.where, option), f"is {options.shown(title)}", problem)
    return list(problems.values())


def title_problem(title: str) -> str | None:
    """Why no emulator can have this title on any host, or None. (A host's code page may forbid more: see plan.)

    A double quote cannot stand in LDPlayer's own command lines and files without being re-parsed; control characters break list2's lines.
    """
    if not title or title != title.strip():
        return "a title needs characters, and no blank at either end"
    if any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or character in "\u2028\u2029" for character in title):
        return "a title has no control characters"
    if any(0xD800 <= ord(character) < 0xE000 for character in title):
        return "a title has no half of a surrogate pair"
    if '"' in title:
        return 'a title has no "'
    if len(title) > TITLE_LENGTH:
        return f"a title has at most {TITLE_LENGTH} characters (this one has {len(title)})"
    return None


def _name_clashes(emulators: Sequence[Emulator]) -> list[BadOption]:
    problems: list[BadOption] = []
    seen: dict[str, Emulator] = {}
    sources = {emulator.renamed_from: emulator for emulator in emulators if emulator.renamed_from is not None}
    for emulator in emulators:
        about = _at(emulator.where, "name")
        if emulator.name in seen:
            problems.append(
                BadOption(
                    about,
                    f"is {options.shown(emulator.name)}, as {_at(seen[emulator.name].where, 'name')} is",
                    "give each emulator one entry",
                )
            )
        elif emulator.name in sources:
            taker = sources[emulator.name]
            problems.append(
                BadOption(
                    about, f"is {options.shown(emulator.name)}, which {_at(taker.where, 'renamed_from')} renames", "drop one of the two"
                )
            )
        if emulator.clone_from == emulator.name:
            problems.append(BadOption(_at(emulator.where, "clone_from"), "is the emulator itself", "name another emulator"))
        if emulator.state is State.ABSENT and emulator.renamed_from is not None:
            problems.append(BadOption(_at(emulator.where, "renamed_from"), "cannot stand beside state absent", "drop one of the two"))
        seen.setdefault(emulator.name, emulator)
    return problems


def _identity_clashes(emulators: Sequence[Emulator]) -> list[BadOption]:
    """No two phones have the same IMEI, so no two entries may declare it (nor a count, which would give it to each)."""
    problems: dict[tuple[str, str], BadOption] = {}
    seen: dict[tuple[str, str], Emulator] = {}
    for emulator in (emulator for emulator in emulators if emulator.state is not State.ABSENT):
        for option in IDENTITY:
            value = str(emulator.settings.get(option, AUTO))
            first = seen.setdefault((option, value.lower()), emulator)
            if value != AUTO and first is not emulator:
                about, other = _at(emulator.where, option), _at(first.where, option)
                found = (
                    f"is {options.shown(value)} for each of several emulators"
                    if about == other
                    else f"is {options.shown(value)}, as {other} is"
                )
                problems.setdefault((emulator.where, option), BadOption(about, found, "give each emulator its own, or say auto"))
    return list(problems.values())
