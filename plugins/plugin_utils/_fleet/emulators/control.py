# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to a running emulator and is no state: the table of acts, and the conversation that carries one out.

An act is always a change, and nothing can prove most of them: LDPlayer says nothing when one succeeds, so any word of it is a failure (published
wrappers judge by this). Players belong to the desktop, so an act needs the session of the user who is logged on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply
from ..._host.operations import Operation
from ..words import install
from ..words.errors import BadOption, BadOptions, NotConverged, Refused
from ..words.install import Where
from ..words.options import shown
from . import conversation, desired, interlude, observed, report
from .conversation import Ask, Do, Json, Talk
from .observed import Emulator, Observation, Run

_COMMAND_MS = 60_000

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Act:
    """One row. ``takes``: options that it needs; ``words``: of ldconsole, after the command and before the emulator's index; ``tells``: what is done,
    for people; ``of_host``: it is about no single emulator."""

    command: str
    takes: tuple[str, ...]
    words: Callable[[Given], list[str]]
    tells: Callable[[Given], str]
    of_host: bool = False


def _degrees(value: float) -> str:
    """Six places are 11 cm. Never as 1e-05, as Python writes small numbers: whether LDPlayer reads that is not known."""
    return f"{value:.6f}"


def _key(name: str, option: str | None = None) -> Callable[[Given], list[str]]:
    return lambda given: ["--key", name, "--value", str(given[option]) if option else "null"]


#: Commands and keys from the vendor's manual and from wrappers that call them (facts of LDPlayer, section 1). `locate` takes longitude first. On
#: LDPlayer 14 it was seen to write the config only, and the manual says that it acts from the next start on.
ACTS: Mapping[str, Act] = {
    "locate": Act(
        "locate", ("latitude", "longitude"), lambda given: ["--LLI", f"{_degrees(given['longitude'])},{_degrees(given['latitude'])}"],
        lambda given: f"at latitude {given['latitude']}, longitude {given['longitude']}",
    ),
    "key": Act("action", ("key",), _key("call.keyboard", "key"), lambda given: f"press {given['key']}"),
    "network": Act("action", ("network",), _key("call.network", "network"), lambda given: str(given["network"])),
    "shake": Act("action", (), _key("call.shake"), lambda _given: "shake it"),
    "cpu_rate": Act("downcpu", ("rate",), lambda given: ["--rate", str(given["rate"])], lambda given: f"{given['rate']} percent"),
    "sort_windows": Act("sortWnd", (), lambda _given: [], lambda _given: "arrange all windows", of_host=True),
    # Never by LDPlayer's own command: on LDPlayer 14 it reset the emulator's config in two of three tries.
    "reboot": Act("", (), lambda _given: [], lambda _given: "stop it, and start it again when its processes are gone"),
}  # fmt: skip


def check(given: Given) -> None:
    """Raises BadOptions for options that the act does not take, lacks, or cannot mean."""
    act = ACTS[given["action"]]
    problems = [BadOption(option, "is missing", f"action {given['action']} needs it") for option in act.takes if given[option] is None]
    every = dict.fromkeys(option for row in ACTS.values() for option in row.takes)
    problems += [
        BadOption(option, "does not belong here", f"action {given['action']} does not take it")
        for option in every
        if option not in act.takes and given[option] is not None
    ]
    if not act.of_host:
        if given["name"] is None:
            problems.append(BadOption("name", "is missing", f"action {given['action']} needs it"))
        elif problem := desired.title_problem(given["name"]):
            problems.append(BadOption("name", f"is {shown(given['name'])}", problem))
    for option, low, high in (("latitude", -90, 90), ("longitude", -180, 180), ("rate", 0, 100)):
        if given[option] is not None and not low <= given[option] <= high:
            problems.append(BadOption(option, f"is {given[option]}", f"{low} to {high} is wanted"))
    if problems:
        raise BadOptions(problems)


def talk(given: Given) -> Talk:
    """Look whether it runs, and do it."""
    check(given)
    act, where = ACTS[given["action"]], given["where"]
    seen = observed.observation((yield Ask(tuple(observed.look(where)))), where)
    emulator = None if act.of_host else conversation.one(seen, given["name"])
    _refuse(given, emulator, seen)
    step = conversation.action(given["action"], given["name"] or seen.host.name, act.tells(given))
    planned: Json = {"changed": True, "actions": [step], "host": report.host(seen), "diff": conversation.diff((), [step["text"]])}
    reply = yield Do(_operations(given, act, emulator, seen), (step["text"],), planned, _COMMAND_MS + interlude.LONGEST_MS)
    _judge(given, emulator, reply, where)
    return planned


def _refuse(given: Given, emulator: Emulator | None, seen: Observation) -> None:
    if emulator is not None and emulator.run is not Run.RUNNING:
        raise Refused(
            seen.host.name,
            f"{shown(emulator.title)} is {emulator.run.value}, and {given['action']} is for one that runs",
            "Start it first (ldfleet.ldplayer.emulator with state: running)",
        )
    if given["desktop_session"] != "never" and seen.host.place != "desktop":
        raise Refused(
            seen.host.name,
            f"nobody is logged on, so {given['action']} would reach no window",
            "Log on at its console (automatic logon keeps it so)",
        )


def _operations(given: Given, act: Act, emulator: Emulator | None, seen: Observation) -> tuple[Operation, ...]:
    look = observed.look_again((), seen.host)
    if emulator is None:
        return conversation.found_again(seen), _console(act, given, []), *look
    if not act.command:
        return (*conversation.guarded(seen, [emulator], interlude.around(seen, emulator, [])), *look)
    return (*conversation.guarded(seen, [emulator], [_console(act, given, ["--index", str(emulator.index)])]), *look)


def _console(act: Act, given: Given, of: list[str]) -> Operation:
    words = [act.command, *of, *act.words(given)]
    return operations.execute("act", install.PROGRAM, words, _COMMAND_MS, exits=(0,), match=[r"\A[ \r\n]*$"])


def _judge(given: Given, emulator: Emulator | None, reply: Reply, where: Where) -> None:
    wrong = [
        reply.results[id]
        for id in ("guard", "quit", "stopped", "launch", "started", "act")
        if id in reply.results and not reply.results[id].ok
    ]
    if wrong:
        about = given["name"] or reply.host.name
        raise NotConverged(
            about, f"{given['action']} did not take: {wrong[0].id} said {conversation.told(wrong[0])}", "Look at it on the host"
        )
    if emulator is not None and not ACTS[given["action"]].command:
        now = observed.observation(reply, where).titled(emulator.title)
        if now is None or now.run is not Run.RUNNING or now.vm_pid == emulator.vm_pid:
            raise NotConverged(emulator.title, "it was stopped and started, and does not run with a new VM", "Start it")
