"""Verbs about a fleet file: what is asked for, and with which exit code it ends. Nothing is decided here."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live

from . import importing, plans, project, show
from .fleet import Applying, Fleet, FleetFailed
from .history import NoHistory
from .plans import BadPlan, Outcome, Plan, code_of
from .runs import Event

#: Exit codes (DESIGN section 8).
_ERROR, _CHANGES, _STALE, _UNKNOWN = 1, 2, 3, 4

File = Annotated[Path, typer.Option("--file", "-f", help="The fleet file.", envvar="LDFLEET_FILE")]
Limit = Annotated[str | None, typer.Option("--limit", "-l", help="Only these hosts (a pattern of Ansible's).")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for machines.")]
Extra = Annotated[list[str] | None, typer.Option("--extra", "-e", help="NAME=VALUE for a variable that the file uses.")]
Vault = Annotated[Path | None, typer.Option("--vault-password-file", help="The file that opens vaulted values; - asks for the password.")]
Forks = Annotated[int, typer.Option(min=1, max=1000, help="Hosts at once.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
MaxDestroy = Annotated[
    str | None, typer.Option("--max-destroy", help="In place of the file's max_destroy: a number, or a percentage such as 10%.")
]

FILE = Path("fleet.yml")
#: Says the first port of simulated hosts to both verbs that need it, where the usual one is taken.
SIM_PORT = "LDFLEET_SIM_PORT"


def fleet_of(
    file: Path,
    limit: str | None = None,
    extra: list[str] | None = None,
    vault: Path | None = None,
    forks: int = 50,
    max_destroy: str | None = None,
) -> Fleet:
    """The fleet that the options name."""
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not there; `ldfleet init` makes one", param_hint="--file")
    variables: dict[str, Any] = {}
    for item in extra or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{item!r} is not NAME=VALUE", param_hint="--extra")
        variables[name] = value
    if max_destroy is not None:
        variables["ldplayer_max_destroy"] = max_destroy
    return Fleet(file, variables, vault_password=_vault(vault), limit=limit, forks=forks)


def _vault(file: Path | None) -> str | None:
    if file is None:
        return None
    if str(file) == "-":
        return str(typer.prompt("Vault password", hide_input=True, err=True))
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--vault-password-file") from error


@contextmanager
def failures(as_json: bool) -> Iterator[None]:
    """Whatever goes wrong is told in a line each, and sets the exit code."""
    try:
        yield
    except FleetFailed as failed:
        if as_json:
            print_json({"faults": [vars(fault) for fault in failed.faults], "code": code_of(failed.faults, False)})
        else:
            show.faults(failed.faults, show.console(stderr=True))
        raise typer.Exit(code_of(failed.faults, False)) from failed
    except BadPlan as bad:
        typer.echo(f"error: {bad}", err=True)
        raise typer.Exit(_STALE) from bad
    except (NoHistory, project.BadProject, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_ERROR) from error


def print_json(data: object) -> None:
    """The whole answer of a verb, for machines."""
    typer.echo(json.dumps(data, indent=1, sort_keys=True, default=str))


def progress(quiet: bool) -> Callable[[Event], None]:
    """What is going on, on standard error."""
    to = show.console(stderr=True)
    return show.progress(lambda line: None if quiet else to.print(line, style="dim", markup=False, soft_wrap=True))


def validate(file: File = FILE, extra: Extra = None, vault: Vault = None, as_json: Json = False) -> None:
    """Check a fleet file without contacting any host."""
    with failures(as_json):
        found = fleet_of(file, None, extra, vault).validate()
    pools = {name: pool["replicas"] for name, pool in found.pools.items()}
    if as_json:
        print_json({"hosts": sorted(found.hosts), "pools": pools, "code": 0})
        return
    told = ", ".join(f"{name} ({count})" for name, count in pools.items()) or "none"
    typer.echo(f"{file} is right: {show.counted(len(found.hosts), 'host')}; pools: {told}")


def plan(
    file: File = FILE,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Save the plan here, for `ldfleet apply`.")] = None,
    limit: Limit = None,
    extra: Extra = None,
    vault: Vault = None,
    max_destroy: MaxDestroy = None,
    forks: Forks = 50,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what would be done, and do nothing. Exit code 0 in sync, 2 with changes."""
    with failures(as_json):
        found = fleet_of(file, limit, extra, vault, forks, max_destroy).plan(watch=progress(quiet or as_json))
        if out is not None:
            found.save(out)
    _tell_plan(found, as_json)
    if out is not None and not as_json:
        typer.echo(f"Saved in {out}; `ldfleet apply {out}` carries out exactly this.")
    raise typer.Exit(_plan_code(found))


def _tell_plan(found: Plan, as_json: bool) -> None:
    if as_json:
        print_json(found.json())
    else:
        show.plan(found, show.console())


def _plan_code(found: Plan) -> int:
    if found.faults:
        return code_of(found.faults, bool(found.steps))
    return _CHANGES if found.steps else 0


def apply(
    saved: Annotated[Path | None, typer.Argument(metavar="PLAN", help="A saved plan; without it, what the file says now.")] = None,
    file: File = FILE,
    limit: Limit = None,
    extra: Extra = None,
    vault: Vault = None,
    max_destroy: MaxDestroy = None,
    forks: Forks = 50,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring the fleet to what is declared. Ctrl-C lets the hosts finish what they are at; a second one ends at once."""
    with failures(as_json):
        made = plans.load(saved) if saved is not None else None
        fleet = fleet_of(file, limit, extra, vault, forks, max_destroy)
        result = _waited(fleet.apply(made, watch=progress(quiet or as_json)))
    _tell_outcome(result, as_json)


def restart(
    names: Annotated[list[str], typer.Argument(help="Pools, or single replicas.")],
    file: File = FILE,
    extra: Extra = None,
    vault: Vault = None,
    forks: Forks = 50,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Restart pools or replicas, no more at once than update.max_unavailable allows."""
    with failures(as_json):
        result = _waited(fleet_of(file, None, extra, vault, forks).restart(names, watch=progress(quiet or as_json)))
    _tell_outcome(result, as_json)


def _tell_outcome(result: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(result.json())
    else:
        show.outcome(result, show.console())
    raise typer.Exit(result.code)


def _waited(applying: Applying) -> Outcome:
    """The outcome. The first SIGINT (or SIGTERM) ends the run cleanly, the second one kills it."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, lambda *_: applying.cancel(0))
        signal.signal(signal.SIGTERM, lambda *_: applying.cancel(0))
        typer.echo("ending: hosts finish what they are at (once more to end at once)", err=True)
        applying.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while True:
            try:
                return applying.wait(0.5)
            except TimeoutError:
                continue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def status(
    file: File = FILE,
    emulators: Annotated[bool, typer.Option("--emulators", "-a", help="Every emulator too.")] = False,
    watch: Annotated[float | None, typer.Option("--watch", "-w", min=1, help="Look again every so many seconds, until Ctrl-C.")] = None,
    limit: Limit = None,
    extra: Extra = None,
    vault: Vault = None,
    forks: Forks = 50,
    as_json: Json = False,
) -> None:
    """How pools and hosts stand."""
    with failures(as_json):
        fleet = fleet_of(file, limit, extra, vault, forks)
        found = fleet.status()
        if watch is not None:
            _watch(fleet, found, emulators, watch)
            return
    if as_json:
        print_json(found.json())
    else:
        show.status(found, show.console(), emulators)
    raise typer.Exit(_UNKNOWN if any(host.problem for host in found.hosts.values()) else code_of(found.faults, True))


def _watch(fleet: Fleet, first: Plan, emulators: bool, seconds: float) -> None:
    to = show.console()

    def screen(found: Plan) -> str:
        with to.capture() as captured:
            show.status(found, to, emulators)
            to.print(time.strftime("%H:%M:%S") + ", Ctrl-C ends", style="dim")
        return captured.get()

    from rich.text import Text

    try:
        with Live(Text.from_ansi(screen(first)), console=to, auto_refresh=False) as live:
            while True:
                time.sleep(seconds)
                live.update(Text.from_ansi(screen(fleet.status())), refresh=True)
    except KeyboardInterrupt:
        return


def drift(
    file: File = FILE,
    extra: Extra = None,
    vault: Vault = None,
    forks: Forks = 50,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what has come away from what was applied last. Exit code 0 where nothing has, 2 where something has."""
    with failures(as_json):
        found = fleet_of(file, None, extra, vault, forks).drift(watch=progress(quiet or as_json))
    _tell_plan(found, as_json)
    raise typer.Exit(_plan_code(found))


rollout = typer.Typer(help="Go back to a state that was applied before.", no_args_is_help=True)


@rollout.command("history")
def history(file: File = FILE, as_json: Json = False) -> None:
    """The last ten states of the file that were applied without a fault."""
    entries = fleet_of(file).history.entries()
    if as_json:
        print_json([{"number": entry.number, "applied": entry.applied.isoformat()} for entry in entries])
        return
    now = file.read_text(encoding="utf-8")
    for entry in entries:
        mark = "  now" if entry.path.read_text(encoding="utf-8") == now else ""
        typer.echo(f"{entry.number:4}  {entry.applied.astimezone():%Y-%m-%d %H:%M:%S}{mark}")
    if not entries:
        typer.echo("nothing was applied yet")


@rollout.command("undo")
def undo(
    file: File = FILE,
    to: Annotated[int | None, typer.Option("--to", help="The number of the state, from `rollout history`.")] = None,
) -> None:
    """Put an earlier state back into the fleet file. Hosts are brought to it by `ldfleet apply`."""
    with failures(False):
        entry = fleet_of(file).history.undo(to)
    typer.echo(
        f"{file} is state {entry.number} again, applied {entry.applied.astimezone():%Y-%m-%d %H:%M:%S}. See `ldfleet plan`, then `ldfleet apply`."
    )


def init(
    folder: Annotated[Path, typer.Argument(help="Where to make it.")] = Path("."),
    port: Annotated[
        int, typer.Option(min=1, max=65000, envvar=SIM_PORT, help="Port of the first simulated host, as for `ldfleet sim`.")
    ] = project.SIM_PORT,
) -> None:
    """Make a project: a fleet file that works at once against `ldfleet sim`."""
    with failures(False):
        made = project.init(folder, port)
    for path in made:
        typer.echo(f"made {path}")
    here = "" if folder == Path(".") else f"cd {folder} && "
    typer.echo(f"Next: `{here}ldfleet sim` in one terminal, `{here}ldfleet plan` and `ldfleet apply` in another.")


hosts = typer.Typer(help="The hosts of a fleet file.", no_args_is_help=True)


@hosts.command("list")
def hosts_list(file: File = FILE, as_json: Json = False) -> None:
    """The hosts, with their labels and capacity."""
    with failures(as_json):
        found = project.hosts(file)
    if as_json:
        print_json(found)
        return
    show.host_list(found, show.console())


@hosts.command("add")
def hosts_add(
    name: Annotated[str, typer.Argument(help="Its name in the fleet.")],
    address: Annotated[str | None, typer.Option("--address", help="Its address (ansible_host).")] = None,
    emulators: Annotated[int | None, typer.Option("--emulators", min=0, help="How many emulators it may carry.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE, more than once.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Its port, where it is not that of all hosts.")] = None,
    file: File = FILE,
) -> None:
    """Write a host into the file; comments and order of the rest stay."""
    with failures(False):
        project.add_host(file, name, _said(ansible_host=address, ansible_port=port), emulators, _labels(label or ()))
    typer.echo(f"{name} is in {file}. See whether it answers: `ldfleet hosts test {name}`.")


def _said(**words: object) -> dict[str, object]:
    return {word: value for word, value in words.items() if value is not None}


def _labels(written: Sequence[str]) -> dict[str, str]:
    wrong = next((item for item in written if not all(item.partition("="))), None)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong!r} is not NAME=VALUE", param_hint="--label")
    return dict(item.split("=", 1) for item in written)


@hosts.command("remove")
def hosts_remove(name: Annotated[str, typer.Argument(help="Its name in the fleet.")], file: File = FILE) -> None:
    """Take a host out of the file. What is on it stays there; `drain: true` first empties it."""
    with failures(False):
        project.remove_host(file, name)
    typer.echo(f"{name} is out of {file}; nothing was done on it.")


@hosts.command("test")
def hosts_test(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST]...", help="Which hosts, or patterns of Ansible's; all without it.")
    ] = None,
    file: File = FILE,
    extra: Extra = None,
    vault: Vault = None,
    forks: Forks = 50,
    as_json: Json = False,
) -> None:
    """How hosts are reached, and whether they can be worked with. Exit code 1 where a host fails."""
    with failures(as_json):
        found = dict(sorted(fleet_of(file, ",".join(names) if names else None, extra, vault, forks).test().items()))
    if as_json:
        print_json({name: show.tested(host) for name, host in found.items()})
    else:
        show.tests(found, show.console())
    raise typer.Exit(_ERROR if any(host.status in ("failed", "unreachable") for host in found.values()) else 0)


def import_(
    file: File = FILE,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write another file instead of this one.")] = None,
    only: Annotated[str, typer.Option("--only", help="Only emulators with such titles (* and ? stand for anything).")] = "*",
    adopt: Annotated[bool, typer.Option("--adopt/--no-adopt", help="Adopt them at once, so that the file's plan is empty.")] = True,
    extra: Extra = None,
    vault: Vault = None,
    quiet: Quiet = False,
) -> None:
    """Write what the file's hosts have into it: profiles found by equal settings, and their emulators. No emulator is touched."""
    with failures(False):
        fleet = fleet_of(file, None, extra, vault)
        seen = fleet.status(watch=progress(quiet))
        show.faults(seen.faults, show.console(stderr=True))
        taken = project.names(file)
        pools = set(taken.pop(""))
        members = {
            name: [*taken.get(name, ()), *(str(e["name"]) for e in host.emulators if str(e["name"]).rpartition("-")[0] in pools)]
            for name, host in seen.hosts.items()
        }
        found = importing.imported(seen.hosts, only, members, project.profiles(file))
        project.add_emulators(file, out or file, found.defaults, found.profiles, found.entries)
        what, where, alike = (
            show.counted(number, word)
            for number, word in ((found.count, "emulator"), (len(found.entries), "host"), (len(found.profiles), "profile"))
        )
        typer.echo(f"imported into {out or file}: {what} of {where}, {alike}")
        for reason in found.left:
            typer.echo(f"left out: {reason}", err=True)
        if not adopt or not found.count:
            return
        result = _waited(replace(fleet, path=out or file).apply(watch=progress(quiet)))
    _tell_outcome(result, False)
