# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operations of docs/protocol.md as JSON-ready dicts, and the quoting of Windows command lines. Pure.

Arguments become one string here and only here. The rule (Microsoft's "Everyone quotes command line arguments the wrong way"; the same as
the C runtime's parser): quotes around what has blanks or quotes or is empty, backslashes doubled before a quote.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any

Operation = dict[str, Any]

#: One megabyte of output is far above what 1,000 emulators make list2 print; it bounds what a broken host can send.
OUTPUT_CAP = 1_048_576
FILE_CAP = 1_048_576


def quoted(arguments: Iterable[str]) -> str:
    """Join arguments so that a Windows program gets exactly these. NUL cannot be passed: ValueError."""
    return " ".join(_quoted(argument) for argument in arguments)


def _quoted(argument: str) -> str:
    if "\0" in argument:
        raise ValueError("an argument cannot hold NUL")
    if argument and not re.search(r'[\s"]', argument):
        return argument
    doubled = re.sub(r'(\\*)"', r'\1\1\\"', argument)
    return '"' + re.sub(r"(\\+)\Z", r"\1\1", doubled) + '"'


def literal(data: bytes) -> str:
    """A pattern that matches exactly these bytes in output taken as Latin-1; all but letters and digits are written as \\xHH."""
    return "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\x{byte:02x}" for byte in data)


def find(id: str, candidates: Sequence[dict[str, Any]], file: str) -> Operation:
    """The first candidate folder that holds ``file``."""
    return {"id": id, "op": "find", "candidates": list(candidates), "file": file}


def execute(
    id: str, program: str, arguments: Iterable[str], timeout_ms: int, exits: Sequence[int] | None = None, match: Sequence[str] | None = None
) -> Operation:
    """Run a program to its end."""
    operation: Operation = {
        "id": id, "op": "exec", "program": program, "arguments": quoted(arguments), "timeout_ms": timeout_ms, "output_cap": OUTPUT_CAP,
    }  # fmt: skip
    if exits is not None:
        operation["exits"] = list(exits)
    if match is not None:
        operation["match"] = list(match)
    return operation


def until(id: str, program: str, arguments: Iterable[str], timeout_ms: int, pattern: str, interval_ms: int, deadline_ms: int) -> Operation:
    """Run a program again and again until its output matches."""
    operation = execute(id, program, arguments, timeout_ms)
    return {**operation, "op": "until", "pattern": pattern, "interval_ms": interval_ms, "deadline_ms": deadline_ms}


def each(id: str, over: str, pattern: str, program: str, arguments: Iterable[str], timeout_ms: int) -> Operation:
    """Run a program once for each match of ``pattern`` in the output of ``over``; ``{1}`` in the arguments is its first group, digits only."""
    operation = execute(id, program, arguments, timeout_ms)
    return {**operation, "op": "each", "over": over, "pattern": pattern}


def pause(id: str, ms: int) -> Operation:
    """Wait."""
    return {"id": id, "op": "pause", "ms": ms}


def copy(id: str, source: str, path: str, expect: str, parents: bool = False) -> Operation:
    """Put a copy of ``source`` in place of what has the SHA-256 ``expect`` (or is ``absent``, or ``any``)."""
    operation: Operation = {"id": id, "op": "copy", "from": source, "path": path, "expect": expect}
    return {**operation, "parents": True} if parents else operation


def fetch(id: str, url: str, path: str, sha256: str, max_bytes: int, timeout_ms: int) -> Operation:
    """The host pulls a file from an HTTP(S) address."""
    return {"id": id, "op": "fetch", "url": url, "path": path, "sha256": sha256, "max_bytes": max_bytes, "timeout_ms": timeout_ms}


def lease(id: str, action: str, token: str, holder: str, ms: int) -> Operation:
    """Take (or renew) or release the host's lease."""
    return {"id": id, "op": "lease", "action": action, "token": token, "holder": holder, "ms": ms}


def read(id: str, folder: str, pattern: str, space: bool = False) -> Operation:
    """The files of a folder, with their bytes, and on wish the free space of the drive."""
    operation: Operation = {"id": id, "op": "read", "folder": folder, "pattern": pattern, "content": True, "max_bytes": FILE_CAP}
    return {**operation, "space": True} if space else operation


def listing(
    id: str, folder: str, pattern: str, max_bytes: int = 0, head: int = 0, space: bool = False, folders: bool = False, link: bool = False
) -> Operation:
    """The files of a folder without their bytes: the hash of those up to ``max_bytes``, the first ``head`` bytes, and on wish the free space of
    the drive, the sizes of the folders in it, and what the folder itself leads to."""
    operation: Operation = {"id": id, "op": "read", "folder": folder, "pattern": pattern, "content": False, "max_bytes": max_bytes}
    more = {"head": head, "space": space, "folders": folders, "link": link}
    return {**operation, **{key: value for key, value in more.items() if value}}


def write(id: str, path: str, data: bytes, expect: str, parents: bool = False, keep: str | None = None) -> Operation:
    """Put ``data`` in place of what has the SHA-256 ``expect`` (or is ``absent``, or ``any``)."""
    operation: Operation = {"id": id, "op": "write", "path": path, "data": base64.b64encode(data).decode(), "expect": expect}
    if parents:
        operation["parents"] = True
    if keep is not None:
        operation["keep"] = keep
    return operation


def remove(id: str, path: str, expect: str) -> Operation:
    """Delete a file that has the SHA-256 ``expect``."""
    return {"id": id, "op": "remove", "path": path, "expect": expect}


def remove_tree(id: str, path: str) -> Operation:
    """Delete a folder with all that is in it."""
    return {**remove(id, path, "any"), "tree": True}


def needing(operation: Operation, *needs: str) -> Operation:
    """The same operation, run only when those are ok."""
    return {**operation, "needs": [*operation.get("needs", ()), *needs]} if needs else operation


def always(operation: Operation) -> Operation:
    """The same operation, run also when the slice is over."""
    return {**operation, "always": True}
