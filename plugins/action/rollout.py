# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""rollout: what each host is told in a wave, and in the end whether the fleet is as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import ControllerAction, Play, fleet_specs
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.fleet import decision, moving


class ActionModule(ControllerAction):
    """Looks at the wave before, and tells the next one."""

    module = "rollout"

    def decide(self, given: Mapping[str, Any], play: Play) -> dict[str, Any]:
        declared = decision.fleet(given["fleet"], *fleet_specs())
        placed, number = given["placement"], given["wave"]
        looks = decision.looked(declared, play.each(given["look"], declared.hosts))
        # What was registered stays for the whole run of Ansible, so before the first wave it is of an earlier play.
        begun = bool(placed["waves"]) and (given["stage"] is not None or number != placed["waves"][0])
        moved = given["stage"] not in (None, moving.STAGES[0])
        done = play.each(given["moved"] if moved else given["done"], declared.hosts)
        course = decision.course(declared, placed["decision"], given["before"] if begun else None, looks, done)
        if number is None:
            return course.finish(looks, placed["stale"])
        if given["stage"] is not None:
            return course.stage(given["moves"], given["stage"], play.each(given["backups"], declared.hosts))
        return course.wave(number, play.checking)
