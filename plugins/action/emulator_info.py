# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_info: what a host has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import LOOK_MS, FleetAction, observe
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import journal, report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Looks, and reports what the filters let through."""

    module = "emulator_info"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        newest = journal.newest(given)
        result = report.info(observe(session, given["where"]), given["names"], given["owned"])
        if newest:
            result["journal"] = journal.entries(session.ask(journal.look(), LOOK_MS), newest)
        return result
