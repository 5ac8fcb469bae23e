# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's ownership record: which emulators ldfleet created or adopted, one small file each.

One file an emulator, so that one failed creation cannot spoil the record of another. The name is a hash (a title can hold what no file
name can), the install folder is part of it (two LDPlayers on one host may use the same titles).
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass

FOLDER = r"{programdata}\ldfleet\owned"
KNOWN_GOOD = r"{programdata}\ldfleet\known-good"


class Origin(enum.Enum):
    """How an emulator came to be owned. MOVING: it is on its way from another host, where it still is until this one has proved itself."""

    CREATED = "created"
    CLONED = "cloned"
    ADOPTED = "adopted"
    MOVING = "moving"


@dataclass(frozen=True)
class Owned:
    """``since_ms``: Unix time by the host's clock when the record was written. ``resume``: it was running before a change stopped it, and
    whoever finds it stopped shall start it again (a controller may die between the two)."""

    title: str
    install: str
    origin: Origin
    protect: bool = False
    resume: bool = False
    since_ms: int = 0

    @property
    def key(self) -> str:
        """The file's name without its ending."""
        return key(self.install, self.title)

    def data(self) -> bytes:
        """The file's bytes."""
        document = {
            "version": 1,
            "title": self.title,
            "install": self.install,
            "origin": self.origin.value,
            "protect": self.protect,
            "resume": self.resume,
            "since_ms": self.since_ms,
        }
        return json.dumps(document, indent=1).encode()


def key(install: str, title: str) -> str:
    """32 hexadecimal digits for an emulator; Windows folders are alike in either case."""
    return hashlib.sha256(f"{install.rstrip(chr(92)).lower()}\0{title}".encode()).hexdigest()[:32]


def path(install: str, title: str) -> str:
    """Where the record of an emulator lies, for the agent."""
    return f"{FOLDER}\\{key(install, title)}.json"


def known_good(install: str, title: str) -> str:
    """Where the last good config of an emulator is kept, for the agent."""
    return f"{KNOWN_GOOD}\\{key(install, title)}.config"


def read(data: bytes) -> Owned | None:
    """One record's file; None when it is not one (it is then left alone, and its emulator counts as not owned)."""
    try:
        document = json.loads(data)
        return Owned(
            str(document["title"]),
            str(document["install"]),
            Origin(document["origin"]),
            bool(document["protect"]),
            bool(document["resume"]),
            int(document["since_ms"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
