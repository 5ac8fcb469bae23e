"""The shell of a simulated guest at work: commands are run, fed, joined and redirected, their words expanded. What a text says is language.py's.

Which commands there are is not known here: they are given, those that a shell has in itself too. Rules: the mksh manual page (field splitting,
expansion of parameters). What is not known is said as a shell says it (``not found``).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .files import Files
from .language import Chain, For, Group, If, Node, Part, Pipe, Redirect, Simple, Syntax, Word, parse

SH = "/system/bin/sh"
#: Rounds of all loops together: enough for a person, and an end for everything.
_MOST_ROUNDS = 10_000


class Exit(Exception):
    """`exit` was called with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Io:
    """The streams of one command."""

    stdin: bytes
    out: bytearray
    err: bytearray

    def say(self, text: str) -> None:
        """A line to standard output."""
        self.out.extend(text.encode("utf-8", "surrogateescape") + b"\n")

    def complain(self, text: str, status: int = 1) -> int:
        """A line to standard error; returns the status to end with."""
        self.err.extend(text.encode("utf-8", "surrogateescape") + b"\n")
        return status


Command = Callable[["Shell", list[str], Io], int]


@dataclass
class Shell:
    """One shell process. ``commands``: all that it finds, by name."""

    files: Files
    commands: Mapping[str, Command]
    variables: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    globbing: bool = True
    status: int = 0
    rounds: int = 0

    def run(self, text: str, io: Io) -> int:
        """Carry out a text as ``sh -c`` does and return its status."""
        try:
            node = parse(text)
        except Syntax as error:
            return io.complain(f"{SH}: syntax error: {error}")
        try:
            return self.node(node, io)
        except Exit as end:
            return end.status

    def child(self) -> Shell:
        """A new process: it has the exported variables only, and none are exported here."""
        return Shell(self.files, self.commands)

    def node(self, node: Node, io: Io) -> int:
        act: Callable[[Node, Io], int] = {
            Simple: self._simple, Group: self._group, For: self._for, If: self._if, Pipe: self._pipe, Chain: self._chain,
        }[type(node)]  # type: ignore[assignment]  # fmt: skip
        self.status = act(node, io)
        return self.status

    def _chain(self, node: Chain, io: Io) -> int:
        for joint, command in node.links:
            if joint == ";" or (joint == "&&") == (self.status == 0):
                self.node(command, io)
        return self.status

    def _pipe(self, node: Pipe, io: Io) -> int:
        feed = io.stdin
        status = 0
        for command in node.commands[:-1]:
            out = bytearray()
            self._apart(command, Io(feed, out, io.err))
            feed = bytes(out)
        last = Io(feed, io.out, io.err)
        status = self._apart(node.commands[-1], last) if len(node.commands) > 1 else self.node(node.commands[-1], last)
        return int(status == 0) if node.negated else status

    def _apart(self, node: Node, io: Io) -> int:
        inner = replace(self, variables=dict(self.variables), arguments=list(self.arguments))
        try:
            return inner.node(node, io)
        except Exit as end:
            return end.status

    def _group(self, node: Group, io: Io) -> int:
        return self._redirected(node.redirects, io, lambda own: (self._apart if node.apart else self.node)(node.body, own))

    def _for(self, node: For, io: Io) -> int:
        status = 0
        for value in [value for word in node.words for value in self.fields(word, io)]:
            self.rounds += 1
            if self.rounds > _MOST_ROUNDS:
                return io.complain(f"{SH}: this simulated shell goes round {_MOST_ROUNDS} times at most")
            self.variables[node.name] = value
            status = self.node(node.body, io)
        return status

    def _if(self, node: If, io: Io) -> int:
        for condition, body in node.arms:
            if self.node(condition, io) == 0:
                return self.node(body, io)
        return self.node(node.otherwise, io) if node.otherwise is not None else 0

    def _simple(self, node: Simple, io: Io) -> int:
        words = [value for word in node.words for value in self.fields(word, io)]
        values = {name: self.joined(word, io) for name, word in node.assigns}
        if not words:
            self.variables.update(values)
        return self._redirected(node.redirects, io, lambda own: self._command(words, own) if words else 0)

    def _command(self, words: list[str], io: Io) -> int:
        name = words[0].removeprefix("/system/bin/")
        command = self.commands.get(name)
        if command is None:
            return io.complain(f"{SH}: {words[0]}: not found", 127)
        return command(self, words[1:], io)

    def _redirected(self, redirects: tuple[Redirect, ...], io: Io, act: Callable[[Io], int]) -> int:
        stdin, out, err = io.stdin, io.out, io.err
        kept: list[tuple[str, bytearray, bool]] = []
        for redirect in redirects:
            if redirect.onto:
                err = out if redirect.stream == 2 else err
                continue
            path = self.files.path(self.joined(redirect.target, io))
            if redirect.stream == 0:
                found = b"" if path == "/dev/null" else self.files.read(path)
                if found is None:
                    return io.complain(f"{SH}: can't open {path}: No such file or directory")
                stdin = found
                continue
            target = bytearray()
            if path != "/dev/null":
                kept.append((path, target, redirect.append))
            out, err = (target, err) if redirect.stream == 1 else (out, target)
        status = act(Io(stdin, out, err))
        for path, target, append in kept:
            problem = self.files.write(path, bytes(target), append)
            if problem:
                return io.complain(f"{SH}: can't create {path}: {problem}")
        return status

    # ---- expansion ----
    def fields(self, word: Word, io: Io) -> list[str]:
        """The words that one word becomes: unquoted expansions are split at IFS, and patterns stand for the files that match."""
        separators = self.variables.get("IFS", " \t\n")
        found: list[tuple[str, str]] = []
        current: tuple[str, str] | None = None
        for part in word:
            value = self.value(part, io)
            bare = not part.quoted
            if not bare or not (part.name or part.inner) or not separators:
                if value or part.quoted:
                    text, pattern = current or ("", "")
                    current = text + value, pattern + (value if bare else _escaped(value))
                continue
            pieces = re.split(f"[{re.escape(separators)}]+", value)
            for position, piece in enumerate(pieces):
                if position and current is not None:
                    found.append(current)
                    current = None
                if piece:
                    text, pattern = current or ("", "")
                    current = text + piece, pattern + piece
        if current is not None:
            found.append(current)
        return [name for text, pattern in found for name in self._globbed(text, pattern)]

    def _globbed(self, text: str, pattern: str) -> list[str]:
        if not self.globbing or not re.search(r"(?<!\[)[*?]", pattern) or not text.startswith("/"):
            return [text]
        depth = pattern.count("/")
        return [path for path in self.files.every() if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern)] or [text]

    def joined(self, word: Word, io: Io) -> str:
        """A word as one value, not split."""
        return "".join(self.value(part, io) for part in word)

    def value(self, part: Part, io: Io) -> str:
        if part.inner is not None:
            out = bytearray()
            self.status = self._apart(part.inner, Io(b"", out, io.err))
            return out.decode("utf-8", "surrogateescape").rstrip("\n")
        if not part.name:
            return part.text
        return _edited(self._parameter(part.name), part.edit)

    def _parameter(self, name: str) -> str:
        if name == "?":
            return str(self.status)
        if name == "#":
            return str(len(self.arguments))
        if name == "$":
            return "4242"
        if name in ("@", "*"):
            return " ".join(self.arguments)
        if name.isdigit():
            number = int(name)
            return SH if number == 0 else self.arguments[number - 1] if number <= len(self.arguments) else ""
        return self.variables.get(name, "")


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _edited(value: str, edit: str) -> str:
    if edit.startswith(":-"):
        return value or edit[2:]
    for sign in ("##", "#", "%%", "%"):
        if edit.startswith(sign):
            pattern = edit[len(sign) :]
            cuts = range(len(value) + 1) if sign in ("#", "%%") else range(len(value), -1, -1)
            for cut in cuts:
                piece = value[:cut] if sign[0] == "#" else value[cut:]
                if fnmatch.fnmatchcase(piece, pattern):
                    return value[cut:] if sign[0] == "#" else value[:cut]
            return value
    return value
