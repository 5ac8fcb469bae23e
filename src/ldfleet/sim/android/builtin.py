"""What a guest's shell has in itself: echo, printf, test, exit, set, eval, and sh in sh. They work on words and on the shell; files are toybox's.

Rules: the mksh manual page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from .language import Syntax, parse
from .shell import SH, Command, Exit, Io, Shell


def _echo(_shell: Shell, words: list[str], io: Io) -> int:
    bare = words[:1] == ["-n"]
    text = " ".join(words[1:] if bare else words)
    io.out.extend(text.encode("utf-8", "surrogateescape") + (b"" if bare else b"\n"))
    return 0


_LETTERS = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v", "e": b"\x1b", "\\": b"\\"}


def _printf(_shell: Shell, words: list[str], io: Io) -> int:
    """Escapes with up to three octal digits, %s, %d, %c and %%; the form is used again while arguments are left."""
    if not words:
        return io.complain("printf: Needs 1 argument")
    values = words[1:]
    while True:
        before = len(values)
        for found in re.finditer(r"\\([0-7]{1,3})|\\(.)|%(%|[sdc])|([^\\%]+|.)", words[0], re.DOTALL):
            octal, letter, form, plain = found.groups()
            if octal:
                io.out.append(int(octal, 8) & 255)
            elif letter:
                io.out.extend(_LETTERS.get(letter, f"\\{letter}".encode()))
            elif form:
                io.out.extend(b"%" if form == "%" else (values.pop(0) if values else "").encode("utf-8", "surrogateescape"))
            else:
                io.out.extend(plain.encode("utf-8", "surrogateescape"))
        if not values or len(values) == before:
            return 0


def _test(shell: Shell, words: list[str], io: Io) -> int:
    if words and words[0] == "!":
        return int(_test(shell, words[1:], io) == 0)
    if len(words) == 3:
        left, sign, right = words
        if sign in ("=", "==", "!="):
            return int((left == right) == (sign == "!="))
        if sign in _COMPARED and re.fullmatch(r"-?\d+", left) and re.fullmatch(r"-?\d+", right):
            return int(not _COMPARED[sign](int(left), int(right)))
        return io.complain(f"{SH}: test: {sign}: unexpected operator/operand", 2)
    if len(words) == 2 and words[0] in ("-e", "-f", "-d", "-n", "-z", "-s", "-r"):
        sign, value = words
        path = shell.files.path(value)
        held = {
            "-n": bool(value),
            "-z": not value,
            "-d": shell.files.is_folder(path),
            "-f": shell.files.read(path) is not None,
            "-s": bool(shell.files.read(path)),
        }.get(sign, shell.files.exists(path))
        return int(not held)
    if len(words) > 1:
        return io.complain(f"{SH}: test: {words[0]}: unexpected operator/operand", 2)
    return int(not (words and words[0]))


_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": int.__eq__, "-ne": int.__ne__, "-lt": int.__lt__, "-le": int.__le__, "-gt": int.__gt__, "-ge": int.__ge__,
}  # fmt: skip


def _bracket(shell: Shell, words: list[str], io: Io) -> int:
    if words[-1:] != ["]"]:
        return io.complain(f"{SH}: [: missing ]", 2)
    return _test(shell, words[:-1], io)


def _exit(shell: Shell, words: list[str], _io: Io) -> int:
    raise Exit(int(words[0]) & 255 if words and words[0].isdigit() else shell.status)


def _set(shell: Shell, words: list[str], io: Io) -> int:
    for position, word in enumerate(words):
        if word == "--":
            shell.arguments = words[position + 1 :]
            return 0
        if word not in ("-f", "+f"):
            return io.complain(f"{SH}: set: {word}: this simulated shell knows -f, +f and -- only")
        shell.globbing = word == "+f"
    return 0


def _sh(shell: Shell, words: list[str], io: Io) -> int:
    if words[:1] == ["-c"] and len(words) > 1:
        return shell.child().run(words[1], io)
    if not words:
        return shell.child().run(io.stdin.decode("utf-8", "surrogateescape"), replace(io, stdin=b""))
    script = shell.files.read(shell.files.path(words[0]))
    if script is None:
        return io.complain(f"{SH}: can't open {words[0]}: No such file or directory", 127)
    return shell.child().run(script.decode("utf-8", "surrogateescape"), io)


def _eval(shell: Shell, words: list[str], io: Io) -> int:
    try:
        node = parse(" ".join(words))
    except Syntax as error:
        return io.complain(f"{SH}: syntax error: {error}")
    return shell.node(node, io)


BUILTINS: Mapping[str, Command] = {
    "echo": _echo,
    "printf": _printf,
    "test": _test,
    "[": _bracket,
    "exit": _exit,
    "set": _set,
    "sh": _sh,
    "eval": _eval,
    "true": lambda _shell, _words, _io: 0,
    "false": lambda _shell, _words, _io: 1,
    ":": lambda _shell, _words, _io: 0,
    "sleep": lambda _shell, _words, _io: 0,
}
