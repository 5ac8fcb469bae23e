"""The script that lets a fleet's controllers into a Windows machine: ``bootstrap.ps1`` beside this file, filled in. Values in, text out.

What a person writes is checked in door.py, and reaches PowerShell as single-quoted literals of printable ASCII only: Windows PowerShell reads a file without
a byte order mark as ANSI, and takes typographic quotes for quotes. No secret is among it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import door

_TEMPLATE = Path(__file__).with_suffix(".ps1")
_REGION = r"^ *#region {}\n.*?^ *#endregion\n"
_MARKS = re.compile(r"^ *#(?:region \w+|endregion)\n", re.MULTILINE)


@dataclass(frozen=True)
class Order:
    """What the script is to do, in checked values. ``key``: the controller's public key, and then the way is SSH, else WinRM over HTTPS.

    ``controllers``: addresses and networks. ``names``: further names of the host in its certificate. ``thumbprint``: of a certificate that it has, or "".
    """

    account: str
    controllers: tuple[str, ...]
    port: int = door.HTTPS_PORT
    names: tuple[str, ...] = ()
    thumbprint: str = ""
    key: str = ""


def script(order: Order) -> str:
    """The script for one way in, as ASCII text with newlines."""
    text = re.sub(
        _REGION.format("winrm" if order.key else "ssh"), "", _TEMPLATE.read_text(encoding="ascii"), flags=re.MULTILINE | re.DOTALL
    )
    text = re.sub(_REGION.format("settings"), lambda _: _settings(order), text, flags=re.MULTILINE | re.DOTALL)
    return _MARKS.sub("", text)


def _settings(order: Order) -> str:
    values = {
        "Account": literal(order.account),
        "Port": str(order.port),
        "Controllers": _literals(order.controllers),
        "Names": _literals(order.names),
        "Thumbprint": literal(order.thumbprint),
        "Key": literal(order.key),
        "Variables": _literals(variables(order)),
    }
    return "$fleet = @{\n" + "".join(f"    {name} = {value}\n" for name, value in values.items()) + "}\n"


def variables(order: Order) -> tuple[str, ...]:
    """The lines of a fleet file by which hosts are reached after the script has run there."""
    if order.key:
        own = ["ansible_connection: ssh", "ansible_shell_type: powershell"]
    else:
        own = ["ansible_connection: winrm", "ansible_winrm_transport: ntlm", "ansible_winrm_server_cert_validation: validate"]
        own += [] if order.thumbprint else ['ansible_winrm_ca_trust_path: "{{ inventory_dir }}/hosts.pem"']
        own += ["ansible_password: \"{{ lookup('ansible.builtin.env', 'LDFLEET_PASSWORD') }}\""]
    return ("vars:", *(f"  {line}" for line in (*own, f"ansible_port: {order.port}", f"ansible_user: {json.dumps(order.account)}")))


def literal(text: str) -> str:
    """A PowerShell literal that is exactly this text. Raises BadValue where it has anything but printable ASCII."""
    return "'" + door.printable(text).replace("'", "''") + "'"


def _literals(texts: Iterable[str]) -> str:
    return f"@({', '.join(map(literal, texts))})"
