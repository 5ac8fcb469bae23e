# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Batches over a connection: the only file that touches Ansible's connection plugins (winrm, psrp, ssh).

A batch whose answer was lost is asked for again by its id: the agent runs it at most once and keeps the answer. What failed fast is
tried again with jittered, growing pauses; what timed out is not, so that a dead host costs one timeout.
"""

from __future__ import annotations

import base64
import contextlib
import random
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from .._fleet import install
from .._fleet.errors import Host, Ours, ReplyLost, Unreachable
from . import batch
from .batch import BadReply, Batch, NoReply, Reply
from .operations import Operation

#: Failures of the libraries below Ansible's plugins that it lets through as they are.
LOST: tuple[type[Exception], ...] = (AnsibleConnectionFailure, OSError)
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

    def run(self, script: str, payload: bytes) -> str:
        # winrm encodes whatever it is given on ansible-core up to 2.18, so an encoded command would start PowerShell twice there.
        plain = self._connection.transport == "winrm"
        command = script if plain else _ENCODED + base64.b64encode(script.encode("utf-16-le")).decode()
        try:
            _code, output, _noise = self._connection.exec_command(command, in_data=payload, sudoable=False)
        except AnsibleError as error:
            raise error if isinstance(error, AnsibleConnectionFailure) else AnsibleConnectionFailure(str(error)) from error
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

    ``console``: what LDPlayer's command line is called on this host."""

    transport: Transport
    agent: str
    about: str
    desktop: str = "auto"
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
            if _certain(lost) or pause is None or self.clock() - began > self.retries.patience:
                break
            payload = patient
            self.sleep(pause * (0.5 + self.jitter()))
            self.transport.reset()
        why = _short(" ".join(str(lost).split()) or type(lost).__name__)
        if reached or isinstance(lost, NoReply):
            raise ReplyLost(self.about, f"the answer to a batch was lost: {why}", "Run again: what was done is seen, and not done twice")
        raise Unreachable(self.about, why, _advice(why))

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


def _certain(lost: Exception) -> bool:
    """Whether trying again could only lock the account, repeat a certain answer, or wait as long as the first time."""
    text = str(lost).lower()
    return any(word in text for word in _CERTAIN)


_CERTAIN = ("credentials", "401", "certificate", "authentication", "permission denied", "access is denied", "timed out")


#: Characters of a library's message: ssh and requests repeat themselves at length.
_LONGEST_WHY = 300


def _short(why: str) -> str:
    why = _cause(why)
    return why if len(why) <= _LONGEST_WHY else f"{why[:_LONGEST_WHY]}…"


def _cause(why: str) -> str:
    """What happened, without what urllib3 wraps around it: ``… (Caused by NewConnectionError('<…>: Failed to …: [Errno 111] Connection refused'))``."""
    _head, found, rest = why.rpartition("(Caused by ")
    if not found:
        return why
    text = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>[:,] ?|Failed to establish a new connection: ", "", rest.partition("(")[2])
    while text.endswith(("'", '"')) or text.count(")") > text.count("("):
        text = text[:-1]
    return text.strip("'\" ")


def _advice(why: str) -> str:
    text = why.lower()
    if "credentials" in text or "401" in text:
        return "Check ansible_user, ansible_password and ansible_winrm_transport for this host"
    if "certificate" in text:
        return "Give the host a certificate that the controller trusts, or set ansible_winrm_ca_trust_path"
    if "refused" in text:
        return "Check ansible_host and ansible_port, and that WinRM listens there (winrm enumerate winrm/config/listener)"
    if "timed out" in text or "timeout" in text:
        return "Check that the host is up and that its firewall lets the controller in"
    return "Check the connection with: ansible -m ansible.windows.win_ping"
