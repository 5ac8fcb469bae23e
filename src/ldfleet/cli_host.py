"""Verbs about Windows machines rather than emulators. Words and exit codes only; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from . import bootstrap as room
from . import door, project, show, show_doctor
from .cli_fleet import FILE, Extra, File, Forks, Json, Quiet, Vault, failures, fleet_of, print_json, progress

_T = TypeVar("_T")


def bootstrap(
    controller: Annotated[
        list[str] | None, typer.Option("--controller", "-c", help="An address or a network of the controllers, more than once.")
    ] = None,
    ssh: Annotated[bool, typer.Option("--ssh", help="OpenSSH in place of WinRM.")] = False,
    key: Annotated[Path | None, typer.Option("--key", help="With --ssh: the file of the controller's public key.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="The local account to connect with; by default, ansible_user of the fleet file.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="WinRM's port for HTTPS; by default, that of the fleet file, or 5986.")
    ] = None,
    thumbprint: Annotated[
        str | None, typer.Option("--thumbprint", help="A certificate that the host has, in place of one that the script makes.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="One more name or address of the host, for its certificate; more than once.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the script to this file instead of standard output.")] = None,
    file: File = FILE,
) -> None:
    """Write the PowerShell script that lets the controllers into a Windows machine. It has no secret."""
    said = _said(file, account is not None)
    if not controller:
        raise typer.BadParameter("say which addresses may connect; the firewall lets in no others", param_hint="--controller")
    order = room.Order(
        account=_account(account, said, file),
        controllers=tuple(dict.fromkeys(_checked(door.controller, controller, "--controller"))),
        port=_port(port, said, ssh),
        names=tuple(_checked(door.host_name, name or (), "--name")),
        thumbprint="".join(_checked(door.thumbprint, [thumbprint] if thumbprint is not None else (), "--thumbprint")),
        key=_key(key, ssh, thumbprint is not None or bool(name)),
    )
    text = room.script(order)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="ascii", newline="\r\n")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from error
    typer.echo(f"{out} is for an elevated PowerShell on the host: first `{out.name} -Check`, which only tells, then without it.")


def doctor(
    names: Annotated[list[str] | None, typer.Argument(help="Which hosts; all of the file.")] = None,
    file: File = FILE,
    extra: Extra = None,
    vault: Vault = None,
    forks: Forks = 50,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what stands in LDPlayer's way on the hosts, what it costs and what cures it. Nothing is changed. Exit code 0 where nothing does, 2 where something
    does."""
    with failures(as_json):
        found = fleet_of(file, ",".join(names) if names else None, extra, vault, forks).doctor(progress(quiet or as_json))
    if as_json:
        print_json(found.json())
    else:
        show_doctor.checkup(found, show.console())
    raise typer.Exit(found.code)


def _said(file: Path, enough: bool) -> Mapping[str, Any]:
    """The variables of the fleet file; none where there is no file and the options are enough."""
    if enough and not file.is_file():
        return {}
    try:
        return project.variables(file)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{file} is not there; `ldfleet init` makes one, or give --account", param_hint="--file") from error
    except (project.BadProject, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--file") from error


def _account(given: str | None, said: Mapping[str, Any], file: Path) -> str:
    if given is not None:
        return _only(_checked(door.account, [given], "--account"))
    found = said.get("ansible_user")
    if not isinstance(found, str):
        raise typer.BadParameter(f"{file} does not say ansible_user in its vars; give the account", param_hint="--account")
    return _only(_checked(door.account, [found], f"{file}: vars.ansible_user"))


def _port(given: int | None, said: Mapping[str, Any], ssh: bool) -> int:
    if ssh:
        if given not in (None, door.SSH_PORT):
            raise typer.BadParameter(f"sshd listens at {door.SSH_PORT}, and the script does not change that", param_hint="--port")
        return door.SSH_PORT
    found = said.get("ansible_port") if said.get("ansible_connection") != "ssh" else None
    with _told("--port"):
        return door.port(next((port for port in (given, found) if isinstance(port, int)), door.HTTPS_PORT))


def _key(file: Path | None, ssh: bool, certificate: bool) -> str:
    if not ssh:
        if file is not None:
            raise typer.BadParameter("a key is for --ssh", param_hint="--key")
        return ""
    if certificate:
        raise typer.BadParameter("there is no certificate with it: --thumbprint and --name are for WinRM", param_hint="--ssh")
    if file is None:
        raise typer.BadParameter("--ssh wants the file of the controller's public key, such as ~/.ssh/id_ed25519.pub", param_hint="--key")
    try:
        text = file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {getattr(error, 'strerror', 'it is no text')}", param_hint="--key") from error
    with _told("--key"):
        return door.public_key(text)


def _checked(check: Callable[[str], _T], values: Iterable[str], hint: str) -> list[_T]:
    with _told(hint):
        return [check(value) for value in values]


def _only(values: list[_T]) -> _T:
    (value,) = values
    return value


@contextmanager
def _told(hint: str) -> Iterator[None]:
    try:
        yield
    except door.BadValue as bad:
        raise typer.BadParameter(str(bad), param_hint=hint) from bad
