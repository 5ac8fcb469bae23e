# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what a user wrote against the option spec of a module's sidecar, and names each fault by its path.

The spec is the ``options`` mapping of ``plugins/modules/NAME.yml``; this file knows types, not emulators. Ansible's own
validator knows no list positions (``emulators.memory`` for every entry), so that a user with 40 entries would search.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadOption, BadOptions

Spec = Mapping[str, Mapping[str, Any]]

_TRUE = frozenset({"yes", "on", "true", "1"})
_FALSE = frozenset({"no", "off", "false", "0"})
_SHOWN = 80


def checked(
    spec: Spec, given: Mapping[str, Any], taker: Mapping[str, str] | None = None, where: str = "", templates: bool = False
) -> dict[str, Any]:
    """Return ``given`` with every value in the type that the spec says; options not given have their default, or None.

    ``taker`` names who takes an option, for the message (``memory`` -> ``LDPlayer``). ``where`` is the path of ``given`` itself.
    ``templates``: strings with a template pass as they are, since what they stand for is not known yet.
    Raises BadOptions, which holds every fault found.
    """
    problems: list[BadOption] = []
    values = _mapping(spec, given, _Judge(taker or {}, templates), where, problems)
    if problems:
        raise BadOptions(problems)
    return values


@dataclass(frozen=True)
class _Judge:
    taker: Mapping[str, str]
    templates: bool


def is_template(value: object) -> bool:
    """Whether Ansible would fill in something here."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def shown(value: object) -> str:
    """A user's or host's value for a message: quoted, control characters escaped, cut when it is long."""
    text = str(value) if isinstance(value, int | float) else _quoted(str(value)) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _quoted(text: str) -> str:
    """Paths of Windows as they are written: their backslashes alone are no reason to escape."""
    return f"'{text}'" if text.isprintable() and "'" not in text else repr(text)


def _mapping(spec: Spec, given: Mapping[str, Any], judge: _Judge, where: str, problems: list[BadOption]) -> dict[str, Any]:
    aliases = {alias: name for name, option in spec.items() for alias in option.get("aliases", ())}
    values: dict[str, Any] = {}
    for written, value in given.items():
        name = aliases.get(written, written)
        if name not in spec:
            near = difflib.get_close_matches(str(written), [*spec, *aliases], n=1)
            advice = f"did you mean {near[0]}?" if near else f"options are {', '.join(sorted(spec))}"
            problems.append(BadOption(_path(where, written), "is not an option", advice))
        elif value is not None:
            values[name] = _value(spec[name], value, judge.taker.get(name, "it"), judge, _path(where, written), problems)
    for name, option in spec.items():
        if name not in values:
            if option.get("required"):
                problems.append(BadOption(_path(where, name), "is missing", "it is required"))
            else:
                values[name] = option.get("default")
    return values


def _path(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _value(option: Mapping[str, Any], value: object, subject: str, judge: _Judge, where: str, problems: list[BadOption]) -> Any:
    if judge.templates and is_template(value):
        return value
    kind = option.get("type", "str")
    if kind == "list":
        items = value if isinstance(value, list | tuple) else [value]
        element = {"type": option.get("elements", "str"), "suboptions": option.get("suboptions"), "choices": option.get("choices")}
        return [_value(element, item, subject, judge, f"{where}[{position}]", problems) for position, item in enumerate(items)]
    if kind == "dict":
        if not isinstance(value, Mapping):
            problems.append(BadOption(where, f"is {shown(value)}", "a mapping of options is wanted"))
            return {}
        inner = option.get("suboptions")
        return _mapping(inner, value, judge, where, problems) if inner else dict(value)
    if isinstance(value, bool) and option.get("choices"):
        # YAML 1.1 reads the bare word off as false.
        value = next((word for word in option["choices"] if word in (_TRUE if value else _FALSE)), value)
    try:
        result = _SCALARS[kind](value)
    except (ValueError, TypeError, OverflowError):
        problems.append(BadOption(where, f"is {shown(value)}", f"{_NAMES[kind]} is wanted"))
        return None
    choices = option.get("choices")
    if choices and result not in choices:
        near = difflib.get_close_matches(str(result), [str(choice) for choice in choices], n=1) if kind == "str" else []
        advice = f"{subject} takes one of {', '.join(str(choice) for choice in choices)}"
        problems.append(BadOption(where, f"is {shown(result)}", advice + (f" (did you mean {near[0]}?)" if near else "")))
    return result


def _text(value: object) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    if isinstance(value, float) and value != int(value):
        raise ValueError(value)
    return int(value)


def _decimal(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    number = float(value)
    if number - number != 0:  # no number, or without end
        raise ValueError(value)
    return number


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(value)


_SCALARS: Mapping[str, Callable[[object], Any]] = {
    "str": _text,
    "path": _text,
    "int": _whole,
    "float": _decimal,
    "bool": _truth,
    "raw": lambda value: value,
}
_NAMES = {"str": "text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "true or false", "raw": "a value"}
