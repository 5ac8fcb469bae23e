"""How a module's arguments are read: kinds, defaults, choices, and what must be said together. Values in, values out.

Two readers: Ansible.Basic's, which most modules use, and the older one of Ansible.ModuleUtils.Legacy (``Spec.legacy``), which lets unknown words pass.
What each says of a mistake follows ansible-core 2.19.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TRUE, _FALSE = ("y", "yes", "on", "1", "true", "t", "1.0"), ("n", "no", "off", "0", "false", "f", "0.0")
#: What a value of Ansible's is called in PowerShell.
_DOTNET = {bool: "System.Boolean", int: "System.Int32", float: "System.Decimal", str: "System.String", list: "System.Object[]"}
#: What Ansible puts in the place of a secret.
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class Failed(Exception):
    """A module that fails; the text is its message, and ``more`` stands beside it."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.more = more


@dataclass(frozen=True)
class Option:
    """One argument. ``kind``: str, path, bool, int, list (of texts), dict, raw. ``secret``: it is never told."""

    kind: str = "str"
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class Spec:
    """A module's arguments. ``required_if``: option, value, what must be said then. ``one_of``, ``exclusive``: of these one must, only one may be said.
    ``by``: options that want others beside them."""

    options: Mapping[str, Option]
    legacy: bool = False
    required_if: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    by: Mapping[str, tuple[str, ...]] | None = None


def read(spec: Spec, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Every option with its value (None: not said, and without a default). Raises Failed."""
    said = {name: value for name, value in arguments.items() if not name.startswith("_ansible_")}
    found = _named(spec, module, said)
    _together(spec, found)
    for name, option in spec.options.items():
        value = found.get(name)
        if value is not None:
            found[name] = _chosen(spec, name, option, _converted(spec, name, option, value))
    return _filled(spec, found)


def hidden(spec: Spec, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as Ansible shows them."""
    return {name: HIDDEN if spec.options[name].secret and value is not None else value for name, value in parameters.items()}


def _named(spec: Spec, module: str, said: Mapping[str, Any]) -> dict[str, Any]:
    names = {word.lower(): name for name, option in spec.options.items() for word in (name, *option.aliases)}
    unknown = [name for name in said if name.lower() not in names]
    if unknown and not spec.legacy:
        known = ", ".join((*spec.options, *(alias for option in spec.options.values() for alias in option.aliases)))
        raise Failed(f"Unsupported parameters for ({module}) module: {', '.join(unknown)}. Supported parameters include: {known}")
    return {names[name.lower()]: value for name, value in said.items() if name.lower() in names and value is not None}


def _together(spec: Spec, found: Mapping[str, Any]) -> None:
    for group in spec.exclusive:
        if sum(name in found for name in group) > 1:
            raise Failed(f"parameters are mutually exclusive: {', '.join(group)}")
    missing = [name for name, option in spec.options.items() if option.required and name not in found]
    if missing and spec.legacy:
        raise Failed(f"Get-AnsibleParam: Missing required argument: {missing[0]}")
    if missing:
        raise Failed(f"missing required arguments: {', '.join(missing)}")


def _filled(spec: Spec, found: dict[str, Any]) -> dict[str, Any]:
    """With defaults, and what they make necessary."""
    filled = {name: found.get(name, option.default) for name, option in spec.options.items()}
    for group in spec.one_of:
        if all(filled[name] is None for name in group):
            raise Failed(f"one of the following is required: {', '.join(group)}")
    for name, value, wanted in spec.required_if:
        missing = [other for other in wanted if filled[other] is None]
        if filled[name] == value and missing:
            raise Failed(f"{name} is {value} but all of the following are missing: {', '.join(missing)}")
    for name, others in (spec.by or {}).items():
        missing = [other for other in others if filled[other] is None]
        if filled[name] is not None and missing:
            raise Failed(f"missing parameter(s) required by '{name}': {', '.join(missing)}")
    return filled


def _converted(spec: Spec, name: str, option: Option, value: Any) -> Any:
    try:
        return _READERS[option.kind](value)
    except ValueError as error:
        if spec.legacy:
            return None if option.kind == "int" else value  # PowerShell's -as gives nothing for what is no number
        kind = _DOTNET.get(type(value), "System.Collections.Hashtable")
        raise Failed(f"argument for {name} is of type {kind} and we were unable to convert to {option.kind}: {error}") from error


def _chosen(spec: Spec, name: str, option: Option, value: Any) -> Any:
    """Choices are taken in any case."""
    if not option.choices:
        return value
    match = next((choice for choice in option.choices if choice.lower() == str(value).lower()), None)
    if match is not None:
        return match
    if spec.legacy:
        raise Failed(f"Get-AnsibleParam: Argument {name} needs to be one of {','.join(option.choices)} but was {value}.")
    raise Failed(f"value of {name} must be one of: {', '.join(option.choices)}. Got no match for: {value}")


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower().strip()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(f"The value '{text}' is not a valid boolean. Valid booleans include: {', '.join((*_TRUE, *_FALSE))}")
    return text in _TRUE


def _number(value: Any) -> int:
    if not re.fullmatch(r"\s*[+-]?\d+\s*", str(value)):
        raise ValueError("Input string was not in a correct format.")
    return int(value)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, int):
        return [value]
    raise ValueError("System.Collections.Hashtable cannot be converted to a list")


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError("string cannot be converted to a dict, must either be a JSON string or in the key=value form")


def path(value: Any) -> str:
    """A path with its environment variables put in; %NAME% of others stays."""
    return re.sub(r"%([^%]+)%", lambda found: ENVIRONMENT.get(found[1].lower(), found[0]), str(value))


def _same(value: Any) -> Any:
    return value


#: Environment variables of a machine, by their name in lower case.
ENVIRONMENT: Mapping[str, str] = {
    "programdata": "C:\\ProgramData",
    "allusersprofile": "C:\\ProgramData",
    "programfiles": "C:\\Program Files",
    "systemroot": "C:\\Windows",
    "windir": "C:\\Windows",
    "systemdrive": "C:",
    "public": "C:\\Users\\Public",
}

_READERS: Mapping[str, Callable[[Any], Any]] = {
    "str": str,
    "path": path,
    "bool": _switch,
    "int": _number,
    "list": _list,
    "dict": _mapping,
    "raw": _same,
}
