# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of a leidianN.config: read it, and change single keys while everything else stays as LDPlayer wrote it.

The files are flat JSON in UTF-8 with CRLF (a rewrite with LF was followed by trouble on LDPlayer 14), so line ends, indentation, key
order, a byte order mark and unknown keys are kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BOM = b"\xef\xbb\xbf"
#: How LDPlayer writes a file; used where there is none to imitate.
_INDENT = 4


@dataclass(frozen=True)
class ConfigFile:
    """One config as it lies on the host. ``problem``: why its bytes cannot be understood (then ``values`` is empty); None when they can."""

    name: str
    sha256: str
    data: bytes = field(repr=False)
    values: Mapping[str, Any]
    problem: str | None = None

    def edited(self, edits: Mapping[str, Any]) -> bytes:
        """The file's new bytes with ``edits`` applied. Only for a file without ``problem``."""
        text = self.data.removeprefix(_BOM).decode()
        newline = "\r\n" if "\r\n" in text or "\n" not in text else "\n"
        indent = re.search(r"\n([ \t]+)\S", text)
        tail = text[len(text.rstrip()) :]
        body = json.dumps({**self.values, **edits}, ensure_ascii=False, indent=indent.group(1) if indent else _INDENT)
        return (_BOM if self.data.startswith(_BOM) else b"") + (body.replace("\n", newline) + tail).encode()


def read(name: str, data: bytes) -> ConfigFile:
    """Parse a config; never raises. An empty, truncated or foreign file has ``problem`` set."""
    digest = hashlib.sha256(data).hexdigest()
    if not data.strip(b"\x00 \t\r\n"):
        return ConfigFile(name, digest, data, {}, "it is empty")
    try:
        values = json.loads(data.removeprefix(_BOM).decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return ConfigFile(name, digest, data, {}, f"it is not UTF-8 (byte {error.start})")
    except (json.JSONDecodeError, _NotJson, RecursionError) as error:
        return ConfigFile(name, digest, data, {}, f"it is not complete JSON ({error})")
    if not isinstance(values, dict):
        return ConfigFile(name, digest, data, {}, "it is not a JSON object")
    return ConfigFile(name, digest, data, values)


class _NotJson(ValueError):
    """NaN and Infinity are no JSON, though Python would read them."""


def _no_constant(name: str) -> Any:
    raise _NotJson(f"{name} is no JSON value")
