# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""windows_work: what the role windows has to do on a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import role


def windows_work(look: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What differs, by area (plugin_utils/_fleet/windows/role.py). Raises AnsibleFilterError for what is no result of host_info."""
    try:
        return role.work(look, wanted)
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(
            f"windows_work takes a result of host_info and what is wanted; {error} is missing or no such thing"
        ) from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"windows_work": windows_work}
