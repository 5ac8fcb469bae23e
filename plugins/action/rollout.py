# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""rollout: what each host is told in a wave, and in the end whether the fleet is as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import ControllerAction, Play, spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet import decision


class ActionModule(ControllerAction):
    """Looks at the wave before, and tells the next one."""

    module = "rollout"

    def decide(self, given: Mapping[str, Any], play: Play) -> dict[str, Any]:
        declared = decision.fleet(given["fleet"], spec("fleet", "inventory"), spec("emulators")["emulators"]["suboptions"])
        placed = given["placement"]
        looks = decision.looked(declared, play.each(given["look"], declared.hosts))
        done = play.each(given["done"], declared.hosts)
        if given["wave"] is None:
            return decision.finish(declared, placed["decision"], given["before"], looks, done, placed["stale"])
        if given["stage"] is not None:
            moved, backups = (play.each(name, declared.hosts) for name in ("ldplayer_moved", "ldplayer_backup"))
            before = done if given["stage"] == "backup" else moved
            return decision.stage(declared, placed["decision"], given["before"], given["moves"], given["stage"], looks, before, backups)
        return decision.wave(declared, placed["decision"], given["before"], looks, done, given["wave"], play.checking)
