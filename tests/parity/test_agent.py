"""The agent's operations: the cases of tests/cases/agent, on every engine, with one expectation for all of them.

All cases of a file travel in one batch, since a PowerShell takes seconds to start; each case has its own folder and its own test.
"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from apks import shelf

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host import operations

from .conftest import Asker, Json, b64, unb64, whole

CASES = Path(__file__).parents[1] / "cases" / "agent"


def _load(name: str) -> Any:
    return yaml.safe_load((CASES / f"{name}.yml").read_text(encoding="utf-8"))


OPERATIONS = {name: _load(name) for name in ("invented-find", "invented-files", "invented-needs", "invented-programs", "invented-more")}
ARGUMENTS = _load("invented-arguments")
REFUSED = _load("invented-refused")
_PROGRAM = {"timeout_ms": 20_000, "output_cap": 65_536}


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _filled(value: Any, words: dict[str, str]) -> Any:
    """A case's value with its placeholders put in."""
    if isinstance(value, dict):
        return {key: _filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, words) for inner in value]
    if not isinstance(value, str):
        return value
    for word, text in words.items():
        value = value.replace(word, text)
    value = re.sub(r"\$HASH\((.*?)\)", lambda found: _sha(found[1]), value)
    return re.sub(r"\$UPPERHASH\((.*?)\)", lambda found: _sha(found[1]).upper(), value)


class Table:
    """The cases of one file, laid out, asked and answered on one host."""

    def __init__(self, ask: Asker, name: str, url: str) -> None:
        self.ask = ask
        self.cases: list[Json] = OPERATIONS[name]
        self.root = f"{ask.home}\\{name}"
        self.url = url
        self.mark = ask.local(f"C:\\{ask.host.world.folder.parent.name}-mark.exe")
        batch: list[Json] = [{"id": "home", "op": "find", "file": "args.exe", "candidates": [{"path": ask.home}]}]
        for number in range(len(self.cases)):
            batch += self._operations(number)
        self.mark.touch()
        try:
            reply = ask(*batch, slice_ms=600_000)
        finally:
            self.mark.unlink()
        assert "results" in reply, reply
        self.results: dict[str, Json] = {result["id"]: result for result in reply["results"]}

    def _words(self, number: int) -> dict[str, str]:
        return {"$CASE": f"{self.root}\\case{number}", "$HOME": self.ask.home, "$MARK": self.mark.name, "$URL": self.url}

    def _operations(self, number: int) -> list[Json]:
        case = self.cases[number]
        folder = self.ask.local(self._words(number)["$CASE"])
        folder.mkdir(parents=True)
        for name, text in case.get("files", {}).items():
            file = folder.joinpath(*name.split("\\"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(text), encoding="utf-8")
        for name in case.get("read_only", ()):
            (folder / name).chmod(stat.S_IRUSR)
        return [] if self.ask.engine in case.get("not_on", {}) else self._asked(number)

    def _asked(self, number: int) -> list[Json]:
        asked = []
        for position, operation in enumerate(_filled(self.cases[number]["ops"], self._words(number))):
            operation["id"] = f"c{number}.{operation.get('id', position)}"
            if "needs" in operation:
                operation["needs"] = [f"c{number}.{need}" for need in operation["needs"]]
            if "over" in operation:
                operation["over"] = f"c{number}.{operation['over']}"
            for key in ("program", "path", "folder", "keep", "from"):
                if key in operation:
                    operation[key] = re.sub(r"\A\{(ld|none|later)\}", rf"{{c{number}.\1}}", operation[key])
            if "text" in operation:
                operation["data"] = b64(operation.pop("text").encode())
            asked.append({**_PROGRAM, **operation} if operation["op"] in ("exec", "until", "each") else operation)
        return asked

    def judge(self, number: int) -> None:
        """Each operation answered as expected, and the case's folder holds what it shall."""
        case, words = self.cases[number], self._words(number)
        asked = self._asked(number)
        for operation, expected in zip(asked, _filled(case["results"], words), strict=True):
            found = _plain(self.results[operation["id"]], number)
            for key, least in expected.pop("at_least", {}).items():
                assert found[key] >= least, found
            assert {key: found.get(key) for key in expected} == expected, found
        if "after" in case:
            assert _files(self.ask.local(words["$CASE"])) == {name: str(text) for name, text in case["after"].items()}


def _plain(result: Json, number: int) -> Json:
    """A result in the words of the cases."""
    plain = {**result, "error": result.get("error", {}).get("code")}
    if "stdout" in result:
        plain.update(printed=_text(result["stdout"]), said=_text(result["stderr"]), stdout_hex=unb64(result["stdout"]).hex())
    if "needs" in result:
        plain["needs"] = result["needs"].removeprefix(f"c{number}.")
    if "sha256" in result:
        plain["hash"] = _known(result["sha256"])
    if "runs" in result:
        plain["keys"] = {run["key"]: _text(run["stdout"]) for run in result["runs"]}
    if "files" in result:
        plain["files"] = [_Entry(file) for file in result["files"]]
    return plain


class _Entry(dict[str, Any]):
    """A file of a read: it equals an expectation when the keys that this has are equal."""

    def __init__(self, file: Json) -> None:
        super().__init__(file, error=file.get("error", {}).get("code"))
        if "sha256" in file:
            self["hash"] = _known(file["sha256"])
        if "data" in file:
            self["text"] = _text(file["data"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and all(self.get(key) == value for key, value in other.items())

    __hash__ = None  # type: ignore[assignment]


def _known(digest: str) -> str:
    """The text of a case that has this hash."""
    texts = {_sha(text): text for text in _texts([list(OPERATIONS.values())])}
    return texts.get(digest, digest)


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return {text for inner in value for text in _texts(inner)}
    return {str(value)}


def _text(data: str) -> str:
    return unb64(data).decode("utf-8", "replace")


def _files(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)).replace("/", "\\"): file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()
    }


@pytest.fixture(scope="module")
def tables(ask: Asker) -> dict[str, Table | None]:
    return {}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, id=f"{name.removeprefix('invented-')}: {case['why']}")
        for name, cases in OPERATIONS.items()
        for number, case in enumerate(cases)
    ],
)
def test_an_operation_answers_as_the_protocol_says(ask: Asker, tables: dict[str, Table | None], name: str, number: int) -> None:
    reason = OPERATIONS[name][number].get("not_on", {}).get(ask.engine)
    if reason:
        pytest.skip(f"not on {ask.engine}: {reason}")
    if name not in tables:
        tables[name] = None
        with shelf() as server:
            server.put("good.bin", b"good")
            tables[name] = Table(ask, name, server.address)
    table = tables[name]
    assert table is not None, "the batch of these cases had no answer"
    table.judge(number)


def test_every_operation_code_and_key_of_the_protocol_has_a_case() -> None:
    """What docs/protocol.md lists is what the cases use: a code that is added there is missed here."""
    from .conftest import PROTOCOL

    text = PROTOCOL.read_text(encoding="utf-8").split("## Operations")[1].split("## Rules of the agent")[0]
    used = yaml.safe_dump(OPERATIONS, allow_unicode=True)
    operations_ = set(re.findall(r"### `(\w+)`", text))
    keys = {key for line in re.findall(r"`\{\"op\".*?\}`", text) for key in re.findall(r'"(\w+)":', line)} | {
        "exits",
        "match",
        "parents",
        "keep",
    }
    assert operations_ == {"find", "exec", "until", "read", "write", "remove", "copy", "each", "pause", "fetch", "lease"}
    assert {name for name in operations_ | keys if not re.search(rf"\b{name}\b", used)} == set()
    elsewhere = {"Locked", "DiskFull", "SliceOver", "Timeout"}  # test_batch.py and tests/faults
    codes = set(re.findall(r"`([A-Z][A-Za-z]+)`", text)) - elsewhere
    assert {code for code in codes if not re.search(rf"\b{code}\b", used)} == set()


def _own_quoting(arguments: list[str]) -> str:
    """Quotes around everything, and backslashes doubled before every quote: the longest way, and none of the product's."""
    words = []
    for argument in arguments:
        word, slashes = "", 0
        for character in argument:
            word += "\\" * (slashes + 1) + '"' if character == '"' else character
            slashes = slashes + 1 if character == "\\" else 0
        words.append(f'"{word}{chr(92) * slashes}"')
    return " ".join(words)


def test_hostile_arguments_reach_the_program_exactly(ask: Asker) -> None:
    lists = ARGUMENTS["arguments"]
    lines = [item["line"] for item in ARGUMENTS["lines"]]
    lines += [quoting(arguments) for quoting in (operations.quoted, _own_quoting) for arguments in lists]
    expected = [item["words"] for item in ARGUMENTS["lines"]] + lists + lists
    program = {"op": "exec", "program": ask.program("args"), "timeout_ms": 20_000, "output_cap": 65_536}
    reply = ask(*({**program, "id": f"n{number}", "arguments": line} for number, line in enumerate(lines)), slice_ms=600_000)
    found = [_text(result["stdout"]) for result in reply["results"]]
    assert found == ["\n".join(f"[{word}]" for word in words) for words in expected]


def test_a_batch_that_is_wrong_is_refused_whole_and_nothing_is_done(ask: Asker) -> None:
    root = f"{ask.home}\\refused"
    ask.local(root).mkdir()
    words = {"$CASE": root}
    batches = []
    for case in REFUSED:
        good = {"id": "a", "op": "write", "path": f"{root}\\a", "data": "", "expect": "any"}
        batch = {**whole(*case.get("ops", [good])), **case.get("change", {})}
        batches.append(_filled({key: value for key, value in batch.items() if key not in case.get("drop", ())}, words))
    before = ask.host.world.program_starts
    replies = ask.many(batches)
    assert len(replies) == len(REFUSED)
    found = {case["why"]: reply.get("error", {}).get("code") for case, reply in zip(REFUSED, replies, strict=True)}
    assert found == {case["why"]: case["error"] for case in REFUSED}
    assert all(reply["protocol"] == 1 and reply["host"]["time_ms"] > 0 and "results" not in reply for reply in replies)
    assert _files(ask.local(root)) == {}
    assert ask.host.world.program_starts == before


def test_what_is_no_batch_at_all_is_refused(ask: Asker) -> None:
    replies = ask.many([None, [], "text", 5, {}, [1, 2], True])
    assert [(reply["id"], reply["error"]["code"]) for reply in replies] == [("", "BadRequest")] * 7
