"""Windows' own programs for the registry and for files, as far as ldfleet starts them: reg, tar, robocopy. Of the engine port only: others bring their own."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .programs import option, said
from .registry import Value
from .windows import SYSTEM32, Answer, Caller, Program, Windows

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
        data, kind = option(words, "/d") or "", (option(words, "/t") or "REG_SZ").upper()
        if kind == "REG_DWORD" and not re.fullmatch(r"\d+|0x[0-9a-fA-F]+", data):
            return said(machine, 1, "ERROR: Invalid syntax.\r\n")
        machine.registry.set(key, name or "", int(data, 0) if kind == "REG_DWORD" else data)
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
    lines = ["", written, *(f"    {own}    {_kind(value)}    {value}" for own, value in values), ""]
    lines += [f"{written}\\{child}" for child in machine.registry.children(key)] if name is None else []
    return "".join(f"{line}\r\n" for line in lines)


def _kind(value: Value) -> str:
    return "REG_SZ" if isinstance(value, str) else "REG_DWORD"


def tar(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``-xf ARCHIVE -C FOLDER``: Windows' bsdtar unpacks zips too. Members that would leave the folder are refused, as bsdtar refuses them."""
    if len(words) != 4 or words[0] != "-xf" or words[2] != "-C":
        return said(machine, 1, "tar.exe: Must specify one of -c, -r, -t, -u, -x\r\n")
    try:
        source, target = machine.drive.local(words[1]), machine.drive.local(words[3])
        if not target.is_dir():
            return Answer(1, stderr=f"tar.exe: could not chdir to '{words[3]}'\r\n".encode(), seconds=0.1)
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                machine.drive.local(f"{words[3]}\\{member.filename}")
            size = sum(member.file_size for member in archive.infolist())
            if size > machine.disk_free:
                return Answer(1, stderr=b"tar.exe: Write failed: No space left on device\r\n", seconds=1.0)
            archive.extractall(target)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        return Answer(1, stderr=f"tar.exe: Error opening archive: {error}\r\n".encode(), seconds=0.1)
    return Answer(0, seconds=0.5 + size / _SPEED)


def robocopy(machine: Windows, words: Sequence[str], _raw: str, _caller: Caller) -> Answer:
    """``SOURCE TARGET /E [/XD FOLDER …]``: below 8 it did what it was told (1: something was copied), 8 and more: something could not be."""
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
    for folder, inner, files in os.walk(source):
        inner[:] = [name for name in inner if Path(folder) / name not in spared]
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            goal = place / name
            if machine.in_use(goal) or machine.disk_free <= 0:
                failed += 1
                continue
            shutil.copyfile(Path(folder) / name, goal)
            machine.touch(goal)
            copied, size = copied + 1, size + goal.stat().st_size
    return said(machine, 8 if failed else min(copied, 1), "", 0.2 + size / _SPEED)


_PROGRAMS: Mapping[str, Callable[..., Answer]] = {"reg.exe": reg, "tar.exe": tar, "robocopy.exe": robocopy}

#: By full path.
PROGRAMS: Mapping[str, Program] = {f"{SYSTEM32}\\{name}": program for name, program in _PROGRAMS.items()}
