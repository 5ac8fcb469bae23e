# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all actions share: options from the sidecar, observe, plan, (check mode stops here), apply, prove, report.

The only file that knows Ansible's action plugins; errors of the rooms below become results here and nowhere else.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ._fleet.emulators import converge, desired, lower, observed, report
from ._fleet.emulators.converge import Outcome, Round
from ._fleet.emulators.conversation import Ask, Talk
from ._fleet.emulators.desired import Desired
from ._fleet.emulators.lower import Lease
from ._fleet.emulators.observed import Asked, Observation
from ._fleet.words import install, options
from ._fleet.words.errors import BadOption, Cancelled, FleetError, Held, ReplyLost, Unreachable, Yours
from ._fleet.words.install import Where
from ._host.batch import Reply
from ._host.operations import Operation
from ._host.session import AnsibleTransport, Session

_PLUGINS = Path(__file__).parent.parent
_DISPLAY = Display()

#: libyaml where PyYAML has it: each host's worker reads the sidecar, and the Python parser was 30 ms of the 90 ms that a check takes there.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: An observation is one list2 and three folders; no slice is needed, this only bounds it.
LOOK_MS = 60_000
#: The variable with the path of a file on the controller. As soon as it exists, what is begun is ended, and nothing more is begun.
_CANCEL = "ldplayer_cancel"
#: The variable with what M(select_connection) returned, where the playbook way_in had it look for the way into the host.
_WAY_IN = "ldplayer_way_in"
#: Seconds: an hour of silence is no progress.
_LONGEST_SLICE = 3600


@functools.cache
def sidecar(module: str, kind: str = "modules") -> Mapping[str, Any]:
    """The documentation of a module (plugins/modules/NAME.yml), which is also its option spec."""
    with open(_PLUGINS / kind / f"{module}.yml", encoding="utf-8") as stream:
        loaded: Mapping[str, Any] = yaml.load(stream, Loader=LOADER)  # noqa: S506 - both loaders are safe ones
    return loaded


def spec(module: str, kind: str = "modules") -> options.Spec:
    """The options of a module, or of a plugin of another kind."""
    found: options.Spec = sidecar(module, kind)["DOCUMENTATION"]["options"]
    return found


def fleet_specs() -> tuple[options.Spec, options.Spec]:
    """The options of a fleet file, and of an emulator in it."""
    return spec("fleet", "inventory"), spec("emulators")["emulators"]["suboptions"]


@functools.cache
def script(name: str) -> str:
    """A PowerShell script of ours, as it stands in plugins/module_utils."""
    return (_PLUGINS / "module_utils" / f"{name}.ps1").read_text(encoding="ascii")


@contextlib.contextmanager
def told_in(result: dict[str, Any]) -> Iterator[None]:
    """Every FleetError becomes a failed (or unreachable) result that keeps what is known."""
    try:
        yield
    except FleetError as error:
        result.update(failure(error))


def failure(error: FleetError) -> dict[str, Any]:
    """An error as a task's result."""
    state = "unreachable" if isinstance(error, Unreachable) else "failed"
    return {"msg": str(error), "errors": [single.as_dict() for single in error.each()], state: True}


class _Action(ActionBase):  # type: ignore[misc]
    """What is alike for all actions."""

    _supports_check_mode = True
    _supports_async = False
    module = ""

    @property
    def checking(self) -> bool:
        """Whether this is check mode: a plan is made, and nothing of it is carried out."""
        return bool(self._task.check_mode)


class ControllerAction(_Action):
    """An action that decides for the whole fleet on the controller and talks to no host: its ``module`` name, and ``decide``."""

    _requires_connection = False

    def decide(self, given: Mapping[str, Any], play: Play) -> dict[str, Any]:
        """From checked options and what the play knows, a result. Raises FleetError."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        with told_in(result):
            given = options.checked(spec(self.module), plain(self._task.args), desired.TAKERS)
            result.update(self.decide(given, Play(task_vars or {}, self.checking)))
        return result


@dataclass(frozen=True)
class Play:
    """What a task of the controller sees of its play. ``checking``: whether it is in check mode."""

    task_vars: Mapping[str, Any]
    checking: bool
    _raw: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def each(self, name: str, hosts: Iterable[str]) -> dict[str, Mapping[str, Any] | None]:
        """What was registered under a name for those of ``hosts`` that take part in the play, None where nothing was. Results hold no templates,
        and to look for some in a thousand hosts' results would take minutes."""
        part = set(map(str, self.task_vars.get("ansible_play_hosts_all", ())))
        return {host: plain(self.own(host).get(name)) for host in hosts if host in part}

    def own(self, host: str) -> Mapping[str, Any]:
        """Of a host, gathered once: Ansible puts them together anew at each call."""
        if host not in self._raw:
            self._raw[host] = self.task_vars["hostvars"].raw_get(host)
        return self._raw[host]


class FleetAction(_Action):
    """An action: its ``module`` name, and ``act``, which gets checked options and a session and returns a result."""

    _requires_connection = True
    _cancel = ""
    #: Whether a further run sees by itself what an earlier one did.
    sees_what_was_done = True
    #: Whether it has something to say of a host that no way leads into, without asking it.
    tells_of_closed_hosts = False
    #: What select_connection returned for this host in this run; empty where it has no ways.
    way_in: Mapping[str, Any] = {}

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        """Do the work. Raises FleetError."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        link = AnsibleTransport(self._connection)
        session = Session(link, script("_agent"), str((task_vars or {}).get("inventory_hostname", "host")), way=link.way)
        self._cancel = str((task_vars or {}).get(_CANCEL, ""))
        with told_in(result):
            self._refuse_what_raw_cannot()
            self.way_in = plain((task_vars or {}).get(_WAY_IN) or {})
            if self.closed is not None and not self.tells_of_closed_hosts:
                raise self.closed
            if self._cancelled():
                raise Cancelled(session.about, "the run was cancelled before anything was done here")
            given = options.checked(spec(self.module), plain(self._task.args), desired.TAKERS)
            session.desktop = given["desktop_session"]
            given["where"] = install.where(given)
            result.update(self.act(given, session))
        result["round_trips"] = session.round_trips
        return result

    def _refuse_what_raw_cannot(self) -> None:
        # Both live in Ansible's PowerShell module wrapper, which this route does not use: they would be ignored without a word.
        if self._connection.become:
            raise Yours(self.module, "become does not work with this module", "Connect as an administrator of the host, and drop become")

    @property
    def closed(self) -> FleetError | None:
        """Why no way leads into the host. It is not asked again in the same run: its accounts could lock."""
        if not self.way_in.get("unreachable"):
            return None
        (error,) = self.way_in["errors"]
        return Unreachable(error["about"], error["problem"], error["advice"])

    def variable(self, name: str) -> Any:
        """The value of one of the host's variables, None where there is none."""
        known = self._templar.available_variables
        return plain(self._templar.template(known[name])) if name in known else None

    def _cancelled(self) -> bool:
        return bool(self._cancel) and os.path.exists(self._cancel)

    def reconcile(self, wanted: Desired, session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
        """Observe, plan, and unless this is check mode apply and prove. ``given``: where, time_slice (seconds)."""
        where, slice_ms = given["where"], _slice_ms(given["time_slice"])
        seen = observe(session, where, lower.questions(wanted))
        if self.checking:
            outcome = converge.check(wanted, seen)
        else:
            outcome = self._carried(wanted, seen, session, where, slice_ms)
        return report.result(outcome, session.about, bool(self._task.diff))

    def _carried(self, wanted: Desired, seen: Observation, session: Session, where: Where, slice_ms: int) -> Outcome:
        lease = Lease(secrets.token_hex(8), _holder())
        work = converge.converge(wanted, seen, where, lease, slice_ms)
        try:
            batch = next(work)
            while True:
                if self._cancelled():
                    raise Cancelled(session.about, "the run was cancelled; what was begun is done", "The next run goes on from there")
                self._progress(session.about, batch)
                try:
                    reply = session.act(batch.operations, slice_ms, report.note(batch, lease))
                except ReplyLost:
                    # What was done is unknown: look, and let the plan be made anew from what is there.
                    reply = session.ask(observed.look(where, lower.questions(wanted)), LOOK_MS)
                batch = work.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        except FleetError as error:
            if not isinstance(error, Held | Unreachable):
                with contextlib.suppress(FleetError):  # the first error is the one to tell; a lease that stays runs out by itself
                    session.act(lower.release(lease), slice_ms)
            raise

    def talk(self, conversation: Talk, session: Session) -> dict[str, Any]:
        """Carry a module that is no converge: ask what it asks, and do what it decided, unless this is check mode."""
        try:
            wish = next(conversation)
            while True:
                if isinstance(wish, Ask):
                    reply = session.ask(wish.operations, LOOK_MS)
                elif self.checking:
                    return self._shown(wish.planned)
                else:
                    reply = self.work(session, wish.operations, wish.slice_ms, wish.steps)
                wish = conversation.send(reply)
        except StopIteration as end:
            return self._shown(end.value)

    def _shown(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in result.items() if key != "diff" or self._task.diff}

    def work(self, session: Session, operations: Iterable[Operation], slice_ms: int, steps: Sequence[str]) -> Reply:
        """One batch with effects for a module that is no converge: with the host's lease, and a line in its journal for ``steps``."""
        lease = Lease(secrets.token_hex(8), _holder())
        note = {"by": lease.holder, "run": lease.token, "steps": list(steps)}
        try:
            reply = session.act(lower.leased(operations, lease, slice_ms), slice_ms, note)
        except ReplyLost as error:
            advice = error.advice if self.sees_what_was_done else "It may have been done all the same: look before you run it again"
            raise ReplyLost(error.about, error.problem, advice) from error
        converge.refuse_if_held(reply)
        return reply

    def _progress(self, host: str, batch: Round) -> None:
        if batch.steps or batch.waits:
            _DISPLAY.display(f"{host}: {report.progress(batch)}")


def _slice_ms(seconds: int) -> int:
    if not 1 <= seconds <= _LONGEST_SLICE:
        raise BadOption("time_slice", f"is {seconds}", f"1 to {_LONGEST_SLICE} is wanted")
    return seconds * 1000


def observe(session: Session, where: Where, asked: Sequence[Asked] = ()) -> Observation:
    """One round trip (two where a config cannot be understood): everything that a plan needs. Raises FleetError."""
    return session.converse(converge.observing(where, asked), LOOK_MS)


def _holder() -> str:
    """Who asks for a host's lease, for the one who is refused: user, machine and process of this controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getppid()})"


def plain(value: Any) -> Any:
    """Ansible's tagged values as plain ones, so that the rooms below see nothing of Ansible. What is none (a vaulted value) stays."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return next((kind(value) for kind in (int, float, str) if isinstance(value, kind)), value)
