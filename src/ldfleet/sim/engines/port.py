"""The port: the agent's batch rules (docs/protocol.md) in Python, in process. Checks, needs, slices, at most once, and the answer's frame are here."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ldplayer.world import World
from ..machine.power import Interrupted
from ..machine.windows import SYSTEM32, Caller
from .operations import KINDS, Failure, Json, Scene, put, variable

_KEYS = ("protocol", "id", "slice_ms", "lock_ms", "once", "desktop", "note", "ops")
_COMMON = ("needs", "always")
_LARGEST = 2**31 - 1
#: Results are kept for a day.
_KEEP_SECONDS = 86_400
_JOURNAL_CAP = 1_048_576


#: Simulated seconds that the tools around a scheduled task take (schtasks three times, icacls twice).
_TOOL_SECONDS = 0.25


@dataclass(frozen=True)
class Said:
    """``text``: what PowerShell would print; ``replayed``: an old answer; ``tasks``: PowerShells that were started on the desktop for it."""

    text: str
    replayed: bool = False
    tasks: int = 0


def answer(world: World, line: str, caller: Caller) -> Said:
    """Carry out a bootstrap's standard input, given by ``caller``."""
    batch = _read(json.loads(line))
    batch_id = str(batch.get("id", ""))
    if not re.fullmatch(r"[0-9a-f]{32}", batch_id):
        batch_id, document, who = "", _refused("BadRequest", "the batch has no id of 32 hexadecimal digits"), caller
    elif batch.get("protocol") != 1:
        document, who = _refused("UnknownProtocol", "this agent speaks protocol 1"), caller
    else:
        who = caller
        try:
            _check(batch)
            who = _place(world, batch["desktop"], caller)
            document = _locked(world, batch, who)
        except Failure as failure:
            document = _refused(failure.code, str(failure))
    document.update(protocol=1, id=batch_id, host=_host(world, who))
    text = json.dumps(document)
    if len(text) > 20_000:
        text = base64.b64encode(gzip.compress(text.encode(), 6)).decode()
    frame = f"#ldfleet-begin {batch_id}#{text}#ldfleet-end {batch_id}#\r\n"
    return Said(frame, bool(document.get("replayed")), int(who.session != caller.session))


def _place(world: World, wish: str, caller: Caller) -> Caller:
    """Where the batch runs: handed to a task on the desktop of the user who is logged on, or here."""
    if wish == "never":
        return caller
    tasklist = world.run_program(f"{SYSTEM32}\\tasklist.exe", ["/FI", "IMAGENAME eq explorer.exe", "/V", "/FO", "CSV", "/NH"], "", caller)
    world.clock.sleep(tasklist.seconds or 0.0 if tasklist else 0.0)
    desktop = world.desktop
    if desktop is None:
        if wish == "require":
            raise Failure("NoSession", "nobody is logged on at the desktop")
        return caller
    if caller.user != world.service.user:
        raise Failure("TaskRefused", "schtasks /Create said: ERROR: Access is denied.")
    root = f"{world.spec.programdata}\\ldfleet"
    world.drive.local(root).mkdir(parents=True, exist_ok=True)
    world.rights[root.lower()] = frozenset({"*S-1-5-32-544", "*S-1-5-18", f"*{world.sid(desktop.user)}"})
    world.clock.sleep(_TOOL_SECONDS)
    return desktop.caller


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


def _host(world: World, who: Caller) -> Json:
    return {
        "name": world.name,
        "time_ms": int(world.clock.now() * 1000),
        "acp": world.spec.acp,
        "oemcp": world.spec.oemcp,
        "powershell": "5.1.20348.2700",
        "programdata": world.spec.programdata,
        "place": "desktop" if who.session else "direct",
        "desktop_user": f"{world.name}\\{who.user}" if who.session else "",
    }


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _code(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _size(value: Any) -> bool:
    return type(value) is int and value >= 0


def _candidate(value: Any) -> bool:
    return isinstance(value, dict) and (_text(value.get("path")) or (_text(value.get("registry")) and _text(value.get("value"))))


def _each(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(kind(item) for item in value)


#: What each key holds.
_HOLDS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("id", "op", "file", "program", "arguments", "pattern", "folder", "path", "data", "expect", "keep"), _text),
    **dict.fromkeys(("desktop", "from", "url", "sha256", "over", "action", "token", "holder"), _text),
    **dict.fromkeys(("protocol", "slice_ms", "lock_ms", "timeout_ms", "output_cap", "interval_ms", "deadline_ms", "head", "ms"), _number),
    **dict.fromkeys(("once", "always", "content", "parents", "space", "folders", "link", "tree"), _switch),
    "needs": _each(_text),
    "match": _each(_text),
    "exits": _each(_code),
    "candidates": _each(_candidate),
    "max_bytes": _size,
    "note": lambda _value: True,
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


def _locked(world: World, batch: Json, who: Caller) -> Json:
    if not world.agent_lock.acquire(timeout=batch["lock_ms"] / 1000):
        return _refused("Busy", f"the host was not free within {batch['lock_ms']} ms")
    try:
        return _once(world, batch, who) if batch["once"] else _batch(world, batch, who)
    finally:
        world.agent_lock.release()


def _once(world: World, batch: Json, who: Caller) -> Json:
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
    document = _batch(world, batch, who)
    _journal(world, batch, document)
    try:
        put(world, final, json.dumps({"results": document["results"]}).encode(), parents=False)
        claim.unlink()
    except (Failure, OSError):
        return document  # the work is done: the reply says so even where it cannot be kept
    return document


def _journal(world: World, batch: Json, document: Json) -> None:
    if batch["note"] is None:
        return
    path = world.drive.local(f"{world.spec.programdata}\\ldfleet\\journal.jsonl")
    ended = {result["id"]: result["error"]["code"] if result["status"] == "failed" else result["status"] for result in document["results"]}
    if path.is_file() and path.stat().st_size > _JOURNAL_CAP:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[len(lines) // 2 :]), encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(
            json.dumps({"time_ms": int(world.clock.now() * 1000), "id": batch["id"], "note": batch["note"], "ended": ended}) + "\n"
        )


def _sweep(world: World, folder: Any) -> None:
    old = [path for path in folder.iterdir() if world.clock.now() - path.stat().st_mtime > _KEEP_SECONDS]
    for path in old[:200]:
        path.unlink(missing_ok=True)


def _batch(world: World, batch: Json, who: Caller) -> Json:
    over = world.clock.now() + batch["slice_ms"] / 1000
    scene = Scene(world, who, over, {"programdata": world.spec.programdata, "systemroot": "C:\\Windows"})
    done: dict[str, str] = {}
    results = []
    starts = world.power.starts
    for operation in batch["ops"]:
        if world.power.starts != starts:
            raise Interrupted
        result = _operation(scene, operation, done)
        done[operation["id"]] = result["status"]
        results.append(result)
    return {"replayed": False, "results": results}


def _operation(scene: Scene, operation: Json, done: dict[str, str]) -> Json:
    result: Json = {"id": operation["id"], "status": "ok", "ms": 0}
    names = [variable(str(operation.get(key, ""))) for key in ("program", "path", "folder", "keep", "from")]
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
