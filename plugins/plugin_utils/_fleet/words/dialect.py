# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs from one LDPlayer to the next as far as ldfleet must know it: one row a version, the newest first. Data only.

Everything else is alike, or is told by the host itself: the 7 columns of list2 before LDPlayer 9, keys that a config lacks, commands that print
their usage. LDPlayer 5 (the 64-bit line) was never measured; its row is inferred from the 64-bit keys of published tools.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """``keys``: below SOFTWARE, with the value InstallDir (Chinese builds under leidian, English ones under XuanZhi). ``products``: uninstall keys.
    ``folders``: what installers offer, without the drive."""

    version: int
    keys: tuple[str, ...]
    products: tuple[str, ...]
    folders: tuple[str, ...]


DIALECTS = (
    Dialect(
        14,
        # HKCU\SOFTWARE\leidian\LDPlayer14 as captured on Windows 11; the English key was not seen, and is tried too.
        (r"leidian\ldplayer14", r"XuanZhi\LDPlayer14"),
        # Captured: DisplayIcon <dir>\dnplayer.exe, UninstallString <dir>\dnuninst.exe without quotes, no InstallLocation.
        ("LDPlayer14", "leidian14"),
        (r"LDPlayer\LDPlayer14", r"leidian\LDPlayer14"),
    ),
    Dialect(
        9,
        # AzurLaneAutoScript and scoop's ldmnq9 read the Chinese key, MBR_xbebenkMod and others the English one, in either hive.
        (r"leidian\ldplayer9", r"XuanZhi\LDPlayer9"),
        ("LDPlayer9", "leidian9"),
        (r"LDPlayer\LDPlayer9", r"leidian\LDPlayer9"),
    ),
    Dialect(
        5,
        # The Chinese 64-bit line is read from ldplayer64 (AzurLaneAutoScript); the English key was not seen, and is tried too.
        (r"leidian\ldplayer64", r"XuanZhi\LDPlayer64", r"XuanZhi\LDPlayer5"),
        # The keys without a number are those of any version before 9.
        ("LDPlayer64", "LDPlayer5", "LDPlayer", "leidian"),
        (r"LDPlayer\LDPlayer64", r"LDPlayer\LDPlayer5", r"leidian\LDPlayer64", r"LDPlayer\LDPlayer"),
    ),
)

#: dnconsole.exe is the same program under its old name, copied beside it (LDPlayer 14); where only the old name is there, it is used.
CONSOLE, OLD_CONSOLE = "ldconsole.exe", "dnconsole.exe"
