# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""connection_test: how a host is reached, and whether it can be worked with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import LOOK_MS, FleetAction, failure
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import connecting
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows.connecting import Line, Sample
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words import install
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import BadOption, FleetError, Host, Unreachable
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host import door
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session

_MOST = 100


class ActionModule(FleetAction):
    """Looks from outside, then from inside."""

    module = "connection_test"
    tells_of_closed_hosts = True

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        if not 1 <= given["samples"] <= _MOST:
            raise BadOption("samples", f"is {given['samples']}", f"1 to {_MOST} are wanted")
        if self.closed is not None:
            return {**connecting.report(connecting.closed(self.way_in["tried"])), **failure(self.closed)}
        seen = door.seen(self._connection, self.variable)
        way = self.way_in.get("way", "")
        lines = [connecting.way(way, seen, self.way_in.get("first", True), self.way_in.get("notes", ()))]
        lines += connecting.outside(seen, time.time())
        if seen.ms is None:
            error: FleetError = Unreachable(session.about, f"{seen.address}:{seen.port}: {seen.problem}", lines[-1].advice)
            return {**connecting.report(lines), **failure(error)}
        try:
            lines += self._inside(given, session, seen)
        except Host as error:
            return {**connecting.report([*lines, *connecting.shut_out(error)]), **failure(error)}
        return _judged(lines, session.about)

    def _inside(self, given: Mapping[str, Any], session: Session, seen: connecting.Door) -> list[Line]:
        """Raises Host."""
        session.desktop = "never"
        samples = [self._sample(session) for _ in range(given["samples"])]
        reply = session.ask(connecting.questions(), LOOK_MS)
        lines = [
            connecting.login(seen, reply.host),
            connecting.rights(reply),
            connecting.latency(samples),
            connecting.powershell(reply.host),
            connecting.clock(samples),
            connecting.quotas(reply, seen),
        ]
        session.desktop = given["desktop_session"]
        try:
            there = session.ask(install.look(given["where"]), LOOK_MS)
            return [*lines, connecting.desktop(there.host), connecting.ldplayer(there, given["where"])]
        except Unreachable:
            raise
        except Host as error:
            return [*lines, *connecting.shut_out(error)]

    def _sample(self, session: Session) -> Sample:
        before = time.time()
        told = session.ask([], LOOK_MS).host.time_ms
        return Sample(before, time.time(), told / 1000)


def _judged(lines: list[Line], host: str) -> dict[str, Any]:
    """With what is wrong as an error, so that a play stops there."""
    result = connecting.report(lines)
    wrong = [line for line in lines if line.status == connecting.FAILED]
    if wrong:
        result.update(
            failure(
                Host(
                    host,
                    "; ".join(f"{line.check}: {line.found}" for line in wrong),
                    " ".join(f"{line.advice}." for line in wrong).rstrip("."),
                )
            )
        )
    return result
