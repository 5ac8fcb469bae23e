# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_app: one app of an emulator that runs, everything else left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Builds Desired from one app, whose options are the module's own."""

    module = "emulator_app"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.reconcile(desired.one_app(given), session, given)
