"""ansible.windows.win_stat and win_file, on the simulated drive and its shares."""

from __future__ import annotations

import hashlib
import ntpath
import shutil
from pathlib import Path

from .options import Failed, Option, Spec
from .task import Double, Json, Task

_HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")


def _local(task: Task, wrong: str) -> Path | None:
    """The file of the option ``path``; None on a drive that is not there. Raises Failed for what no path of Windows is."""
    try:
        return task.world.drive.local(task["path"])
    except ValueError as error:
        if task["path"][1:3] == ":\\" and task["path"][0].upper() != "C":
            return None
        raise Failed(wrong) from error


def stat(task: Task) -> None:
    """win_stat. Links are not played."""
    wrong = "argument for path is of type System.String and we were unable to convert to path: The given path's format is not supported."
    local = _local(task, wrong)
    task.result["stat"] = {"exists": local is not None and local.exists()}
    if local is not None and local.exists():
        task.result["stat"] = _stat(task, local)


def _stat(task: Task, local: Path) -> Json:
    found, folder = local.stat(), local.is_dir()
    full = ntpath.normpath(task["path"])
    told: Json = {
        "exists": True,
        "attributes": "Directory" if folder else "Archive",
        "isarchive": not folder,
        "isdir": folder,
        "ishidden": False,
        "isjunction": False,
        "islnk": False,
        "isreadonly": False,
        "isreg": not folder,
        "isshared": False,
        "nlink": 1,
        "hlnk_targets": [],
        "creationtime": found.st_mtime,
        "lastaccesstime": found.st_mtime,
        "lastwritetime": found.st_mtime,
        "path": full,
        "filename": ntpath.basename(full),
        "owner": "BUILTIN\\Administrators",
    }
    if task["get_size"]:
        told["size"] = sum(file.stat().st_size for file in local.rglob("*") if file.is_file()) if folder else found.st_size
    if not folder:
        told["extension"] = ntpath.splitext(full)[1]
        if task["get_checksum"]:
            told["checksum"] = hashlib.new(task["checksum_algorithm"], local.read_bytes()).hexdigest()
    return told


def file(task: Task) -> None:
    """win_file."""
    path, state = task["path"], task["state"]
    local = _local(task, f"Get-AnsibleParam: Parameter 'path' has an invalid path '{path}' specified.")
    if local is None:
        if state == "absent":
            return
        raise Failed(f"Cannot find drive. A drive with the name '{path[0]}' does not exist.")
    if state == "touch":
        task.change(lambda: _touch(task, local))
    elif state == "absent":
        if local.exists():
            _refuse_in_use(task, local)
            task.change(lambda: _remove(task, local))
    elif local.exists():
        if state in ("directory", "file") and local.is_dir() != (state == "directory"):
            raise Failed(f"path {path} is not a {state}")
    elif state == "directory" or (state is None and path.endswith("\\")):
        task.change(lambda: local.mkdir(parents=True))
    else:
        raise Failed(f"path {path} will not be created")


def _touch(task: Task, local: Path) -> None:
    local.touch()
    task.world.touch(local)


def _refuse_in_use(task: Task, local: Path) -> None:
    held = next((inner for inner in (local, *local.rglob("*")) if task.world.in_use(inner)), None)
    if held is not None:
        full = f"{ntpath.normpath(task['path'])}\\{held.relative_to(local)}".replace("/", "\\") if held != local else task["path"]
        raise Failed(f"Failed to delete {full}: Access to the path is denied.")


def _remove(task: Task, local: Path) -> None:
    if local.is_dir() and not local.is_symlink():
        shutil.rmtree(local)
    else:
        local.unlink()
    for world in (task.world, *task.world.beside):
        world.look_after_folder()


DOUBLES = {
    "ansible.windows.win_stat": Double(
        Spec(
            {
                "path": Option("path", required=True, aliases=("dest", "name")),
                "get_checksum": Option("bool", default=True),
                "get_size": Option("bool", default=True),
                "checksum_algorithm": Option(default="sha1", choices=_HASHES),
                "follow": Option("bool", default=False),
            }
        ),
        stat,
    ),
    "ansible.windows.win_file": Double(
        Spec(
            {
                "path": Option("path", required=True, aliases=("dest", "name")),
                "state": Option(choices=("absent", "directory", "file", "touch")),
            },
            legacy=True,
        ),
        file,
    ),
}
