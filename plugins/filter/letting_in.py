# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""letting_in: what the roles winrm and ssh tell the script that lets controllers in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import letting_in as room


def letting_in(said: Mapping[str, Any], role: str) -> dict[str, Any]:
    """``fleet``: the script's table; ``problems``: what is wrong, each in words. Raises AnsibleFilterError for what is no such mapping."""
    try:
        fleet, problems = room.order(said, role)
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"letting_in takes account, controllers and so on; {error} is missing or no such thing") from error
    return {"fleet": fleet, "problems": [str(problem) for problem in problems]}


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"letting_in": letting_in}
