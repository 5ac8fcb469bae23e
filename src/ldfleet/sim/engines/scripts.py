"""PowerShell that Ansible's plugins run beside modules: what win_reboot sends (ansible.windows 3.3, plugin_utils/_reboot.py). Text in, an Answer out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from re import Match

from ..ldplayer.boot import LOGON_READY
from ..ldplayer.world import World
from ..machine.windows import SYSTEM32, Answer, Caller

#: A file time counts 100 ns since 1601.
_EPOCH_SECONDS, _TICKS = 11_644_473_600, 10_000_000


def answer(world: World, text: str, caller: Caller) -> Answer | None:
    """What a known script prints; None for another one."""
    plain = " ".join(text.split())
    for pattern, act in _SCRIPTS:
        found = pattern.fullmatch(plain)
        if found is not None:
            return act(world, found, caller)
    return None


def _boot_time(world: World, _found: Match[str], _caller: Caller) -> Answer:
    return Answer(0, f"{int((world.system.booted + _EPOCH_SECONDS) * _TICKS)}\r\n".encode())


def _restart(world: World, found: Match[str], caller: Caller) -> Answer:
    if found["fresh"] == "True":
        world.registry.remove(LOGON_READY)
    words = ["/r", "/t", found["seconds"], "/c", found["text"]]
    did = world.run_program(f"{SYSTEM32}\\shutdown.exe", words, " ".join(words), caller)
    assert did is not None
    told = {"stdout": did.stdout.decode().strip(), "stderr": did.stderr.decode().strip(), "rc": did.exit_code}
    return Answer(0, f"{json.dumps(told)}\r\n".encode())


def _ready(world: World, found: Match[str], _caller: Caller) -> Answer:
    if not world.registry.has(LOGON_READY):
        return Answer(1, stderr=b"Get-Item : Cannot find path because it does not exist.\r\n")
    return Answer(0, f"{found['text']}\r\n".encode())


_KEY = r"HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon\\AutoLogonChecked"
_SCRIPTS: tuple[tuple[re.Pattern[str], Callable[[World, Match[str], Caller], Answer]], ...] = (
    (
        re.compile(r"\(Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime\)\.LastBootUpTime\.ToFileTime\(\)"),
        _boot_time,
    ),
    (
        re.compile(
            rf"\$ErrorActionPreference = 'Continue' if \(\$(?P<fresh>True|False)\) {{ Remove-Item -LiteralPath '{_KEY}' -Force -ErrorAction "
            r"SilentlyContinue } \$stdout = \$null \$stderr = \. { C:\\Windows\\System32\\shutdown\.exe /r /t (?P<seconds>\d+) "
            r"/c '(?P<text>[^']*(?:''[^']*)*)' "
            r"\| Set-Variable stdout } 2>&1 \| ForEach-Object ToString ConvertTo-Json -Compress -InputObject @{ stdout = \(@\(\$stdout\) -join \"`n\"\) "
            r"stderr = \(@\(\$stderr\) -join \"`n\"\) rc = \$LASTEXITCODE }"
        ),
        _restart,
    ),
    (re.compile(rf"Get-Item -LiteralPath '{_KEY}' -ErrorAction Stop; '(?P<text>success-[0-9a-f-]+)'"), _ready),
)
