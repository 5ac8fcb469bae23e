# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""global_settings: what one LDPlayer has set for all of its emulators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import host_settings
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Takes the settings that are given, and keeps them."""

    module = "global_settings"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.talk(host_settings.talk(host_settings.wanted(given), given["where"]), session)
