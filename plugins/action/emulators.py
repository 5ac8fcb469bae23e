# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""emulators: a host's whole slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import FleetAction, spec
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.emulators import desired
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Builds Desired from entries, defaults and profiles."""

    module = "emulators"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        defaults, profiles = desired.shared(given["defaults"], given["profiles"], spec(self.module)["emulators"]["suboptions"])
        starting = desired.starting(given)
        needed, folder = given["desktop_session"] != "never", desired.backup_folder(given)
        wanted = desired.build(
            given["emulators"],
            defaults,
            profiles,
            given["purge"],
            given["max_destroy"],
            starting=starting,
            desktop_needed=needed,
            backup_folder=folder,
            restart=given["restart"],
        )
        return self.reconcile(wanted, session, given)
