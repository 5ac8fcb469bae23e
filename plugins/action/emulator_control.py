# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_control: acts on a running emulator that are no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import control
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Carries one act out."""

    module = "emulator_control"
    sees_what_was_done = False

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.talk(control.talk(given), session)
