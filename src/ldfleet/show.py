"""Plans, states and outcomes for a reader at a terminal. Words and layout only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .plans import Fault, Hold, Outcome, Plan, Step
from .runs import Event, HostResult, Said, TaskStarted, printable

#: Columns where the output is no terminal.
_WIDTH = 120
_SIGNS = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "start": (">", "cyan"),
    "stop": ("x", "yellow"),
    "remove": ("-", "red"),
    "move": (">>", "cyan"),
    "note": ("=", "dim"),
}
#: Titles that are named one by one before they are only counted.
_NAMED = 3


def console(stderr: bool = False) -> Console:
    """Colours and width of a terminal where there is one, plain 120 columns where not."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDTH, color_system=None)


def progress(say: Callable[[str], None]) -> Callable[[Event], None]:
    """For a run that is watched: which wave it is, and what each host is at, line by line. A host that goes on waiting says so once."""
    seen = {"tasks": 0, "waves": 0}
    said: dict[str, str] = {}

    def watch(event: Event) -> None:
        if isinstance(event, TaskStarted):
            seen["tasks"] += 1
            if event.name == "Look at every host":
                say("looking at every host")
            if event.name == "Begin the wave":
                seen["waves"] += 1
                said.clear()
        if isinstance(event, HostResult) and event.module == "select_connection":
            for note in event.result.get("notes", ()):
                say(f"warning: {note}")
        if isinstance(event, Said) and event.event == "verbose" and seen["tasks"]:
            if not said and seen["waves"]:
                say(f"wave {seen['waves']}")
            text = printable(event.text.strip())
            host = text.partition(":")[0]
            if said.get(host) != text:
                say(f"  {text}")
            said[host] = text

    return watch


def plan(of: Plan, to: Console) -> None:
    """Steps, what is held, and a summary in a line."""
    _steps(of.steps, to)
    _holds(of.holds, of.faults, to)
    if unready := _unready(of):
        line(Text(f"! {names_of(unready)}: ", "magenta") + Text("run, and do not answer as they should [NotReady]"), to)
    faults(of.faults, to)
    line(Text(_summary(of), "bold"), to)


def _summary(of: Plan) -> str:
    counts = of.counts()
    waves = f" in {of.waves} waves" if of.waves > 1 else ""
    words = [
        f"{counts[kind]} to {kind}" + (waves if kind == "restart" else "")
        for kind in ("add", "change", "restart", "start", "stop", "remove", "move")
        if counts[kind]
    ]
    left = [f"{counts[word]} {told}" for word, told in (("kept", "kept as they are"), ("held", "held")) if counts[word]]
    left += [f"{len(unready)} not ready"] if (unready := _unready(of)) and not words else []
    if words:
        return f"Plan: {', '.join(words + left)}."
    return f"Nothing to do: {', '.join(left)}." if left else "In sync: nothing to do." if of.in_sync else "Nothing to do."


def _unready(of: Plan) -> list[str]:
    """Replicas that run and cannot be worked with. No step is planned for them: whether a wait or a remedy helps, only a run can tell."""
    told = {(name, str(e["name"])): e for name, host in of.hosts.items() for e in host.emulators}
    found = [(title, told.get((host, title))) for title, host in of.decision.get("at", {}).items()]
    return [title for title, e in found if e is not None and e["state"] == "running" and _ready(e) == "no"]


def _ready(emulator: Mapping[str, Any]) -> str:
    status = next((c["status"] for c in emulator.get("conditions", ()) if c["type"] == "Ready"), "Unknown")
    return {"True": "yes", "False": "no"}.get(status, "?")


def _steps(steps: Sequence[Step], to: Console) -> None:
    """Equal steps of a host in one row."""
    if not steps:
        return
    table = table_of("", "host", "emulators", "step")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for step in steps:
        rows.setdefault((step.host, step.action, step.text.partition(step.emulator)[2]), []).append(step.emulator)
    last = ""
    for (host, action, rest), names in rows.items():
        sign, style = _SIGNS[Step(host, "", action, "").kind]
        if last and host != last:
            table.add_section()
        told = f"{action}{rest}"
        table.add_row(
            Text(sign, style), "" if host == last else escape(host), escape(names_of(list(dict.fromkeys(names)))), Text(told, style)
        )
        last = host
    block(table, to)


def names_of(names: Sequence[str]) -> str:
    """A few names, or how many there are from which to which."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{len(names)} ({names[0]} … {names[-1]})"


def table_of(*headings: str) -> Table:
    """A table that is still to be filled."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def block(table: Table, to: Console) -> None:
    """A table, and an empty line before what comes after it."""
    to.print(table)
    to.print()


def line(text: Text, to: Console) -> None:
    """A sentence in a line of its own, however long: who searches the output, or an editor that goes to a file's line, finds it whole."""
    to.print(text, soft_wrap=True)


def _holds(holds: Iterable[Hold], told: Iterable[Fault], to: Console) -> None:
    """Each reason once, with whom it is about; not those that are told as faults."""
    said = {(fault.about, fault.problem) for fault in told}
    by_words: dict[tuple[str, str], list[Hold]] = {}
    for hold in holds:
        if (hold.name, f"{hold.reason}: {hold.message}") not in said:
            by_words.setdefault((hold.reason, hold.message.replace(f"'{hold.name}'", "it")), []).append(hold)
    for (reason, message), same in by_words.items():
        names = names_of([hold.name for hold in same])
        line(Text(f"! {names}: ", "magenta") + Text(f"{message} [{reason}]"), to)


def faults(found: Iterable[Fault], to: Console) -> None:
    """What went wrong. Faults that differ only in what they are about stand in one line."""
    alike: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in found:
        alike.setdefault((fault.code, fault.problem, fault.advice), []).append(fault)
    for same in alike.values():
        subject = names_of([fault.subject for fault in same if fault.subject])
        line(Text("error: ", "bold red") + Text(same[0].said(subject)), to)


def outcome(of: Outcome, to: Console) -> None:
    """What was done, what is held, what went wrong, and a summary."""
    _steps(of.steps, to)
    _holds(of.holds, of.faults, to)
    faults(of.faults, to)
    hosts = len({step.host for step in of.steps})
    done = f"{counted(len(of.steps), 'step')} on {counted(hosts, 'host')}" if of.steps else "nothing"
    end = "cancelled" if of.cancelled else "not all is as declared" if of.faults else "the fleet is as declared"
    line(Text(f"Done: {done}; {end}.", "bold"), to)


def counted(number: int, word: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {word}{'s'[: number != 1]}"


def status(of: Plan, to: Console, emulators: bool) -> None:
    """Pools, hosts, and on wish every emulator."""
    if of.pools:
        block(_pools(of.pools), to)
    to.print(_hosts(of))
    if emulators:
        to.print()
        to.print(_emulators(of))
    faults(of.faults, to)


def _pools(pools: Mapping[str, Mapping[str, Any]]) -> Table:
    table = table_of("pool", "wanted", "there", "available", "up to date", "missing", "surplus", "revision")
    for name, pool in pools.items():
        good = pool["available"] >= pool["replicas"] and pool["updated"] >= pool["there"]
        numbers = [str(pool[key]) for key in ("replicas", "there", "available", "updated", "missing", "surplus")]
        table.add_row(Text(name, "green" if good else "yellow"), *numbers, str(pool["revision"]))
    return table


def _hosts(of: Plan) -> Table:
    table = table_of("host", "emulators", "owned", "running", "free", "state")
    for name, host in of.hosts.items():
        if host.problem:
            table.add_row(Text(name, "red"), "?", "?", "?", "?", Text(host.problem.removeprefix(f"{name}: ")))
            continue
        state = "ok" if host.desktop else "nobody is logged on"
        free = f"{host.free_bytes / 1024**3:.0f} GiB" if host.free_bytes >= 0 else "?"
        table.add_row(
            Text(name, "green" if host.desktop else "yellow"), str(len(host.emulators)), str(host.owned), str(host.running), free, state
        )
    return table


def tested(host: HostResult) -> dict[str, Any]:
    """What a test of a connection told, as JSON values."""
    lines = host.result.get("lines")
    return {"status": str(host.result.get("status", "failed")), "problem": str(host.result.get("msg", "")), "lines": list(lines or ())}


_MARKS = {"ok": "green", "warning": "yellow", "failed": "bold red", "unknown": "magenta"}


def tests(hosts: Mapping[str, HostResult], to: Console) -> None:
    """Each host with its lines; below what is not well, what it costs and what to do."""
    for name, host in hosts.items():
        found = tested(host)
        line(Text(f"{name}: ", "bold") + Text(found["status"], _MARKS.get(found["status"], "")), to)
        if not found["lines"]:
            line(Text(f"  {found['problem']}"), to)
        for check in found["lines"]:
            line(Text(f"  {check['status']:<8}", _MARKS.get(check["status"], "")) + Text(f"{check['check']:<12}{check['found']}"), to)
            for text in (check["costs"], check["advice"]):
                if text:
                    line(Text(f"{'':22}{text}", "dim"), to)


def host_list(hosts: Mapping[str, Mapping[str, Any]], to: Console) -> None:
    """The hosts of a file, as they are written there."""
    table = table_of("host", "address", "capacity", "labels", "marks")
    for name, host in hosts.items():
        address = str(host["ansible_host"] or name) + (f":{host['ansible_port']}" if host["ansible_port"] else "")
        told = [", ".join(f"{key} {value}" for key, value in (host[word] or {}).items()) for word in ("capacity", "labels")]
        marks = ", ".join(word for word in ("drain", "lost") if host[word])
        table.add_row(escape(name), escape(address), *map(escape, told), marks)
    to.print(table)


def _emulators(of: Plan) -> Table:
    table = table_of("host", "emulator", "state", "ready", "owned", "cpu", "memory", "resolution", "adb")
    for name, host in of.hosts.items():
        for emulator in host.emulators:
            settings = emulator["settings"]
            cells = [str(settings.get(option, "-")) for option in ("cpu", "memory", "resolution")]
            adb = f"{settings.get('adb', '-')} {emulator['adb_port']}"
            table.add_row(
                escape(name),
                escape(emulator["name"]),
                emulator["state"],
                _ready(emulator),
                "yes" if emulator["owned"] else "no",
                *cells,
                adb,
            )
        table.add_section()
    return table
