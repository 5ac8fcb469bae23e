# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's journal: what runs have done there, as the agent wrote it (docs/protocol.md). What is no whole line is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words.errors import BadOption

#: The agent cuts the file to its newer half beyond one megabyte, at the next line.
_CAP = 2 * operations.FILE_CAP


def newest(given: Mapping[str, Any]) -> int:
    """How many lines a task wants. Raises BadOption."""
    if given["journal"] < 0:
        raise BadOption("journal", f"is {given['journal']}", "0 or more is wanted")
    return int(given["journal"])


def look() -> list[Operation]:
    """What to ask."""
    return [{**operations.read("journal", r"{programdata}\ldfleet", "journal.jsonl"), "max_bytes": _CAP}]


def entries(reply: Reply, newest: int) -> list[dict[str, Any]]:
    """The ``newest`` lines, oldest first: ``time_ms`` (Unix time by the host's clock), ``by``, ``run``, ``steps``, and ``ended`` by operation."""
    files = reply.results["journal"].values.get("files", ()) if reply.results["journal"].ok else ()
    lines = [line for item in files for line in Result("journal", "ok", item).data("data").decode("utf-8", "replace").splitlines()]
    found = []
    for line in lines[-newest:]:
        try:
            document = json.loads(line)
            note = document["note"]
            entry = {"time_ms": int(document["time_ms"]), "by": str(note["by"]), "run": str(note["run"])}
            found.append({**entry, "steps": [str(step) for step in note["steps"]], "ended": dict(document["ended"])})
        except (ValueError, KeyError, TypeError):
            continue
    return found
