"""Which modules have a double, and how one is run: standard input in, the module's JSON out. A module without one is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..ldplayer.world import World
from ..machine.windows import Caller
from . import accounts, features, files, firewall, machine, options, powershell_script, registry_values, services, wrapper
from .options import Failed
from .task import Double, Json, Task

DOUBLES: Mapping[str, Double] = {
    **machine.DOUBLES,
    **registry_values.DOUBLES,
    **services.DOUBLES,
    **features.DOUBLES,
    **accounts.DOUBLES,
    **firewall.DOUBLES,
    **files.DOUBLES,
    **powershell_script.DOUBLES,
}


def run(world: World, users: dict[str, str], data: bytes, caller: Caller) -> tuple[str, int]:
    """What a module's PowerShell prints, and its exit code."""
    try:
        order = wrapper.read(data)
        double = DOUBLES.get(_full(order.name))
        if double is None:
            raise wrapper.Unplayed(f"the module {order.name} is not played; those that are stand in docs/simulator.md")
    except wrapper.Unplayed as refused:
        return json.dumps({"failed": True, "changed": False, "msg": f"simulated host: {refused}"}), 1
    with world.lock:
        result = _played(double, order, world, users, caller)
    return json.dumps(result), int(bool(result.get("failed")))


def _full(name: str) -> str:
    """A module's full name where Ansible takes it for one of its own: `ping` is win_ping on Windows."""
    collection, _, module = name.rpartition(".")
    if collection not in ("", "ansible.builtin", "ansible.legacy"):
        return name
    return f"ansible.windows.win_{module.removeprefix('win_')}"


def _played(double: Double, order: wrapper.Order, world: World, users: dict[str, str], caller: Caller) -> Json:
    arguments, spec = order.arguments, double.spec
    invocation: dict[str, Any] = {}
    result: Json = {"changed": False}
    task = None
    try:
        values = options.read(spec, order.name, arguments)
        invocation = {} if spec.legacy else {"invocation": {"module_args": options.hidden(spec, values)}}
        task = Task(world, caller, users, values, bool(arguments.get("_ansible_check_mode")), order.environment, result)
        double.run(task)
    except Failed as failed:
        result.update(failed=True, msg=str(failed), **failed.more)
    if task is not None and result["changed"] and not task.check:
        world.save()
    if task is not None and task.warnings:
        result["warnings"] = task.warnings
    if task is not None and task.diff is not None and arguments.get("_ansible_diff"):
        result["diff"] = task.diff
    return {**result, **invocation}
