"""The fleet file as its user keeps it: made, and edited so that comments and order stay."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from .runs import collections
from .writing import write


class BadProject(Exception):
    """The file, or what is to be done with it, is not right."""


#: Where the first simulated host listens if nobody says otherwise.
SIM_PORT = 15985

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
  sim-01: {{ansible_host: 127.0.0.1, ansible_port: {ports[0]}, capacity: {{emulators: 8}}, labels: {{rack: a}}}}
  sim-02: {{ansible_host: 127.0.0.1, ansible_port: {ports[1]}, capacity: {{emulators: 8}}, labels: {{rack: b}}}}
  sim-03: {{ansible_host: 127.0.0.1, ansible_port: {ports[2]}, capacity: {{emulators: 8}}, labels: {{rack: b}}}}

# Emulators that ldfleet spreads over the hosts.
pools:
  farm:
    profile: game
    replicas: 6
    spread: rack
    update: {{max_unavailable: 34%}}
"""
_CONFIG = """\
# For ansible and ansible-playbook; ldfleet itself does not need it.
[inventory]
any_unparsed_is_failed = true

[defaults]
inventory = fleet.yml
"""
_IGNORE = "# What ldfleet remembers of this project.\n.ldfleet/\n*.plan.json\n"
_SCHEMA = "https://raw.githubusercontent.com/ldfleet/ldfleet/main/schemas/fleet.schema.json"


def init(folder: Path, port: int = SIM_PORT) -> list[Path]:
    """Make a project and return its files. ``port``: of the first simulated host. Raises BadProject where there is one already."""
    fleet = folder / "fleet.yml"
    if fleet.exists():
        raise BadProject(f"{fleet} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    schema = Path(__file__).parent / "schemas" / "fleet.schema.json"
    fleet.write_text(_FLEET.format(schema=schema if schema.is_file() else _SCHEMA, ports=range(port, port + 3)), encoding="utf-8")
    made = [fleet]
    for name, text in ((".gitignore", _IGNORE), ("ansible.cfg", _config())):
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
            made.append(folder / name)
    return made


def _config() -> str:
    """Ansible's settings, by which its own programs find the fleet file, and the collection where only a checkout has it."""
    found = collections()
    return _CONFIG + (f"collections_path = {found}\n" if found is not None else "")


def hosts(file: Path) -> dict[str, dict[str, Any]]:
    """Each host with its address, capacity, labels, drain and lost, as they are written."""
    found = _read(file).get("hosts") or {}
    words = ("ansible_host", "ansible_port", "capacity", "labels", "drain", "lost")
    return {str(name): {word: _plain((host or {}).get(word)) for word in words} for name, host in found.items()}


def variables(file: Path) -> dict[str, Any]:
    """The variables of all hosts (``vars``), as they are written."""
    found = _read(file).get("vars")
    return _plain(found) if isinstance(found, Mapping) else {}


def add_host(file: Path, name: str, variables: Mapping[str, object], emulators: int | None, labels: Mapping[str, str]) -> None:
    """Write a host into the file. ``variables``: its own, such as ``ansible_host``. Raises BadProject where it is there already."""
    document = _read(file)
    section = _section(document, "hosts")
    if name in section:
        raise BadProject(f"{file} has a host {name} already")
    host = _flow(variables)
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
        own = _section(document, section)
        taken = sorted(set(own) & set(values))
        if taken:
            raise BadProject(f"{file} has {section}.{taken[0]} already")
        own.update({name: _block(value) for name, value in values.items()})
        if not own:
            del document[section]
    pinned = _section(document, "emulators")
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


def _section(document: CommentedMap, name: str) -> CommentedMap:
    """A mapping of the file, made where it is missing or empty."""
    if document.get(name) is None:
        document[name] = CommentedMap()
    found: CommentedMap = document[name]
    return found


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
    stream = io.StringIO()
    _yaml().dump(document, stream)
    write(file, stream.getvalue())
