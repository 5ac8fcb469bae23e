"""Windows' own programs that ldfleet starts on a simulated host: tasklist, taskkill, schtasks, icacls, certutil, whoami, cscript.

Words in, bytes out; what they do is the machine's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from xml.etree import ElementTree

from ..machine.windows import SYSTEM32, Answer, Caller, Program, Running, Task, Windows

#: Simulated seconds: a small console program, and tasklist, which asks WMI when it is to name users.
_SHORT, _TASKLIST = 0.04, 0.3

_NO_TASKS = "INFO: No tasks are running which match the specified criteria.\r\n"
_TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def said(machine: Windows, code: int, text: str, seconds: float = _SHORT) -> Answer:
    """What a console program of this machine prints, in its code page."""
    page = machine.registry.get("HKLM\\SYSTEM\\CurrentControlSet\\Control\\Nls\\CodePage", "OEMCP")
    assert isinstance(page, str)
    return Answer(code, text.encode(f"cp{page}", "replace"), seconds=seconds)


def option(words: Sequence[str], name: str) -> str | None:
    """The word after ``/name``, in any case."""
    lowered = [word.lower() for word in words]
    position = lowered.index(name) if name in lowered else -1
    return words[position + 1] if 0 <= position < len(words) - 1 else None


def tasklist(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``/FI "IMAGENAME eq X"``, ``/FI "PID eq N"``, ``/FO CSV``, ``/NH``, ``/V``. Columns as documented; /V adds status, user, CPU time, title."""
    filters = [words[position + 1] for position, word in enumerate(words[:-1]) if word.lower() == "/fi"]
    found = [process for process in machine.processes() if all(_matches(process, text) for text in filters)]
    if not found:
        return said(machine, 0, _NO_TASKS, _TASKLIST)
    verbose = any(word.lower() == "/v" for word in words)
    lines = [_row(machine, process, verbose) for process in found]
    if (option(words, "/fo") or "table").lower() != "csv":
        lines = [f"{process.image:<28}{process.pid:>6} {'Console' if process.session else 'Services':<12}" for process in found]
    elif not any(word.lower() == "/nh" for word in words):
        lines.insert(
            0,
            '"Image Name","PID","Session Name","Session#","Mem Usage"'
            + (',"Status","User Name","CPU Time","Window Title"' if verbose else ""),
        )
    return said(machine, 0, "".join(f"{line}\r\n" for line in lines), _TASKLIST)


def _matches(process: Running, text: str) -> bool:
    found = re.fullmatch(r"(?i)\s*(IMAGENAME|PID)\s+eq\s+(.+?)\s*", text)
    if found is None:
        return False
    return process.image.lower() == found[2].lower() if found[1].upper() == "IMAGENAME" else str(process.pid) == found[2]


def _row(machine: Windows, process: Running, verbose: bool) -> str:
    columns = [process.image, str(process.pid), "Console" if process.session else "Services", str(process.session), "150,000 K"]
    if verbose:
        domain = "NT AUTHORITY" if process.user == "SYSTEM" else machine.name
        columns += ["Unknown", f"{domain}\\{process.user}", "0:00:01", "N/A"]
    return ",".join(f'"{column}"' for column in columns)


def taskkill(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``/PID N`` and ``/IM NAME``, with ``/T /F``. 0 when something was ended, 128 when nothing was found."""
    wanted = [words[position + 1].lower() for position, word in enumerate(words[:-1]) if word.lower() in ("/pid", "/im")]
    victims = [process for process in machine.processes() if str(process.pid) in wanted or process.image.lower() in wanted]
    ended = [process for process in victims if machine.kill(process.pid)]
    if not ended:
        return said(machine, 128, f'ERROR: The process "{" ".join(wanted)}" not found.\r\n')
    return said(machine, 0, "".join(f"SUCCESS: The process with PID {process.pid} has been terminated.\r\n" for process in ended))


def schtasks(machine: Windows, words: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """``/Create /TN N /XML F /F``, ``/Run /TN N``, ``/Delete /TN N /F``. Tasks are named in any case."""
    name = (option(words, "/tn") or "").lstrip("\\")
    verb = next((word.lower() for word in words if word.lower() in ("/create", "/run", "/delete")), "")
    if not name or not verb:
        return said(machine, 1, "ERROR: Invalid syntax.\r\n")
    if verb == "/create":
        return _create(machine, name, option(words, "/xml") or "", caller)
    task = machine.tasks.get(name.lower())
    if task is None:
        return said(machine, 1, "ERROR: The system cannot find the file specified.\r\n")
    if verb == "/delete":
        del machine.tasks[name.lower()]
        return said(machine, 0, f'SUCCESS: The scheduled task "{name}" was successfully deleted.\r\n')
    machine.run_task(task)
    return said(machine, 0, f'SUCCESS: Attempted to run the scheduled task "{name}".\r\n')


def _create(machine: Windows, name: str, path: str, caller: Caller) -> Answer:
    if caller.user != machine.service.user and caller.session == 0:
        return said(machine, 1, "ERROR: Access is denied.\r\n")
    try:
        # The tool wants the file in the encoding that its declaration names; schtasks itself exports UTF-16 with a byte order mark.
        root = ElementTree.fromstring(machine.drive.local(path).read_bytes().decode("utf-16").partition("?>")[2])  # noqa: S314 - no DTD survives
    except (OSError, ValueError, ElementTree.ParseError) as error:
        return said(machine, 1, f"ERROR: The task XML is malformed. {error}\r\n")

    def text(where: str, standard: str) -> str:
        node = root.find("/".join(f"{_TASK}{part}" for part in where.split("/")))
        return (node.text or "").strip() if node is not None else standard

    machine.tasks[name.lower()] = Task(
        name,
        user=text("Principals/Principal/UserId", ""),
        program=text("Actions/Exec/Command", ""),
        arguments=text("Actions/Exec/Arguments", ""),
        interactive=text("Principals/Principal/LogonType", "") == "InteractiveToken",
        elevated=text("Principals/Principal/RunLevel", "LeastPrivilege") == "HighestAvailable",
        runs_on_battery=text("Settings/DisallowStartIfOnBatteries", "true") == "false",
        priority=int(text("Settings/Priority", "7")),
    )
    return said(machine, 0, f'SUCCESS: The scheduled task "{name}" has successfully been created.\r\n')


def icacls(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``PATH /inheritance:r /grant:r ACCOUNT:(OI)(CI)F …`` and ``PATH /setowner ACCOUNT``: who may open a folder is remembered."""
    path = words[0].rstrip("\\").lower() if words else ""
    try:
        there = machine.drive.local(path).is_dir()
    except ValueError:
        there = False
    if not there:
        return said(machine, 2, f"{path}: The system cannot find the file specified.\r\n")
    grants = [word.rpartition(":")[0] for word in words[1:] if re.search(r":\([^:]*\)?[A-Z,()]*\Z", word) and not word.startswith("/")]
    if grants:
        machine.rights[path] = frozenset(grants)
    return said(machine, 0, f"processed file: {path}\r\nSuccessfully processed 1 files; Failed processing 0 files\r\n")


def certutil(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``-hashfile FILE SHA256``: three lines, the hash in the second (Windows 10 and later; older ones put blanks between its bytes)."""
    if len(words) != 3 or words[0].lower() != "-hashfile" or words[2].lower() != "sha256":
        return said(machine, 1, "CertUtil: Unknown arg\r\n")
    try:
        digest = hashlib.sha256(machine.drive.local(words[1]).read_bytes()).hexdigest()
    except (OSError, ValueError):
        text = "CertUtil: -hashfile command FAILED: 0x80070002 (WIN32: 2 ERROR_FILE_NOT_FOUND)\r\n"
        return said(machine, -2147024894, text + "CertUtil: The system cannot find the file specified.\r\n")
    text = f"SHA256 hash of {words[1]}:\r\n{digest}\r\nCertUtil: -hashfile command completed successfully.\r\n"
    return said(machine, 0, text, _TASKLIST)


def whoami(machine: Windows, words: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """The account; with ``/groups /fo csv /nh`` its groups: name, type, SID, attributes (Microsoft Learn, "whoami", "Security identifiers")."""
    if not words:
        return said(machine, 0, f"{machine.name.lower()}\\{caller.user.lower()}\r\n")
    if [word.lower() for word in words] != ["/groups", "/fo", "csv", "/nh"]:
        return said(machine, 1, "ERROR: Invalid argument/option.\r\n")
    full = machine.full_token
    rows = [
        ("Everyone", "Well-known group", "S-1-1-0", _MEMBER),
        ("BUILTIN\\Users", "Alias", "S-1-5-32-545", _MEMBER),
        ("NT AUTHORITY\\NETWORK", "Well-known group", "S-1-5-2", _MEMBER),
    ]
    if caller.user == machine.service.user:
        rows.append(("BUILTIN\\Administrators", "Alias", "S-1-5-32-544", f"{_MEMBER}, Group owner" if full else "Group used for deny only"))
    high = full and caller.user == machine.service.user
    level = ("High", "S-1-16-12288") if high else ("Medium", "S-1-16-8192")
    rows.append((f"Mandatory Label\\{level[0]} Mandatory Level", "Label", level[1], ""))
    return said(machine, 0, "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows))


_MEMBER = "Mandatory group, Enabled by default, Enabled group"


def cscript(machine: Windows, words: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """``//NoLogo winrm.vbs get winrm/config/winrs``, which is what the command winrm runs."""
    if [word.lower() for word in words] != ["//nologo", "winrm.vbs", "get", "winrm/config/winrs"]:
        return said(machine, 1, "Input Error: Can not find script file.\r\n")
    if caller.user != machine.service.user:
        return said(machine, 5, "WSManFault\r\n    Message = Access is denied.\r\n")
    limits = {
        "AllowRemoteShellAccess": "true", "IdleTimeout": 7200000, "MaxConcurrentUsers": 10, "MaxShellRunTime": 2147483647,
        "MaxProcessesPerShell": 25, "MaxMemoryPerShellMB": 1024, "MaxShellsPerUser": machine.shells_per_user,
    }  # fmt: skip
    return said(machine, 0, "Winrs\r\n" + "".join(f"    {name} = {value}\r\n" for name, value in limits.items()) + "\r\n", _TASKLIST)


_PROGRAMS: Mapping[str, Callable[..., Answer]] = {
    "certutil.exe": certutil,
    "tasklist.exe": tasklist,
    "taskkill.exe": taskkill,
    "schtasks.exe": schtasks,
    "icacls.exe": icacls,
    "whoami.exe": whoami,
    "cscript.exe": cscript,
}

#: By full path.
PROGRAMS: Mapping[str, Program] = {f"{SYSTEM32}\\{name}": program for name, program in _PROGRAMS.items()}
