# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person may say of the door that bootstrap opens: who comes in, as whom, by which port. Each value is checked, and given as Windows has it. Pure.

The roles winrm and ssh and the verb `ldfleet bootstrap` ask the same; so this file, which stands on the standard library alone, is the package's too, by a
link: neither imports the other, and a rule is said once.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re

#: WinRM's port for HTTPS and for plain HTTP, and sshd's.
HTTPS_PORT, HTTP_PORT, SSH_PORT = 5986, 5985, 22
#: adb's server, and the ports of the emulators 0 to 63: 5554 + 2 x index and the next one. The role windows closes them by a rule that blocks, which wins
#: over any that allows.
ADB_SERVER = 5037
ADB_PORTS = ((ADB_SERVER, ADB_SERVER), (5554, 5682))

#: What no name of a Windows account has (learn.microsoft.com, New-LocalUser -Name), which has at most 20 characters.
_NO_ACCOUNT = re.compile(r'["/\\\[\]:;|=,+*?<>@%]')
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE)
_KEY_KINDS = re.compile(r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com")


class BadValue(ValueError):
    """A value that a person wrote and that cannot be used; the text says why."""


def printable(text: str) -> str:
    """The same text. Raises BadValue where it has anything but printable ASCII, which Windows PowerShell may read as something else."""
    if not all(" " <= letter <= "~" for letter in text):
        raise BadValue(f"{text!r} has something other than printable ASCII characters")
    return text


def account(text: str) -> str:
    """The name of a local account of Windows. Raises BadValue."""
    printable(text)
    if "\\" in text or "@" in text:
        raise BadValue(
            f"'{text}' is no name of a local Windows account but names a domain or a machine, too. A local account alone is wanted, which is made if it is "
            "not there. A domain's account needs no making: where it administers the host, it comes in by the same door"
        )
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


def port(number: int) -> int:
    """A port at which WinRM may listen with HTTPS. Raises BadValue."""
    if not 1 <= number <= 65535:
        raise BadValue(f"{number} is no port")
    if number == HTTP_PORT:
        raise BadValue(f"{number} is WinRM's port for plain HTTP; {HTTPS_PORT} is usual for HTTPS")
    if any(first <= number <= last for first, last in ADB_PORTS):
        said = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ADB_PORTS)
        raise BadValue(
            f"{number} is one of adb's ports ({said}), which the role windows closes to everybody: nobody would come in any more; "
            f"{HTTPS_PORT} is usual for HTTPS"
        )
    return number


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
    printable(comment)
    return f"{kind} {body} {comment}".strip()


def _holds(body: str, kind: str) -> bool:
    """Whether a key's base64 begins with its kind, as its length and its text (RFC 4253, 6.6)."""
    try:
        found = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    return found.startswith(len(kind).to_bytes(4, "big") + kind.encode("ascii"))
