"""`make bench`: what ldfleet costs against the usual ways, and what a fleet's life costs, in one run on the simulator. Two tables, two lines about
memory, one line an aim.

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
from functools import partial
from pathlib import Path

from life import NOTHING, Life, Stage
from rich.console import Console
from rich.table import Table
from simulator import Cost, Knobs, Simulator
from ways import DidNotWork, Site

#: The aims. Exchanges: of a check that finds nothing to do; times: of a time by which the whole run is shorter or longer.
ROUND_TRIPS = {"no change": 1, "change": 2, "creation": 3}
MOST_EXCHANGES = {"NTLM": 10, "Basic": 7}
RAW_TIMES, BARE_TIMES, FLEET_TIMES, MEGABYTES = 20.0, 2.0, 2.0, 500.0

_NAMES = {"NTLM": "NTLM with encryption", "Basic": "Basic"}
_WIDTH = 140


@dataclass(frozen=True)
class Size:
    """How much is measured. ``farm``: hosts, and emulators of each, for memory and scale; ``life``: the same for a fleet's life. ``repeats``: of what
    takes a second or two.

    ``judged``: whether the run is large enough that its times say something about an aim.
    """

    hosts: tuple[int, ...] = (1, 10)
    emulators: int = 50
    counted: tuple[int, ...] = (1, 50)
    farm: tuple[int, int] = (50, 40)
    life: tuple[int, int] = (50, 40)
    powershell_start: float = 0.7
    repeats: int = 3
    judged: bool = True


QUICK = Size(hosts=(2,), emulators=4, counted=(50,), farm=(4, 10), life=(3, 2), powershell_start=0.1, repeats=1, judged=False)


@dataclass(frozen=True)
class Measured:
    """One way's work: the real seconds, and what each host had to do for it."""

    seconds: float
    costs: Sequence[Cost]

    @property
    def ldplayer(self) -> float:
        """Seconds of LDPlayer's own commands on the busiest host. Whoever does the work, they are the same."""
        return max(cost.ldplayer for cost in self.costs)

    def span(self, name: str) -> str:
        """One of the counts, as it was on all hosts: ``3``, or ``3 to 4`` where they differ."""
        return _span([getattr(cost, name) for cost in self.costs])


@dataclass
class Aim:
    """``found``: what each run showed. ``counted``: it does not depend on the machine, so that missing it is an error."""

    counted: bool
    held: bool = True
    found: list[str] = field(default_factory=list)


class Report:
    """The table as it grows, and the aims by their text."""

    def __init__(self, powershell_start: float, judged: bool) -> None:
        self.judged = judged
        self.aims: dict[str, Aim] = {}
        self.memory: list[str] = []
        title = (
            f"On the simulator, where PowerShell takes {powershell_start} s to start. Round trips (commands over WinRM), HTTP exchanges,\n"
            "PowerShell starts and the seconds of LDPlayer's own commands are those of one host. Times: of ldfleet's seconds."
        )
        self.table = Table(title=title, title_justify="left")
        for name in ("what", "how", "hosts", "emulators", "seconds", "round trips", "exchanges", "starts", "LDPlayer", "times", "aims"):
            self.table.add_column(name, justify="left" if name in ("what", "how", "aims") else "right", no_wrap=True)
        title = (
            "A fleet's life by `ldfleet plan` and `ldfleet apply`, LDPlayer's own time jumped over. Waves: in which running replicas are taken down.\n"
            "Memory: MB of all processes of ldfleet and Ansible together, at most."
        )
        self.life = Table(title=title, title_justify="left")
        for name in ("step", "plan, s", "apply, s", "steps", "waves", "round trips", "memory", "aims"):
            self.life.add_column(name, justify="left" if name in ("step", "aims") else "right", no_wrap=True)

    def row(self, what: str, how: str, size: tuple[int, int], got: Measured, clock: str = "real", times: str = "", aims: str = "") -> None:
        """One line. ``size``: hosts, and emulators of each. ``clock``: ``real``; ``jumped`` where LDPlayer's own time was jumped over;
        ``none`` where PowerShell's was too, so that no seconds mean anything."""
        counts = [got.span(name) for name in ("round_trips", "exchanges", "powershell_starts")]
        seconds = "" if clock == "none" else f"{got.seconds:.2f}"
        own = f"{got.ldplayer:.2f}" if clock == "real" else ""
        self.table.add_row(what, how, str(size[0]), str(size[1]), seconds, *counts, own, times, aims)

    def stage(self, stage: Stage, aims: str) -> None:
        """One line of a fleet's life."""
        seconds = [f"{verb.seconds:.1f}" for verb in (stage.planned, stage.applied)]
        trips = _span([cost.round_trips for cost in stage.costs])
        most = max(stage.planned.megabytes, stage.applied.megabytes)
        self.life.add_row(stage.what, *seconds, str(len(stage.applied.steps)), str(stage.waves), trips, f"{most:.0f}", aims)

    def hold(self, aim: str, held: bool, found: str, counted: bool = False) -> str:
        """Note what one run says of an aim; the word for its row."""
        if not counted and not self.judged:
            return ""
        noted = self.aims.setdefault(aim, Aim(counted))
        noted.held &= held
        noted.found.append(found)
        return "held" if held else "wrong" if counted else "fell short"

    @property
    def wrong(self) -> bool:
        """Whether a count is."""
        return any(aim.counted and not aim.held for aim in self.aims.values())

    def show(self, seconds: float) -> None:
        """Print all of it."""
        to = Console(width=None if sys.stdout.isatty() else _WIDTH)
        to.print(self.table)
        to.print(self.life)
        print("\n".join(self.memory))
        for text, aim in self.aims.items():
            verdict = "held" if aim.held else "WRONG" if aim.counted else "fell short"
            print(f"{verdict:<10} {text}: {', '.join(dict.fromkeys(aim.found))}")
        print(f"The bench took {seconds:.0f} s.{'' if self.judged else ' A quick run decides nothing about times.'}")


def main(words: Sequence[str]) -> int:
    """Run all; 1 when a count is wrong or a way does not work at all."""
    options = argparse.ArgumentParser(description="Measure ldfleet against the usual ways, on the simulator.")
    options.add_argument(
        "--quick", action="store_true", help="a small run, which shows only that everything works and that the counts hold"
    )
    options.add_argument("--powershell-start", type=float, metavar="S", help="seconds that each start of PowerShell takes (default 0.7)")
    given = options.parse_args(words)
    size = QUICK if given.quick else Size()
    start = size.powershell_start if given.powershell_start is None else given.powershell_start
    report, began = Report(start, size.judged), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="ldfleet-bench-") as folder:
            for number, (name, part) in enumerate(_parts(size, start, report)):
                print(f"[{time.monotonic() - began:4.0f} s] {name}", file=sys.stderr, flush=True)
                place = Path(folder) / str(number)
                place.mkdir()
                part(place)
    except DidNotWork as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report.show(time.monotonic() - began)
    return 1 if report.wrong else 0


def _parts(size: Size, start: float, report: Report) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for emulators in size.counted:
        yield f"counts, {_many(emulators, 'emulator')}", partial(_counts, emulators, report)
    for hosts in size.hosts:
        yield f"speed, {_many(hosts, 'host')}", partial(_speed, hosts, size, start, report)
    yield f"memory and scale, {_many(size.farm[0], 'host')}", partial(_scale, size, start, report)
    yield f"a fleet's life, {_many(size.life[0], 'host')}", partial(_life, size, start, report)


# ---- counts -------------------------------------------------------------------------------------------------------------------------
def _counts(emulators: int, report: Report, folder: Path) -> None:
    """What each kind of converge takes. Nobody waits here, so no seconds are shown."""
    with Simulator(folder / "hosts", Knobs(1)) as simulator:
        for what, transport, cpu in (("creation", "NTLM", 2), ("change", "NTLM", 1), ("no change", "NTLM", 1), ("no change", "Basic", 1)):
            site = Site(simulator.inventory(transport.lower()), folder)
            got = _measured(simulator, lambda site=site, cpu=cpu: site.converge(emulators, cpu))  # type: ignore[misc]
            report.row(what, f"ldfleet, {transport}", (1, emulators), got, clock="none", aims=_counted(report, what, got, transport))
    report.table.add_section()


def _counted(report: Report, what: str, got: Measured, transport: str = "NTLM") -> str:
    """Whether a run of ldfleet took what it may take on every host."""
    trips = ROUND_TRIPS[what]
    verdicts = [
        report.hold(
            f"{_many(trips, 'round trip')} for {what}, whatever the number of emulators",
            all(cost.round_trips == trips for cost in got.costs),
            got.span("round_trips"),
            counted=True,
        ),
        report.hold(
            "one PowerShell start a round trip",
            all(cost.powershell_starts == cost.round_trips for cost in got.costs),
            f"{got.span('powershell_starts')} for {got.span('round_trips')}",
            counted=True,
        ),
    ]
    if what == "no change":
        most = MOST_EXCHANGES[transport]
        few = all(cost.exchanges <= most for cost in got.costs)
        aim = f"at most {most} HTTP exchanges for no change over {_NAMES[transport]}"
        verdicts.append(report.hold(aim, few, got.span("exchanges"), counted=True))
    return "held" if set(verdicts) == {"held"} else "wrong"


# ---- speed --------------------------------------------------------------------------------------------------------------------------
def _speed(hosts: int, size: Size, start: float, report: Report, folder: Path) -> None:
    """The hosts are laid while nobody waits, then served anew by a process in which PowerShell and LDPlayer take their time."""
    many = size.emulators
    with Simulator(folder / "hosts", Knobs(hosts)) as simulator:
        Site(simulator.inventory(), folder).converge(many, 2)
    with Simulator(folder / "hosts", Knobs(hosts, start, skip=False)) as simulator:
        site = Site(simulator.inventory(), folder)
        own = _measured(simulator, site.nothing, size.repeats)
        bare = _measured(simulator, site.bare_list2, size.repeats)
        check = _measured(simulator, lambda: site.converge(many, 2, "--check"), size.repeats)
        change = _measured(simulator, lambda: site.converge(many, 1))
        raw_check = _measured(simulator, lambda: site.raw_loop(1))
        raw_change = _measured(simulator, lambda: site.raw_loop(2))
    at, on = (hosts, many), _many(hosts, "host")
    limit = BARE_TIMES * bare.seconds + own.seconds
    near = f"no change on {on}, within {BARE_TIMES:.0f} times bare pywinrm plus Ansible's own start"
    aims = [_counted(report, "no change", check), report.hold(near, check.seconds <= limit, f"{check.seconds:.2f} s of {limit:.2f} s")]
    report.row("no change", "ldfleet", at, check, times="1", aims=_told(aims))
    report.row(
        "no change", "raw in a loop", at, raw_check, times=_times(raw_check, check), aims=_fast(report, "no change", on, raw_check, check)
    )
    report.row("only list2", "pywinrm in threads", at, bare, times=_times(bare, check))
    report.row("nothing", "Ansible, empty play", at, own, times=_times(own, check))
    report.row(f"{many} changes", "ldfleet", at, change, times="1", aims=_counted(report, "change", change))
    aim = _fast(report, f"{many} changes", on, raw_change, change)
    report.row(f"{many} changes", "raw in a loop", at, raw_change, times=_times(raw_change, change), aims=aim)
    report.table.add_section()


def _fast(report: Report, what: str, on: str, raw: Measured, ours: Measured) -> str:
    found = raw.seconds / ours.seconds
    share = f" (of ldfleet's {ours.seconds:.2f} s, {ours.ldplayer:.2f} s are LDPlayer's own)"
    return report.hold(f"{what} on {on}, {RAW_TIMES:.0f} times as fast as raw in a loop", found >= RAW_TIMES, f"{found:.1f} times{share}")


def _times(other: Measured, ours: Measured) -> str:
    return f"{other.seconds / ours.seconds:.1f}"


def _told(verdicts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(verdict for verdict in verdicts if verdict))


# ---- memory and scale ---------------------------------------------------------------------------------------------------------------
def _scale(size: Size, start: float, report: Report, folder: Path) -> None:
    """One process for all hosts. PowerShell takes its time; LDPlayer's own is jumped over."""
    hosts, many = size.farm
    with Simulator(folder / "hosts", Knobs(hosts, start)) as simulator:
        site = Site(simulator.inventory(), folder)
        for label, what, cpu in ((f"{many} creations", "creation", 2), ("no change", "no change", 2), (f"{many} changes", "change", 1)):
            got = _measured(simulator, lambda cpu=cpu: site.converge(many, cpu))  # type: ignore[misc]
            report.row(label, "ldfleet", size.farm, got, "jumped", aims=_counted(report, what, got))
        report.row("only list2", "pywinrm in threads", size.farm, _measured(simulator, site.bare_list2), "jumped")
        report.row("nothing", "Ansible, empty play", size.farm, _measured(simulator, site.nothing), "jumped")
        most = simulator.megabytes()
    report.memory.append(f"Memory: one simulator process with {hosts} hosts of {many} emulators took {most:.0f} MB at most (VmHWM).")
    report.hold(
        f"{hosts} hosts of {many} emulators in one process under {MEGABYTES:.0f} MB", most < MEGABYTES, f"{most:.0f} MB", counted=True
    )


# ---- a fleet's life -----------------------------------------------------------------------------------------------------------------
def _life(size: Size, start: float, report: Report, folder: Path) -> None:
    """Each step is planned, applied, and looked at from behind: one that does not come out as planned ends the bench."""
    hosts, many = size.life
    held = f"each step of a fleet's life ends as planned, and every one of {hosts * many} replicas runs where it should"
    with Simulator(folder / "hosts", Knobs(hosts, start)) as simulator:
        life = Life(simulator, folder, hosts, many)
        for stage in life.stages(short=not size.judged):
            print(f"         {stage.what}: {stage.applied.seconds:.0f} s", file=sys.stderr, flush=True)
            verdicts = [report.hold(held, True, "held", counted=True)]
            if stage.what == NOTHING:
                bare = _measured(simulator, Site(life.bare(), folder).check)
                verdicts += _no_change(report, stage, bare)
            report.stage(stage, _told(verdicts))
            if stage.what == NOTHING:
                report.life.add_row(
                    "  the same without a fleet file", "", f"{bare.seconds:.1f}", "0", "0", bare.span("round_trips"), "", ""
                )
        most = simulator.megabytes()
    report.memory.append(f"Memory: the simulator of the fleet's life took {most:.0f} MB at most (VmHWM).")


def _no_change(report: Report, stage: Stage, bare: Measured) -> list[str]:
    """``bare``: the check of the same emulators, declared host by host."""
    trips, times = [cost.round_trips for cost in stage.costs], stage.applied.seconds / bare.seconds
    few = f"{_many(1, 'round trip')} a host for an apply of a fleet that finds nothing to do"
    near = f"an apply of a fleet that finds nothing to do, within {FLEET_TIMES:.0f} times the check without a fleet file"
    return [
        report.hold(few, set(trips) == {1}, _span(trips), counted=True),
        report.hold(near, times <= FLEET_TIMES, f"{times:.1f} times ({stage.applied.seconds:.1f} s of {bare.seconds:.1f} s)"),
    ]


# ---- measuring ----------------------------------------------------------------------------------------------------------------------
def _measured(simulator: Simulator, run: Callable[[], None], repeats: int = 1) -> Measured:
    """The median of the seconds, and the costs of the last time."""
    seconds, costs = [], []
    for _ in range(repeats):
        before, began = simulator.costs(), time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
        costs = [now.since(then) for now, then in zip(simulator.costs(), before, strict=True)]
    return Measured(statistics.median(seconds), costs)


def _span(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
