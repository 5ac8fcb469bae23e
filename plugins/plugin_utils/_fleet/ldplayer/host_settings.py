# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of one LDPlayer as a whole (leidians.config): the table of them, and the conversation that keeps them as declared.

What ``ldconsole globalsetting`` can set is set by it. Everything else is edited in the file, by compare-and-swap, and only while nothing runs that
holds the file in memory: LDPlayer's windows read it whole and write it back whole when they close (LDPlayer 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..emulators import conversation, observed, ownership, report
from ..emulators.conversation import Ask, Do, Json, Talk
from ..emulators.observed import Observation, Run
from ..emulators.plan import Change, Step, Verb
from ..words import config, install
from ..words.config import ConfigFile
from ..words.errors import BadOption, BadOptions, NotConverged, Refused, Unreadable
from ..words.install import Where
from ..words.options import shown
from ..words.settings import Config, Setting, Switch, Value, Whole

FILE = "leidians.config"
_WHAT = "LDPlayer"


@dataclass(frozen=True)
class Updates:
    """Whether LDPlayer looks for updates, kept as the time (seconds since 1970) of the next look: farms put it far away to be left in peace."""

    far: int = 4_102_444_800  # 2100-01-01
    never: int = 9_999_999_999_999_999  # the value in a farm's file

    def problem(self, value: Value) -> str | None:
        return None

    def parse(self, config: Config, keys: tuple[str, ...]) -> Value | None:
        found = config.get(keys[0])
        return found < self.far if isinstance(found, int | float) and not isinstance(found, bool) else None

    def edit(self, keys: tuple[str, ...], value: Value) -> dict[str, Any]:
        return {keys[0]: 0 if value else self.never}

    def argument(self, value: Value) -> str:
        return str(value)


#: Keys from a captured leidians.config of LDPlayer 9 and from a farm's file. That `--fps` writes framesPerSecond was measured on LDPlayer 9; of
#: `--audio` and `--fastplay` the keys are inferred from their names, and with them which way round they are kept.
HOST_SETTINGS: Mapping[str, Setting] = {
    row.option: row
    for row in (
        Setting("fps", Whole(0, 60), ("framesPerSecond",), "--fps"),
        Setting("audio", Switch(), ("reduceAudio",), "--audio"),
        Setting("fast_play", Switch(), ("displayMode",), "--fastplay"),
        Setting("clean_mode", Switch(), ("cleanMode",), "--cleanmode", False),
        Setting("updates", Updates(), ("nextCheckupdateTime",)),
        Setting("start_interval", Whole(0, 600), ("batchStartInterval",)),
        Setting("clone_small_disk", Switch(), ("cloneFromSmallDisk",)),
        Setting("windows_per_row", Whole(1, 100), ("windowsRowCount",)),
    )
}


def wanted(given: Mapping[str, Any]) -> dict[str, Value]:
    """The settings that a task declares. Raises BadOptions."""
    found = {option: given[option] for option in HOST_SETTINGS if given[option] is not None}
    problems = [
        BadOption(option, f"is {shown(value)}", problem)
        for option, value in found.items()
        if (problem := HOST_SETTINGS[option].codec.problem(value))
    ]
    if problems:
        raise BadOptions(problems)
    return found


def talk(declared: Mapping[str, Value], where: Where) -> Talk:
    """Keep the settings of a host's LDPlayer as declared: one batch to look, one to change and look again."""
    reply = yield Ask((*observed.look(where), _windows()))
    seen, found = observed.observation(reply, where), _file(reply)
    changes = _changes(declared, found)
    if not changes:
        return _result(seen, found, ())
    _refuse(changes, found, seen, reply)
    step = Step(Verb.CONFIGURE, _WHAT, "differs", changes)
    planned = _result(seen, found, (step,))
    reply = yield Do(_operations(changes, found, seen), (report.sentence(step),), planned)
    after = _file(reply)
    if _changes(declared, after):
        raise _not_taken(declared, after, reply)
    return {**_result(seen, after, (step,)), "diff": planned["diff"]}


def _windows() -> Operation:
    """Asks whether the multi-instance window is open."""
    words = ["/FI", "IMAGENAME eq dnmultiplayer.exe", "/FO", "CSV", "/NH"]
    return operations.execute("windows", r"{systemroot}\System32\tasklist.exe", words, observed.QUERY_TIMEOUT_MS, (0,))


def _file(reply: Reply) -> ConfigFile:
    """leidians.config; values are empty where there is none. Raises Unreadable."""
    files = {str(item["name"]).lower(): item for item in reply.results["configs"].values.get("files", ())}
    item = files.get(FILE)
    if item is None:
        return ConfigFile(FILE, "absent", b"", {}, None)
    found = config.read(FILE, Result("configs", "ok", item).data("data"))
    problem = f"the host could not read it ({item['error'].get('code')})" if isinstance(item.get("error"), Mapping) else found.problem
    if problem:
        raise Unreadable(
            reply.host.name, f"{FILE} cannot be understood: {problem}", "Nothing was touched. Open LDPlayer's settings once, then run again"
        )
    return found


def _changes(declared: Mapping[str, Value], found: ConfigFile) -> tuple[Change, ...]:
    return tuple(
        Change(option, HOST_SETTINGS[option].current(found.values), value)
        for option, value in declared.items()
        if HOST_SETTINGS[option].differs(found.values, value)
    )


def _refuse(changes: tuple[Change, ...], found: ConfigFile, seen: Observation, reply: Reply) -> None:
    """Edits of the file wait until nothing holds it in memory."""
    edited = ", ".join(change.option for change in changes if HOST_SETTINGS[change.option].flag is None)
    if not edited:
        return
    if found.sha256 == "absent":
        raise Refused(seen.host.name, f"LDPlayer has written no {FILE} yet, so {edited} cannot be set", "Start LDPlayer once")
    running = [emulator.title for emulator in seen.emulators if emulator.run is not Run.STOPPED]
    if running:
        listed = ", ".join(shown(title) for title in running[:10]) + (f" and {len(running) - 10} more" if len(running) > 10 else "")
        raise Refused(
            seen.host.name, f"{edited} can be changed only while no emulator runs, and {listed} runs", "Stop them first (state: stopped)"
        )
    windows = conversation.expect(reply, "windows", "looking for LDPlayer's multi-instance window")
    if b"dnmultiplayer.exe" in windows.data("stdout").lower():
        raise Refused(
            seen.host.name,
            f"{edited} cannot be changed while LDPlayer's multi-instance window is open: it would write the old values back",
            "Close it, then run again",
        )


#: No row of list2 shows a process: two window handles, Android's state 0, and -1 for both process ids.
_ALL_STOPPED = r"\A(?:\d+,.*, ?-?\d+, ?-?\d+, ?0, ?-1, ?-1(?:,\d+,\d+,\d+)?\r?\n)*$"


def _operations(changes: tuple[Change, ...], found: ConfigFile, seen: Observation) -> tuple[Operation, ...]:
    rows = {change.option: HOST_SETTINGS[change.option] for change in changes}
    edits = {
        key: value
        for c in changes
        if rows[c.option].flag is None
        for key, value in rows[c.option].codec.edit(rows[c.option].keys, c.after).items()
    }
    work: list[Operation] = [conversation.found_again(seen)]
    if edits:
        path = f"{install.CONFIG_FOLDER}\\{FILE}"
        keep = rf"{ownership.KNOWN_GOOD}\{ownership.key(seen.install, '')}.global"
        idle = operations.execute("idle", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, match=[_ALL_STOPPED])
        work += [idle, operations.needing(operations.write("edit", path, found.edited(edits), found.sha256, keep=keep), "idle")]
    flagged = [word for c in changes if (flag := rows[c.option].flag) for word in (flag, rows[c.option].codec.argument(c.after))]
    if flagged:
        work.append(operations.execute("set", install.PROGRAM, ["globalsetting", *flagged], observed.QUERY_TIMEOUT_MS))
    return (*work, operations.always(operations.read("configs", install.CONFIG_FOLDER, "leidian*.config")))


def _not_taken(declared: Mapping[str, Value], after: ConfigFile, reply: Reply) -> NotConverged:
    left = ", ".join(f"{change.option} is {shown(change.before)} and not {shown(change.after)}" for change in _changes(declared, after))
    wrong = [
        f"{id} said {conversation.told(reply.results[id])}"
        for id in ("idle", "edit", "set")
        if id in reply.results and not reply.results[id].ok
    ]
    return NotConverged(_WHAT, f"the settings did not take: {left} ({'; '.join(wrong) or 'every command reported success'})", "Run again")


def _result(seen: Observation, found: ConfigFile, steps: tuple[Step, ...]) -> Json:
    values = {option: row.current(found.values) for option, row in HOST_SETTINGS.items()}
    changes = [change for step in steps for change in step.changes]
    return {
        "changed": bool(steps),
        "actions": report.actions(steps),
        "settings": {option: value for option, value in values.items() if value is not None},
        "host": report.host(seen),
        "diff": {
            "before_header": "observed",
            "after_header": "planned",
            "before": "".join(f"{change.option}: {'unknown' if change.before is None else change.before}\n" for change in changes),
            "after": "".join(f"{change.option}: {change.after}\n" for change in changes),
        },
    }
