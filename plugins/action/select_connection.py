# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""select_connection: which of a host's ways leads in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import ControllerAction, Play, failure
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import ways
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOption
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.linking import Linking, Memory

#: The variable with the ways. They hold secrets, so they are no option.
_WAYS = "ldplayer_ways"
_LONGEST = 600


class ActionModule(ControllerAction):
    """Tries one after the other."""

    module = "select_connection"

    def decide(self, given: Mapping[str, Any], play: Play) -> dict[str, Any]:
        host = str(play.task_vars["inventory_hostname"])
        if not 1 <= given["timeout"] <= _LONGEST:
            raise BadOption("timeout", f"is {given['timeout']}", f"1 to {_LONGEST} seconds are wanted")
        listed = ways.read(self._written(play), _WAYS)
        if not listed:
            raise BadOption(_WAYS, "is empty", "at least one way is wanted")
        memory = Memory(
            Path(os.path.expanduser(given["memory"] or os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "ldfleet", "ways")))
        )
        choice = self._chosen(
            listed, memory.recall(host), Linking(self, play.task_vars, play.own(host), given["timeout"], secrets.token_bytes(16))
        )
        warnings = [choice.warning(host)]
        if choice.to_remember is not None:
            try:
                memory.keep(host, choice.to_remember)
            except OSError as error:
                warnings.append(f"{host}: which way worked cannot be remembered in {memory.folder}: {error.strerror or error}")
        closed = choice.closed(host)
        told = [warning for warning in warnings if warning is not None]
        return {**choice.told(), "warnings": told, "notes": told, **(failure(closed) if closed is not None else {})}

    def _written(self, play: Play) -> Any:
        """The ways with their templates, which are filled in when a way is tried and not before."""
        if _WAYS not in play.task_vars:
            raise BadOption(_WAYS, "is not there", "a list of ways is wanted, each with its name and its variables")
        written = play.task_vars[_WAYS]
        return self._templar.template(written) if isinstance(written, str) else written

    def _chosen(self, listed: tuple[ways.Way, ...], remembered: str | None, link: Linking) -> ways.Choice:
        course = ways.choosing(listed, remembered)
        try:
            wish = next(course)
            while True:
                wish = course.send(link.attempt(wish))
        except StopIteration as end:
            choice: ways.Choice = end.value
            return choice
