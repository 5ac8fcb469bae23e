# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The batch protocol, version 1 (docs/protocol.md), as values and bytes. Pure: no connection, no clock, no chance.

Request: bootstrap text and one line of ASCII JSON. Reply: the text between the marks that carry the batch's id.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .operations import Operation

PROTOCOL = 1

#: The command that every connection runs: read standard input, make a script block of the agent's text, call it. WinRM strips its
#: lines and drops blank ones (ansible-core up to 2.21), so nothing here depends on either.
BOOTSTRAP = "\n".join(
    (
        "#ldfleet-bootstrap 1",
        "$ProgressPreference='SilentlyContinue'",
        '$request=ConvertFrom-Json -InputObject (@($input) -join "`n")',
        "& ([ScriptBlock]::Create($request.agent)) $request",
    )
)

#: Longer batches are compressed: one WS-Man Send carries 200,000 bytes of input (ansible-core's winrm plugin).
_PACK_ABOVE = 100_000
#: What a reply may unpack to, so that a broken or hostile host cannot fill the controller's memory.
_REPLY_CAP = 64 * 1024 * 1024


@dataclass(frozen=True)
class Batch:
    """``id``: 32 hexadecimal digits, new for each batch; ``once``: it has effects; times in milliseconds.

    ``desktop``: auto, require or never; ``note``: JSON for the host's journal, of a batch with effects (None: no line).
    """

    id: str
    operations: tuple[Operation, ...]
    once: bool
    desktop: str = "auto"
    note: Any = None
    slice_ms: int = 30_000
    lock_ms: int = 60_000

    def payload(self, agent: str) -> bytes:
        """Standard input for the bootstrap: one line of ASCII JSON."""
        document = json.dumps(
            {
                "protocol": PROTOCOL,
                "id": self.id,
                "slice_ms": self.slice_ms,
                "lock_ms": self.lock_ms,
                "once": self.once,
                "desktop": self.desktop,
                "note": self.note,
                "ops": list(self.operations),
            },
            separators=(",", ":"),
        )
        if len(document) <= _PACK_ABOVE:
            line = f'{{"agent":{json.dumps(agent)},"batch":{document}}}'
        else:
            packed = base64.b64encode(gzip.compress(document.encode(), 6, mtime=0)).decode()
            line = f'{{"agent":{json.dumps(agent)},"packed":"{packed}"}}'
        return line.encode("ascii") + b"\n"


@dataclass(frozen=True)
class Problem:
    """An error as the agent words it; both fields are the host's text and not to be trusted."""

    code: str
    message: str


@dataclass(frozen=True)
class HostFacts:
    """What every reply tells of the host. ``time_ms``: Unix time by its clock; code pages are 0 where unknown.

    ``place``: ``desktop`` when the batch ran in the session of the user who is logged on (``desktop_user``), else ``direct``.
    """

    name: str
    time_ms: int
    acp: int
    oemcp: int
    powershell: str
    programdata: str
    place: str
    desktop_user: str


@dataclass(frozen=True)
class Result:
    """One operation's outcome. ``values``: the keys of its kind. ``needs``: what was missing when it was skipped."""

    id: str
    status: str
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    needs: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the operation did what it says."""
        return self.status == "ok"

    @property
    def ran(self) -> bool:
        """Whether it was started at all: only what was not may be repeated without another look."""
        return self.status in ("ok", "failed")

    def data(self, key: str) -> bytes:
        """A base64 value as bytes (see ``complete``); empty when it is not there."""
        return base64.b64decode(self.values.get(key) or "", validate=True)


@dataclass(frozen=True)
class Reply:
    """``problem``: the batch as a whole was refused or broken off; then there are no results."""

    id: str
    host: HostFacts
    results: Mapping[str, Result]
    replayed: bool = False
    problem: Problem | None = None


class NoReply(ValueError):
    """The output holds no reply for this id; the message tells what it holds instead."""


class BadReply(ValueError):
    """There is a reply, but it is not what the protocol says."""


def reply(output: str, batch_id: str) -> Reply:
    """Find and decode the reply for ``batch_id`` in a command's whole output. Raises NoReply or BadReply."""
    begin, end = f"#ldfleet-begin {batch_id}#", f"#ldfleet-end {batch_id}#"
    start = output.rfind(begin)
    stop = output.find(end, start) if start >= 0 else -1
    if start < 0 or stop < 0:
        seen = " ".join(output.split())
        raise NoReply(f"the host answered {seen[:200]!r}" if seen else "the host answered nothing")
    return _decoded(output[start + len(begin) : stop].strip(), batch_id)


def _decoded(body: str, batch_id: str) -> Reply:
    try:
        document = json.loads(body if body.lstrip().startswith("{") else _unpacked(body))
    except (ValueError, EOFError, OSError, RecursionError) as error:
        raise BadReply(f"the reply cannot be read ({error})") from error
    try:
        if document["protocol"] != PROTOCOL or document["id"] != batch_id:
            raise BadReply(f"the reply is for protocol {document['protocol']!r}, id {document['id']!r}")
        host = HostFacts(**{key: kind(document["host"][key]) for key, kind in _HOST_KEYS.items()})
        if not all(_fits(number, int) for number in (host.time_ms, host.acp, host.oemcp)):
            raise BadReply("the reply tells numbers of the host that no host has")
        problem = _problem(document.get("error"))
        results = {str(item["id"]): _result(item) for item in document.get("results", ())}
        return Reply(batch_id, host, results, bool(document.get("replayed")), problem)
    except BadReply:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadReply(f"the reply lacks or garbles {error}") from error


#: What a result tells when it is ok, by the kind of its operation, as far as anybody here reads it (docs/protocol.md). A list stands for one of such
#: items, a tuple for any of several shapes, ``bytes`` for base64, a pattern for text.
_BYTES = (bytes, None)
_DIGITS = re.compile(r"[0-9]{1,9}")
_PROGRAM = {"exit": (int, None), "stdout": _BYTES, "stderr": _BYTES, "timed_out": (bool, None)}
_SEEN = {"name": str, "size": int, "modified_ms": int, "head": _BYTES}
_FILE = ({**_SEEN, "sha256": str, "data": _BYTES}, {**_SEEN, "error": {"code": str, "message": str}})
_ANSWERS: Mapping[str, Any] = {
    "find": {"path": str, "free_bytes": (int, None)},
    "exec": _PROGRAM,
    "until": _PROGRAM,
    "each": {"runs": [{**_PROGRAM, "key": _DIGITS}]},
    "read": {
        "exists": bool,
        "files": [_FILE],
        "folders": ([{"name": str, "bytes": int, "modified_ms": int}], None),
        "free_bytes": (int, None),
        "link": (str, None),
    },
}
_STATUSES = frozenset({"ok", "failed", "skipped", "deferred"})
#: Bits of any number that a host may name: a size, a time, an index.
_BITS = 63


def complete(found: Reply, operations: Iterable[Operation]) -> Reply:
    """The same reply, when each operation has its result and each result what its kind tells. Raises BadReply: a host is not to be trusted."""
    for operation in operations:
        result = found.results.get(operation["id"])
        if result is None or result.status not in _STATUSES:
            raise BadReply(f"operation {operation['id']} has no result")
        shape = _ANSWERS.get(operation["op"], {}) if result.ok else {}
        wrong = [key for key, inner in shape.items() if not _fits(result.values.get(key), inner)]
        if wrong:
            raise BadReply(f"operation {operation['id']}: {wrong[0]} is {result.values.get(wrong[0])!r:.60}")
    return found


def _fits(value: object, shape: Any) -> bool:
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if isinstance(shape, Mapping):
        return isinstance(value, Mapping) and all(_fits(value.get(key), inner) for key, inner in shape.items())
    if shape is None:
        return value is None
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if shape is bytes:
        return _is_base64(value)
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _BITS
    return isinstance(value, shape)


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except ValueError:
        return False


def _unpacked(body: str) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(body, validate=True))) as stream:
        data = stream.read(_REPLY_CAP + 1)
    if len(data) > _REPLY_CAP:
        raise ValueError(f"it unpacks to more than {_REPLY_CAP} bytes")
    return data


_HOST_KEYS: Mapping[str, type] = {
    "name": str,
    "time_ms": int,
    "acp": int,
    "oemcp": int,
    "powershell": str,
    "programdata": str,
    "place": str,
    "desktop_user": str,
}


def _problem(found: Any) -> Problem | None:
    return None if found is None else Problem(str(found["code"]), str(found["message"]))


def _result(item: Mapping[str, Any]) -> Result:
    values = {key: value for key, value in item.items() if key not in ("id", "status", "error", "needs")}
    needs = item.get("needs")
    return Result(str(item["id"]), str(item["status"]), values, _problem(item.get("error")), None if needs is None else str(needs))
