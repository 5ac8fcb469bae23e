"""The port: the agent's batch rules (docs/protocol.md) in Python, in process. Checks, needs, slices, at most once, and the answer's frame are here."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from .operations import KINDS, Failure, Json, Scene, put, variable
from .world import World

_KEYS = ("protocol", "id", "slice_ms", "lock_ms", "once", "ops")
_COMMON = ("needs", "always")
_LARGEST = 2**31 - 1
#: Results are kept for a day.
_KEEP_SECONDS = 86_400


def answer(world: World, line: str) -> tuple[str, bool]:
    """Carry out a bootstrap's standard input. Returns what PowerShell would print, and whether it was an old answer."""
    batch = _read(json.loads(line))
    batch_id = str(batch.get("id", ""))
    if not re.fullmatch(r"[0-9a-f]{32}", batch_id):
        batch_id, document = "", _refused("BadRequest", "the batch has no id of 32 hexadecimal digits")
    elif batch.get("protocol") != 1:
        document = _refused("UnknownProtocol", "this agent speaks protocol 1")
    else:
        try:
            _check(batch)
        except Failure as failure:
            document = _refused(failure.code, str(failure))
        else:
            document = _locked(world, batch)
    document.update(protocol=1, id=batch_id, host=_host(world))
    text = json.dumps(document)
    if len(text) > 20_000:
        text = base64.b64encode(gzip.compress(text.encode(), 6)).decode()
    return f"#ldfleet-begin {batch_id}#{text}#ldfleet-end {batch_id}#\r\n", bool(document.get("replayed"))


def _read(request: Json) -> Json:
    """The batch, or an empty one when the request holds none that can be read."""
    batch = request.get("batch")
    if "batch" not in request:
        try:
            batch = json.loads(gzip.decompress(base64.b64decode(request["packed"])))
        except (KeyError, ValueError, OSError, EOFError, zlib.error):
            batch = None
    return batch if isinstance(batch, dict) else {}


def _refused(code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}}


def _host(world: World) -> Json:
    return {
        "name": world.name,
        "time_ms": int(world.clock.now() * 1000),
        "acp": world.spec.acp,
        "oemcp": world.spec.oemcp,
        "powershell": "5.1.20348.2700",
        "programdata": world.spec.programdata,
    }


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _code(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _candidate(value: Any) -> bool:
    return isinstance(value, dict) and (_text(value.get("path")) or (_text(value.get("registry")) and _text(value.get("value"))))


def _each(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(kind(item) for item in value)


#: What each key holds.
_HOLDS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("id", "op", "file", "program", "arguments", "pattern", "folder", "path", "data", "expect", "keep"), _text),
    **dict.fromkeys(("protocol", "slice_ms", "lock_ms", "timeout_ms", "output_cap", "interval_ms", "deadline_ms", "max_bytes"), _number),
    **dict.fromkeys(("once", "always", "content", "parents"), _switch),
    "needs": _each(_text),
    "match": _each(_text),
    "exits": _each(_code),
    "candidates": _each(_candidate),
    "ops": lambda value: isinstance(value, list),
}


def _check_keys(found: Json, about: str, must: tuple[str, ...], may: tuple[str, ...]) -> None:
    for key in must:
        if key not in found:
            raise Failure("BadRequest", f"{about} has no {key}")
    for key, value in found.items():
        if key not in must and key not in may:
            raise Failure("BadRequest", f"{about} has the unknown key {key}")
        if not _HOLDS[key](value):
            raise Failure("BadRequest", f"{about} has a {key} of another kind")


def _check(batch: Json) -> None:
    _check_keys(batch, "the batch", _KEYS, ())
    known: set[str] = set()
    for operation in batch["ops"]:
        name = str(operation.get("id", "")) if isinstance(operation, dict) else ""
        if not re.fullmatch(r"[a-z0-9_.-]{1,64}", name) or name in known:
            raise Failure("BadRequest", f"{name!r} is no new operation id")
        kind = KINDS.get(str(operation.get("op", "")))
        if kind is None:
            raise Failure("UnknownOperation", f"{operation.get('op')!r} is no operation")
        _check_keys(operation, name, ("id", "op", *kind.must), (*_COMMON, *kind.may))
        if not set(operation.get("needs", ())) <= known:
            raise Failure("BadRequest", f"{name} needs what is no earlier operation")
        known.add(name)


def _locked(world: World, batch: Json) -> Json:
    if not world.agent_lock.acquire(timeout=batch["lock_ms"] / 1000):
        return _refused("Busy", f"the host was not free within {batch['lock_ms']} ms")
    try:
        return _once(world, batch) if batch["once"] else _batch(world, batch)
    finally:
        world.agent_lock.release()


def _once(world: World, batch: Json) -> Json:
    folder = world.drive.local(f"{world.spec.programdata}\\ldfleet\\results")
    final, claim = folder / f"{batch['id']}.json", folder / f"{batch['id']}.claim"
    if final.is_file():
        return {"replayed": True, "results": json.loads(final.read_text(encoding="utf-8"))["results"]}
    if claim.is_file():
        return _refused("Interrupted", "this batch was begun before, and left no result")
    try:
        put(world, claim, b"", parents=True)
        if world.disk_free <= 0:
            raise Failure("DiskFull", "There is not enough space on the disk.")
    except (Failure, OSError) as error:
        return _refused("ResultFolder", f"{world.drive.windows(folder)} cannot be written: {error}")
    _sweep(world, folder)
    document = _batch(world, batch)
    try:
        put(world, final, json.dumps({"results": document["results"]}).encode(), parents=False)
        claim.unlink()
    except (Failure, OSError):
        return document  # the work is done: the reply says so even where it cannot be kept
    return document


def _sweep(world: World, folder: Any) -> None:
    old = [path for path in folder.iterdir() if world.clock.now() - path.stat().st_mtime > _KEEP_SECONDS]
    for path in old[:200]:
        path.unlink(missing_ok=True)


def _batch(world: World, batch: Json) -> Json:
    over = world.clock.now() + batch["slice_ms"] / 1000
    scene = Scene(world, batch["id"], over, {"programdata": world.spec.programdata, "systemroot": "C:\\Windows"})
    done: dict[str, str] = {}
    results = []
    for operation in batch["ops"]:
        result = _operation(scene, operation, done)
        done[operation["id"]] = result["status"]
        results.append(result)
    return {"replayed": False, "results": results}


def _operation(scene: Scene, operation: Json, done: dict[str, str]) -> Json:
    result: Json = {"id": operation["id"], "status": "ok", "ms": 0}
    names = [variable(str(operation.get(key, ""))) for key in ("program", "path", "folder", "keep")]
    needs = [*operation.get("needs", ()), *(name for name in names if name and name not in scene.variables)]
    for need in needs:
        if done.get(need) != "ok":
            return {**result, "status": "skipped", "needs": need}
    began = scene.world.clock.now()
    if began >= scene.over and not operation.get("always"):
        return {**result, "status": "deferred"}
    try:
        KINDS[operation["op"]].act(scene, operation, result)
    except Failure as failure:
        result.update(status="failed", error={"code": failure.code, "message": str(failure)}, **failure.values)
    except PermissionError as error:
        result.update(status="failed", error={"code": "AccessDenied", "message": str(error)})
    except OSError as error:
        result.update(status="failed", error={"code": "IoError", "message": str(error)})
    result["ms"] = int((scene.world.clock.now() - began) * 1000)
    return result
