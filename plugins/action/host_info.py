# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""host_info: what a Windows host is, and what stands in LDPlayer's way there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import LOOK_MS, FleetAction, script
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet import host_info
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Asks everything at once, and judges it."""

    module = "host_info"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        asked = host_info.wanted(given)
        operations = host_info.ask(asked, given["where"], script("_probe"))
        began = time.time()
        reply = session.ask(operations, LOOK_MS)
        return host_info.result(asked, reply, began, time.time())
