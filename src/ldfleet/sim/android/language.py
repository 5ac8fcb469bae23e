"""What a text says to a guest's shell: mksh's language as far as people and ldfleet type it. A text goes in, its commands come out; nothing is done.

What this shell does not know is a syntax error and never passed over: a fake that pretends would prove nothing. Rules: the mksh manual page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class Syntax(Exception):
    """The text is no sentence of this shell; the message says where."""


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


def parse(text: str) -> Node:
    """The commands of a text. Raises Syntax."""
    return _Parser(text).whole()


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
