# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator: one emulator, the others left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Builds Desired from one entry, whose options are the module's own."""

    module = "emulator"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        needed, folder = given["desktop_session"] != "never", desired.backup_folder(given)
        wanted = desired.build([given], where="", starting=desired.starting(given), desktop_needed=needed, backup_folder=folder)
        return self.reconcile(wanted, session, given)
