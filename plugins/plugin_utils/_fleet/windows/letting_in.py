# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the roles winrm and ssh tell the script that lets controllers in, from what their user wrote, and what is wrong with that. Pure; the rules of each
value are in door.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..words import door
from ..words.errors import BadOption
from ..words.options import shown

_T = TypeVar("_T")
_CONTROLLERS_WANTED = (
    "a list of addresses and networks that may connect is wanted, such as [10.0.0.5, 10.0.1.0/28]; the firewall lets in no others"
)


def order(said: Mapping[str, Any], role: str) -> tuple[dict[str, Any], list[BadOption]]:
    """The script's table Fleet, and every fault by the name of its variable, such as ``winrm_controllers[1]``.

    ``said``: account and controllers, with winrm port, names and thumbprint, with ssh key. A value with a fault is left out of the table, or empty.
    """
    problems: list[BadOption] = []
    told = {name: value for name, value in said.items() if name != "thumbprint" or value != ""}
    controllers = _each(door.controller, said["controllers"], f"{role}_controllers", _CONTROLLERS_WANTED, problems)
    if said["controllers"] == []:
        problems.append(BadOption(f"{role}_controllers", "is empty", _CONTROLLERS_WANTED))
    table = {
        "Account": _account(said["account"], f"{role}_account", problems),
        "Port": _one(_port, told["port"], f"{role}_port", problems) or 0 if "port" in told else door.SSH_PORT,
        "Controllers": list(dict.fromkeys(controllers)),
        "Names": _each(door.host_name, told.get("names", []), f"{role}_names", "a list of names and addresses is wanted", problems),
        "Thumbprint": _one(door.thumbprint, told["thumbprint"], f"{role}_thumbprint", problems) or "" if "thumbprint" in told else "",
        "Key": _one(door.public_key, told["key"], f"{role}_key", problems) or "" if "key" in told else "",
        "Variables": [],
    }
    return table, problems


def _account(value: Any, where: str, problems: list[BadOption]) -> str:
    if value == "":
        problems.append(BadOption(where, "is empty", "a local account is wanted, which a way without ansible_user does not tell"))
        return ""
    return _one(door.account, value, where, problems) or ""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise door.BadValue(f"{text!r} is no port")
    return door.port(int(text))


def _one(check: Callable[[str], _T], value: Any, where: str, problems: list[BadOption]) -> _T | None:
    """The value as Windows has it; None where it is none. Numbers are texts, as Ansible's ``elements: str`` takes them."""
    try:
        return check(value if isinstance(value, str) else str(value))
    except door.BadValue as bad:
        problems.append(BadOption(where, f"cannot be used: {bad}"))
        return None


def _each(check: Callable[[str], str], values: Any, where: str, wanted: str, problems: list[BadOption]) -> list[str]:
    """A text is a list of letters to Ansible's filters, and some letters are addresses to Windows; so it is no list here."""
    if not isinstance(values, list | tuple):
        problems.append(BadOption(where, f"is {shown(values)}", wanted))
        return []
    found = [_one(check, value, f"{where}[{number}]", problems) for number, value in enumerate(values)]
    return [value for value in found if value is not None]
