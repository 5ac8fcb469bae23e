# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""placement: which host carries which replica, and in which waves changes come to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import ControllerAction, Play, fleet_specs
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision


class ActionModule(ControllerAction):
    """Reads what each host told, and decides."""

    module = "placement"

    def decide(self, given: Mapping[str, Any], play: Play) -> dict[str, Any]:
        declared = decision.fleet(given["fleet"], *fleet_specs(), given["max_destroy"])
        looks = decision.looked(declared, play.each(given["look"], declared.hosts))
        return decision.place(declared, looks, given["fleet"], given["plan"], given["restart"], play.checking)
