# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""steps: what results of the module emulators did or would do, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def steps(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """The steps of all results, ``in sync`` where there are none. Raises AnsibleFilterError for what are no results."""
    try:
        return [str(action["text"]) for result in results for action in result.get("actions", ())] or ["in sync"]
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"steps takes results of the module emulators, not {results!r:.80}") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"steps": steps}
