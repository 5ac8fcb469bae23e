# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""installation: an LDPlayer on a host, laid, upgraded, repaired or taken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import installation, laying
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Keeps one LDPlayer as declared."""

    module = "installation"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.talk(laying.talk(installation.wish(given)), session)
