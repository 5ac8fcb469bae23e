# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_file: files between a host and the guests of its emulators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import files
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Carries one file over, or takes a picture."""

    module = "emulator_file"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.talk(files.talk(files.wish(given), given["where"]), session)
