# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Batches over a connection of Ansible's (winrm, psrp, ssh): beside linking.py, which makes some, the only file that touches them.

A batch whose answer was lost is asked for again by its id: the agent runs it at most once and keeps the answer. What failed fast is
tried again with jittered, growing pauses; what timed out is not, so that a dead host costs one timeout.
"""

from __future__ import annotations

import base64
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ansible.errors import AnsibleError
from ansible.release import __version__

from .._fleet.words import install
from .._fleet.words.errors import Host, Ours, ReplyLost, Unreachable
from . import batch, wording
from .batch import BadReply, Batch, NoReply, Reply
from .operations import Operation

#: Failures of Ansible's plugins, and of the libraries below that they let through as they are.
LOST: tuple[type[Exception], ...] = (AnsibleError, OSError)
try:
    from requests.exceptions import RequestException

    LOST += (RequestException,)
except ImportError:  # ssh needs neither requests nor pywinrm
    pass
try:
    from winrm.exceptions import WinRMError, WinRMOperationTimeoutError, WinRMTransportError

    LOST += (WinRMError, WinRMTransportError, WinRMOperationTimeoutError)
except ImportError:
    pass
try:
    from pypsrp.exceptions import WinRMError as PsrpError

    LOST += (PsrpError,)
except ImportError:
    pass

#: The first words of a command that psrp (up to ansible-core 2.21) and winrm (from 2.19) recognise as encoded already.
_ENCODED = "PowerShell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand "


#: `copy`, the longest single command, is given 900 s.
_PATIENT_LOCK_MS = 960_000


#: The ansible-core that runs.
_CORE = tuple(int(part) for part in __version__.split(".")[:2])

Answer = TypeVar("Answer")


class Transport(Protocol):
    """Runs the bootstrap once on the host. Raises one of LOST when the answer cannot be had."""

    def run(self, script: str, payload: bytes) -> str:
        """Give ``payload`` to the script's standard input and return all of its output."""

    def reset(self) -> None:
        """Forget the connection, so that the next run makes a new one."""


class AnsibleTransport:
    """The connection that Ansible chose for the host."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def way(self) -> str:
        """Its name: winrm, psrp or ssh."""
        return str(self._connection.transport)

    @property
    def _encodes(self) -> bool:
        """Whether the plugin encodes whatever it is given (winrm up to ansible-core 2.18, ssh up to 2.17): one PowerShell more, if we did it too."""
        if self.way == "ssh":
            return _CORE < (2, 18) and bool(getattr(self._connection._shell, "_IS_WINDOWS", False))
        return self.way == "winrm"

    def run(self, script: str, payload: bytes) -> str:
        command = script if self._encodes else _ENCODED + base64.b64encode(script.encode("utf-16-le")).decode()
        _code, output, _noise = self._connection.exec_command(command, in_data=payload, sudoable=False)
        return bytes(output).decode("ascii", "replace")

    def reset(self) -> None:
        with contextlib.suppress(*LOST):  # the shell that is to be closed lies on a host that does not answer
            self._connection.reset()


@dataclass(frozen=True)
class Retries:
    """``pauses``: seconds before each further try. ``patience``: a try that took longer than this is not repeated."""

    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)
    patience: float = 10.0


@dataclass
class Session:
    """One host during one task. ``desktop``: auto, require or never; ``round_trips`` counts the batches sent, repeats included.

    ``console``: what LDPlayer's command line is called on this host. ``way``: Ansible's name of the connection, for advice.
    """

    transport: Transport
    agent: str
    about: str
    desktop: str = "auto"
    way: str = "winrm"
    retries: Retries = field(default_factory=Retries)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    new_id: Callable[[], str] = lambda: secrets.token_hex(16)
    round_trips: int = 0
    console: str = install.CONSOLE

    def ask(self, operations: Iterable[Operation], slice_ms: int) -> Reply:
        """Carry a batch without effects. Raises Unreachable, or Host when the agent refuses.

        Where LDPlayer is not found, it is looked for once more by its console's old name, which is then kept for this session."""
        listed = tuple(operations)
        reply = self._asked(listed, slice_ms)
        if self.console == install.CONSOLE and install.missing(reply):
            self.console = install.OLD_CONSOLE
            other = self._asked(listed, slice_ms)
            if not install.missing(other):
                return other
            self.console = install.CONSOLE
        return reply

    def _asked(self, operations: tuple[Operation, ...], slice_ms: int) -> Reply:
        try:
            return self._carry(Batch(self.new_id(), self._spoken(operations), once=False, desktop=self.desktop, slice_ms=slice_ms))
        except ReplyLost as error:
            raise Unreachable(error.about, error.problem, error.advice) from error

    def _spoken(self, operations: Iterable[Operation]) -> tuple[Operation, ...]:
        return tuple(install.spoken(operation, self.console) for operation in operations)

    def converse(self, questions: Generator[list[Operation], Reply, Answer], slice_ms: int) -> Answer:
        """Carry a conversation without effects to its end: send it each reply to what it asks. Raises what ``ask`` and the conversation raise."""
        try:
            asked = next(questions)
            while True:
                asked = questions.send(self.ask(asked, slice_ms))
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def act(self, operations: Iterable[Operation], slice_ms: int, note: Any = None) -> Reply:
        """Carry a batch with effects, with a ``note`` for the host's journal. Raises ReplyLost when it may have run and its answer cannot be had."""
        return self._carry(Batch(self.new_id(), self._spoken(operations), once=True, desktop=self.desktop, note=note, slice_ms=slice_ms))

    def _carry(self, sent: Batch) -> Reply:
        payload = sent.payload(self.agent)
        # The same id again waits for the first run of it, which may be in the middle of an operation that takes its time.
        patient = replace(sent, lock_ms=_PATIENT_LOCK_MS).payload(self.agent)
        reached = self.round_trips > 0
        for pause in (*self.retries.pauses, None):
            self.round_trips += 1
            began = self.clock()
            try:
                return self._accepted(batch.reply(self.transport.run(batch.BOOTSTRAP, payload), sent.id), sent)
            except BadReply as error:
                raise Ours(
                    self.about, f"the host's answer breaks the protocol: {error}", "Is another version of ldfleet at work on it?"
                ) from error
            except NoReply as error:
                lost: Exception = error
            except LOST as error:
                lost = error
            if wording.certain(str(lost)) or pause is None or self.clock() - began > self.retries.patience:
                break
            payload = patient
            self.sleep(pause * (0.5 + self.jitter()))
            self.transport.reset()
        why = wording.short(str(lost) or type(lost).__name__)
        if reached or isinstance(lost, NoReply):
            raise ReplyLost(self.about, f"the answer to a batch was lost: {why}", "Run again: what was done is seen, and not done twice")
        raise Unreachable(self.about, why, wording.advice(why, self.way))

    def _accepted(self, reply: Reply, sent: Batch) -> Reply:
        if reply.problem is None:
            return batch.complete(reply, sent.operations)
        code, message = reply.problem.code, reply.problem.message
        if code == "Interrupted":
            raise ReplyLost(
                self.about, "the host began a batch and was cut off before its end", "Run again: what was done is seen, and not done twice"
            )
        if code == "Busy":
            raise Host(self.about, "another controller is at work on this host", "Run again when it is done")
        if code == "ResultFolder":
            raise Host(
                self.about,
                f"the host cannot keep results: {message}",
                "Free its system drive, or mend the rights of %ProgramData%\\ldfleet",
            )
        if code in _DESKTOP:
            problem, advice = _DESKTOP[code]
            raise Host(self.about, f"{problem}: {message}", advice)
        raise Ours(self.about, f"the agent refused the batch ({code}: {message})", "This is a bug of ldfleet")


#: What can go wrong on the way to the desktop of the user who is logged on.
_DESKTOP = {
    "NoSession": (
        "LDPlayer needs the desktop of a user who is logged on",
        "Log on at the host's console (automatic logon keeps it so), or set desktop_session: auto for what needs no desktop",
    ),
    "TaskRefused": (
        "the batch could not be handed to the desktop",
        "Connect as an administrator of the host, or set desktop_session: never if LDPlayer runs in the session of this connection",
    ),
    "TaskNotStarted": (
        "the task scheduler did not start the batch on the desktop",
        "Look at the host's Task Scheduler service, then run again",
    ),
}
