# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""way_variables: the connection variables of one of the host's ways. Its documentation stands in way_variables.yml beside it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import ways
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError


class LookupModule(LookupBase):  # type: ignore[misc]
    """A lookup sees the variables as they are written. A filter would be given all ways with every template filled in, also of those that are not taken."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_options: Any) -> list[dict[str, Any]]:
        """Ansible's entry: for each name, the variables as ``key`` and ``value``. Raises AnsibleError for what are no ways."""
        written = (variables or {}).get("ldplayer_ways")
        listed = self._templar.template(written) if isinstance(written, str) else written
        try:
            found = [ways.variables(listed, str(name)) for name in terms]
        except FleetError as error:
            raise AnsibleError(str(error)) from error
        return [{"key": name, "value": self._templar.template(value)} for way in found for name, value in way.items()]
