# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ldfleet installed on a host, one file an LDPlayer: not in LDPlayer's folder, since whoever removes half of that must still know whose it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..emulators.conversation import Json
from ..words import places
from ..words.options import shown

FOLDER = r"{programdata}\ldfleet\installs"

#: What each key of a mark holds. ``data_dir`` came later, and is missing where there is none.
_KEYS: Mapping[str, type] = {"install_dir": str, "sha256": str, "release": str, "ldplayer_version": int, "done": bool, "data_dir": str}


@dataclass(frozen=True)
class Mark:
    """``done``: whether the last work came to its end. ``sha256``: of what was unpacked. ``data_dir``: where it keeps its emulators, if not in its folder."""

    install_dir: str
    sha256: str
    release: str
    version: int
    done: bool
    data_dir: str


def file(folder: str) -> str:
    """The name of the mark of the LDPlayer in a folder."""
    return f"{hashlib.sha256(folder.lower().encode()).hexdigest()[:16]}.json"


def look() -> Operation:
    """All that are there, as ``marks``."""
    return operations.read("marks", FOLDER, "*.json")


def read(item: Mapping[str, Any]) -> Mark:
    """A mark out of its file. Raises ValueError where it is none."""
    try:
        document = {"data_dir": "", **json.loads(Result("mark", "ok", item).data("data"))}
        if document["version"] != 1 or not all(isinstance(document[name], kind) for name, kind in _KEYS.items()):
            raise ValueError("it has another form")
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has another form: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    for folder in filter(None, (document["install_dir"], document["data_dir"])):
        if problem := places.place_problem(folder):
            raise ValueError(f"it names {shown(folder)}: {problem}")
    return Mark(
        document["install_dir"], document["sha256"], document["release"], document["ldplayer_version"], document["done"], document["data_dir"]
    )  # fmt: skip


def readable(item: Mapping[str, Any]) -> Mark | None:
    """The same; None where it is none."""
    try:
        return read(item)
    except ValueError:
        return None


def text(mark: Mark) -> bytes:
    """What its file holds. The source's address is not in it: it may have a key in it."""
    document = {
        "version": 1, "install_dir": mark.install_dir, "ldplayer_version": mark.version, "release": mark.release, "sha256": mark.sha256,
        "done": mark.done, "data_dir": mark.data_dir,
    }  # fmt: skip
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def laid(reply: Reply) -> list[Json] | None:
    """Every mark for a reader, in the order of their files, whose values are None where one cannot be understood; None where none can be read."""
    result = reply.results["marks"]
    return [_told(item) for item in result.values["files"]] if result.ok else None


def _told(item: Mapping[str, Any]) -> Json:
    mark = readable(item)
    return {
        "file": str(item["name"]),
        "install_dir": mark.install_dir if mark else None,
        "ldplayer_version": mark.version if mark else None,
        "release": mark.release if mark else None,
        "data_dir": (mark.data_dir or None) if mark else None,
        "done": mark.done if mark else None,
    }
