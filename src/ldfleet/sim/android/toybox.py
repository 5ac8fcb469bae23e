"""The plain tools of a guest: grep, cat, ls, rm, mkdir, touch, sha256sum. They read and change its files and know nothing of Android.

Rules: toybox's manual.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping

from .shell import Command, Io, Shell


def _grep(shell: Shell, words: list[str], io: Io) -> int:
    """-E, -F, -i, -v, -c, -o, -q on standard input or files."""
    flags = "".join(word[1:] for word in words if re.fullmatch(r"-[EFivcoq]+", word))
    rest = [word for word in words if not re.fullmatch(r"-[EFivcoq]+", word)]
    if not rest or rest[0].startswith("-"):
        return io.complain("grep: Needs 1 argument", 2)
    data = io.stdin if len(rest) == 1 else b"".join(shell.files.read(shell.files.path(name)) or b"" for name in rest[1:])
    pattern = re.compile(re.escape(rest[0]) if "F" in flags else rest[0], re.IGNORECASE if "i" in flags else 0)
    lines = [line for line in data.decode("utf-8", "surrogateescape").splitlines() if bool(pattern.search(line)) != ("v" in flags)]
    if "q" not in flags:
        for line in [str(len(lines))] if "c" in flags else lines:
            for text in [found[0] for found in pattern.finditer(line)] if "o" in flags else [line]:
                io.say(text)
    return int(not lines)


def _cat(shell: Shell, words: list[str], io: Io) -> int:
    if not words:
        io.out.extend(io.stdin)
    status = 0
    for word in words:
        path = shell.files.path(word)
        data = shell.files.read(path)
        if data is None:
            status = io.complain(f"cat: {word}: {'Is a directory' if shell.files.is_folder(path) else 'No such file or directory'}")
        else:
            io.out.extend(data)
    return status


def _ls(shell: Shell, words: list[str], io: Io) -> int:
    names = [word for word in words if not word.startswith("-")] or ["/"]
    long = any(word.startswith("-") and "l" in word for word in words)
    status = 0
    for name in names:
        path = shell.files.path(name)
        if not shell.files.exists(path):
            status = io.complain(f"ls: {name}: No such file or directory")
            continue
        inside = shell.files.is_folder(path) and "-d" not in words
        for entry in [other for other in shell.files.every() if posixpath.dirname(other) == path and other != "/"] if inside else [path]:
            shown = posixpath.basename(entry) if inside else name
            data = shell.files.read(entry)
            kind = "drwxrwx--x" if data is None else "-rw-rw----"
            io.say(f"{kind} 1 root sdcard_rw {len(data or b'')} 2026-01-01 00:00 {shown}" if long else shown)
    return status


def _rm(shell: Shell, words: list[str], io: Io) -> int:
    flags = "".join(word[1:] for word in words if word.startswith("-"))
    status = 0
    for word in [word for word in words if not word.startswith("-")]:
        path = shell.files.path(word)
        if not shell.files.exists(path):
            status = status if "f" in flags else io.complain(f"rm: {word}: No such file or directory")
        elif path.startswith("/system") or path in shell.files.fixed or path == "/":
            status = io.complain(f"rm: {word}: Read-only file system")
        elif shell.files.is_folder(path) and "r" not in flags.lower():
            status = io.complain(f"rm: {word}: is directory")
        else:
            below = [name for name in shell.files.given if name == path or name.startswith(f"{path}/")]
            for name in below:
                del shell.files.given[name]
            shell.files.folders -= {name for name in shell.files.folders if name == path or name.startswith(f"{path}/")}
    return status


def _mkdir(shell: Shell, words: list[str], io: Io) -> int:
    status = 0
    for word in [word for word in words if not word.startswith("-")]:
        path = shell.files.path(word)
        if shell.files.exists(path):
            status = status if "-p" in words else io.complain(f"mkdir: '{word}': File exists")
        elif not shell.files.is_folder(posixpath.dirname(path)) and "-p" not in words:
            status = io.complain(f"mkdir: '{word}': No such file or directory")
        elif path.startswith("/system"):
            status = io.complain(f"mkdir: '{word}': Read-only file system")
        else:
            shell.files.folders.add(path)
    return status


def _touch(shell: Shell, words: list[str], io: Io) -> int:
    status = 0
    for word in words:
        problem = shell.files.write(shell.files.path(word), b"", append=True)
        status = io.complain(f"touch: {word}: {problem}") if problem else status
    return status


def _sha256sum(shell: Shell, words: list[str], io: Io) -> int:
    status = 0
    for word in words or ["-"]:
        data = io.stdin if word == "-" else shell.files.read(shell.files.path(word))
        if data is None:
            status = io.complain(f"sha256sum: {word}: No such file or directory")
        else:
            io.say(f"{hashlib.sha256(data).hexdigest()}  {word}")
    return status


TOYBOX: Mapping[str, Command] = {
    "grep": _grep,
    "cat": _cat,
    "ls": _ls,
    "rm": _rm,
    "mkdir": _mkdir,
    "touch": _touch,
    "sha256sum": _sha256sum,
}
