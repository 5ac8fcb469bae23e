"""PowerShell's command line as remote clients write it: what is to be run, and how many PowerShells that takes. And where a real one is found."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..modules import wrapper
from ..programs.commands import split

#: The bootstrap of docs/protocol.md; another text is refused, since the port would not do what it says.
BOOTSTRAP = (
    "#ldfleet-bootstrap 1",
    "$ProgressPreference='SilentlyContinue'",
    '$request=ConvertFrom-Json -InputObject (@($input) -join "`n")',
    "& ([ScriptBlock]::Create($request.agent)) $request",
)


@dataclass(frozen=True)
class Script:
    """``text``: what runs in the innermost PowerShell; ``starts``: how many were started one inside the other."""

    text: str
    starts: int

    @property
    def bootstrap(self) -> bool:
        """Whether it is ldfleet's."""
        return tuple(line.strip() for line in self.text.splitlines() if line.strip()) == BOOTSTRAP

    @property
    def runner(self) -> bool:
        """Whether it is Ansible's, which reads a module from standard input."""
        return wrapper.MARK in self.text


def script(line: str) -> Script | None:
    """Peel ``PowerShell … -EncodedCommand X`` (or ``-Command …``), also several inside one another; None for another program."""
    starts, found = 0, None
    while True:
        inner = _peeled(line)
        if inner is None:
            return found
        inner = _TAIL.sub("", inner)
        starts += 1
        found = Script(inner, starts)
        line = inner.strip()


#: What Ansible's ssh connection has run first (ansible-core up to 2.17), so that the console speaks UTF-8.
_CODE_PAGE = re.compile(r"(?i)\Achcp\.com 65001 > \$null ; ")


#: What Ansible adds so that the exit code of the last command is that of the PowerShell.
_TAIL = re.compile(
    r"(?i)\s*[;\n]\s*If \(-not \$\?\) \{ If \(Get-Variable LASTEXITCODE -ErrorAction SilentlyContinue\) \{ exit \$LASTEXITCODE \} Else \{ exit 1 \} \}\s*\Z"
)


def given(text: str, starts: int) -> Script:
    """What runs when a PowerShell is given this text: itself, or what PowerShells inside it are given. ``starts``: PowerShells started for it so far."""
    text = _TAIL.sub("", _CODE_PAGE.sub("", text))
    inner = script(text)
    return Script(text, starts) if inner is None else Script(inner.text, starts + inner.starts)


def _peeled(line: str) -> str | None:
    words = split(line) if "\n" not in line.strip() else []
    while len(words) > 1 and words[0].lower() in ("cmd", "cmd.exe") and words[1].lower() == "/c":
        words = words[2:]
    if not words or words[0].lower().rsplit("\\", 1)[-1].removesuffix(".exe") not in ("powershell", "pwsh"):
        return None
    position = 1
    while position < len(words):
        name = words[position].lower().lstrip("-/")
        if name == "ec" or (name and name != "executionpolicy" and re.fullmatch("e(n(c.*)?)?", name)):
            return _decoded(words[position + 1] if position + 1 < len(words) else "")
        if name == "command" or name == "c":
            return " ".join(words[position + 1 :])
        if name in ("executionpolicy", "ep", "inputformat", "outputformat", "windowstyle"):
            position += 1
        elif not words[position].startswith(("-", "/")):
            return " ".join(words[position:])
        position += 1
    return ""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def locate(engine: str) -> Path | str:
    """The program of an engine (``pwsh`` or ``wine``), or why there is none.

    Looked for: LDFLEET_PWSH (for wine its neighbour pwsh-wine), then shared/pwsh beside the checkout, then pwsh on PATH.
    """
    name = {"pwsh": "pwsh", "wine": "pwsh-wine"}[engine]
    named = os.environ.get("LDFLEET_PWSH")
    places = [Path(named).parent / name if engine == "wine" else Path(named)] if named else []
    places.append(Path(__file__).parents[5] / "shared" / "pwsh" / name)
    found = next((place for place in places if place.is_file()), None)
    if found is None and engine == "pwsh" and shutil.which("pwsh"):
        found = Path(str(shutil.which("pwsh")))
    if found is None:
        return f"no {name} was found (LDFLEET_PWSH names it)"
    if engine == "wine" and not shutil.which("wine"):
        return "wine is not installed"
    return found
