# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulator_shell: a command in an emulator's Android, or an action of LDPlayer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction, observe
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import shell
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Looks, and unless nothing is due (or this is check mode) does the errand and tells what came of it."""

    module = "emulator_shell"
    sees_what_was_done = False

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        errand = shell.errand(given, secrets.token_hex(8))
        seen = observe(session, given["where"], shell.asks(errand))
        emulator = shell.target(errand, seen, given["desktop_session"] != "never")
        due = shell.due(errand, emulator)
        if not due or (self.checking and errand.changes):
            return shell.planned(errand, due)
        reply = self.work(session, shell.work(errand, emulator, seen), errand.timeout_ms, [errand.what])
        return shell.done(errand, shell.came(errand, reply), given["fail_on_error"])
