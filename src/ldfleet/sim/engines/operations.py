"""The operations of docs/protocol.md on a simulated host, in Python: what the agent does on Windows, done to a World. Time is the world's."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import ntpath
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from ..ldplayer.world import World
from ..machine.windows import Answer, Caller
from ..programs.commands import split

Json = dict[str, Any]


class Failure(Exception):
    """An operation's failure: code, message, and further keys for its result."""

    def __init__(self, code: str, message: str, **values: Any) -> None:
        super().__init__(message)
        self.code = code
        self.values = values


@dataclass
class Scene:
    """What the operations of one batch share. ``over``: seconds of the world's clock at which the slice ends. ``outputs``: stdout by operation."""

    world: World
    caller: Caller
    over: float
    variables: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """A path with its variable put in, which must be a full one."""
        name = variable(text)
        path = self.variables[name] + text[len(name) + 2 :] if name else text
        if not re.match(r"[A-Za-z]:[\\/]|\\\\|/", path):
            raise Failure("BadRequest", f"{path} is not a full path")
        return path

    def local(self, text: str) -> Path | None:
        """The file behind a Windows path; None for a path that Windows would not take, or another drive's: nothing is there."""
        try:
            return self.world.drive.local(self.path(text))
        except ValueError:
            return None


def variable(text: str) -> str:
    """The name of the variable at the beginning of a path, or nothing."""
    found = re.match(r"\{([a-z0-9_.-]{1,64})\}", text)
    return found[1] if found else ""


def find(scene: Scene, operation: Json, result: Json) -> None:
    for position, candidate in enumerate(operation["candidates"]):
        for folder in folders(scene.world, candidate, scene.caller):
            full = plain(folder)
            if holds(scene.world, full, operation["file"]):
                result.update(path=full, candidate=position, free_bytes=_room(scene, full))
                scene.variables[operation["id"]] = full
                return
    raise Failure("NotFound", f"no candidate holds {operation['file']}")


def _room(scene: Scene, folder: str) -> int:
    """Bytes free on a folder's drive; -1 where there is no such drive."""
    local = scene.local(folder)
    return -1 if local is None else scene.world.free(local)


def plain(folder: str) -> str:
    """A folder without a backslash at its end, unless it is a drive's root."""
    bare = folder.rstrip("\\/")
    return f"{bare}\\" if bare.endswith(":") else bare


def holds(world: World, folder: str, file: str) -> bool:
    """Whether a folder holds a file of that name."""
    try:
        return world.drive.local(f"{folder}\\{file}").is_file()
    except ValueError:
        return False


def folders(world: World, candidate: Json, caller: Caller) -> list[str]:
    """The folders that a candidate of `find` names, there or not."""
    named = [candidate["path"]] if "path" in candidate else _registered(world, candidate["registry"], candidate["value"], caller)
    named_folders = []
    for text in named:
        folder = text.strip()
        if candidate.get("parent"):
            folder = ntpath.dirname(re.sub(r",-?\d+\Z", "", folder).strip('"'))
        if folder:
            named_folders.append(folder)
    return named_folders


def _registered(world: World, key: str, value: str, caller: Caller) -> list[str]:
    keys = [key]
    if key.startswith("HKU\\*\\"):
        keys = [f"HKU\\{user}\\{key[6:]}" for user in world.registry.children("HKU")]
    found = [world.value(name, value, caller) for name in keys]
    return [text for text in found if isinstance(text, str)]


def execute(scene: Scene, operation: Json, result: Json) -> None:
    text = _program(scene, operation, operation["arguments"], result, operation["timeout_ms"])
    scene.outputs[operation["id"]] = text
    if result["timed_out"]:
        raise Failure("Timeout", f"it was still running after {operation['timeout_ms']} ms and was ended")
    if "exits" in operation and result["exit"] not in operation["exits"]:
        raise Failure("ExitCode", f"it exited with {result['exit']}")
    for pattern in operation.get("match", ()):
        if not _matches(pattern, text):
            raise Failure("NoMatch", f"its output does not match {pattern}")


def _program(scene: Scene, operation: Json, arguments: str, result: Json, timeout_ms: float) -> str:
    path = scene.path(operation["program"]).replace("/", "\\")
    if not path.lower().endswith(".exe"):
        raise Failure("BadRequest", f"{path} is no .exe")
    file = scene.local(path)
    if file is None or not file.is_file():
        raise Failure("NotFound", f"there is no {path}")
    answer = scene.world.run_program(path, split(arguments), arguments, scene.caller)
    if answer is None:
        raise Failure("StartFailed", f"{path} is not a valid application for this OS platform.")
    late = answer.seconds is None or answer.seconds * 1000 > timeout_ms
    scene.world.clock.sleep(timeout_ms / 1000 if late else answer.seconds or 0.0)
    cap = operation["output_cap"]
    shown = Answer() if late else answer
    result.update(
        timed_out=late,
        truncated=len(shown.stdout) > cap or len(shown.stderr) > cap,
        stdout=base64.b64encode(shown.stdout[:cap]).decode(),
        stderr=base64.b64encode(shown.stderr[:cap]).decode(),
        exit=-1 if late else answer.exit_code,
    )
    return shown.stdout[:cap].decode("latin-1")


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise Failure("BadRequest", f"{pattern} is no pattern: {error}") from error


def until(scene: Scene, operation: Json, result: Json) -> None:
    clock = scene.world.clock
    deadline = clock.now() + operation["deadline_ms"] / 1000
    result["tries"] = 0
    while True:
        left = (min(deadline, scene.over) - clock.now()) * 1000
        result["tries"] += 1
        longest = operation["timeout_ms"] if result["tries"] == 1 else min(operation["timeout_ms"], max(1000, left))
        text = _program(scene, operation, operation["arguments"], result, longest)
        scene.outputs[operation["id"]] = text
        if not result["timed_out"] and _matches(operation["pattern"], text):
            return
        again = clock.now() + operation["interval_ms"] / 1000
        if again >= deadline:
            raise Failure("Deadline", f"nothing matched {operation['pattern']} within {operation['deadline_ms']} ms")
        if again >= scene.over:
            raise Failure("SliceOver", f"nothing matched {operation['pattern']} before the slice was over")
        clock.sleep(operation["interval_ms"] / 1000)


def read(scene: Scene, operation: Json, result: Json) -> None:
    folder = scene.local(operation["folder"])
    result.update(exists=folder is not None and folder.is_dir(), files=[])
    if operation.get("space"):
        result["free_bytes"] = _room(scene, operation["folder"])
    if operation.get("folders"):
        result["folders"] = []
    if operation.get("link"):
        result["link"] = "" if folder is None else scene.world.drive.target(folder)
    pattern = re.compile(re.escape(operation["pattern"]).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE | re.DOTALL)
    if folder is not None and result["exists"]:
        names = sorted((entry.name for entry in folder.iterdir() if entry.is_file() and pattern.fullmatch(entry.name)), key=_ordinal)
        result["files"] = [_entry(scene.world, folder / name, operation) for name in names]
        if operation.get("folders"):
            inner = sorted(
                (entry.name for entry in folder.iterdir() if _folder_like(entry) and pattern.fullmatch(entry.name)), key=_ordinal
            )
            result["folders"] = [_folder(folder / name) for name in inner]


def _folder_like(entry: Path) -> bool:
    """A junction is a folder to who lists one, also when what it leads to is gone."""
    return entry.is_dir() or entry.is_symlink()


def _folder(path: Path) -> Json:
    stats = [entry.stat() for entry in path.iterdir() if entry.is_file()] if path.is_dir() else []
    latest = max((int(stat.st_mtime * 1000) for stat in stats), default=0)
    return {"name": path.name, "bytes": sum(stat.st_size for stat in stats), "modified_ms": latest}


def _ordinal(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


_IN_USE = "The process cannot access the file because it is being used by another process."


def _held(world: World, path: Path) -> bool:
    return world.in_use(path) or any(fnmatch.fnmatch(path.name, pattern) for pattern in world.held)


def _entry(world: World, path: Path, operation: Json) -> Json:
    stat = path.stat()
    entry: Json = {"name": path.name, "size": stat.st_size, "modified_ms": int(stat.st_mtime * 1000)}
    if _held(world, path):
        return {**entry, "error": {"code": "Locked", "message": _IN_USE}}
    if operation.get("head"):
        with path.open("rb") as stream:
            entry["head"] = base64.b64encode(stream.read(operation["head"])).decode()
    if stat.st_size > operation["max_bytes"]:
        return {**entry, "error": {"code": "TooLarge", "message": f"it has {stat.st_size} bytes"}}
    data = path.read_bytes()
    entry["sha256"] = hashlib.sha256(data).hexdigest()
    if operation["content"]:
        entry["data"] = base64.b64encode(data).decode()
    return entry


def write(scene: Scene, operation: Json, result: Json) -> None:
    path = scene.local(operation["path"])
    try:
        data = base64.b64decode(operation["data"], validate=True)
    except ValueError as error:
        raise Failure("BadRequest", "the data is no base64") from error
    now = _expected(path, operation["expect"])
    if "keep" in operation and path is not None and now != "absent":
        put(scene.world, _named(scene, operation["keep"]), path.read_bytes(), parents=True)
    put(scene.world, _named(scene, operation["path"]), data, operation.get("parents", False))
    result["sha256"] = hashlib.sha256(data).hexdigest()


def _named(scene: Scene, text: str) -> Path:
    path = scene.local(text)
    if path is None and not scene.path(text).lower().startswith("c:"):
        raise Failure("NotFound", "Could not find a part of the path.")
    if path is None:
        raise Failure("IoError", "The filename, directory name, or volume label syntax is incorrect.")
    return path


def _expected(path: Path | None, expect: str) -> str:
    now = hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else "absent"
    if expect not in ("any", now):
        raise Failure("Mismatch", "the file is not what was expected", found=now)
    return now


def put(world: World, path: Path, data: bytes, parents: bool) -> None:
    """Write a file by rename, if the disk has room. Its time is the world's."""
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.parent.is_dir():
        raise Failure("NotFound", f"there is no folder {path.parent.name}")
    if world.disk_free < len(data):
        raise Failure("DiskFull", "There is not enough space on the disk.")
    _free(path)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.utime(temporary, (world.clock.now(), world.clock.now()))
    try:
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _free(path: Path) -> None:
    """Windows neither replaces nor deletes a file with the read-only attribute."""
    if path.is_file() and not path.stat().st_mode & stat.S_IWUSR:
        raise Failure("AccessDenied", "Access to the path is denied.")


def remove(scene: Scene, operation: Json, result: Json) -> None:
    path = scene.local(operation["path"])
    if operation["expect"] == "absent":
        raise Failure("BadRequest", "what is absent cannot be removed")
    if operation.get("tree"):
        _remove_tree(scene, operation, path, result)
        return
    result["existed"] = path is not None and path.is_file()
    if path is not None and result["existed"]:
        if _held(scene.world, path):
            raise Failure("Locked", _IN_USE)
        _expected(path, operation["expect"])
        _free(path)
        path.unlink()


def _remove_tree(scene: Scene, operation: Json, path: Path | None, result: Json) -> None:
    if operation["expect"] != "any":
        raise Failure("BadRequest", "a folder has no hash to expect")
    if re.fullmatch(r"[A-Za-z]:[\\/]*", scene.path(operation["path"])):
        raise Failure("BadRequest", f"{operation['path']} is a whole drive")
    result["existed"] = path is not None and path.is_dir()
    if path is not None and result["existed"]:
        if path.is_symlink():
            path.unlink()
            return
        if any(_held(scene.world, file) for file in path.rglob("*")):
            raise Failure("Locked", _IN_USE)
        shutil.rmtree(path)


def copy(scene: Scene, operation: Json, result: Json) -> None:
    source, path = scene.local(operation["from"]), scene.local(operation["path"])
    if source is None or not source.is_file():
        raise Failure("NotFound", "there is no such file to copy")
    _expected(path, operation["expect"])
    data = source.read_bytes()
    put(scene.world, _named(scene, operation["path"]), data, operation.get("parents", False))
    result["sha256"] = hashlib.sha256(data).hexdigest()


def each(scene: Scene, operation: Json, result: Json) -> None:
    found = re.findall(operation["pattern"], scene.outputs.get(operation["over"], ""))
    keys = [match if isinstance(match, str) else match[0] for match in found]
    result["runs"] = []
    for key in (key for key in keys if re.fullmatch(r"[0-9]{1,9}", key)):
        entry: Json = {"key": key}
        _program(scene, operation, operation["arguments"].replace("{1}", key), entry, operation["timeout_ms"])
        result["runs"].append(entry)


def pause(scene: Scene, operation: Json, _result: Json) -> None:
    left = min(operation["ms"] / 1000, max(0.0, scene.over - scene.world.clock.now()))
    scene.world.clock.sleep(left)
    if left < operation["ms"] / 1000:
        raise Failure("SliceOver", "the slice was over before the pause was")


def lease(scene: Scene, operation: Json, result: Json) -> None:
    path = scene.world.drive.local(f"{scene.world.spec.programdata}\\ldfleet\\lease.json")
    now = int(scene.world.clock.now() * 1000)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        found = {}
    mine = found.get("token") == operation["token"]
    if found and not mine and found.get("until_ms", 0) > now:
        raise Failure("Held", "another one holds the lease of this host", holder=found.get("holder", ""), until_ms=found["until_ms"])
    if operation["action"] == "release":
        if mine:
            path.unlink()
        return
    result["until_ms"] = now + operation["ms"]
    kept = {"token": operation["token"], "holder": operation["holder"], "until_ms": result["until_ms"]}
    put(scene.world, path, json.dumps(kept).encode(), parents=True)


def fetch(scene: Scene, operation: Json, result: Json) -> None:
    path = _named(scene, operation["path"])
    result.update(bytes=0, resumed_from=0)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == operation["sha256"]:
        result.update(bytes=path.stat().st_size, fetched=False)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _pull(scene, operation, part, result)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    if digest != operation["sha256"]:
        part.unlink()
        raise Failure("Mismatch", "what came has another hash than wanted", found=digest)
    os.replace(part, path)
    result["fetched"] = True


def _pull(scene: Scene, operation: Json, part: Path, result: Json) -> None:
    if not re.match(r"(?i)https?://", operation["url"]):
        raise Failure("BadRequest", "only http and https addresses are fetched")
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    limit = operation["timeout_ms"] / 1000
    try:
        with requests.get(operation["url"], headers=headers, stream=True, timeout=min(60.0, limit)) as response:
            result["http_status"] = response.status_code
            if response.status_code >= 400:
                if response.status_code == 416:
                    part.unlink()
                raise Failure("HttpStatus", f"the server answered {response.status_code}")
            result["resumed_from"] = have if response.status_code == 206 else 0
            with part.open("ab" if response.status_code == 206 else "wb") as target:
                for piece in response.iter_content(16_384):
                    if scene.world.disk_free < target.tell() + len(piece):
                        raise Failure("DiskFull", "There is not enough space on the disk.")
                    target.write(piece)
                    if target.tell() > operation["max_bytes"]:
                        raise Failure("TooLarge", f"it has more than {operation['max_bytes']} bytes")
                result["bytes"] = target.tell()
    except requests.RequestException as error:
        raise Failure("FetchFailed", str(error)) from error


@dataclass(frozen=True)
class Kind:
    """An operation: what it does, and the keys that it must and may have beside id, op, needs and always."""

    act: Callable[[Scene, Json, Json], None]
    must: tuple[str, ...]
    may: tuple[str, ...] = ()


_EXEC = ("program", "arguments", "timeout_ms", "output_cap")
KINDS: Mapping[str, Kind] = {
    "find": Kind(find, ("candidates", "file")),
    "exec": Kind(execute, _EXEC, ("exits", "match")),
    "until": Kind(until, (*_EXEC, "pattern", "interval_ms", "deadline_ms")),
    "read": Kind(read, ("folder", "pattern", "content", "max_bytes"), ("head", "space", "folders", "link")),
    "write": Kind(write, ("path", "data", "expect"), ("parents", "keep")),
    "remove": Kind(remove, ("path", "expect"), ("tree",)),
    "copy": Kind(copy, ("from", "path", "expect"), ("parents",)),
    "fetch": Kind(fetch, ("url", "path", "sha256", "max_bytes", "timeout_ms")),
    "each": Kind(each, ("over", "pattern", *_EXEC)),
    "pause": Kind(pause, ("ms",)),
    "lease": Kind(lease, ("action", "token", "holder", "ms")),
}
