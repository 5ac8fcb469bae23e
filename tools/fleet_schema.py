"""The JSON schema of a fleet file, from the sidecars and the table of settings, so that editors complete and check the file. Values in, a value out.

What the inventory plugin takes passes, and what it refuses for a word alone does not (tests/docs/test_fleet_file.py asks both). It cannot tell whether a
name is that of a profile, host or label of the same file, which words need or exclude each other, and whether a host's own word is a variable or a slip.
And it wants a list where the plugin also takes an only item without its dash.

Draft 7: up to its release 1.19, the language server that editors use for YAML reads nothing newer. Patterns keep to what Python and ECMAScript read alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired, guest
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import ways
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import settings
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.options import Spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.settings import SETTINGS

Schema = dict[str, Any]

#: What Ansible fills in when the file is used, a template or a vaulted value, is judged then.
_FILLED_IN = r"\{\{|\{%|^\s*\$ANSIBLE_VAULT;"

_TITLE = r'[^\s"\u0000-\u001f\u007f-\u009f](?:[^"\u0000-\u001f\u007f-\u009f\u2028\u2029]{0,62}[^\s"\u0000-\u001f\u007f-\u009f])?'
#: The name of another profile. No template, since profiles are worked into each other before anything is filled in.
_NAME: Schema = {"type": ["string", "number", "null"], "not": {"type": "string", "pattern": _FILLED_IN}}
#: Names of pools have letters of any script; ECMAScript's \w has those of one.
_POOL_NAME = r"[^\u0000-/:-@\[-`{-\u007f][^\u0000-,/:-@\[-^`{-\u007f]{0,55}"
_PERCENT = r"0*(?:[1-9]?\d|100)\s*%"
_PERCENT_ABOVE_0 = r"0*(?:[1-9]\d?|100)\s*%"

#: Whole numbers, by the path of their option: the lowest and the highest, None where there is none.
_BOUNDS: Mapping[str, tuple[int, int | None]] = {
    "hosts.capacity.emulators": (0, None),
    "hosts.capacity.cpu": (0, None),
    "hosts.capacity.memory": (0, None),
    "hosts.capacity.disk": (0, None),
    "pools.replicas": (0, desired.COUNT_LIMIT * 10),
    "pools.update.partition": (0, None),
    "pools.update.progress_deadline": (10, 3600),
}

#: Texts, by the path of their option: the pattern, and what is wanted.
_TEXTS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("ways.name", "hosts.ways.name"),
        (ways.NAME.pattern, "a name of at most 63 letters, digits, dots, dashes and underscores, a letter first,"),
    ),
    "emulators.name": (_TITLE, 'a title of at most 64 characters, without " and control characters'),
    "emulators.clone_from": (_TITLE, "the title of an emulator"),
    "emulators.renamed_from": (_TITLE, "the title of an emulator"),
    "emulators.ready.package": (guest.PACKAGE.pattern, "a package name such as com.example.game"),
    "emulators.apps.package": (guest.PACKAGE.pattern, "a package name such as com.example.game"),
    "emulators.apps.sha256": (r"(?:[0-9A-Fa-f]{64})?", "64 hexadecimal digits"),
    "emulators.apps.version": (r"[\x20-\x7e]{1,64}", "a versionName or versionCode of at most 64 plain characters"),
}

#: Words that are read before anything is filled in, by their path: no template can stand for them.
_WRITTEN_OUT = frozenset({f"{where}{word}" for where in ("ways", "hosts.ways") for word in ("", ".name", ".variables")})

#: Numbers of emulators or percentages, by the path of their option: the lowest number, and the percentages.
_SHARES: Mapping[str, tuple[int, str]] = {"pools.update.max_unavailable": (1, _PERCENT_ABOVE_0), "max_destroy": (0, _PERCENT)}


def schema(file: Spec, entry: Spec) -> Schema:
    """Of a fleet file. ``file``: the options of the inventory plugin; ``entry``: those of one emulator."""
    shared, own = of_all(entry), of_entries(entry)
    sections = {
        "vars": _section(True),
        "defaults": {"allOf": [{"$ref": "#/definitions/Defaults"}]},
        "profiles": _section({"$ref": "#/definitions/Profile"}),
        "hosts": _section({"$ref": "#/definitions/Host"}, fleet._HOST_NAME.pattern),
        "emulators": _section({"type": ["array", "null"], "items": {"$ref": "#/definitions/Emulator"}}),
        "pools": _section({"$ref": "#/definitions/Pool"}, _POOL_NAME),
    }
    properties = {name: _told(file[name], made) for name, made in sections.items()}
    properties |= {name: _option(option, name) for name, option in file.items() if name not in (*sections, "plugin")}
    plugin = _told(file["plugin"], {"enum": file["plugin"]["choices"]})
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Fleet file of ldfleet",
        "description": "Hosts, profiles, emulators and pools of an LDPlayer fleet (inventory plugin ldfleet.ldplayer.fleet).",
        "type": "object",
        "properties": {"plugin": plugin, **{name: properties[name] for name in file if name != "plugin"}},
        "required": ["plugin"],
        "additionalProperties": False,
        "definitions": {
            "Defaults": _shared_options(shared),
            "Profile": {
                **_shared_options(shared, {name: _told(option, _NAME) for name, option in file["profiles"]["suboptions"].items()}),
                "description": "A profile: options of an emulator under a name.",
            },
            "Host": _host(file["hosts"]["suboptions"]),
            "Emulator": {
                "description": "An emulator that belongs to this host.",
                "type": "object",
                **_members({name: {"$ref": f"#/definitions/{name}"} for name in own}, own),
            },
            "Pool": {
                "description": "Emulators that are spread over hosts.",
                "type": "object",
                **_members(_options(file["pools"]["suboptions"], "pools"), file["pools"]["suboptions"]),
            },
            **_options(own, "emulators"),
        },
    }


def of_entries(entry: Spec) -> dict[str, Mapping[str, Any]]:
    """Those options of an emulator that an entry of a fleet file takes, in the words of such a file, which has no ``count``."""
    return {name: _without_counts(option) for name, option in entry.items() if name not in desired.TASKS_OWN}


def of_all(entry: Spec) -> dict[str, Mapping[str, Any]]:
    """Those of them that profiles and defaults take."""
    return {name: option for name, option in of_entries(entry).items() if name not in desired.ENTRYS_OWN}


def _without_counts(option: Mapping[str, Any]) -> dict[str, Any]:
    words = option["description"]
    lines = [
        line.replace("emulators[].", "") for line in ([words] if isinstance(words, str) else words) if "O(emulators[].count)" not in line
    ]
    inner = {name: _without_counts(suboption) for name, suboption in (option.get("suboptions") or {}).items()}
    return {**option, "description": lines, **({"suboptions": inner} if inner else {})}


def _section(each: Schema | bool, names: str | None = None) -> Schema:
    """A part of the file. ``each``: what stands under each name; ``names``: their pattern. It is read before anything is filled in."""
    made: Schema = {"type": ["object", "null"], "additionalProperties": each}
    return {**made, "propertyNames": {"pattern": f"^(?:{names})$"}} if names else made


def _shared_options(shared: Spec, more: Mapping[str, Schema] | None = None) -> Schema:
    """Options that profiles and defaults take; none is required there, and none has a default of its own."""
    references = {name: {"$ref": f"#/definitions/{name}"} for name in shared}
    return {"type": ["object", "null"], "properties": {**(more or {}), **references}, "additionalProperties": False}


def _host(options: Spec) -> Schema:
    return {
        "description": "A Windows host. Other words than these are variables of Ansible.",
        "type": ["object", "null"],
        "properties": _options(options, "hosts"),
        "additionalProperties": True,
    }


def _options(options: Spec, path: str) -> dict[str, Schema]:
    return {name: _option(option, f"{path}.{name}") for name, option in options.items()}


def _option(option: Mapping[str, Any], path: str) -> Schema:
    kind = option["type"]
    if path in _SHARES:
        made = _share(*_SHARES[path])
    elif "choices" in option:
        made = _choice(option["choices"])
    elif kind == "dict":
        made = _mapping(option.get("suboptions"), path)
    elif kind == "list":
        items = _option({"type": option.get("elements", "str"), "suboptions": option.get("suboptions"), "required": True}, path)
        made = {"type": ["array", "string", "null"], "items": items, "pattern": _FILLED_IN, "patternErrorMessage": "a list is wanted"}
    else:
        made = {"int": _whole, "bool": _truth, "str": _text, "path": _text}[kind](path)
    if path in _WRITTEN_OUT:
        made = _without_templates(made)
    return _told(option, made) if "description" in option else _never_empty(made) if option.get("required") else made


def _without_templates(made: Schema) -> Schema:
    if "items" in made or "object" in made["type"]:
        kinds = [kind for kind in made["type"] if kind != "string"]
        return {**{name: value for name, value in made.items() if not name.startswith("pattern")}, "type": kinds}
    return {**made, "pattern": made["pattern"].removesuffix(f"|{_FILLED_IN}")}


def _told(option: Mapping[str, Any], made: Schema) -> Schema:
    """With the sidecar's words, its default, and, since an option that stands empty counts as not given, no null where one is required."""
    head: Schema = {"description": plain(option["description"])}
    if option.get("default") not in (None, {}, []):
        head["default"] = option["default"]
    return {**head, **(_never_empty(made) if option.get("required") else made)}


def _never_empty(made: Schema) -> Schema:
    return {**made, "type": [kind for kind in made["type"] if kind != "null"]} if "type" in made else made


def _members(properties: Mapping[str, Schema], options: Spec) -> Schema:
    required = [name for name, option in options.items() if option.get("required")]
    made: Schema = {"properties": dict(properties), "additionalProperties": False}
    return {**made, "required": required} if required else made


def _mapping(options: Spec | None, path: str) -> Schema:
    made: Schema = {"type": ["object", "string", "null"], "pattern": _FILLED_IN, "patternErrorMessage": "a mapping is wanted"}
    return {**made, **_members(_options(options, path), options)} if options else made


def _choice(choices: list[Any]) -> Schema:
    """YAML 1.1 reads the bare word off as false, and a number may stand in quotes."""
    words = [str(choice) for choice in choices]
    bare = [False] * ("off" in words) + [True] * ("on" in words)
    quoted = [] if words == choices else [rf"^\s*\+?0*(?:{'|'.join(words)})\s*$"]
    return {"anyOf": [{"enum": [*choices, *bare]}, {"type": ["string", "null"], "pattern": "|".join([*quoted, _FILLED_IN])}]}


def _whole(path: str) -> Schema:
    codec = _codec(path)
    low, high = (codec.low, codec.high) if isinstance(codec, settings.Whole) else _BOUNDS[path]
    wanted = f"a whole number from {low} on is wanted" if high is None else f"{low} to {high} is wanted"
    return {
        "type": ["integer", "string", "null"],
        "minimum": low,
        **({} if high is None else {"maximum": high}),
        "pattern": rf"^\s*\+?0*(?:{_between(low, high)})\s*$|{_FILLED_IN}",
        "patternErrorMessage": wanted,
    }


def _share(low: int, percentages: str) -> Schema:
    return {
        "type": ["integer", "string", "null"],
        "minimum": low,
        "pattern": rf"^\s*(?:0*(?:{_between(low, None)})|{percentages})\s*$|{_FILLED_IN}",
        "patternErrorMessage": f"a number or a percentage such as 20%{', at least 1,' if low else ''} is wanted",
    }


def _truth(_path: str) -> Schema:
    words = ("yes", "on", "true", "1", "no", "off", "false", "0")
    any_case = ("".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in word) for word in words)
    return {
        "type": ["boolean", "integer", "string", "null"],
        "minimum": 0,
        "maximum": 1,
        "pattern": rf"^\s*(?:{'|'.join(any_case)})\s*$|{_FILLED_IN}",
        "patternErrorMessage": "true or false is wanted",
    }


def _text(path: str) -> Schema:
    codec = _codec(path)
    if isinstance(codec, settings.Resolution):
        parts = (rf"0*(?:{_between(*bounds)})" for bounds in settings._RESOLUTION_BOUNDS)
        return _pattern("{}x{}@{}".format(*parts), "WIDTHxHEIGHT@DPI, such as 960x540@160 (width and height 240 to 7680, dpi 60 to 1000),")
    if isinstance(codec, settings.Text):
        made = _pattern(f"auto|{codec.pattern}" if codec.auto else codec.pattern, f"{codec.wanted}{' or auto' * codec.auto}")
        return {**made, "examples": [settings.AUTO]} if codec.auto else made
    if path in _TEXTS:
        return _pattern(*_TEXTS[path])
    return {"type": ["string", "number", "null"]}


def _pattern(pattern: str, wanted: str) -> Schema:
    """YAML reads bare digits as a number, which the plugin takes for the text that it was."""
    pattern = pattern.replace(r"\"", '"')  # ECMAScript knows no such escape
    lengths = [length for length in range(1, 33) if re.fullmatch(pattern, "1" * length)]
    numbers: Schema = {"type": ["string", "null"]}
    if re.fullmatch(pattern, "1.5"):
        numbers = {"type": ["string", "number", "null"]}
    elif lengths:
        numbers = {"type": ["string", "integer", "null"], "minimum": 10 ** (lengths[0] - 1), "maximum": 10 ** lengths[-1] - 1}
    return {**numbers, "pattern": f"^(?:{pattern})$|{_FILLED_IN}", "patternErrorMessage": f"{wanted} is wanted"}


def _codec(path: str) -> settings.Codec | None:
    section, _, option = path.partition(".")
    return SETTINGS[option].codec if section == "emulators" and option in SETTINGS else None


def _between(low: int, high: int | None) -> str:
    """A pattern for the whole numbers from ``low`` (0 or 1, where ``high`` is None) to ``high``, without leading zeros."""
    if high is None:
        return r"[1-9]\d*" if low else r"\d+"
    if len(str(low)) == len(str(high)):
        return _digits(str(low), str(high))
    nines = 10 ** len(str(low)) - 1
    return f"{_digits(str(low), str(nines))}|{_between(nines + 1, high)}"


def _digits(low: str, high: str) -> str:
    """The same for two numbers of equal length."""
    if not low:
        return ""
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if first == last:
        return f"{first}(?:{_digits(low[1:], high[1:])})" if rest else str(first)
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return f"[{first}-{last}]" + r"\d" * rest
    ends = [f"{first}(?:{_digits(low[1:], '9' * rest)})", f"{last}(?:{_digits('0' * rest, high[1:])})"]
    return "|".join([ends[0], *([f"[{first + 1}-{last - 1}]" + r"\d" * rest] if last - first > 1 else []), ends[1]])


def plain(words: str | list[str]) -> str:
    """A description without its markup, as the text that stands in a tooltip."""
    text = words if isinstance(words, str) else "\n".join(words)
    text = re.sub(r"[MP]\(ldfleet\.ldplayer\.(\w+)(?:#\w+)?\)", r"\1", text)
    text = re.sub(r"(?:RV|O)\((?:[\w.]+#\w+:)?([^)]*)\)", r"\1", text)
    return re.sub(r"[VCBI]\(([^)]*)\)", r"\1", text)
