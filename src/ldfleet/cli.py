"""The command line: each verb is a few lines that call a room. Words and exit codes only; nothing is decided here."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, get_args

import typer

from . import __version__, cli_fleet, cli_host, project
from .demo import demo as run_demo
from .runs import play
from .sim import laid
from .sim.farm import Farm, NoEngine, Plan
from .sim.ldplayer.layout import Spec
from .sim.machine.system import Edition
from .sim.wire import ways
from .sim.wire.server import PortTaken

app = typer.Typer(
    name="ldfleet",
    help="LDPlayer fleets as code: Android emulators on Windows hosts, kept in a declared state.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

_VERSIONS = {"5": "5.0.13.1", "9": "9.0.79.2", "14": "14.0.26.1"}


for _verb in (
    cli_fleet.init, cli_fleet.validate, cli_fleet.plan, cli_fleet.apply, cli_fleet.status, cli_fleet.drift, cli_fleet.restart,
):  # fmt: skip
    app.command()(_verb)
app.command("import")(cli_fleet.import_)
app.command()(cli_host.bootstrap)
app.command()(cli_host.doctor)
app.add_typer(cli_fleet.rollout, name="rollout")
app.add_typer(cli_fleet.hosts, name="hosts")


def main() -> None:
    """The entry point of the program ``ldfleet``."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ldfleet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Options before the verb."""


@app.command()
def sim(
    hosts: Annotated[int, typer.Option(min=1, max=1000, help="How many hosts.")] = 3,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65000, envvar=cli_fleet.SIM_PORT, help="Port of the first host, one more for each further one; 0 takes free ones."
        ),
    ] = project.SIM_PORT,
    https: Annotated[bool, typer.Option("--https", help="Listen with TLS and a self-signed certificate instead of HTTP.")] = False,
    ssh: Annotated[bool, typer.Option("--ssh", help="Listen for SSH too. --way ssh does so by itself.")] = False,
    way: Annotated[
        list[str] | None,
        typer.Option(
            help="How the inventory leads to a host: ntlm (as without it), certificate, psrp or ssh. More than once: hosts take them in turn."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the agent: port (Python), pwsh (PowerShell on Linux) or wine (PowerShell on the Windows API).")
    ] = "port",
    ldplayer: Annotated[
        list[str] | None, typer.Option(help="LDPlayer's version: 5, 9 (as without it) or 14. More than once: side by side on each host.")
    ] = None,
    bare: Annotated[
        str | None, typer.Option(help="A Windows after its set-up, windows11 or server2022: nobody is logged on, and there is no LDPlayer.")
    ] = None,
    chinese: Annotated[bool, typer.Option("--chinese", help="A Chinese Windows (code page 936) with the Chinese LDPlayer.")] = False,
    speed: Annotated[float, typer.Option(min=0.01, help="Simulated seconds a second.")] = 10.0,
    powershell_start: Annotated[
        float, typer.Option(min=0, envvar="LDFLEET_SIM_POWERSHELL_START", help="Seconds that each start of PowerShell takes.")
    ] = 0.7,
    state: Annotated[Path | None, typer.Option(help="Folder of the hosts' state, kept between runs. Without it, nothing is kept.")] = None,
    inventory: Annotated[Path | None, typer.Option(help="Write the inventory to this file instead of standard output.")] = None,
    pid_file: Annotated[Path | None, typer.Option(help="Keep the process's number in this file while it runs.")] = None,
) -> None:
    """Run simulated Windows hosts with LDPlayer on loopback until Ctrl-C, for any client of WinRM, PSRP and SSH."""
    if engine not in ("port", "pwsh", "wine"):
        raise typer.BadParameter(f"{engine!r} is no engine; port, pwsh or wine is wanted", param_hint="--engine")
    takes = _ways(way or [ways.DEFAULT])
    if bare is not None and (ldplayer or chinese):
        raise typer.BadParameter(
            "there is no LDPlayer on a bare Windows, which is English: --ldplayer and --chinese do not go with it", param_hint="--bare"
        )
    specs = [_bare(bare)] if bare is not None else [_spec(number, chinese) for number in dict.fromkeys(ldplayer or ["9"])]
    with ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldfleet-sim-")))
        plan = Plan(
            hosts=hosts, port=port, https=https or "certificate" in takes, ssh=ssh or "ssh" in takes, engine=engine, spec=specs[0], speed=speed,
            powershell_start=powershell_start, beside=tuple(specs[1:]),
        )  # fmt: skip
        if bare is not None:
            laid.share(folder / "shares", list(_VERSIONS.values()))
        try:
            farm = stack.enter_context(Farm(plan, folder))
        except (NoEngine, PortTaken, OSError) as error:
            typer.echo(f"ldfleet sim: {error}", err=True)
            raise typer.Exit(1) from error
        text, ended = farm.inventory_text(*takes), _told_to_end()
        if pid_file is not None:
            pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
            stack.callback(pid_file.unlink, missing_ok=True)
        if inventory is None:
            typer.echo(text)
        else:
            inventory.write_text(text, encoding="utf-8")
            typer.echo(f"{hosts} simulated hosts; inventory in {inventory}")
        typer.echo("running until Ctrl-C", err=True)
        os.read(ended, 1)


def _bare(edition: str) -> Spec:
    known = next((name for name in get_args(Edition) if name == edition), None)
    if known is None:
        raise typer.BadParameter(f"{edition!r} is not simulated; {' or '.join(get_args(Edition))} is wanted", param_hint="--bare")
    return Spec.bare(known)


def _spec(number: str, chinese: bool) -> Spec:
    if number not in _VERSIONS:
        raise typer.BadParameter(f"{number!r} is not simulated; 5, 9 or 14 is wanted", param_hint="--ldplayer")
    return Spec.chinese(_VERSIONS[number]) if chinese else Spec.of(_VERSIONS[number])


def _ways(named: list[str]) -> list[str]:
    wrong = [way for way in named if way not in ways.NAMES]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is no way; {', '.join(ways.NAMES[:-1])} or {ways.NAMES[-1]} is wanted", param_hint="--way")
    return named


def _told_to_end() -> int:
    """A descriptor with something to read once Ctrl-C or `kill` came, which end nothing any more from here on. (The system may hand a signal to any thread,
    and a handler in Python would wait until the main one wakes up; so the pipe is written to before any.)"""
    ended, told = os.pipe()
    os.set_blocking(told, False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    return ended


@app.command()
def conformance(
    inventory: Annotated[Path, typer.Option("--inventory", "-i", exists=True, help="Inventory with the hosts.")],
    host: Annotated[str, typer.Argument(help="Host, group or pattern.")] = "ldplayer",
    out: Annotated[Path, typer.Option(help="Folder of the reports, one a host.")] = Path("conformance"),
) -> None:
    """Ask real hosts, on scratch emulators, whether what ldfleet takes for true of LDPlayer holds there."""
    variables = {"ldplayer_hosts": host, "ldplayer_reports": str(out.resolve())}
    run = play(
        "conformance",
        [inventory],
        variables=variables,
        show=lambda said: typer.echo(said.text) if said.event == "playbook_on_task_start" else None,
    )
    for name, found in sorted(run.hosts.items()):
        counts = found.result.get("summary")
        text = f"{counts['held']} held, {counts['differs']} differ, {counts['unknown']} unknown" if counts else found.result.get("msg", "")
        typer.echo(f"{name}: {text}")
    raise typer.Exit(run.code)


@app.command()
def demo() -> None:
    """Plan, converge, meddle, heal and prove, on three simulated hosts."""
    sys.exit(run_demo(typer.echo))
