"""The script that lets a fleet's controllers into a Windows machine: ``bootstrap.ps1`` beside this file, filled in. Values in, text out.

What a person writes is checked here, and reaches PowerShell as single-quoted literals of printable ASCII only: Windows PowerShell reads a file without
a byte order mark as ANSI, and takes typographic quotes for quotes. No secret is among it.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: WinRM's port for HTTPS and for plain HTTP, and sshd's.
HTTPS_PORT, HTTP_PORT, SSH_PORT = 5986, 5985, 22

_TEMPLATE = Path(__file__).with_suffix(".ps1")
_REGION = r"^ *#region {}\n.*?^ *#endregion\n"
_MARKS = re.compile(r"^ *#(?:region \w+|endregion)\n", re.MULTILINE)
#: What no name of a Windows account has (learn.microsoft.com, New-LocalUser -Name), which has at most 20 characters.
_NO_ACCOUNT = re.compile(r'["/\\\[\]:;|=,+*?<>@%]')
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE)
_KEY_KINDS = re.compile(r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com")


class BadValue(ValueError):
    """A value that a person wrote and that cannot be used; the text says why."""


@dataclass(frozen=True)
class Order:
    """What the script is to do, in checked values. ``key``: the controller's public key, and then the way is SSH, else WinRM over HTTPS.

    ``controllers``: addresses and networks. ``names``: further names of the host in its certificate. ``thumbprint``: of a certificate that it has, or "".
    """

    account: str
    controllers: tuple[str, ...]
    port: int = HTTPS_PORT
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
    if not all(" " <= letter <= "~" for letter in text):
        raise BadValue(f"{text!r} has something other than printable ASCII characters")
    return "'" + text.replace("'", "''") + "'"


def _literals(texts: Iterable[str]) -> str:
    return f"@({', '.join(map(literal, texts))})"


def account(text: str) -> str:
    """The name of a local account of Windows."""
    literal(text)
    if not text.strip(" .") or text != text.strip() or text.endswith(".") or len(text) > 20 or _NO_ACCOUNT.search(text) or "{{" in text:
        raise BadValue(f"{text!r} is no name of a local Windows account (at most 20 characters, without domain)")
    return text


def controller(text: str) -> str:
    """An address or a network, such as 10.0.0.5 or 10.0.0.0/28, as Windows' firewall writes it."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise BadValue(f"{text!r} is no address and no network, such as 10.0.0.5 or 10.0.0.0/28 ({error})") from error
    if getattr(network.network_address, "scope_id", None):
        raise BadValue(f"{text!r} has a zone, which Windows' firewall does not take")
    if network.network_address.is_unspecified or network.is_multicast:
        raise BadValue(f"{text!r} is not what a controller can have")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def thumbprint(text: str) -> str:
    """A certificate's thumbprint as Windows writes it; spaces and colons between the digits do not matter."""
    digits = re.sub(r"[ :]", "", text).upper()
    if not re.fullmatch(r"[0-9A-F]{40}", digits):
        raise BadValue(f"{text!r} is no thumbprint: 40 hexadecimal digits are wanted")
    return digits


def host_name(text: str) -> str:
    """A name or an address of a host, for its certificate."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not _NAME.fullmatch(text):
            raise BadValue(f"{text!r} is no host name and no address") from None
    return text


def public_key(text: str) -> str:
    """One public key of OpenSSH's, from the text of its file."""
    lines = [line for line in text.splitlines() if line.strip()]
    if "PRIVATE KEY" in text:
        raise BadValue("this is the private half, which never leaves the controller; the public one is in the file that ends in .pub")
    kind, _, rest = lines[0].strip().partition(" ") if len(lines) == 1 else ("", "", "")
    body, _, comment = rest.partition(" ")
    if not _KEY_KINDS.fullmatch(kind) or not _holds(body, kind):
        raise BadValue("this is no public key of OpenSSH's: one line such as `ssh-ed25519 AAAA… name` is wanted")
    literal(comment)
    return f"{kind} {body} {comment}".strip()


def _holds(body: str, kind: str) -> bool:
    """Whether a key's base64 begins with its kind, as its length and its text (RFC 4253, 6.6)."""
    try:
        found = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    return found.startswith(len(kind).to_bytes(4, "big") + kind.encode("ascii"))
