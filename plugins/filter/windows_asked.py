# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""windows_asked: what the role windows asks of a host's registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import role


def windows_asked(wanted: Mapping[str, Any], noted: str | None = None) -> list[dict[str, Any]]:
    """Values for host_info; ``noted``: the notes as they stand on the host, to give back. Raises AnsibleFilterError for what is no such thing."""
    try:
        return role.asked(wanted) if noted is None else role.asked_again(wanted, noted)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnsibleFilterError(f"windows_asked takes what is wanted, and notes; {error} is missing or no such thing") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"windows_asked": windows_asked}
