"""The agent's rules for whole batches: time, at most once, one at a time, what goes over the wire. On every engine, with the same expectation."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ldfleet.sim.ldplayer.layout import Spec

from .conftest import AGENT, Asker, Json, asker, b64, unb64, whole


def _write(name: str, ask: Asker, text: str = "x", **more: object) -> Json:
    return {"id": name, "op": "write", "path": f"{ask.home}\\{name}.txt", "data": b64(text.encode()), "expect": "any", **more}


def _exec(name: str, ask: Asker, its: str, arguments: str = "", **more: object) -> Json:
    return {
        "id": name,
        "op": "exec",
        "program": ask.program(its),
        "arguments": arguments,
        "timeout_ms": 60_000,
        "output_cap": 65_536,
        **more,
    }


def _there(ask: Asker, name: str) -> bool:
    return ask.local(f"{ask.home}\\{name}.txt").exists()


def _results(ask: Asker) -> Path:
    folder = ask.local(f"{ask.host.world.spec.programdata}\\ldfleet\\results")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _statuses(reply: Json) -> list[str]:
    return [result["status"] for result in reply["results"]]


# ---- time -------------------------------------------------------------------------------------------------------------------------------
def test_when_the_slice_is_over_nothing_more_is_begun_but_what_is_always(ask: Asker) -> None:
    reply = ask(
        {"id": "wait", "op": "until", "program": ask.program("say"), "arguments": "", "timeout_ms": 60_000, "output_cap": 9, "pattern": "never",
         "interval_ms": 25_000, "deadline_ms": 60_000},
        _exec("slow", ask, "say", "wait 0.4"),
        _write("late", ask),
        _write("needs_late", ask, needs=["late"]),
        _write("always", ask, always=True),
        _write("always_needs", ask, always=True, needs=["late"]),
        slice_ms=20_000,
    )  # fmt: skip
    assert (reply["results"][0]["error"]["code"], reply["results"][0]["tries"]) == ("SliceOver", 1)
    assert _statuses(reply) == ["failed", "ok", "ok", "ok", "ok", "ok"]
    reply = ask(
        _exec("slow", ask, "say", "wait 1.5"),
        _write("late2", ask),
        _write("needs_late2", ask, needs=["late2"]),
        _write("always2", ask, always=True),
        _write("always_needs2", ask, always=True, needs=["late2"]),
        slice_ms=1_000,
    )
    assert _statuses(reply) == ["ok", "deferred", "skipped", "ok", "skipped"]
    assert [_there(ask, name) for name in ("late2", "needs_late2", "always2", "always_needs2")] == [False, False, True, False]


def test_without_any_time_only_what_is_always_runs(ask: Asker) -> None:
    reply = ask(_write("none", ask), _write("some", ask, always=True), slice_ms=0)
    assert _statuses(reply) == ["deferred", "ok"]
    assert (_there(ask, "none"), _there(ask, "some")) == (False, True)


# ---- at most once -----------------------------------------------------------------------------------------------------------------------
def test_a_batch_that_is_sent_again_is_answered_from_the_first_time(ask: Asker) -> None:
    id_, counted = secrets.token_hex(16), ask.host.world.program_starts
    operations = [
        _exec("count", ask, "say", "err c0d7"),
        {"id": "files", "op": "read", "folder": ask.home, "pattern": "say.exe", "content": False, "max_bytes": 10**6},
        {"id": "bad", "op": "find", "file": "x", "candidates": []},
    ]
    first = ask(*operations, once=True, id=id_)
    again = ask(*operations, once=True, id=id_)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["results"] == first["results"]
    assert _statuses(again) == ["ok", "ok", "failed"]
    assert isinstance(again["results"][1]["files"], list)
    assert ask.host.world.program_starts == counted + 1
    assert [path.name for path in _results(ask).iterdir() if path.name.startswith(id_)] == [f"{id_}.json"]
    other = ask(_write("other", ask), once=True, id=id_)
    assert other["results"] == first["results"]
    assert not _there(ask, "other")


def test_a_batch_without_once_leaves_no_trace_and_runs_each_time(ask: Asker) -> None:
    before, counted, id_ = set(_results(ask).iterdir()), ask.host.world.program_starts, secrets.token_hex(16)
    replies = [ask(_exec("run", ask, "args"), id=id_) for _ in range(2)]
    assert [reply["replayed"] for reply in replies] == [False, False]
    assert ask.host.world.program_starts == counted + 2
    assert set(_results(ask).iterdir()) == before


def test_a_claim_without_a_result_is_an_interrupted_batch(ask: Asker) -> None:
    id_ = secrets.token_hex(16)
    (_results(ask) / f"{id_}.claim").touch()
    reply = ask(_write("claimed", ask), once=True, id=id_)
    assert reply["error"]["code"] == "Interrupted"
    assert "results" not in reply
    assert not _there(ask, "claimed")


def test_results_older_than_a_day_are_swept_and_no_more_than_200_at_once(ask: Asker) -> None:
    now = ask(slice_ms=1)["host"]["time_ms"] / 1000
    old = [_results(ask) / f"{number:032x}.{'claim' if number % 2 else 'json'}" for number in range(210)]
    young = _results(ask) / f"{'f' * 32}.json"
    for path in (*old, young):
        path.write_text("{}")
        os.utime(path, (now - 90_000, now - 90_000) if path is not young else (now - 80_000, now - 80_000))
    assert _statuses(ask(_write("sweeper", ask), once=True)) == ["ok"]
    assert (sum(path.exists() for path in old), young.exists()) == (10, True)
    for path in (*old, young):
        path.unlink(missing_ok=True)


def test_where_results_cannot_be_kept_nothing_is_done(engine_host: Asker) -> None:
    ask = engine_host
    folder = ask.local(f"{ask.host.world.spec.programdata}\\ldfleet")
    folder.write_text("in the way")
    reply = ask(_write("nowhere", ask), once=True)
    assert reply["error"]["code"] == "ResultFolder"
    assert not _there(ask, "nowhere")
    assert _statuses(ask(_write("nowhere", ask))) == ["ok"]
    folder.unlink()


def test_work_that_is_done_is_reported_although_its_result_cannot_be_kept(ask: Asker) -> None:
    id_ = secrets.token_hex(16)
    (_results(ask) / f"{id_}.json" / "in the way").mkdir(parents=True)
    reply = ask(_write("done", ask), once=True, id=id_)
    assert (_statuses(reply), _there(ask, "done")) == (["ok"], True)
    assert ask(_write("done", ask), once=True, id=id_)["error"]["code"] == "Interrupted"


# ---- one at a time ----------------------------------------------------------------------------------------------------------------------
class _Background:
    """A batch that is under way."""

    def __init__(self, ask: Asker, *operations: Json, **batch: object) -> None:
        self.reply: Json = {}
        self._thread = threading.Thread(target=lambda: self.reply.update(ask(*operations, **batch)), daemon=True)
        self._thread.start()

    def result(self) -> Json:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.reply


@pytest.fixture
def engine_host(request: pytest.FixtureRequest, ask: Asker, tmp_path: Path) -> Iterator[Asker]:
    """A host of its own on the same engine, for what leaves traces."""
    yield from asker(ask.engine, tmp_path, Spec(desktop_user="Administrator"))


@pytest.fixture
def gate(ask: Asker) -> Iterator[Asker]:
    ask.gate.entered.clear()
    ask.gate.open.clear()
    yield ask
    ask.gate.open.set()


def test_two_batches_on_one_host_never_interleave(gate: Asker) -> None:
    ask = gate
    first = _Background(ask, _exec("gate", ask, "gate"), _write("turn", ask, "first"))
    assert ask.gate.entered.wait(60)
    busy = ask(_write("busy", ask), lock_ms=100)
    assert busy["error"]["code"] == "Busy"
    assert "results" not in busy
    assert not _there(ask, "busy")
    second = _Background(ask, {"id": "look", "op": "read", "folder": ask.home, "pattern": "turn.txt", "content": True, "max_bytes": 99})
    ask.gate.open.set()
    assert _statuses(first.result()) == ["ok", "ok"]
    (file,) = second.result()["results"][0]["files"]
    assert unb64(file["data"]) == b"first"


def test_hosts_do_not_wait_for_each_other(gate: Asker, engine_host: Asker) -> None:
    first = _Background(gate, _exec("gate", gate, "gate"))
    assert gate.gate.entered.wait(60)
    assert _statuses(engine_host(_write("free", engine_host), lock_ms=100)) == ["ok"]
    gate.gate.open.set()
    assert _statuses(first.result()) == ["ok"]


def test_an_agent_that_was_killed_blocks_nobody_and_its_batch_shows_as_interrupted(gate: Asker) -> None:
    """Somebody else has the mutex open, as a waiting controller does: else it would vanish with its owner and be no abandoned one."""
    ask, id_ = gate, secrets.token_hex(16)
    if ask.engine == "port":
        pytest.skip("the port has no process that could be killed; a claim left behind is tested for itself")
    killed = threading.Thread(target=lambda: _unanswered(ask, id_), daemon=True)
    with _mutex_open(ask):
        killed.start()
        assert ask.gate.entered.wait(60)
        for pid in _agents(ask):
            os.kill(pid, signal.SIGKILL)
        ask.gate.open.set()
        killed.join(60)
        assert _statuses(ask(_write("next", ask), once=True, lock_ms=100)) == ["ok"]
    assert ask(_write("gone", ask), once=True, id=id_)["error"]["code"] == "Interrupted"
    assert not _there(ask, "gone")


@contextlib.contextmanager
def _mutex_open(ask: Asker) -> Iterator[None]:
    """A PowerShell that knows the host's mutex by the name that the protocol gives it, and keeps it open without owning it."""
    engine, world = ask.host.engine, ask.host.world
    assert engine is not None
    data, mark = world.spec.programdata, ask.local(f"{ask.home}\\mutex-is-open")
    if engine.seat is None:
        data, named = str(ask.local(data)), str(mark)
    else:
        named = f"{ask.home}\\{mark.name}"
    name = "Global\\ldfleet-" + hashlib.sha256(data.lower().encode()).hexdigest()[:16]
    script = (
        f"$mutex=$null; if (-not [Threading.Mutex]::TryOpenExisting('{name}', [ref]$mutex)) {{ $mutex=[Threading.Mutex]::new($false,'{name}') }}; "
        f"[IO.File]::WriteAllText('{named}',''); while ([IO.File]::Exists('{named}')) {{ [Threading.Thread]::Sleep(20) }}"
    )
    holder = subprocess.Popen(
        [str(engine.program), "-NoProfile", "-EncodedCommand", base64.b64encode(script.encode("utf-16-le")).decode()],
        env=engine.seat.environment if engine.seat is not None else None,
        stdin=subprocess.DEVNULL,
    )
    try:
        for _ in range(3000):
            if mark.exists():
                break
            assert holder.poll() is None
            time.sleep(0.02)
        yield
    finally:
        mark.unlink(missing_ok=True)
        holder.wait(60)


def _unanswered(ask: Asker, id_: str) -> None:
    with pytest.raises(AssertionError):
        ask(_exec("gate", ask, "gate"), _write("gone", ask), once=True, id=id_)


def _agents(ask: Asker) -> list[int]:
    """The agents of this host alone: they know its forwarder's address."""
    assert ask.host.engine is not None
    marks, found = {f"LDFLEET_FORWARD={address}".encode() for address in ask.host.engine.addresses}, []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            own = not marks.isdisjoint((process / "environ").read_bytes().split(b"\0"))
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if own and b"-EncodedCommand" in command and b"gate" not in command:
            found.append(int(process.name))
    assert found
    return found


# ---- programs as Windows runs them --------------------------------------------------------------------------------------------------------
def test_a_program_that_leaves_its_pipes_to_a_child_does_not_hold_up_the_batch(ask: Asker) -> None:
    """`launch` does that: the emulator inherits ldconsole's output."""
    words, more = "leak", dict[str, object](timeout_ms=20_000)
    if ask.engine == "wine":  # the forwarder leaves nothing behind there, but cmd.exe does
        words, more["program"] = f'/c "echo said& start /b {ask.program("say")} wait 8"', "C:\\windows\\system32\\cmd.exe"
    command = _exec("leak", ask, "say", words, **more)
    (result,) = ask(command)["results"]
    assert (result["status"], result["timed_out"], result["exit"]) == ("ok", False, 0)
    assert result["ms"] < 4_000
    assert unb64(result["stdout"]).strip() == b"said"


def test_what_takes_too_long_is_ended_with_all_that_it_began(ask: Asker) -> None:
    if ask.engine != "wine":
        pytest.skip("needs a Windows program that starts another one: Wine's cmd.exe")
    mark = secrets.token_hex(8)
    tree = _exec("tree", ask, "x", f"/c {ask.program('say')} hang {mark}", program="C:\\windows\\system32\\cmd.exe", timeout_ms=1_500)
    assert ask(tree)["results"][0]["error"]["code"] == "Timeout"
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _bytes(path)]


def test_a_program_runs_in_its_own_folder_and_finds_its_input_closed(ask: Asker) -> None:
    if ask.engine != "wine":
        pytest.skip("needs a Windows program that tells its folder and reads its input: Wine's cmd.exe")
    shell = {"program": "C:\\windows\\system32\\cmd.exe", "timeout_ms": 10_000}
    reply = ask(_exec("where", ask, "x", "/c cd", **shell), _exec("input", ask, "x", "/c more", **shell))
    assert unb64(reply["results"][0]["stdout"]).strip().lower() == b"c:\\windows\\system32"
    assert _statuses(reply) == ["ok", "ok"]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_file_that_another_program_holds_is_locked(gate: Asker) -> None:
    ask = gate
    if ask.engine != "wine":
        pytest.skip("only Windows keeps others from a file that is open")
    names = ("held", "held_too", "held_read")
    for name in names:
        ask.local(f"{ask.home}\\{name}.txt").write_text("x")
    opened = ";".join(f"$f{number}=[IO.File]::Open('{ask.home}\\{name}.txt','Open','Read','None')" for number, name in enumerate(names))
    engine = ask.host.engine
    assert engine is not None
    script = f"{opened};[Diagnostics.Process]::Start('{ask.program('gate')}').WaitForExit()"
    holder = threading.Thread(target=lambda: engine.run(script, b"", ask.host.world, ask.host.world.service), daemon=True)
    holder.start()
    try:
        assert ask.gate.entered.wait(60)
        reply = ask(
            _write("held", ask),
            {"id": "remove", "op": "remove", "path": f"{ask.home}\\held_too.txt", "expect": "any"},
            {"id": "read", "op": "read", "folder": ask.home, "pattern": "held_read.txt", "content": True, "max_bytes": 9},
        )
    finally:
        ask.gate.open.set()
        holder.join(60)
    assert [result.get("error", {}).get("code") for result in reply["results"]] == ["Locked", "Locked", None]
    (file,) = reply["results"][2]["files"]
    assert (file["name"], file["error"]["code"], "sha256" in file) == ("held_read.txt", "Locked", False)
    assert not list(ask.local(ask.home).glob("held*.tmp"))


def test_a_full_disk_is_named_and_the_old_file_stays(engine_host: Asker) -> None:
    ask = engine_host
    if ask.engine != "port":
        pytest.skip("the real engines write to the disk of this machine")
    ask(_write("full", ask, "old"))
    ask.host.world.disk_free = 0
    assert ask(_write("full", ask, "new"))["results"][0]["error"]["code"] == "DiskFull"
    assert ask.local(f"{ask.home}\\full.txt").read_text() == "old"
    assert ask(_write("full", ask), once=True)["error"]["code"] == "ResultFolder"


# ---- on the wire ------------------------------------------------------------------------------------------------------------------------
def test_a_packed_request_is_a_request_and_a_long_reply_comes_packed(ask: Asker) -> None:
    reply = ask(_exec("big", ask, "say", "big 30000"), pack=True)
    assert unb64(reply["results"][0]["stdout"]) == b"x" * 30_000
    assert ask.bodies[-1][0] != "{"
    assert len(ask.bodies[-1]) < 20_000
    assert gzip.decompress(base64.b64decode(ask.bodies[-1])).startswith(b"{")
    assert ask(_exec("small", ask, "say", "big 10"))["results"][0]["status"] == "ok"
    assert ask.bodies[-1][0] == "{"


def test_what_cannot_be_unpacked_is_refused(ask: Asker) -> None:
    broken = ["", "no base64", b64(b"no gzip"), b64(gzip.compress(b"no json")), b64(gzip.compress(b'{"protocol": 1'))]
    replies = ask.requests([{"packed": text} for text in broken])
    assert [(reply["id"], reply["error"]["code"]) for reply in replies] == [("", "BadRequest")] * len(broken)


def test_a_reply_tells_of_the_host(ask: Asker) -> None:
    reply = ask()
    facts = reply["host"]
    assert (reply["protocol"], reply["replayed"], reply["results"]) == (1, False, [])
    assert (facts["acp"], facts["oemcp"], facts["programdata"]) == (1252, 437, ask.host.world.spec.programdata)
    assert isinstance(facts["time_ms"], int)
    assert facts["time_ms"] > 1_700_000_000_000
    assert facts["name"]
    assert int(facts["powershell"].split(".")[0]) in (5, 7)
    assert ask.noise[-1] == ""


def test_noise_around_the_reply_and_errors_beside_it_are_no_failure(ask: Asker) -> None:
    noisy = AGENT.read_text(encoding="ascii").replace(
        "param($request)\n", "param($request)\n'said by a profile'\nWrite-Error 'a profile failed' -ErrorAction Continue\n", 1
    )
    if ask.engine != "port":
        noisy = noisy.replace(" -ErrorAction Continue", "")
    reply = ask(_write("noise", ask), agent=noisy)
    assert _statuses(reply) == ["ok"]
    if ask.engine != "port":
        assert ask.noise[-1].startswith("#< CLIXML")


def test_a_chinese_windows_tells_its_code_page_and_takes_every_character(tmp_path: Path, engine: str) -> None:
    for ask in asker(engine, tmp_path, Spec.chinese(desktop_user="Administrator")):
        text = "雷电模拟器 é 😀"
        reply = ask(
            _exec("args", ask, "args", f'"{text}"'),
            _exec("gbk", ask, "say", f"err {text.encode('gb18030').hex()}"),
            {
                "id": "find",
                "op": "find",
                "file": "args.exe",
                "candidates": [{"registry": "HKCU\\SOFTWARE\\leidian\\LDPlayer9", "value": "InstallDir"}],
            },
            _write("雷电".encode().hex(), ask, "x", path=f"{ask.home}\\雷电.txt"),
        )
        assert (reply["host"]["acp"], reply["host"]["oemcp"]) == (936, 936)
        assert unb64(reply["results"][0]["stdout"]).decode() == f"[{text}]"
        assert unb64(reply["results"][1]["stdout"]).decode("gb18030") == text
        assert reply["results"][2]["path"] == ask.home
        assert ask.local(f"{ask.home}\\雷电.txt").read_text() == "x"


def test_a_script_in_any_text_of_a_batch_is_never_run(ask: Asker) -> None:
    """Every text of a batch is a script that would leave a file behind."""
    canary = ask.local(f"{ask.home}\\canary.txt")
    path = canary if ask.engine == "pwsh" else f"{ask.home}\\canary.txt"
    evil = [
        f"$([IO.File]::WriteAllText('{path}','x'))",
        f"'; [IO.File]::WriteAllText('{path}','x'); '",
        f"\"; [IO.File]::WriteAllText('{path}',1) #",
    ]
    operations: list[Json] = []
    for number, text in enumerate(evil):
        operations += [
            _exec(f"args{number}", ask, "args", text, match=[text]),
            _exec(f"program{number}", ask, "args", program=f"{ask.home}\\{text}.exe"),
            {
                "id": f"find{number}",
                "op": "find",
                "file": text,
                "candidates": [{"path": text}, {"registry": f"HKCU\\{text}", "value": text}],
            },
            {"id": f"read{number}", "op": "read", "folder": f"{ask.home}\\{text}", "pattern": text, "content": True, "max_bytes": 9},
            {"id": f"remove{number}", "op": "remove", "path": f"{ask.home}\\{text}", "expect": text},
        ]
    reply = ask(*operations)
    refused = ask.many([whole({"id": text, "op": text}, id=text) for text in evil] + [{**whole(), text: 1} for text in evil])
    assert len(reply["results"]) == len(operations)
    assert {answer["error"]["code"] for answer in refused} == {"BadRequest"}
    assert not canary.exists()
