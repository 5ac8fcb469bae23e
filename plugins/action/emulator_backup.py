# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_backup: an emulator's backups in a folder of its host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import backup
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Makes, restores or removes backups of one emulator."""

    module = "emulator_backup"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        return self.talk(backup.talk(backup.wish(given), given["where"]), session)
