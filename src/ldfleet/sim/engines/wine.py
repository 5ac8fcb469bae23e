"""A simulated host's seat in Wine's drive C:, which all hosts share: its folder there, its registry values, and the Windows that stays up meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from ..machine.drive import Drive
from ..machine.registry import Registry

_LIMIT_SECONDS = 300


class Seat:
    """``folder``: where the host's files really lie; ``C:\\hosts\\…`` is a link to it, so a host survives its restart and leaves nothing behind.

    ``chinese``: a Windows with code page 936.
    """

    def __init__(self, program: Path, folder: Path, chinese: bool) -> None:
        done = subprocess.run([str(program), "--prefix"], capture_output=True, text=True, check=True, timeout=_LIMIT_SECONDS)
        self.drive = Drive(Path(done.stdout.strip().splitlines()[-1]))
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        self.home = f"C:\\hosts\\{name}"
        self.environment = {
            **os.environ,
            "WINEPREFIX": str(self.drive.root.parent),
            "WINEDEBUG": "-all",
            "DISPLAY": "",
            # .NET under Wine dies now and then when it collects compiled script blocks (0x80131506, seen with 7.6.9 on Wine 8.0): memory
            # enough for the whole of a run, so that nothing is collected.
            "DOTNET_GCgen0size": "20000000",
            "LC_ALL": "zh_CN.UTF-8" if chinese else "C.UTF-8",
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._link = self.drive.root / "hosts" / name
        self._link.parent.mkdir(exist_ok=True)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(folder.resolve())
        # Windows ends with its last program and takes 3 s to come up again. What it starts then keeps the pipes of whoever started it, so
        # nothing else may run before this one has spoken.
        self._awake = subprocess.Popen(
            ["wine", "cmd", "/k", "echo up"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._awake.stdout is not None
        self._awake.stdout.readline()

    def lay_registry(self, registry: Registry) -> None:
        """Put the values into Wine's registry. Code pages are Wine's own, by locale; it has one user, whose hive stands for every user's."""
        lines = ["Windows Registry Editor Version 5.00", ""]
        for key, name, value in registry.entries():
            if "CodePage" not in key:
                text = str(value).replace("\\", "\\\\").replace('"', '\\"')
                lines += [f"[{_hive(key)}]", f'"{name}"="{text}"', ""]
        with tempfile.NamedTemporaryFile("w", suffix=".reg", encoding="utf-16", dir=self._link, newline="\r\n") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            command = ["wine", "reg", "import", f"{self.home}\\{Path(file.name).name}"]
            subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=_LIMIT_SECONDS)

    def close(self) -> None:
        """Leave the drive as it was."""
        self._awake.communicate(timeout=_LIMIT_SECONDS)
        self._link.unlink(missing_ok=True)


def _hive(key: str) -> str:
    """A key as .reg files name it."""
    hive, _, rest = key.partition("\\")
    return f"HKEY_LOCAL_MACHINE\\{rest}" if hive == "HKLM" else f"HKEY_CURRENT_USER\\{rest.partition(chr(92))[2]}"
