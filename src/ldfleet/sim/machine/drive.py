"""Drive C: of a simulated host over a Linux folder, and the shares that it can reach beside it.

Paths that come over the wire are hostile: nothing outside the two folders is ever named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f]')
# CON, NUL and their kin are devices on Windows, with any ending.
_DEVICE = re.compile(r"(?i)(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?")


class Drive:
    """Windows paths ``C:\\…`` on one side, files below ``root`` on the other, and those of shares in ``shares`` beside it. Names are found in any
    case, as Windows finds them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def local(self, windows: str) -> Path:
        """The Linux path of a Windows path, whether it exists or not. ValueError for anything that is not a plain path on C: or of a share."""
        text = windows.replace("/", "\\")
        share = re.match(r"\\\\\w", text) is not None
        if not share and not re.match(r"(?i)c:\\", text):
            raise ValueError(f"{windows!r} is no path on drive C:, nor on a share")
        root = self.root.parent / "shares" if share else self.root
        parts = [part for part in text[2 if share else 3 :].split("\\") if part not in ("", ".")]
        for part in parts:
            if part == ".." or _ILLEGAL.search(part) or _DEVICE.fullmatch(part) or part != part.rstrip(" ."):
                raise ValueError(f"{windows!r} holds the name {part!r}, which Windows does not take")
        # Nearly every path is written as it lies there, and each look at the disk lets another host's thread run.
        exact = root.joinpath(*parts)
        if exact.exists():
            return exact
        found = root
        for part in parts:
            found = _child(found, part)
        return found

    def windows(self, local: Path) -> str:
        """The Windows path of a file below the root."""
        return "C:\\" + "\\".join(local.relative_to(self.root).parts)


def _child(folder: Path, name: str) -> Path:
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    return next((folder / child for child in os.listdir(folder) if child.lower() == name.lower()), exact)
