"""The drives of a simulated host over Linux folders, C: and those that were added, and the shares that it can reach beside them.

Paths that come over the wire are hostile: nothing outside these folders is ever named, through no junction either.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f]')
# CON, NUL and their kin are devices on Windows, with any ending.
_DEVICE = re.compile(r"(?i)(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?")


class Drive:
    """Windows paths ``C:\\…`` on one side, files below ``root`` on the other, those of another drive in the folder of its letter and those of shares in
    ``shares``, both beside it. Names are found in any case, as Windows finds them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def add(self, letter: str) -> None:
        """A further drive, empty at first."""
        (self.root.parent / letter).mkdir(exist_ok=True)

    def local(self, windows: str) -> Path:
        """The Linux path of a Windows path, whether it exists or not. ValueError for anything that is not a plain path on a drive that is there, or of a
        share."""
        text = windows.replace("/", "\\")
        share = re.match(r"\\\\\w", text) is not None
        root = self.root.parent / "shares" if share else self._drive(text)
        if root is None:
            raise ValueError(f"{windows!r} is no path on a drive that is there, nor on a share")
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

    def _drive(self, text: str) -> Path | None:
        letter = text[:1].upper() if re.match(r"[A-Za-z]:\\", text) else ""
        if letter in ("", "C"):
            return self.root if letter else None
        further = self.root.parent / letter
        return further if further.is_dir() else None

    def letter(self, local: Path) -> str:
        """Of the drive where a file lies, or would, when junctions are followed; empty for a share's."""
        real, above = _real(local), _real(self.root.parent)
        if real.is_relative_to(_real(self.root.parent / "shares")):
            return ""
        first = real.relative_to(above).parts[:1] if real.is_relative_to(above) else ()
        return first[0] if first and re.fullmatch("[A-Z]", first[0]) else "C"

    def windows(self, local: Path) -> str:
        """The Windows path of a file of a drive."""
        on_c = local.is_relative_to(self.root)
        letter, root = ("C", self.root) if on_c else (local.relative_to(self.root.parent).parts[0], self.root.parent)
        return f"{letter}:\\" + "\\".join(local.relative_to(root).parts[0 if on_c else 1 :])

    def join(self, link: Path, target: Path) -> None:
        """Make a junction. Both are files of drives; the way to the target is kept from where the link really lies, so that the drives can be moved."""
        real = target.relative_to(self.root.parent)
        link.symlink_to(os.path.relpath(_real(self.root.parent) / real, _real(link.parent)), target_is_directory=True)

    def target(self, link: Path) -> str:
        """What a junction leads to, as a Windows path; empty for what is none."""
        if not link.is_symlink():
            return ""
        return self.led(link, os.readlink(link))

    def led(self, link: Path, text: str) -> str:
        """Where a junction leads whose file says ``text``, as a Windows path."""
        real = Path(os.path.normpath(_real(link.parent) / text))
        return self.windows(self.root.parent / real.relative_to(_real(self.root.parent)))


def _real(path: Path) -> Path:
    """With all links followed, as far as they lead anywhere."""
    return Path(os.path.realpath(path))


def _child(folder: Path, name: str) -> Path:
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    return next((folder / child for child in os.listdir(folder) if child.lower() == name.lower()), exact)
