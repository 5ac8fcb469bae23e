# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin: a fleet file's hosts, groups and variables. Its options stand in fleet.yml beside it, what they mean in _fleet/fleet/fleet.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import LOADER, fleet_specs, plain
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import fleet
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError

_GROUP = "ldplayer"
_LOST = "ldplayer_lost"
#: The hosts that have ways in, which the playbook way_in looks at.
_WAYS = "ldplayer_ways"
#: Words that hold secrets: they become variables, and are no part of what the modules are told of the fleet.
_SECRET = frozenset({"ways"})


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Ansible's way to find it."""

    NAME = "ldfleet.ldplayer.fleet"

    def verify_file(self, path: str) -> bool:
        """Whether a file is worth reading: by its name, as for every plugin of this kind."""
        return bool(super().verify_file(path)) and path.endswith(("fleet.yml", "fleet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Ansible's entry."""
        super().parse(inventory, loader, path, cache)
        try:
            written = _by_text(self._read_config_data(path))
        except AnsibleError as error:
            _tell(path, _bad_yaml(path) or [(1, str(error))])
            raise AnsibleParserError(f"{path} cannot be read (the fault is told above)") from error
        try:
            values = fleet.checked(_bare(written), *fleet_specs())
            if not fleet.templated(
                {**values, "vars": None, "ways": None, "hosts": {name: _own(host) for name, host in values["hosts"].items()}}
            ):
                fleet.build(values)
            faults = list(_twice(_composed(path, LOADER), set()))
        except FleetError as error:
            faults = _placed(path, error)
        if faults:
            count = _tell(path, faults)
            raise AnsibleParserError(f"{path} has {count} fault{'s'[: count > 1]} (told above)")
        self._fill(values, written)

    def _fill(self, values: Mapping[str, Any], written: Mapping[str, Any]) -> None:
        """Groups, hosts and variables. Values are handed on as they were written, so that templates and vaults in them stay what they are."""
        hosts, pools, emulators, defaults = ({**(written.get(section) or {})} for section in ("hosts", "pools", "emulators", "defaults"))
        profiles = fleet.inherited({name: profile or {} for name, profile in (written.get("profiles") or {}).items()}, defaults, [])
        pinned = {name: [fleet.worked_in(entry, defaults) for entry in entries or ()] for name, entries in emulators.items()}
        whole = {word: written[word] for word in ("purge", "max_destroy") if written.get(word) is not None}
        said = {"hosts": {name: _own(host or {}) for name, host in hosts.items()}, "profiles": profiles, "pools": pools}
        shared = {
            **(written.get("vars") or {}),
            "ldplayer_fleet": {"plugin": self.NAME, **said, "emulators": pinned, "defaults": defaults, **whole},
            "ldplayer_profiles": profiles,
            "ldplayer_members": [{"name": name, "members": True, **_entry(pool, defaults)} for name, pool in pools.items()],
        }
        self.inventory.add_group(_WAYS)
        for group in (_GROUP, _LOST):
            self.inventory.add_group(group)
            for name, value in shared.items():
                self.inventory.set_variable(group, name, value)
        for name, host in values["hosts"].items():
            self.inventory.add_host(name, group=_LOST if host["lost"] is True else _GROUP)
            variables = {word: value for word, value in (hosts[name] or {}).items() if word not in _words()}
            for variable, value in {**variables, "ldplayer_emulators": pinned.get(name, [])}.items():
                self.inventory.set_variable(name, variable, value)
            lead = fleet.ways_of(written.get("ways"), (hosts[name] or {}).get("ways"))
            if lead:
                self.inventory.set_variable(name, _WAYS, [{"name": way.name, "variables": way.variables} for way in lead])
                self.inventory.add_child(_WAYS, name)
            for group in _groups(name, values):
                self.inventory.add_child(self.inventory.add_group(to_safe_group_name(group)), name)


def _groups(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A host's groups: one for each of its labels and one for each pool that may use it, as far as no template hides them."""
    host = values["hosts"][name]
    if fleet.templated(host["labels"]):
        return
    labels = fleet.labels(host["labels"])
    yield from (f"{label}_{value}" for label, value in labels.items())
    for pool, given in values["pools"].items():
        if host["lost"] is not True and not fleet.templated(given["hosts"]) and fleet.matches(fleet.selector(given["hosts"]), labels):
            yield f"pool_{pool}"


def _by_text(written: Mapping[str, Any]) -> dict[str, Any]:
    """A fleet file whose names are text: YAML reads the name 101 as a number."""
    return {
        section: {str(name): value for name, value in named.items()} if isinstance(named, Mapping) else named
        for section, named in written.items()
    }


def _bare(value: Any) -> Any:
    """A file's values as plain ones. What Ansible alone can read (a vaulted value) is judged when it is filled in, as a template is."""
    if isinstance(value, Mapping):
        return {str(key): _bare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    known = value is None or isinstance(value, str | int | float | bool)
    return plain(value) if known else "{{ vaulted }}"


def _own(host: Mapping[str, Any]) -> dict[str, Any]:
    """Our own words about a host, without its variables, among which are secrets."""
    return {word: value for word, value in host.items() if word in _words() - _SECRET and value is not None}


def _words() -> Set[str]:
    found: Set[str] = fleet_specs()[0]["hosts"]["suboptions"].keys()
    return found


def _entry(pool: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What each of a pool's replicas is told, as far as the file says it."""
    named = {"profile": pool["profile"]} if pool.get("profile") else {}
    return {**fleet.worked_in(named, defaults), "state": pool.get("state") or "running"}


def _tell(path: str, faults: Iterable[tuple[int, str]]) -> int:
    """Each fault in a line that is not wrapped, so that editors and programs find their way. Ansible shows only a plugin's first error, wrapped."""
    listed = sorted(faults)
    for line, fault in listed:
        Display().display(f"{path}:{line}: {fault}", color="red", stderr=True)
    return len(listed)


def _composed(path: str, loader: type[Any] = yaml.SafeLoader) -> yaml.Node | None:
    """The file with the lines of its words. The usual loader words what is no YAML better than libyaml does."""
    found: yaml.Node | None = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=loader)
    return found


def _twice(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Keys that stand in a mapping more than once. Ansible takes the last one and warns; here that could be a whole pool. ``seen``: nodes that were
    looked into, which anchors may name again."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            first = lines.setdefault(str(key.value), line)
            if first != line:
                yield line, f"{key.value} stands here again, after line {first}; write it once"
            yield from _twice(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, seen)


def _placed(path: str, error: FleetError) -> list[tuple[int, str]]:
    root = _composed(path)
    return [(_line(root, fault.about), str(fault)) for fault in error.each()]


def _bad_yaml(path: str) -> list[tuple[int, str]]:
    try:
        _composed(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return [(mark.line + 1 if mark is not None else 1, f"is no YAML: {error.problem}")]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [(1, f"is no YAML: {error}")]
    return []


def _line(node: yaml.Node | None, path: str, line: int = 1) -> int:
    """The line of what a path such as ``pools.farm.update`` or ``emulators.ws-01[0].cpu`` names, or of as much of it as there is.

    ``line``: of the key that holds ``node``.
    """
    if isinstance(node, yaml.MappingNode):
        for key, value in sorted(node.value, key=lambda item: -len(item[0].value)):  # a key may hold dots: the longest that fits
            if (rest := _after(path, str(key.value))) is not None:
                return _line(value, rest, key.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode) and (item := re.match(r"\[(\d+)\]\.?", path)) and int(item[1]) < len(node.value):
        entry = node.value[int(item[1])]
        return _line(entry, path[item.end() :], entry.start_mark.line + 1)
    return line


def _after(path: str, key: str) -> str | None:
    """What is left of a path behind a key; None where the path does not begin with it."""
    rest = path[len(key) :]
    return rest.removeprefix(".") if path.startswith(key) and (not rest or rest[0] in ".[") else None
