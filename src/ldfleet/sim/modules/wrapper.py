"""What Ansible sends to run a module: a PowerShell script that reads standard input, and there the module with its arguments. Bytes in, values out.

Two forms: of ansible-core up to 2.18 (the runner's script, four NULs, a JSON manifest) and since 2.19 (JSON, a line of four NULs, JSON).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BETWEEN = b"\0\0\0\0"
#: How the scripts of both forms look for them.
MARK = '"`0`0`0`0"'


class Unplayed(Exception):
    """What was sent is nothing that a double stands for; the text says what."""


@dataclass(frozen=True)
class Order:
    """A module's full name, its arguments (those of Ansible's own included), and the environment of the task."""

    name: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)


def read(data: bytes) -> Order:
    """The module that standard input holds. Raises Unplayed."""
    _runner, found, rest = data.partition(_BETWEEN)
    try:
        manifest = json.loads(rest.partition(_BETWEEN)[0]) if found else None
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise Unplayed("what Ansible sent holds no module")
    actions = [action if isinstance(action, str) else str(action["name"]) for action in manifest["actions"]]
    for word in ("become", "async"):
        if any(action.startswith(f"{word}_") for action in actions):
            raise Unplayed(f"{word} is not played")
    if "module_args" in manifest:
        return _order(manifest["module_args"], manifest.get("environment"))
    last = manifest["actions"][-1]
    if actions[-1] != "module_wrapper.ps1":
        raise Unplayed(f"Ansible's script {actions[-1]} is not played")
    variables = {variable["Name"]: variable["Value"] for variable in last["params"].get("Variables", ())}
    return _order(variables["complex_args"], last["params"].get("Environment"))


def _order(arguments: Mapping[str, Any], environment: Any) -> Order:
    variables = environment if isinstance(environment, dict) else {}
    return Order(str(arguments["_ansible_module_name"]), arguments, {str(name): str(value) for name, value in variables.items()})
