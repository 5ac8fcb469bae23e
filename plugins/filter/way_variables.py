# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""way_variables: the connection variables of one of a host's ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet import ways
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.errors import FleetError


def way_variables(written: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Those of the way, and ldplayer_way with its name; none for an empty name. Raises AnsibleFilterError for what are no ways."""
    try:
        return ways.variables(written, name)
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"way_variables": way_variables}
