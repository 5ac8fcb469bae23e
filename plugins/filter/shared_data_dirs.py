# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""shared_data_dirs: which data directories several LDPlayers of one host would share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import installation as room


def shared_data_dirs(declared: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of entries of ``ldplayer_installations``; none where each has its own. Raises AnsibleFilterError for what is no such list."""
    try:
        return sorted(set(room.shared_data_dirs(list(declared))))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # Not what was given: a source may have a key in its address.
        raise AnsibleFilterError(f"shared_data_dirs takes a list like ldplayer_installations ({type(error).__name__}: {error})") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"shared_data_dirs": shared_data_dirs}
