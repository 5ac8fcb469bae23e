"""The session's manners on a bad wire: the same id again, growing pauses, no hammering, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.words.errors import FleetError, Host, Ours, ReplyLost, Unreachable
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session
from build import HOST

Answer = Callable[[str], str] | Exception


def answered(batch_id: str) -> str:
    return _framed(batch_id, {"results": []})


def refused(code: str) -> Answer:
    return lambda batch_id: _framed(batch_id, {"error": {"code": code, "message": "because"}})


def _framed(batch_id: str, rest: dict[str, object]) -> str:
    return f"#ldfleet-begin {batch_id}#{json.dumps({'protocol': 1, 'id': batch_id, 'host': HOST, **rest})}#ldfleet-end {batch_id}#"


@dataclass
class Wire:
    """A transport that plays given answers, one a try."""

    answers: list[Answer]
    ids: list[str] = field(default_factory=list)
    resets: int = 0

    def run(self, script: str, payload: bytes) -> str:
        self.ids.append(json.loads(payload)["batch"]["id"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(self.ids[-1])

    def reset(self) -> None:
        self.resets += 1


def session(*answers: Answer, took: float = 0.0) -> tuple[Session, Wire, list[float]]:
    wire, pauses, ticks = Wire(list(answers)), list[float](), iter(range(10**6))
    return Session(wire, "agent", "ws-01", sleep=pauses.append, clock=lambda: next(ticks) * took, jitter=lambda: 0.5), wire, pauses


def test_a_lost_answer_is_asked_for_again_by_the_same_id() -> None:
    one, wire, pauses = session(ConnectionResetError("reset"), answered)
    one.act([], 1000)
    assert len(wire.ids) == 2
    assert len(set(wire.ids)) == 1
    assert wire.resets == 1
    assert pauses == [0.5]
    assert one.round_trips == 2


def test_pauses_grow_and_tries_end() -> None:
    one, wire, pauses = session(*[ConnectionResetError("reset")] * 4)
    with pytest.raises(Unreachable, match="reset"):
        one.act([], 1000)
    assert pauses == [0.5, 2.0, 5.0]
    assert len(wire.ids) == 4


def test_what_timed_out_is_not_tried_again() -> None:
    one, wire, _ = session(AnsibleConnectionFailure("winrm connection error: Read timed out"), took=30)
    with pytest.raises(Unreachable, match="Check that the host is up"):
        one.ask([], 1000)
    assert len(wire.ids) == 1


@pytest.mark.parametrize(
    "error",
    [
        AnsibleConnectionFailure("the specified credentials were rejected by the server"),
        AnsibleConnectionFailure("CERTIFICATE_VERIFY_FAILED"),
        AnsibleConnectionFailure("HTTP 401"),
        AnsibleConnectionFailure("failed to authenticate with the server"),
        AnsibleConnectionFailure("Failed to connect to the host via ssh: Host key verification failed."),
        AnsibleError("pypsrp or dependencies are not installed: no module named pypsrp"),
        AnsibleError("to use the 'ssh' connection type with passwords or pkcs11_provider, you must install the sshpass program"),
    ],
    ids=str,
)
def test_a_certain_refusal_is_not_repeated(error: Exception) -> None:
    one, wire, _ = session(error)
    with pytest.raises(Unreachable):
        one.ask([], 1000)
    assert len(wire.ids) == 1


def test_after_the_first_answer_a_lost_one_is_unknown_and_not_unreachable() -> None:
    one, _, _ = session(answered, *[ConnectionResetError("gone")] * 4)
    one.ask([], 1000)
    with pytest.raises(ReplyLost, match="not done twice"):
        one.act([], 1000)


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        ("Interrupted", ReplyLost, "cut off before its end"),
        ("Busy", Host, "another controller is at work"),
        ("ResultFolder", Host, "cannot keep results: because"),
        ("UnknownProtocol", Ours, "UnknownProtocol: because"),
    ],
)
def test_what_the_agent_refuses_becomes_one_clear_error(code: str, error: type[FleetError], text: str) -> None:
    one, _, _ = session(refused(code))
    with pytest.raises(error, match=text):
        one.act([], 1000)


def test_an_answer_that_is_no_reply_is_shown() -> None:
    one, _, _ = session(*[lambda _id: "The command line is too long."] * 4)
    with pytest.raises(ReplyLost, match="The command line is too long"):
        one.act([], 1000)


def test_each_batch_has_an_id_of_its_own() -> None:
    one, wire, _ = session(answered, answered)
    one.act([], 1)
    one.act([], 1)
    assert len(set(wire.ids)) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "ntlm: HTTPConnectionPool(host='10.0.0.1', port=5985): Max retries exceeded with url: /wsman (Caused by NewConnectionError("
            "'<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
            "[Errno 111] Connection refused",
        ),
        (
            "HTTPConnectionPool(host='ws', port=5985): Max retries exceeded with url: /wsman (Caused by NameResolutionError("
            "\"<urllib3.connection.HTTPConnection object at 0x7f>: Failed to resolve 'ws' ([Errno -2] Name or service not known)\"))",
            "Failed to resolve 'ws' ([Errno -2] Name or service not known)",
        ),
        (
            "x (Caused by ConnectTimeoutError(<urllib3.connection.HTTPConnection object at 0x7f>, 'Connection to ws timed out. (connect timeout=30)'))",
            "Connection to ws timed out. (connect timeout=30)",
        ),
        (
            'Data could not be sent to remote host "ws". Make sure this host can be reached over ssh: ssh: connect to host ws port 22: Connection refused',
            "ssh: connect to host ws port 22: Connection refused",
        ),
        ("the WinRM service is busy", "the WinRM service is busy"),
    ],
)
def test_an_unreachable_host_is_told_of_by_the_cause(said: str, told: str) -> None:
    one, _, _ = session(*[AnsibleConnectionFailure(said)] * 4)
    with pytest.raises(Unreachable) as failed:
        one.ask([], 1000)
    assert failed.value.problem == told
