"""ansible.windows.win_regedit and win_reg_stat: keys and values of the registry."""

from __future__ import annotations

import re
from typing import Any

from ..machine.registry import Value
from .options import Failed, Option, Spec
from .task import Double, Json, Task

_PATH = re.compile(r"(?i)(HK(?:CC|CR|CU|LM|U)):\\(.*)")
#: win_regedit's words for kinds, the registry's, and .NET's, which diffs name.
_KINDS = {
    "none": ("REG_NONE", "None"),
    "binary": ("REG_BINARY", "Binary"),
    "dword": ("REG_DWORD", "DWord"),
    "expandstring": ("REG_EXPAND_SZ", "ExpandString"),
    "multistring": ("REG_MULTI_SZ", "MultiString"),
    "string": ("REG_SZ", "String"),
    "qword": ("REG_QWORD", "QWord"),
}
_DOTNET = dict(_KINDS.values())


def _key(task: Task, wanted: str) -> str:
    found = _PATH.match(task["path"])
    if found is None:
        raise Failed(f"path: {task['path']} is not a valid {wanted}, see module documentation for examples.")
    return task.world.key(f"{found[1].upper()}\\{found[2].strip(chr(92))}", task.caller)


def regedit(task: Task) -> None:
    """win_regedit."""
    task.result.update(data_changed=False, data_type_changed=False)
    kind, name = task["type"], task["name"]
    if name is None and kind != "string":
        task.warnings.append("the data type when name is not specified can only be 'string', the type has automatically been converted")
        kind = "string"
    if task["hive"] is not None:
        raise Failed("simulated host: hives in files are not played")
    key = _key(task, "powershell path")
    task.diff = {"before": "", "after": ""}
    if task["state"] == "absent":
        _absent(task, key, name or "")
    else:
        _present(task, key, name or "", _data(kind, task["data"], bool(name)), _KINDS[kind][0])


def _absent(task: Task, key: str, name: str) -> None:
    registry, shown = task.world.registry, task["path"]
    if not registry.has(key):
        return
    if task["delete_key"] and not name:
        task.change(lambda: registry.remove(key))
        task.diff = {"before": {shown: {}}, "after": {}}
        return
    value = registry.get(key, name)
    if value is not None:
        task.diff = {"before": {shown: {name: _told(registry.kind(key, name), value)}}, "after": {shown: {}}}
        task.change(lambda: registry.remove_value(key, name))


def _present(task: Task, key: str, name: str, data: Value | None, kind: str) -> None:
    registry, shown = task.world.registry, task["path"]
    before, after = {}, {shown: {}}  # type: Json, Json
    task.diff = {"before": before, "after": after}
    if registry.has(key):
        before[shown] = {}
    else:
        task.change(lambda: registry.add(key))
    if data is None or not registry.has(key):
        return  # in check mode the module says nothing of values in a key that is not there yet
    old, old_kind = registry.get(key, name), registry.kind(key, name)
    if old is not None:
        before[shown][name] = _told(old_kind, old)
        task.result["data_type_changed"] = old_kind != kind
        task.result["data_changed"] = old != data
    after[shown][name] = _told(kind, data)
    if old != data or old_kind != kind:
        task.change(lambda: registry.set(key, name, data, kind))


def _data(kind: str, data: Any, named: bool) -> Value | None:
    """The data in the form of its kind; None for a key's own value that was not given. Raises Failed."""
    if kind in ("binary", "none"):
        return _bytes(data)
    if kind in ("dword", "qword"):
        return _number(kind, data)
    if kind == "multistring":
        return [str(item) for item in data] if isinstance(data, list) else [] if data is None else [str(data)]
    if data is None:
        return "" if named else None
    return str(data)


def _bytes(data: Any) -> bytes:
    if isinstance(data, int):
        if data > 255:
            raise Failed(
                f"cannot convert binary data '{data}' to byte array, please specify this value as a yaml byte array or a comma separated hex value string"
            )
        return bytes([data])
    if isinstance(data, list):
        return bytes(int(item) for item in data)
    text = re.sub(r"[^a-f0-9,x]", "", str(data or "").lower().removeprefix("hex:"))
    parts = text.split(",") if "," in text else re.findall("..?", text)
    return bytes(int(part, 16) for part in parts if part)


def _number(kind: str, data: Any) -> int:
    try:
        number = int(str(data if data is not None else 0), 0)
    except ValueError as error:
        if isinstance(data, float):
            raise Failed(f"data '{data}' cannot be a decimal or float value with a remainder when type is dword or qword") from error
        raise Failed(
            f'Cannot convert value "{data}" to type "System.UInt64". Error: "Input string was not in a correct format."'
        ) from error
    bits = 32 if kind == "dword" else 64
    if number >= 1 << bits:
        raise Failed(f"data cannot be larger than 0x{'f' * (bits // 4)} when type is {kind}")
    return number % (1 << bits)


def _told(kind: str | None, value: Value) -> Json:
    """A value in a diff."""
    shown: Any = value
    if isinstance(value, bytes):
        shown = [f"0x{byte:02x}" for byte in value]
    elif isinstance(value, int):
        shown = f"0x{value:0{8 if kind == 'REG_DWORD' else 16}x}"
    return {"type": _DOTNET[kind or "REG_SZ"], "value": shown}


def reg_stat(task: Task) -> None:
    """win_reg_stat."""
    key, registry = _key(task, "registry path"), task.world.registry
    task.result["exists"] = registry.has(key) and (task["name"] is None or registry.get(key, task["name"]) is not None)
    if not task.result["exists"]:
        return
    if task["name"] is not None:
        task.result.update(_stat(task, key, task["name"]))
        return
    task.result["properties"] = {name: _stat(task, key, name) for name, _value in registry.values(key)}
    task.result["sub_keys"] = registry.children(key)


def _stat(task: Task, key: str, name: str) -> Json:
    value = task.world.registry.get(key, name)
    raw = [f"0x{byte:02x}" for byte in value] if isinstance(value, bytes) else value
    return {"type": task.world.registry.kind(key, name), "value": list(value) if isinstance(value, bytes) else value, "raw_value": raw}


DOUBLES = {
    "ansible.windows.win_regedit": Double(
        Spec(
            {
                "path": Option(required=True, aliases=("key",)),
                "name": Option(aliases=("entry", "value")),
                "data": Option("raw"),
                "type": Option(default="string", choices=tuple(_KINDS), aliases=("datatype",)),
                "state": Option(default="present", choices=("present", "absent")),
                "delete_key": Option("bool", default=True),
                "hive": Option("path"),
            }
        ),
        regedit,
    ),
    "ansible.windows.win_reg_stat": Double(
        Spec({"path": Option(required=True, aliases=("key",)), "name": Option(aliases=("entry", "value"))}, legacy=True), reg_stat
    ),
}
