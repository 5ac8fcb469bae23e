"""`make bench`: what ldfleet costs against the usual ways, in one run on the simulator. One table, one line about memory, one line an aim.

Seconds are the real ones of this run and mean something only beside one another. Counts do not depend on the machine: one that is wrong
ends the bench with exit code 1; an aim for a time that is missed is told, and no error. Everything runs on loopback.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from simulator import Cost, Knobs, Simulator
from ways import DidNotWork, Site

#: The issue's aims. Exchanges: of a check that finds nothing to do.
TRIPS = {"no change": 1, "settings changed": 2, "created": 3}
MOST_EXCHANGES = {"ntlm": 10, "basic": 7}
RAW_TIMES, BARE_TIMES, MEGABYTES = 20.0, 2.0, 500.0
_WIDTH = 140


@dataclass(frozen=True)
class Size:
    """How much is measured. ``farm``: hosts and emulators of each for memory and scale; ``repeats``: of what takes a second or two."""

    hosts: tuple[int, ...] = (1, 10)
    emulators: int = 50
    counted: tuple[int, ...] = (1, 50)
    farm: tuple[int, int] = (50, 40)
    powershell_start: float = 0.7
    repeats: int = 3


QUICK = Size(hosts=(1, 2), emulators=4, counted=(1, 50), farm=(4, 10), powershell_start=0.1, repeats=1)


@dataclass(frozen=True)
class Measured:
    """One way's work: seconds (None where the simulator's clock was jumped over) and what each host had to do for it."""

    costs: Sequence[Cost]
    seconds: float | None = None

    def span(self, name: str) -> str:
        """One of the counts, as it was on all hosts: ``3``, or ``3 to 4`` where they differ."""
        values = sorted(getattr(cost, name) for cost in self.costs)
        return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


@dataclass(frozen=True)
class Aim:
    """``counted``: it does not depend on the machine, so that missing it is an error."""

    text: str
    held: bool
    found: str
    counted: bool = False


@dataclass
class Report:
    """The table as it grows, and the aims."""

    table: Table
    aims: list[Aim] = field(default_factory=list)
    memory: str = ""

    def row(self, what: str, way: str, size: tuple[int, int], got: Measured, ratio: str = "", *aims: Aim) -> None:
        """One line: ``size`` is hosts and emulators of each; the aims are those that this line decides."""
        seconds = "" if got.seconds is None else f"{got.seconds:.2f}"
        counts = [got.span(name) for name in ("round_trips", "exchanges", "powershell_starts")]
        verdict = ", ".join("held" if aim.held else "missed" for aim in aims)
        self.table.add_row(what, way, str(size[0]), str(size[1]), seconds, *counts, ratio, verdict)
        self.aims += aims


def main(words: Sequence[str]) -> int:
    """Run all; 1 when a count is wrong or a way does not work at all."""
    options = argparse.ArgumentParser(description="Measure ldfleet against the usual ways, on the simulator.")
    options.add_argument("--quick", action="store_true", help="a small run that only shows that everything works and the counts hold")
    options.add_argument("--powershell-start", type=float, metavar="S", help="seconds that each start of PowerShell takes (default 0.7)")
    given = options.parse_args(words)
    size = QUICK if given.quick else Size()
    start = size.powershell_start if given.powershell_start is None else given.powershell_start
    report, began = Report(_table(start)), time.monotonic()
    show = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="ldfleet-bench-") as folder:
            for name, part in _parts(size, start, report):
                show.print(f"[{time.monotonic() - began:4.0f} s] {name}", markup=False)
                place = Path(folder) / name.replace(" ", "-")
                place.mkdir()
                part(place)
    except DidNotWork as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    _print(report, time.monotonic() - began)
    return 1 if any(aim.counted and not aim.held for aim in report.aims) else 0


def _parts(size: Size, start: float, report: Report) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for emulators in size.counted:
        yield f"counts at {emulators} emulators", lambda place, many=emulators: _counts(place, many, report)
    for hosts in size.hosts:
        yield f"speed on {hosts} hosts", lambda place, many=hosts: _speed(place, many, size, start, report)
    yield f"scale on {size.farm[0]} hosts", lambda place: _scale(place, size, start, report)


# ---- counts -------------------------------------------------------------------------------------------------------------------------
def _counts(folder: Path, emulators: int, report: Report) -> None:
    with Simulator(folder / "hosts", Knobs(1)) as simulator:
        site = Site(simulator.inventory(), folder)
        basic = Site(simulator.inventory("basic"), folder)
        runs: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("created", "ntlm", lambda: site.converge(emulators, 2)),
            ("settings changed", "ntlm", lambda: site.converge(emulators, 1)),
            ("no change", "ntlm", lambda: site.converge(emulators, 1)),
            ("no change", "basic", lambda: basic.converge(emulators, 1)),
        )
        for what, transport, run in runs:
            got = Measured(_measured(simulator, run, 1).costs)
            aims = _counted(f"{what}, {emulators} emulators", what, transport, got)
            report.row(what, f"ldfleet over {transport}", (1, emulators), got, "", *aims)
    report.table.add_section()


def _counted(about: str, what: str, transport: str, got: Measured) -> list[Aim]:
    trips = TRIPS[what]
    right = all(cost.round_trips == trips == cost.powershell_starts for cost in got.costs)
    text = f"{about}: {trips} round trip{'s' * (trips > 1)}, one PowerShell start each"
    aims = [Aim(text, right, f"{got.span('round_trips')} with {got.span('powershell_starts')} starts", counted=True)]
    if what == "no change":
        most = MOST_EXCHANGES[transport]
        few = all(cost.exchanges <= most for cost in got.costs)
        aims.append(Aim(f"{about}: at most {most} HTTP exchanges over {transport}", few, got.span("exchanges"), counted=True))
    return aims


# ---- speed --------------------------------------------------------------------------------------------------------------------------
def _speed(folder: Path, hosts: int, size: Size, start: float, report: Report) -> None:
    """The hosts are laid with waiting jumped over, then served anew by a process in which PowerShell and LDPlayer take their time."""
    many = size.emulators
    with Simulator(folder / "hosts", Knobs(hosts)) as simulator:
        Site(simulator.inventory(), folder).converge(many, 2)
    with Simulator(folder / "hosts", Knobs(hosts, start, skip=False)) as simulator:
        site = Site(simulator.inventory(), folder)
        own = _measured(simulator, site.nothing, size.repeats)
        bare = _measured(simulator, site.bare_list2, size.repeats)
        check = _measured(simulator, lambda: site.converge(many, 2, "--check"), size.repeats)
        change = _measured(simulator, lambda: site.converge(many, 1), 1)
        raw_check = _measured(simulator, lambda: site.raw_loop(1), 1)
        raw_change = _measured(simulator, lambda: site.raw_loop(2), 1)
    at, here = (hosts, many), f"{hosts} host{'s' * (hosts > 1)}"
    limit = BARE_TIMES * _seconds(bare) + _seconds(own)
    near = Aim(
        f"no change, {here}: within {BARE_TIMES:.0f} times bare pywinrm plus Ansible's own start",
        _seconds(check) <= limit,
        f"{_seconds(check):.2f} s of {limit:.2f} s",
    )
    report.row("no change", "ldfleet", at, check, "1", *_counted(f"no change, {here} of {many}", "no change", "ntlm", check), near)
    report.row("no change", "raw in a loop", at, raw_check, *_times(f"no change, {here}", raw_check, check))
    report.row("only list2", "bare pywinrm in threads", at, bare, _ratio(bare, check))
    report.row("nothing", "Ansible's own start", at, own, _ratio(own, check))
    what = "settings changed"
    report.row(f"{many} {what}", "ldfleet", at, change, "1", *_counted(f"{many} {what}, {here}", what, "ntlm", change))
    report.row(f"{many} {what}", "raw in a loop", at, raw_change, *_times(f"{many} {what}, {here}", raw_change, change))
    report.table.add_section()


def _times(about: str, other: Measured, ours: Measured) -> tuple[str, Aim]:
    found = _seconds(other) / _seconds(ours)
    return _ratio(other, ours), Aim(f"{about}: {RAW_TIMES:.0f} times as fast as raw in a loop", found >= RAW_TIMES, f"{found:.1f} times")


def _ratio(other: Measured, ours: Measured) -> str:
    return f"{_seconds(other) / _seconds(ours):.2g}" if _seconds(other) < _seconds(ours) else f"{_seconds(other) / _seconds(ours):.1f}"


# ---- memory and scale ---------------------------------------------------------------------------------------------------------------
def _scale(folder: Path, size: Size, start: float, report: Report) -> None:
    """One process for all: emulators are created with LDPlayer's own time jumped over; PowerShell takes its time."""
    hosts, many = size.farm
    with Simulator(folder / "hosts", Knobs(hosts, start)) as simulator:
        site = Site(simulator.inventory(), folder)
        for what, cpu in (("created", 2), ("no change", 2), ("settings changed", 1)):
            got = _measured(simulator, lambda cpu=cpu: site.converge(many, cpu), 1)
            report.row(f"{many} {what}", "ldfleet", size.farm, got, "", *_counted(f"{what}, {hosts} hosts of {many}", what, "ntlm", got))
        report.row("only list2", "bare pywinrm in threads", size.farm, _measured(simulator, site.bare_list2, 1))
        report.row("nothing", "Ansible's own start", size.farm, _measured(simulator, site.nothing, 1))
        most = simulator.megabytes()
    report.memory = f"memory: one simulator process with {hosts} hosts of {many} emulators took {most:.0f} MB at most (VmHWM)"
    text = f"{hosts} hosts of {many} emulators in one simulator process under {MEGABYTES:.0f} MB"
    report.aims.append(Aim(text, most < MEGABYTES, f"{most:.0f} MB", counted=True))


# ---- measuring and printing ---------------------------------------------------------------------------------------------------------
def _measured(simulator: Simulator, run: Callable[[], None], repeats: int) -> Measured:
    """The median of the seconds, and the costs of the last time."""
    seconds = []
    for _ in range(repeats):
        before, began = simulator.costs(), time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
        costs = [now.since(then) for now, then in zip(simulator.costs(), before, strict=True)]
    return Measured(costs, statistics.median(seconds))


def _seconds(got: Measured) -> float:
    assert got.seconds is not None
    return got.seconds


def _table(start: float) -> Table:
    table = Table(title=f"ldfleet on the simulator; each start of PowerShell takes {start} s", title_justify="left")
    for name in ("what", "how"):
        table.add_column(name)
    for name in (
        "hosts",
        "emulators\na host",
        "seconds",
        "round trips\na host",
        "HTTP exchanges\na host",
        "PowerShell\nstarts a host",
        "times\nldfleet",
    ):
        table.add_column(name, justify="right")
    table.add_column("aims")
    return table


def _print(report: Report, seconds: float) -> None:
    show = Console(width=None if sys.stdout.isatty() else _WIDTH)
    show.print(report.table)
    print(report.memory)
    for aim in report.aims:
        verdict = "held      " if aim.held else "WRONG     " if aim.counted else "fell short"
        print(f"{verdict} {aim.text} ({aim.found})")
    print(f"The bench took {seconds:.0f} s.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
