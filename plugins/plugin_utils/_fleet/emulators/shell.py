# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An errand: one command in an emulator's Android, or one `action` of LDPlayer. What is wanted, whether it is due, its operations, what came of it.

A text goes to the guest exactly as it is written, or not at all (see guest.py). LDPlayer swallows adb's exit code, so the guest's shell tells the
status itself, behind a mark that is new each time. What was typed is never written down on the host: it may hold what is secret.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import Reply, Result
from ..._host.operations import Operation
from ..words import install
from ..words.errors import BadOption, BadOptions, Host, Refused
from ..words.options import shown
from . import desired, guest, observed
from .observed import Emulator, Observation, Question, Run

#: Beyond this the end of an output, and with it the status, is lost.
_OUTPUT_BYTES = 8 * 2**20
#: `copy` is given 900 s, and a batch that is asked for again waits for no longer.
_LONGEST_SECONDS = 900
_DUE, _DONE = "due", "not due"


@dataclass(frozen=True)
class Errand:
    """``command``: a shell text, or None; then ``key`` and ``value`` are an action. ``creates``, ``removes``: paths in the guest that tell that
    nothing is to be done (it is there, it is not there). ``changes``: whether it changes anything. ``mark``: stands before the status."""

    name: str
    command: str | None
    key: str
    value: str
    creates: str | None
    removes: str | None
    changes: bool
    timeout_ms: int
    mark: str

    @property
    def guarded(self) -> bool:
        """Whether a path decides if it is due."""
        return self.creates is not None or self.removes is not None

    @property
    def what(self) -> str:
        """For journals and plans: what is done, without its words."""
        if self.command is None:
            return f"action {self.key} on {self.name}"
        return f"shell on {self.name} (sha256 {hashlib.sha256(self.command.encode()).hexdigest()[:12]})"


@dataclass(frozen=True)
class Came:
    """What came of a command: its output and status; ``raw`` is set where the output is no UTF-8."""

    stdout: str
    status: int
    raw: bytes | None


def errand(given: Mapping[str, Any], mark: str) -> Errand:
    """From checked options and a mark of hexadecimal digits. Raises BadOptions."""
    action = given["action"] or {}
    found = Errand(
        given["name"], given["cmd"], str(action.get("key", "")), str(action.get("value", "")), given["creates"], given["removes"],
        given["changes"], given["timeout"] * 1000, mark,
    )  # fmt: skip
    problems = [BadOption(option, *said) for option, *said in _faults(found, given["action"] is not None)]
    if problems:
        raise BadOptions(problems)
    return found


def _faults(it: Errand, acts: bool) -> list[tuple[str, str, str]]:
    faults: list[tuple[str, str, str]] = []
    if (it.command is not None) == acts:
        faults.append(("cmd", "and action are both there" if acts else "is missing", "one of cmd and action is wanted"))
    title = desired.title_problem(it.name)
    if title:
        faults.append(("name", f"is {shown(it.name)}", title))
    if it.command is not None:
        problem = guest.exact_problem(it.command)
        faults += [("cmd", f"is {shown(it.command)}", problem)] if problem else []
    if acts and not re.fullmatch(r"call\.[a-z]{1,32}", it.key):
        faults.append(("action.key", f"is {shown(it.key)}", "LDPlayer takes keys such as call.input and call.keyboard"))
    if acts and re.search(r'["\x00-\x1f\x7f]', it.value):
        faults.append(("action.value", f"is {shown(it.value)}", "LDPlayer's command line takes no double quotes and no control characters"))
    for option, path in (("creates", it.creates), ("removes", it.removes)):
        if path is not None and (not path.startswith("/") or "\0" in path or len(path) > _LONGEST_PATH):
            faults.append((option, f"is {shown(path)}", "a full path in the guest is wanted"))
    if not 1000 <= it.timeout_ms <= _LONGEST_SECONDS * 1000:
        faults.append(("timeout", f"is {it.timeout_ms // 1000}", f"1 to {_LONGEST_SECONDS} is wanted"))
    return faults


_LONGEST_PATH = 255


def asks(it: Errand) -> list[Question]:
    """What to ask the guest in the first look."""
    if not it.guarded:
        return []
    tests = [f"[ ! -e {guest.word(it.creates)} ]"] if it.creates is not None else []
    tests += [f"[ -e {guest.word(it.removes)} ]"] if it.removes is not None else []
    text = f"{'&&'.join(tests)}&&echo '{_DUE}'||echo '{_DONE}'"
    return [Question(guest.exact(text), None, frozenset([it.name]))]


def target(it: Errand, seen: Observation, desktop_needed: bool) -> Emulator:
    """The emulator that it is for. Raises Refused with what keeps it from being done."""
    about = f"{seen.host.name}: {shown(it.name)}"
    found = seen.titled(it.name)
    if found is None:
        raise Refused(about, "the host has no such emulator", "Create it first (emulator with state: running), or mend the name")
    if it.name in seen.duplicates():
        raise Refused(about, "several emulators have this title", "Rename all but one in LDPlayer")
    if desktop_needed and seen.host.place != "desktop":
        raise Refused(
            about, "nobody is logged on, and LDPlayer needs a desktop", "Log on at the host's console (automatic logon keeps it so)"
        )
    if found.run is not Run.RUNNING:
        raise Refused(about, "it does not run", "Start it first (emulator with state: running)")
    if (it.command is not None or it.guarded) and not observed.has_adb(found.config):
        raise Refused(about, "its adb is off", "Declare it with adb: local")
    return found


def due(it: Errand, emulator: Emulator) -> bool:
    """Whether there is something to do. Raises Host when the guest did not tell."""
    if not it.guarded:
        return True
    said = (emulator.said or b"").decode("utf-8", "replace").strip()
    if said not in (_DUE, _DONE):
        raise Host(it.name, f"its guest could not be asked about the path: {shown(said)}", "Is Android up? Wait for it with state: running")
    return said == _DUE


def work(it: Errand, emulator: Emulator, seen: Observation) -> list[Operation]:
    """The operations: the guard that the index still is this emulator's, and the command."""
    row = f"(?m)^{emulator.index},{operations.literal(emulator.raw_title)},"
    words = ["action", "--index", str(emulator.index), "--key", it.key, "--value", it.value]
    if it.command is not None:
        words = ["adb", "--index", str(emulator.index), "--command", f"{guest.exact(it.command)};echo {it.mark}$?"]
    done = operations.execute("errand", install.PROGRAM, words, it.timeout_ms)
    return [
        operations.find("ld", [{"path": seen.install}], install.CONSOLE),
        operations.execute("guard", install.PROGRAM, ["list2"], observed.QUERY_TIMEOUT_MS, match=[row]),
        {**operations.needing(done, "guard"), "output_cap": _OUTPUT_BYTES},
    ]


def came(it: Errand, reply: Reply) -> Came:
    """What the reply tells. Raises Host when the command did not run to its end."""
    if not reply.results["guard"].ok:
        raise Host(it.name, "it got another index meanwhile", "Nothing was done. Run again")
    result = reply.results["errand"]
    problem = result.problem
    if problem is not None and problem.code == "Timeout":
        raise Host(
            it.name,
            f"the command was still running after {it.timeout_ms // 1000} s",
            "In the guest it may go on. Give it more with timeout",
        )
    if problem is not None or not result.ok:
        raise Host(it.name, f"ldconsole could not be run ({problem.code}: {problem.message})" if problem else "ldconsole was not run")
    return _told(it, result)


def _told(it: Errand, result: Result) -> Came:
    data = result.data("stdout")
    if it.command is None:
        said = data.decode("utf-8", "replace").strip()
        return Came(said, 0 if not said and result.values["exit"] == 0 else 1, None)
    output, mark, rest = data.rpartition(it.mark.encode())
    status = re.fullmatch(rb"(\d{1,3})\s*", rest)
    if not mark or status is None:
        raise Host(it.name, *_no_status(data, bool(result.values.get("truncated"))))
    # adb ends lines with CR LF on Windows, older ones with CR CR LF.
    plain = re.sub(rb"\r+\n", b"\n", output)
    try:
        return Came(plain.decode("utf-8"), int(status[1]), None)
    except UnicodeDecodeError:
        return Came(plain.decode("utf-8", "replace"), int(status[1]), output)


def _no_status(data: bytes, truncated: bool) -> tuple[str, str]:
    if truncated:
        return f"the command printed more than {_OUTPUT_BYTES} bytes, and its status is lost", "Write the output to a file in the guest"
    said = shown(data[-200:].decode("utf-8", "replace").strip())
    return f"the guest did not tell how the command ended; it printed {said}", "Is Android up? Wait for it with state: running"


# ---- what the user gets ---------------------------------------------------------------------------------------------------------------


def planned(it: Errand, due: bool) -> dict[str, Any]:
    """The result where nothing was done: nothing is due, or this is check mode."""
    reason = "is to be done" if due else "its path says that there is nothing to do"
    actions = [{"action": "shell" if it.command is not None else "action", "name": it.name, "reason": reason, "text": it.what}]
    return {"changed": due and it.changes, "actions": actions if due else [], "skipped_because": "" if due else reason}


def done(it: Errand, what: Came, fail_on_error: bool) -> dict[str, Any]:
    """The result of an errand that was done."""
    result = {**planned(it, True), "rc": what.status, "stdout": what.stdout, "stdout_lines": what.stdout.splitlines()}
    if what.raw is not None:
        result["stdout_base64"] = base64.b64encode(what.raw).decode()
    result["failed"] = bool(what.status) and fail_on_error  # said in any case: Ansible takes an rc for a failure by itself
    if result["failed"]:
        lines = what.stdout.strip().splitlines()
        printed = f"last {shown(lines[-1])}" if lines else "nothing"
        result.update(msg=f"{it.name}: the command ended with {what.status}; it printed {printed}")
    return result
