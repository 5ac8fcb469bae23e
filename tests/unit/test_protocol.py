"""The batch protocol as the controller speaks it: quoting, framing, and replies that are none."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host import batch, operations
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.batch import BadReply, Batch, NoReply
from build import HOST

ID = "0123456789abcdef" * 2


def _argv(line: str) -> list[str]:
    """CommandLineToArgvW's rule for arguments after the first, written from Microsoft's description."""
    arguments, current, quoted, begun, slashes = [], "", False, False, 0
    for character in line + "\0":
        if character == "\\":
            slashes += 1
            begun = True
            continue
        if character == '"':
            current += "\\" * (slashes // 2) + ('"' if slashes % 2 else "")
            quoted ^= not slashes % 2
            slashes, begun = 0, True
            continue
        current += "\\" * slashes
        slashes = 0
        if character == "\0" or (character in " \t" and not quoted):
            arguments += [current] if begun else []
            current, begun = "", False
        else:
            current += character
            begun = True
    return arguments


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_program_gets_exactly_the_arguments_that_were_quoted(arguments: list[str]) -> None:
    assert _argv(operations.quoted(arguments)) == arguments


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("end\\", "end\\"),
        ("e nd\\", '"e nd\\\\"'),
        ("%PATH%", "%PATH%"),
    ],
)
def test_quoting(argument: str, line: str) -> None:
    assert operations.quoted([argument]) == line


@given(st.binary())
def test_a_literal_pattern_matches_its_bytes_and_nothing_else(data: bytes) -> None:
    import re

    pattern = operations.literal(data)
    assert pattern.isascii()
    assert re.fullmatch(pattern, data.decode("latin-1"), re.DOTALL)


def _framed(document: dict[str, object], packed: bool = False) -> str:
    body = json.dumps(document)
    text = base64.b64encode(gzip.compress(body.encode())).decode() if packed else body
    return f"profile noise\r\n#ldfleet-begin {ID}#{text}#ldfleet-end {ID}#\r\nmore noise"


@pytest.mark.parametrize("packed", [False, True])
def test_a_reply_is_found_in_noise(packed: bool) -> None:
    item = {"id": "a", "status": "ok", "ms": 1, "stdout": "aGk="}
    found = batch.reply(_framed({"protocol": 1, "id": ID, "host": HOST, "results": [item]}, packed), ID)
    assert found.results["a"].data("stdout") == b"hi"
    assert found.host.acp == 936


@pytest.mark.parametrize(
    "output", ["", "The command line is too long.", f"#ldfleet-begin {ID}#{{", f"#ldfleet-begin {'f' * 32}#{{}}#ldfleet-end {'f' * 32}#"]
)
def test_what_holds_no_reply_is_no_reply(output: str) -> None:
    with pytest.raises(NoReply):
        batch.reply(output, ID)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "H4sIAAAA",
        "[]",
        "%%%",
        json.dumps({"protocol": 2, "id": ID}),
        json.dumps({"protocol": 1, "id": ID, "host": HOST, "results": [{}]}),
    ],
)
def test_a_reply_that_breaks_the_protocol_is_named(body: str) -> None:
    with pytest.raises(BadReply):
        batch.reply(f"#ldfleet-begin {ID}#{body}#ldfleet-end {ID}#", ID)


def test_a_reply_that_unpacks_without_end_is_refused() -> None:
    bomb = base64.b64encode(gzip.compress(b"x" * (65 * 1024 * 1024))).decode()
    with pytest.raises(BadReply, match="unpacks to more than"):
        batch.reply(f"#ldfleet-begin {ID}#{bomb}#ldfleet-end {ID}#", ID)


@pytest.mark.parametrize("size", [10, 200_000])
def test_the_payload_is_one_line_of_ascii_and_keeps_every_operation(size: int) -> None:
    sent = Batch(ID, ({"id": "a", "op": "write", "data": "é" * size},), once=True)
    payload = sent.payload("# agent \u96f7")
    assert payload.isascii()
    assert payload.count(b"\n") == 1
    document = json.loads(payload)
    inner = document.get("batch") or json.loads(gzip.decompress(base64.b64decode(document["packed"])))
    assert inner["ops"][0]["data"] == "é" * size
    assert len(payload) < 200_000


def test_the_command_line_stays_under_cmds_limit_even_when_encoded_twice() -> None:
    def encoded(text: str) -> str:
        prefix = "PowerShell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand "
        return prefix + base64.b64encode(text.encode("utf-16-le")).decode()

    assert len(encoded(encoded(batch.BOOTSTRAP))) < 8191
