"""Files and folders of a guest, as its shell and its programs see them: names, what is there, what may be written. No command is here."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping


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
