# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""conformance: asks a host, on scratch emulators, whether what ldfleet takes for true holds there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction, observe
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import conformance, report
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session

_CLEAN_MS = 180_000


class ActionModule(FleetAction):
    """Runs the chapters, and removes what they made whatever came of them."""

    module = "conformance"
    _supports_check_mode = False

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        seen = observe(session, given["where"])
        chapters = conformance.examine(seen, secrets.token_hex(3))
        try:
            ask = next(chapters)
            while True:
                own, session.desktop = session.desktop, ask.desktop or session.desktop
                reply = self.work(session, ask.operations, ask.slice_ms, ["conformance"])
                session.desktop = own
                ask = chapters.send(reply)
        except StopIteration as end:
            return report.conformance(end.value, seen)
        finally:
            session.desktop = given["desktop_session"]
            left = conformance.leftovers(observe(session, given["where"]))
            if left:
                self.work(session, left, _CLEAN_MS, ["conformance: clean up"])
