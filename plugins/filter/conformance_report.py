# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""conformance_report: the result of the module conformance as a page to read and to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

_ORDER = ("differs", "unknown", "held")
_HEADINGS = {"differs": "What differs", "unknown": "What could not be asked", "held": "What held"}


def conformance_report(result: Mapping[str, Any]) -> str:
    """Markdown, what differs first. Raises AnsibleFilterError for what is no such result."""
    try:
        about = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(result["about"].items()))
        summary = result["summary"]
        lines = [
            "# ldfleet conformance",
            "",
            about,
            "",
            f"{summary['held']} held, {summary['differs']} differ, {summary['unknown']} unknown",
        ]
        for verdict in _ORDER:
            rows = [f"| `{f['fact']}` | {_cell(f['says'])} | {_cell(f['found'])} |" for f in result["findings"] if f["verdict"] == verdict]
            if rows:
                lines += ["", f"## {_HEADINGS[verdict]}", "| fact | what ldfleet takes for true | found |", "| --- | --- | --- |", *rows]
        return "\n".join([*lines, ""])
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"conformance_report takes a result of the module conformance, not {result!r:.80}") from error


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"conformance_report": conformance_report}
