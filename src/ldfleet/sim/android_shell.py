"""The shell of a simulated guest: mksh's language as far as people and ldfleet type it, and the plain tools of toybox. Nothing of Android here.

What is not known is said as a shell says it (``not found``, ``syntax error``) and never passed over: a fake that pretends would prove nothing.
Rules: the mksh manual page (quoting, field splitting, expansion of parameters); toybox's manual for the tools.
"""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

SH = "/system/bin/sh"
#: Rounds of all loops together: enough for a person, and an end for everything.
_MOST_ROUNDS = 10_000


class Syntax(Exception):
    """The text is no sentence of this shell; the message says where."""


class Exit(Exception):
    """`exit` was called with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


# ---- what a text says -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A piece of a word: ``text`` as it stands, a parameter (``name`` with an ``edit`` such as ``#package:``), or the output of ``inner``."""

    text: str = ""
    quoted: bool = False
    name: str = ""
    edit: str = ""
    inner: Node | None = None


Word = tuple[Part, ...]


@dataclass(frozen=True)
class Redirect:
    """``stream`` 1 or 2 (0 for input) to or from a file, appending, or onto stream 1 (``onto``)."""

    stream: int
    target: Word = ()
    append: bool = False
    onto: bool = False


@dataclass(frozen=True)
class Simple:
    """Assignments, a command with its words, redirections."""

    assigns: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True)
class Group:
    """``{ …; }``, or ``( … )`` whose changes of variables stay inside (``apart``)."""

    body: Node
    apart: bool
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True)
class For:
    """``for NAME in WORDS; do BODY; done``."""

    name: str
    words: tuple[Word, ...]
    body: Node


@dataclass(frozen=True)
class If:
    """Conditions with their bodies, and what is done when none holds."""

    arms: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True)
class Pipe:
    """Commands, each fed with the output of the one before; ``negated`` by a leading ``!``."""

    commands: tuple[Node, ...]
    negated: bool = False


@dataclass(frozen=True)
class Chain:
    """Commands, each with what joins it to the one before: ``;``, ``&&`` or ``||``."""

    links: tuple[tuple[str, Node], ...]


Node = Simple | Group | For | If | Pipe | Chain

_ENDS = frozenset({"then", "else", "elif", "fi", "do", "done", "}"})
_NOT_HERE = frozenset({"while", "until", "case", "function", "select", "esac", "[["})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Parser:
    """One pass over a text, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def whole(self) -> Node:
        found = self.chain()
        if self.at < len(self.text):
            raise Syntax(f"unexpected '{self.text[self.at]}'")
        return found

    def chain(self) -> Node:
        links: list[tuple[str, Node]] = []
        joint = ";"
        while True:
            self.skip(lines=True)
            if self.at >= len(self.text) or self.text[self.at] == ")" or self.peek() in _ENDS:
                if joint != ";":
                    raise Syntax(f"nothing follows '{joint}'")
                return Chain(tuple(links))
            links.append((joint, self.pipe()))
            self.skip()
            joint = self.operator("&&", "||", ";", "\n") or ""
            if not joint:
                if self.at < len(self.text) and self.text[self.at] not in ")":
                    raise Syntax(f"unexpected '{self.text[self.at]}'")
                return Chain(tuple(links))
            joint = ";" if joint == "\n" else joint

    def pipe(self) -> Node:
        negated = self.peek() == "!"
        if negated:
            self.at += 1
        commands = [self.command()]
        self.skip()
        while self.text.startswith("|", self.at) and not self.text.startswith("||", self.at):
            self.at += 1
            commands.append(self.command())
            self.skip()
        return Pipe(tuple(commands), negated) if negated or len(commands) > 1 else commands[0]

    def command(self) -> Node:
        self.skip(lines=True)
        word = self.peek()
        if word in _NOT_HERE:
            raise Syntax(f"this simulated shell does not know '{word}'")
        if self.text.startswith("(", self.at):
            return self.group(")", True)
        if word == "{":
            return self.group("}", False)
        if word == "for":
            return self.loop()
        if word == "if":
            return self.choice()
        return self.simple()

    def group(self, end: str, apart: bool) -> Node:
        self.at += 1
        body = self.chain()
        self.expect(end)
        return Group(body, apart, tuple(self.redirects()))

    def loop(self) -> Node:
        self.expect("for")
        self.skip()
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise Syntax("for wants a name")
        self.at = name.end()
        self.expect("in")
        words: list[Word] = []
        self.skip()
        while (word := self.word()) is not None:
            words.append(word)
            self.skip()
        self.operator(";", "\n")
        self.expect("do")
        body = self.chain()
        self.expect("done")
        return For(name[0], tuple(words), body)

    def choice(self) -> Node:
        self.expect("if")
        arms: list[tuple[Node, Node]] = []
        while True:
            condition = self.chain()
            self.expect("then")
            arms.append((condition, self.chain()))
            if self.peek() != "elif":
                break
            self.expect("elif")
        otherwise = None
        if self.peek() == "else":
            self.expect("else")
            otherwise = self.chain()
        self.expect("fi")
        return If(tuple(arms), otherwise)

    def simple(self) -> Node:
        assigns: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self.skip()
            redirect = self.redirect()
            if redirect is not None:
                redirects.append(redirect)
                continue
            assigned = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=").match(self.text, self.at) if not words else None
            if assigned:
                self.at = assigned.end()
                assigns.append((assigned[1], self.word() or ()))
                continue
            word = self.word()
            if word is None:
                break
            words.append(word)
        if not (assigns or words or redirects):
            raise Syntax(f"unexpected '{self.text[self.at]}'" if self.at < len(self.text) else "unexpected end")
        return Simple(tuple(assigns), tuple(words), tuple(redirects))

    def redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        self.skip()
        while (redirect := self.redirect()) is not None:
            found.append(redirect)
            self.skip()
        return found

    def redirect(self) -> Redirect | None:
        mark = re.compile(r"([012]?)(>>|>&1|>|<)").match(self.text, self.at)
        if mark is None:
            return None
        self.at = mark.end()
        if mark[2] == ">&1":
            return Redirect(int(mark[1] or 1), onto=True)
        if mark[2] == "<" and self.text.startswith("<", self.at):
            raise Syntax("this simulated shell does not know '<<'")
        self.skip()
        target = self.word()
        if target is None:
            raise Syntax(f"nothing follows '{mark[2]}'")
        return Redirect(0 if mark[2] == "<" else int(mark[1] or 1), target, mark[2] == ">>")

    # ---- words ----
    def word(self) -> Word | None:
        parts: list[Part] = []
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()<>":
            parts += self.piece()
        return tuple(parts) or None

    def piece(self) -> list[Part]:
        character = self.text[self.at]
        if character == "'":
            end = self.text.find("'", self.at + 1)
            if end < 0:
                raise Syntax("no closing quote")
            inside, self.at = self.text[self.at + 1 : end], end + 1
            return [Part(inside, quoted=True)]
        if character == '"':
            return self.double()
        if character == "\\":
            self.at += 2
            return [Part(self.text[self.at - 1 : self.at], quoted=True)]
        if character == "$":
            return [self.dollar(False)]
        if character == "`":
            raise Syntax("this simulated shell does not know '`'; $(…) does the same")
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()<>'\"\\$`":
            self.at += 1
        return [Part(self.text[start : self.at])]

    def double(self) -> list[Part]:
        self.at += 1
        parts = [Part("", quoted=True)]
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return parts
            if character == "$":
                parts.append(self.dollar(True))
            elif character == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\"):
                parts.append(Part(self.text[self.at + 1], quoted=True))
                self.at += 2
            else:
                parts.append(Part(character, quoted=True))
                self.at += 1
        raise Syntax("no closing quote")

    def dollar(self, quoted: bool) -> Part:
        rest = self.text[self.at + 1 :]
        if rest.startswith("(("):
            raise Syntax("this simulated shell does not know '$(('")
        if rest.startswith("("):
            self.at += 2
            inner = self.chain()
            self.expect(")")
            return Part(quoted=quoted, inner=inner)
        braced = re.match(r"\{([A-Za-z_][A-Za-z0-9_]*|[0-9?#@*])((?:##?|%%?|:-)[^}]*)?\}", rest)
        if braced:
            self.at += 1 + braced.end()
            return Part(quoted=quoted, name=braced[1], edit=braced[2] or "")
        plain = re.match(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*$]", rest)
        if plain:
            self.at += 1 + plain.end()
            return Part(quoted=quoted, name=plain[0])
        if rest.startswith("{"):
            raise Syntax("bad substitution")
        self.at += 1
        return Part("$", quoted=quoted)

    # ---- small steps ----
    def skip(self, lines: bool = False) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in (" \t\n" if lines else " \t"):
                self.at += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            else:
                return

    def peek(self) -> str:
        """The bare word that comes next."""
        self.skip()
        found = re.compile(r"[^\s;&|()<>'\"\\$`]+").match(self.text, self.at)
        return found[0] if found else ""

    def operator(self, *signs: str) -> str | None:
        for sign in signs:
            if self.text.startswith(sign, self.at):
                self.at += len(sign)
                return sign
        return None

    def expect(self, word: str) -> None:
        self.skip(lines=True)
        if not self.text.startswith(word, self.at):
            raise Syntax(f"'{word}' is missing")
        self.at += len(word)


# ---- what it does ---------------------------------------------------------------------------------------------------------------------


class Files:
    """Files and folders of a guest by full path. ``given``: the files that may be changed, ``folders`` too; ``fixed``: those that only exist."""

    _SDCARD = re.compile(r"/(?:storage/emulated/0|mnt/sdcard|storage/self/primary)(?=/|\Z)")

    def __init__(self, given: dict[str, bytes], folders: set[str], fixed: Mapping[str, bytes]) -> None:
        self.given, self.folders, self.fixed = given, folders, fixed

    def path(self, text: str, folder: str = "/") -> str:
        """The one name of a path: /sdcard has several."""
        full = posixpath.normpath(posixpath.join(folder, text))
        return self._SDCARD.sub("/sdcard", full)

    def every(self) -> list[str]:
        """All paths, files and folders."""
        names = {*self.given, *self.fixed, *self.folders}
        for name in list(names):
            while name != "/":
                name = posixpath.dirname(name)
                names.add(name)
        return sorted(names)

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None when there is none."""
        return self.given.get(path, self.fixed.get(path))

    def is_folder(self, path: str) -> bool:
        """Whether it is there and is a folder."""
        return path in self.every() and self.read(path) is None

    def exists(self, path: str) -> bool:
        """File or folder."""
        return path in self.every()

    def write(self, path: str, data: bytes, append: bool = False) -> str:
        """Put a file; what the shell says when that cannot be, else nothing."""
        if not self.is_folder(posixpath.dirname(path)):
            return "No such file or directory"
        if self.is_folder(path):
            return "Is a directory"
        if path.startswith("/system/") or path in self.fixed:
            return "Read-only file system"
        self.given[path] = (self.given.get(path, b"") if append else b"") + data
        return ""


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
    """One shell process. ``commands``: what stands on the PATH beside the tools of this file."""

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
            node = _Parser(text).whole()
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
        command = self.commands.get(name) or TOOLS.get(name)
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


# ---- tools ----------------------------------------------------------------------------------------------------------------------------


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
        node = _Parser(" ".join(words)).whole()
    except Syntax as error:
        return io.complain(f"{SH}: syntax error: {error}")
    return shell.node(node, io)


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


TOOLS: Mapping[str, Command] = {
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
    "grep": _grep,
    "cat": _cat,
    "ls": _ls,
    "rm": _rm,
    "mkdir": _mkdir,
    "touch": _touch,
    "sha256sum": _sha256sum,
}
