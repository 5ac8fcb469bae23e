"""The pages of the documentation as data: their blocks, commands, links and headings. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rig
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import spec

PAGES = [
    rig.ROOT / "README.md",
    rig.ROOT / "CONTRIBUTING.md",
    *sorted((rig.ROOT / "docs").rglob("*.md")),
    *sorted((rig.ROOT / "roles").glob("*/README.md")),
]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    page: Path
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A line ``$ …`` of a console block, and the output that the page shows under it."""

    line: str
    shown: tuple[str, ...]


def name(page: Path) -> str:
    """How a page is called in test ids and messages."""
    return str(page.relative_to(rig.ROOT))


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of one language."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(page, kind, text) for kind, text in found if kind == language]


def every(language: str) -> list[Block]:
    """The blocks of one language in all pages."""
    return [block for page in PAGES for block in blocks(page, language)]


def commands(page: Path) -> list[Command]:
    """Everything that a reader is told to type, in order."""
    return [command for block in blocks(page, "console") for command in _commands(block.text)]


def _commands(text: str) -> Iterator[Command]:
    line, shown = "", []
    for written in text.splitlines():
        if written.startswith("$ "):
            if line:
                yield Command(line, tuple(shown))
            line, shown = written[2:], []
        else:
            shown.append(written.rstrip())
    if line:
        yield Command(line, tuple(shown))


def is_fleet(document: object) -> bool:
    """Whether a YAML document is a fleet file or a part of one."""
    return isinstance(document, dict) and set(document) <= set(spec("fleet", "inventory"))


def files(page: Path) -> dict[str, str]:
    """Blocks that the reader is told to keep in a file, which their first line names; commands of the page use them."""
    named = [(re.match(r"# (\S+\.(?:py|yml))\n", block.text), block.text) for block in (*blocks(page, "python"), *blocks(page, "yaml"))]
    return {found[1]: text for found, text in named if found}


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """The targets of all links that stay in the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not target.startswith(("http://", "https://"))]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
