"""The fleet file as its user keeps it: made, and edited so that comments and order stay."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError


class BadProject(Exception):
    """The file, or what is to be done with it, is not right."""


_FLEET = """\
# yaml-language-server: $schema={schema}
plugin: ldfleet.ldplayer.fleet

# Variables of all hosts. These are for the simulator (`ldfleet sim`); for real hosts see the guide "Your own hosts".
vars:
  ansible_connection: winrm
  ansible_winrm_scheme: http
  ansible_winrm_transport: ntlm
  ansible_user: Administrator
  ansible_password: ldfleet-sim   # no secret: every simulated host has it

profiles:
  base:
    resolution: 960x540@160
    adb: local
  game:
    inherit: base
    cpu: 2
    memory: 2048

hosts:
  sim-01: {{ansible_host: 127.0.0.1, ansible_port: 15985, capacity: {{emulators: 8}}, labels: {{rack: a}}}}
  sim-02: {{ansible_host: 127.0.0.1, ansible_port: 15986, capacity: {{emulators: 8}}, labels: {{rack: b}}}}
  sim-03: {{ansible_host: 127.0.0.1, ansible_port: 15987, capacity: {{emulators: 8}}, labels: {{rack: b}}}}

# Emulators that ldfleet spreads over the hosts.
pools:
  farm:
    profile: game
    replicas: 6
    spread: rack
    update: {{max_unavailable: 34%}}
"""
_IGNORE = "# What ldfleet remembers of this project.\n.ldfleet/\n*.plan.json\n"
_SCHEMA = "https://raw.githubusercontent.com/ldfleet/ldfleet/main/schemas/fleet.schema.json"


def init(folder: Path) -> list[Path]:
    """Make a project and return its files. Raises BadProject where there is one already."""
    fleet, ignore = folder / "fleet.yml", folder / ".gitignore"
    if fleet.exists():
        raise BadProject(f"{fleet} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    schema = Path(__file__).parent / "schemas" / "fleet.schema.json"
    fleet.write_text(_FLEET.format(schema=schema if schema.is_file() else _SCHEMA), encoding="utf-8")
    if ignore.exists():
        return [fleet]
    ignore.write_text(_IGNORE, encoding="utf-8")
    return [fleet, ignore]


def hosts(file: Path) -> dict[str, dict[str, Any]]:
    """Each host with its address, capacity, labels, drain and lost, as they are written."""
    found = _read(file).get("hosts") or {}
    words = ("ansible_host", "ansible_port", "capacity", "labels", "drain", "lost")
    return {str(name): {word: _plain((host or {}).get(word)) for word in words} for name, host in found.items()}


def add_host(file: Path, name: str, address: str | None, emulators: int | None, labels: Mapping[str, str]) -> None:
    """Write a host into the file. Raises BadProject where it is there already."""
    document = _read(file)
    section = document.setdefault("hosts", CommentedMap())
    if section is None:
        section = document["hosts"] = CommentedMap()
    if name in section:
        raise BadProject(f"{file} has a host {name} already")
    host = CommentedMap()
    host.fa.set_flow_style()
    if address is not None:
        host["ansible_host"] = address
    if emulators is not None:
        host["capacity"] = _flow({"emulators": emulators})
    if labels:
        host["labels"] = _flow(labels)
    section[name] = host
    _write(file, document)


def remove_host(file: Path, name: str) -> None:
    """Take a host and its pinned emulators out of the file. Raises BadProject where it is not there."""
    document = _read(file)
    if name not in (document.get("hosts") or {}):
        known = ", ".join(map(str, document.get("hosts") or {})) or "none"
        raise BadProject(f"{file} has no host {name} (hosts are: {known})")
    del document["hosts"][name]
    if document.get("emulators"):
        document["emulators"].pop(name, None)
    _write(file, document)


def add_emulators(
    file: Path,
    out: Path,
    defaults: Mapping[str, Any],
    profiles: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Write defaults, profiles and pinned emulators beside what the file has. Raises BadProject where a name is taken."""
    document = _read(file)
    for section, values in (("defaults", defaults), ("profiles", profiles)):
        own = document.get(section)
        if own is None:
            own = document[section] = CommentedMap()
        taken = sorted(set(own) & set(values))
        if taken:
            raise BadProject(f"{file} has {section}.{taken[0]} already")
        own.update({name: _block(value) for name, value in values.items()})
        if not own:
            del document[section]
    pinned = document.get("emulators")
    if pinned is None:
        pinned = document["emulators"] = CommentedMap()
    for host, listed in entries.items():
        pinned.setdefault(host, []).extend(_flow(entry) for entry in listed)
    _write(out, document)


def names(file: Path) -> dict[str, list[str]]:
    """Titles of the emulators that the file pins, by host, and under an empty name those of its pools."""
    document = _read(file)
    pinned = {str(host): [str(e.get("name")) for e in entries or ()] for host, entries in (document.get("emulators") or {}).items()}
    return {**pinned, "": [str(name) for name in document.get("pools") or {}]}


def profiles(file: Path) -> list[str]:
    """Names of the profiles that the file has."""
    return [str(name) for name in _read(file).get("profiles") or {}]


def _block(value: Any) -> Any:
    return CommentedMap(value) if isinstance(value, Mapping) else value


def _flow(values: Mapping[str, Any]) -> CommentedMap:
    made = CommentedMap(values)
    made.fa.set_flow_style()
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _read(file: Path) -> CommentedMap:
    try:
        document = _yaml().load(file.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise BadProject(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, CommentedMap):
        raise BadProject(f"{file} is no fleet file: a mapping is wanted")
    return document


def _write(file: Path, document: CommentedMap) -> None:
    """Whole or not at all."""
    stream = io.StringIO()
    _yaml().dump(document, stream)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(stream.getvalue(), encoding="utf-8")
    os.chmod(fresh, file.stat().st_mode & 0o777 if file.exists() else 0o600)
    fresh.replace(file)
