"""Windows' own programs for the registry and for files, as far as ldfleet starts them: reg, tar, robocopy, and cmd for what only that does. Of the engine port
only: others bring their own."""

from __future__ import annotations

import fnmatch
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..machine.registry import KINDS, Value
from ..machine.windows import SYSTEM32, Answer, Caller, Program, Windows
from .admin import option, said

_NO_KEY = "ERROR: The system was unable to find the specified registry key or value.\r\n"
_DONE = "The operation completed successfully.\r\n"
#: Simulated bytes a second of an SSD.
_SPEED = 200 * 2**20


def reg(machine: Windows, words: Sequence[str], _raw: str, caller: Caller) -> Answer:
    """``query KEY [/v NAME]``, ``add KEY /v NAME [/t KIND] /d DATA /f``, ``delete KEY [/v NAME] /f``: 0, or 1 where there is no such key or value."""
    if len(words) < 2:
        return said(machine, 1, "ERROR: Invalid syntax.\r\n")
    verb, key, name = words[0].lower(), machine.key(words[1], caller), option(words, "/v")
    if verb == "add":
        kind = (option(words, "/t") or "REG_SZ").upper()
        data = _data(option(words, "/d") or "", kind)
        if data is None:
            return said(machine, 1, "ERROR: Invalid syntax.\r\n")
        machine.registry.set(key, name or "", data, kind)
        return said(machine, 0, _DONE)
    there = machine.registry.has(key) if name is None else machine.registry.get(key, name) is not None
    if not there:
        return said(machine, 1, _NO_KEY)
    if verb == "query":
        return said(machine, 0, _queried(machine, words[1], key, name))
    if verb == "delete":
        machine.registry.remove(key) if name is None else machine.registry.remove_value(key, name)
        return said(machine, 0, _DONE)
    return said(machine, 1, "ERROR: Invalid syntax.\r\n")


def _queried(machine: Windows, written: str, key: str, name: str | None) -> str:
    values = [(own, value) for own, value in machine.registry.values(key) if name is None or own.lower() == name.lower()]
    lines = ["", written, *(f"    {own}    {machine.registry.kind(key, own)}    {_shown(value)}" for own, value in values), ""]
    lines += [f"{written}\\{child}" for child in machine.registry.children(key)] if name is None else []
    return "".join(f"{line}\r\n" for line in lines)


def _shown(value: Value) -> str:
    """As reg prints a value: numbers in hexadecimal digits, the parts of a list between two characters each."""
    if isinstance(value, int):
        return f"0x{value:x}"
    if isinstance(value, bytes):
        return value.hex().upper()
    return value if isinstance(value, str) else "\\0".join(value)


def _data(text: str, kind: str) -> Value | None:
    """What ``/d`` says, for the kind that ``/t`` names; None where it is none of it."""
    try:
        if kind in ("REG_DWORD", "REG_QWORD"):
            number = int(text, 0)
            return number if 0 <= number < 2 ** (32 if kind == "REG_DWORD" else 64) else None
        if kind in ("REG_BINARY", "REG_NONE"):
            return bytes.fromhex(text)
    except ValueError:
        return None
    if kind == "REG_MULTI_SZ":
        return text.split("\\0") if text else []
    return text if kind in KINDS else None


def tar(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``-xf ARCHIVE -C FOLDER``: Windows' bsdtar unpacks zips too. Members that would leave the folder are refused, as bsdtar refuses them."""
    if len(words) != 4 or words[0] != "-xf" or words[2] != "-C":
        return said(machine, 1, "tar.exe: Must specify one of -c, -r, -t, -u, -x\r\n")
    try:
        source = machine.drive.local(words[1])
        if not machine.drive.local(words[3]).is_dir():
            return Answer(1, stderr=f"tar.exe: could not chdir to '{words[3]}'\r\n".encode(), seconds=0.1)
        size = _unpack(machine, source, words[3])
    except _Full:
        return Answer(1, stderr=b"tar.exe: Write failed: No space left on device\r\n", seconds=1.0)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        return Answer(1, stderr=f"tar.exe: Error opening archive: {error}\r\n".encode(), seconds=0.1)
    return Answer(0, seconds=0.5 + size / _SPEED)


class _Full(Exception):
    """The drive has no room for what an archive holds."""


def _unpack(machine: Windows, source: Path, folder: str) -> int:
    """Unpack a zip into a folder of the drive, and tell how many bytes it held. ValueError where a member would leave the folder."""
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            machine.drive.local(f"{folder}\\{member.filename}")
        size = sum(member.file_size for member in archive.infolist())
        if size > machine.disk_free:
            raise _Full
        archive.extractall(machine.drive.local(folder))
    return size


def seven_zip(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """7-Zip: ``x -y [-t#] -oFOLDER ARCHIVE``, the archive's name with * and ? too. Archives are zips, whatever they are called: 2 where one is none, as
    7-Zip documents its exit codes (0, 2 fatal, 7 command line, 8 memory)."""
    plain, options = [word for word in words if not word.startswith("-")], [word for word in words if word.startswith("-")]
    target = next((word[2:] for word in options if word.startswith("-o")), "")
    if len(plain) != 2 or plain[0] != "x" or not target:
        return said(machine, 7, "Command Line Error:\r\n")
    place, _, name = plain[1].rpartition("\\")
    try:
        folder = machine.drive.local(place)
        found = [file for file in sorted(folder.iterdir()) if fnmatch.fnmatch(file.name.lower(), name.lower())]
        if not found:
            return said(machine, 2, f"ERROR: No more files\r\n{plain[1]}\r\n")
        machine.drive.local(target).mkdir(parents=True, exist_ok=True)
        size = sum(_unpack(machine, file, target) for file in found)
    except _Full:
        return said(machine, 2, "ERROR: There is not enough space on the disk.\r\n")
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        return said(machine, 2, f"ERROR: {plain[1]}\r\nCannot open the file as archive ({error})\r\n")
    return said(machine, 0, "Everything is Ok\r\n", 0.5 + size / _SPEED)


def robocopy(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``SOURCE TARGET /E [/XC /XN /XO] [/XD FOLDER …]`` (the three: what is there stays): below 8 it did what it was told (1: something was copied),
    8 and more: something could not be."""
    folders = [word for word in words[:2] if not word.startswith("/")]
    left_out = words[[word.lower() for word in words].index("/xd") + 1 :] if "/xd" in [word.lower() for word in words] else ()
    try:
        source, target = (machine.drive.local(folder) for folder in folders)
        spared = {machine.drive.local(folder) for folder in left_out if not folder.startswith("/")}
    except ValueError:
        return said(machine, 16, "ERROR : Invalid Parameter\r\n")
    if not source.is_dir():
        return said(machine, 16, "ERROR 2 (0x00000002) Accessing Source Directory\r\n")
    copied, failed, size = 0, 0, 0
    keeps = {"/xc", "/xn", "/xo"} <= {word.lower() for word in words}
    for folder, inner, files in os.walk(source):
        inner[:] = [name for name in inner if Path(folder) / name not in spared]
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            goal = place / name
            if keeps and goal.exists():
                continue
            if machine.in_use(goal) or machine.disk_free <= 0:
                failed += 1
                continue
            shutil.copyfile(Path(folder) / name, goal)
            machine.touch(goal)
            copied, size = copied + 1, size + goal.stat().st_size
    return said(machine, 8 if failed else min(copied, 1), "", 0.2 + size / _SPEED)


def cmd(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``/d /e:on /v:off /c`` and one of ``mkdir FOLDER``, ``ren FOLDER NAME``, ``mklink /J LINK TARGET`` and ``rmdir FOLDER``: 0, or 1 where it could not."""
    switches, rest = [word.lower() for word in words[:4]], words[5:]
    act = _VERBS.get(words[4].lower()) if len(words) > 4 else None
    if switches != ["/d", "/e:on", "/v:off", "/c"] or act is None:
        return said(machine, 1, "The syntax of the command is incorrect.\r\n")
    try:
        problem = act(machine, *rest)
    except (ValueError, TypeError):
        problem = "The filename, directory name, or volume label syntax is incorrect."
    except OSError as error:
        problem = str(error.strerror)
    return Answer(1, stderr=f"{problem}\r\n".encode(), seconds=0.1) if problem else Answer(0, seconds=0.1)


def _mkdir(machine: Windows, folder: str) -> str:
    """With the folders above it."""
    local = machine.drive.local(folder)
    if local.exists() or local.is_symlink():
        return f"A subdirectory or file {folder} already exists."
    local.mkdir(parents=True)
    return ""


def _ren(machine: Windows, folder: str, name: str) -> str:
    if "\\" in name or "/" in name:
        return "The syntax of the command is incorrect."
    local = machine.drive.local(folder)
    goal = machine.drive.local(f"{folder.rpartition(chr(92))[0]}\\{name}")
    if goal.exists():
        return "A duplicate file name exists, or the file cannot be found."
    local.rename(goal)
    return ""


def _mklink(machine: Windows, kind: str, link: str, target: str) -> str:
    """A junction: to a local folder, there or not."""
    if kind.lower() != "/j":
        return "The syntax of the command is incorrect."
    if target.startswith("\\\\"):
        return "Local volumes are required to complete the operation."
    local = machine.drive.local(link)
    if local.exists() or local.is_symlink():
        return "Cannot create a file when that file already exists."
    machine.drive.join(local, machine.drive.local(target))
    return ""


def _rmdir(machine: Windows, folder: str) -> str:
    """A folder with nothing in it, or a link, which goes without what it leads to."""
    local = machine.drive.local(folder)
    if local.is_symlink():
        local.unlink()
    elif any(local.iterdir()):
        return "The directory is not empty."
    else:
        local.rmdir()
    return ""


_VERBS: Mapping[str, Callable[..., str]] = {"mkdir": _mkdir, "ren": _ren, "mklink": _mklink, "rmdir": _rmdir}
_PROGRAMS: Mapping[str, Callable[..., Answer]] = {"reg.exe": reg, "tar.exe": tar, "robocopy.exe": robocopy, "cmd.exe": cmd}

#: By full path.
PROGRAMS: Mapping[str, Program] = {f"{SYSTEM32}\\{name}": program for name, program in _PROGRAMS.items()}

#: 7-Zip, which no Windows has until somebody installs it (SimHost.install).
SEVEN_ZIP: Mapping[str, Program] = {"C:\\Program Files\\7-Zip\\7z.exe": seven_zip}
