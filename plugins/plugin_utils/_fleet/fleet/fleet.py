# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet file as values: hosts with their capacity, profiles, pinned emulators, pools. What is wrong with the words alone is found here.

A word is named by its path in the file (``pools.farm.replicas``); whoever reads the file knows the line. Strings that hold a template are taken
as they are (``checked``), and judged when they have been filled in (``build``).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..emulators import desired
from ..windows import ways
from ..words import options
from ..words.errors import BadOption, BadOptions, FleetError
from ..words.options import Spec, shown

#: Group and host names that Ansible takes without a warning (its TRANSFORM_INVALID_GROUP_CHARS), and the dash and the dot that hosts have.
_HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_POOL_NAME = re.compile(r"[^\W_][\w.-]{0,55}")
_SHARE = re.compile(r"(\d{1,3})\s*%", re.ASCII)
#: How alike a variable of a host must be to one of our words to be taken for a slip (``drian``); ``ansible_host`` is far from all of them.
_NEAR = 0.75


@dataclass(frozen=True)
class Share:
    """A number of emulators, or a percentage of all that are in question."""

    number: int
    percent: bool = False

    @staticmethod
    def of(text: object) -> Share | None:
        """From ``3`` or ``20%``; None for anything else."""
        written = str(text).strip()
        percent = _SHARE.fullmatch(written)
        if percent and int(percent[1]) <= 100:
            return Share(int(percent[1]), True)
        return Share(int(written)) if written.isascii() and written.isdigit() and not isinstance(text, bool) else None

    def among(self, total: int) -> int:
        """How many of ``total`` that is, rounded down."""
        return total * self.number // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


@dataclass(frozen=True)
class Capacity:
    """What a host may carry; None where nobody said. ``memory``: MiB, ``cpu``: cores, both summed over emulators that shall run. ``disk``: GiB
    that stay free on the drive of the emulators' disks."""

    emulators: int | None = None
    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None


@dataclass(frozen=True)
class Host:
    """``drain``: takes nothing new, and gives its replicas up as their pools say. ``lost``: is gone for good, with all that it had."""

    name: str
    capacity: Capacity = Capacity()
    labels: Mapping[str, str] = field(default_factory=dict)
    drain: bool = False
    lost: bool = False


@dataclass(frozen=True)
class Update:
    """``max_unavailable``: how many replicas of the pool may be down at once for a change. ``partition``: replicas of a lower number keep what
    they have. ``progress_deadline``: seconds that a changed replica may take to be ready; None: as its host says."""

    max_unavailable: Share = Share(1)
    partition: int = 0
    progress_deadline: int | None = None

    def budget(self, replicas: int) -> int:
        """How many may be down, at least one."""
        return max(1, self.max_unavailable.among(replicas))


@dataclass(frozen=True)
class Pool:
    """``hosts``: None for all, else label -> the values that will do. ``wants``: cores and MiB of each replica, 0 where nobody said.

    ``settings``: the defaults, where no profile brings them.
    """

    name: str
    profile: str | None
    replicas: int
    state: str = "running"
    hosts: Mapping[str, frozenset[str]] | None = None
    spread: str | None = None
    on_scale_down: str = "stop"
    on_move: str = "refuse"
    move_folder: str | None = None
    update: Update = Update()
    wants: tuple[int, int] = (0, 0)
    clone_from: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""

    def takes(self, host: Host) -> bool:
        """Whether a host is one of the pool's."""
        return matches(self.hosts, host.labels)

    def title(self, number: int) -> str:
        """Of a replica."""
        return desired.numbered(self.name, number)

    def number(self, title: str) -> int | None:
        """Of a replica; None for the title of something else."""
        return desired.number_in(self.name, title)

    def titles(self) -> list[str]:
        """Of all replicas that shall be."""
        return [self.title(number) for number in range(self.replicas)]

    @property
    def entry(self) -> dict[str, Any]:
        """What the module emulators is told of each replica, but for its name."""
        return {**self.settings, "state": self.state, **({"profile": self.profile} if self.profile is not None else {})}


@dataclass(frozen=True)
class Fleet:
    """``pinned``: entries of the module emulators by host. ``profiles``: with what they inherit and the defaults worked in.

    ``max_destroy``: how many owned emulators may be removed at once because nobody names them any more or their number is too high.
    """

    hosts: Mapping[str, Host]
    pools: Mapping[str, Pool] = field(default_factory=dict)
    pinned: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    purge: bool = False
    max_destroy: Share = Share(0)

    def pool_of(self, title: str) -> Pool | None:
        """The pool that a title belongs to."""
        return _pool_of(self.pools, title)

    def pool_with(self, title: str) -> Pool:
        """The same for the title of a replica, which has one."""
        pool = self.pool_of(title)
        assert pool is not None
        return pool


def _pool_of(pools: Mapping[str, Pool], title: str) -> Pool | None:
    return next((pool for pool in pools.values() if pool.number(title) is not None), None)


def fingerprint(data: object) -> str:
    """SHA-256 of a value as canonical JSON: equal values have equal ones, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()


def checked(data: Mapping[str, Any], spec: Spec, entry: Spec, templates: bool = True) -> dict[str, Any]:
    """The file's words against ``spec`` (of the file) and ``entry`` (of an emulator). Raises BadOptions.

    ``spec``'s hosts, pools, profiles and emulators are mappings by name, whose suboptions each of them takes. ``templates``: strings with a
    template pass, but not where the rest of the file hangs on what they stand for.
    """
    problems: list[BadOption] = []
    check = _Check(templates, problems)
    top = {name: {**option, "suboptions": None} if name in _BY_NAME else option for name, option in spec.items()}
    values = check(
        top, {name: value for name, value in data.items() if check.plain(value, name, (*_BY_NAME, "defaults", "vars", "ways"))}, ""
    )
    inner = {name: {**option, "default": None} for name, option in entry.items() if name not in desired.ENTRYS_OWN}
    hosts, pools = spec["hosts"]["suboptions"], spec["pools"]["suboptions"]
    shared = _ways(values["ways"], "ways", problems)
    values["hosts"] = {name: _host(name, given, hosts, check) for name, given in _named(values, "hosts", problems)}
    for name, host in values["hosts"].items():
        problems += _empty_ways(shared, host["ways"], f"hosts.{name}.ways", problems)
    values["defaults"] = check(inner, values["defaults"] or {}, "defaults")
    profile = {**inner, **spec["profiles"]["suboptions"]}
    values["profiles"] = {name: check(profile, given, f"profiles.{name}") for name, given in _named(values, "profiles", problems)}
    for name, given in values["profiles"].items():
        check.plain(given["inherit"], f"profiles.{name}.inherit")
    values["pools"] = {name: check(pools, given, f"pools.{name}") for name, given in _named(values, "pools", problems)}
    listed = {"type": "list", "elements": "dict", "suboptions": {n: o for n, o in entry.items() if n not in desired.TASKS_OWN}}
    values["emulators"] = {str(name): _list(given, f"emulators.{name}", check) for name, given in (values["emulators"] or {}).items()}
    values["emulators"] = check(dict.fromkeys(values["emulators"], listed), values["emulators"], "emulators")
    if not problems:
        inherited(values["profiles"], {}, problems)
    if problems:
        raise BadOptions(problems)
    return values


_BY_NAME = ("hosts", "pools", "profiles", "emulators")


@dataclass(frozen=True)
class _Check:
    """Checks one mapping, and gathers its faults among those of the file."""

    templates: bool
    problems: list[BadOption]

    def __call__(self, spec: Spec, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        try:
            return options.checked(spec, given, desired.TAKERS, where, self.templates)
        except BadOptions as bad:
            self.problems.extend(bad.problems)
            faulty = {_first(problem.about.removeprefix(f"{where}." if where else "")) for problem in bad.problems}
            return {name: given.get(name) if name not in faulty else None for name in spec}

    def plain(self, value: object, where: str, among: Collection[str] | None = None) -> bool:
        """Whether a value is no template. Groups, inheritance and defaults are worked in before any template is filled in."""
        if not options.is_template(value) or (among is not None and where not in among):
            return True
        self.problems.append(BadOption(where, f"is {shown(value)}", "no template can stand for it, only for single values"))
        return False


def _first(path: str) -> str:
    """The option that a path begins with."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _list(given: Any, where: str, check: _Check) -> Any:
    """A host's entries, without those that are templates."""
    if not isinstance(given, list | tuple):
        return (given or []) if check.plain(given, where) else []
    return [entry for number, entry in enumerate(given) if check.plain(entry, f"{where}[{number}]")]


def _named(values: Mapping[str, Any], section: str, problems: list[BadOption]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for name, given in (values[section] or {}).items():
        if given is not None and not isinstance(given, Mapping):
            problems.append(BadOption(f"{section}.{name}", f"is {shown(given)}", "a mapping of options is wanted"))
        else:
            yield str(name), given or {}


def _host(name: str, given: Mapping[str, Any], spec: Spec, check: _Check) -> dict[str, Any]:
    """A host's own words, and beside them (``vars``) whatever else it has, which are variables of Ansible."""
    where = f"hosts.{name}"
    if not _HOST_NAME.fullmatch(name):
        check.problems.append(BadOption(where, "is no name for a host", "letters, digits, dots, dashes and underscores are wanted"))
    own = {word: value for word, value in given.items() if word in spec}
    others = {word: value for word, value in given.items() if word not in spec}
    for word in others:
        meant = difflib.get_close_matches(str(word), spec, n=1, cutoff=_NEAR)
        if meant:
            check.problems.append(BadOption(f"{where}.{word}", "is not an option", f"did you mean {meant[0]}?"))
    return {**check(spec, own, where), "vars": others}


def _ways(written: Any, where: str, problems: list[BadOption]) -> tuple[ways.Way, ...]:
    try:
        return ways.read(written or (), where)
    except BadOptions as bad:
        problems.extend(bad.problems)
        return ()


def _empty_ways(shared: tuple[ways.Way, ...], written: Any, where: str, problems: list[BadOption]) -> list[BadOption]:
    slips = ways.empty(shared, _ways(written, where, problems))
    return [BadOption(where, f"names {shown(name)} without variables", near(name, [way.name for way in shared], "ways")) for name in slips]


def ways_of(shared: Any, own: Any) -> tuple[ways.Way, ...]:
    """A host's ways, from what stands in the file (which was checked)."""
    return ways.merged(ways.read(shared or (), "ways"), ways.read(own or (), "ways"))


def templated(value: object) -> bool:
    """Whether a template is left anywhere in a value."""
    if isinstance(value, str):
        return options.is_template(value)
    if isinstance(value, Mapping):
        return any(templated(item) for item in value.values())
    return isinstance(value, list | tuple) and any(templated(item) for item in value)


def build(values: Mapping[str, Any]) -> Fleet:
    """From what ``checked`` returned, without templates. Raises BadOptions with every fault."""
    problems: list[BadOption] = []
    defaults = _given(values["defaults"])
    profiles = inherited(values["profiles"], defaults, problems)
    said = _Said(values["profiles"], values["defaults"])
    problems += said.problems(defaults, None)
    for name in profiles:
        problems += said.problems(profiles[name], name)
    hosts = {name: _built_host(name, given, problems) for name, given in values["hosts"].items()}
    pools = {name: _pool(name, given, profiles, defaults, hosts, problems) for name, given in values["pools"].items()}
    for pool in pools.values():
        problems += said.problems(profiles.get(pool.profile or "", defaults), pool.profile, pool.name, max(0, min(pool.replicas, 2)))
    pinned = {host: tuple(worked_in(entry, defaults) for entry in entries or ()) for host, entries in values["emulators"].items()}
    problems += _pinned_problems(pinned, hosts, pools, profiles)
    max_destroy = Share.of(values["max_destroy"])
    if max_destroy is None:
        problems.append(BadOption("max_destroy", f"is {shown(values['max_destroy'])}", "a number or a percentage such as 10% is wanted"))
    if problems:
        raise BadOptions(list({str(problem): problem for problem in problems}.values()))
    return Fleet(hosts, pools, pinned, profiles, bool(values["purge"]), max_destroy or Share(0))


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}


def inherited(
    written: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any], problems: list[BadOption]
) -> dict[str, dict[str, Any]]:
    """Each profile with what it inherits and, below that, the defaults: its own words win, and a list (of apps) replaces the inherited one."""
    found: dict[str, dict[str, Any]] = {}
    for name in written:
        merged: dict[str, Any] = {}
        line = [name]
        while True:
            own = _given(written[line[-1]])
            base = own.pop("inherit", None)
            merged = {**own, **merged}
            where = f"profiles.{line[-1]}.inherit"
            if base is None:
                break
            if base in line:
                problems.append(BadOption(where, f"is {shown(base)}, which inherits from it", "a profile cannot inherit from itself"))
                break
            if base not in written:
                problems.append(BadOption(where, f"is {shown(base)}, which no profile is called", near(base, written, "profiles")))
                break
            line.append(base)
        found[name] = {**_given(defaults), **merged}
    return found


def worked_in(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the defaults, unless its profile brings them. No task may add them to what it is told of a replica that keeps what it has."""
    own = _given(entry)
    return own if "profile" in own else {**_given(defaults), **own}


@dataclass(frozen=True)
class _Said:
    """Which place of the file said an option, for messages: a profile, one that it inherits from, or the defaults."""

    profiles: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, Any]

    def where(self, option: str, profile: str | None) -> str:
        """The path of the mapping that says it."""
        line: list[str] = []
        while profile is not None and profile in self.profiles and profile not in line:
            if self.profiles[profile].get(option) is not None:
                return f"profiles.{profile}"
            line.append(profile)
            profile = self.profiles[profile].get("inherit")
        return "defaults" if self.defaults.get(option) is not None else f"profiles.{line[0]}" if line else "defaults"

    def problems(self, options_: Mapping[str, Any], profile: str | None, name: str = "x", count: int = 0) -> Iterable[BadOption]:
        """What the room of desired emulators says of settings and apps that ``count`` replicas are to have."""
        alike = {"count": count} if count else {"members": True}
        try:
            desired.build([{**options_, "state": "present", "name": name, **alike}], where="")
        except BadOptions as bad:
            for problem in bad.problems:
                option = _first(problem.about)
                if option != "name":
                    yield BadOption(f"{self.where(option, profile)}.{problem.about}", problem.problem, problem.advice)


def near(word: object, names: Collection[str], what: str) -> str:
    """Advice for a word that is none of ``names``."""
    found = difflib.get_close_matches(str(word), names, n=1)
    return f"did you mean {found[0]}?" if found else f"{what} are {', '.join(sorted(names)) or 'not given'}"


def _built_host(name: str, given: Mapping[str, Any], problems: list[BadOption]) -> Host:
    capacity = _given(given["capacity"])
    for word, value in capacity.items():
        if value < 0:
            problems.append(BadOption(f"hosts.{name}.capacity.{word}", f"is {value}", "0 or more is wanted"))
    if given["lost"] and given["drain"]:
        problems.append(BadOption(f"hosts.{name}.drain", "stands beside lost", "a lost host has nothing to give up: drop one of the two"))
    return Host(name, Capacity(**capacity), labels(given["labels"]), bool(given["drain"]), bool(given["lost"]))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pool(
    name: str,
    given: Mapping[str, Any],
    profiles: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, Any],
    hosts: Mapping[str, Host],
    problems: list[BadOption],
) -> Pool:
    where = f"pools.{name}"
    profile, replicas = given["profile"], given["replicas"] or 0
    if not _POOL_NAME.fullmatch(name):
        problems.append(
            BadOption(where, "is no name for a pool", "letters, digits, dots, dashes and underscores are wanted, 56 at the most")
        )
    if profile is not None and profile not in profiles:
        problems.append(
            BadOption(f"{where}.profile", f"is {shown(profile)}, which no profile is called", near(profile, profiles, "profiles"))
        )
    if not 0 <= replicas <= desired.COUNT_LIMIT * 10:
        problems.append(BadOption(f"{where}.replicas", f"is {replicas}", f"0 to {desired.COUNT_LIMIT * 10} is wanted"))
    if given["on_move"] == "backup" and not given["move_folder"]:
        problems.append(BadOption(f"{where}.move_folder", "is missing", "on_move: backup needs a folder that both hosts reach"))
    merged = profiles.get(profile or "", defaults)
    return Pool(
        name=name,
        profile=profile,
        replicas=replicas,
        state=given["state"],
        hosts=_selector(given["hosts"], hosts, where, problems),
        spread=_label(given["spread"], hosts, f"{where}.spread", problems),
        on_scale_down=given["on_scale_down"],
        on_move=given["on_move"],
        move_folder=given["move_folder"],
        update=_update(given["update"] or {}, f"{where}.update", problems),
        wants=(int(merged.get("cpu") or 0), int(merged.get("memory") or 0)),
        clone_from=merged.get("clone_from"),
        settings={} if profile is not None else worked_in({}, defaults),
        revision=fingerprint(merged)[:10],
    )


def labels(written: Mapping[str, Any] | None) -> dict[str, str]:
    """A host's labels and their values as text: YAML reads the words yes and 7 as something else."""
    return {str(label): _word(value) for label, value in (written or {}).items()}


def selector(written: Mapping[str, Any] | None) -> dict[str, frozenset[str]] | None:
    """Which values of labels a pool's hosts must have; None where all will do."""
    if written is None:
        return None
    listed = {str(label): value if isinstance(value, list | tuple) else [value] for label, value in written.items()}
    return {label: frozenset(map(_word, values)) for label, values in listed.items()}


def matches(wanted: Mapping[str, frozenset[str]] | None, has: Mapping[str, str]) -> bool:
    """Whether a host's labels are those that a selector wants."""
    return wanted is None or all(has.get(label) in values for label, values in wanted.items())


def _selector(
    written: Mapping[str, Any] | None, hosts: Mapping[str, Host], where: str, problems: list[BadOption]
) -> Mapping[str, frozenset[str]] | None:
    found = selector(written)
    for label in found or ():
        _label(label, hosts, f"{where}.hosts.{label}", problems)
    if hosts and not any(matches(found, host.labels) for host in hosts.values()):
        problems.append(BadOption(f"{where}.hosts", "matches no host", "compare it with the labels of hosts"))
    return found


def _label(label: str | None, hosts: Mapping[str, Host], where: str, problems: list[BadOption]) -> str | None:
    known = {name for host in hosts.values() for name in host.labels}
    if label is not None and label not in known:
        problems.append(BadOption(where, f"is {shown(label)}, a label that no host has", near(label, known, "labels")))
    return label


def _update(given: Mapping[str, Any], where: str, problems: list[BadOption]) -> Update:
    share = Share.of(given.get("max_unavailable", 1) if given.get("max_unavailable") is not None else 1)
    partition, deadline = given.get("partition") or 0, given.get("progress_deadline")
    if share is None or share.number == 0:
        found = shown(given.get("max_unavailable"))
        problems.append(BadOption(f"{where}.max_unavailable", f"is {found}", "a number or a percentage such as 20%, at least 1, is wanted"))
    if partition < 0:
        problems.append(BadOption(f"{where}.partition", f"is {partition}", "0 or more is wanted"))
    if deadline is not None and not 10 <= deadline <= 3600:
        problems.append(BadOption(f"{where}.progress_deadline", f"is {deadline}", "10 to 3600 is wanted"))
    return Update(share or Share(1), partition, deadline)


def _pinned_problems(
    pinned: Mapping[str, tuple[Mapping[str, Any], ...]],
    hosts: Mapping[str, Host],
    pools: Mapping[str, Pool],
    profiles: Mapping[str, Mapping[str, Any]],
) -> Iterable[BadOption]:
    for host, entries in pinned.items():
        where = f"emulators.{host}"
        if host not in hosts:
            yield BadOption(where, "is no host", near(host, hosts, "hosts"))
        try:
            built = desired.build(entries, None, profiles, where=where)
        except FleetError as bad:
            yield from (problem for problem in bad.each() if isinstance(problem, BadOption))
            continue
        for emulator in built.emulators:
            for option, title in (("name", emulator.name), ("renamed_from", emulator.renamed_from)):
                pool = _pool_of(pools, title) if title is not None else None
                if pool is not None:
                    told = f"is {shown(title)}, which is a replica of the pool {shown(pool.name)}"
                    yield BadOption(f"{emulator.where}.{option}", told, "an emulator is either pinned or of a pool")
