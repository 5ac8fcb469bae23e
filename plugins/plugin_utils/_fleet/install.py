# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where LDPlayer may be installed: the candidates that the host looks through, newest line first, and the names of its files.

Sources: registry keys that published tools read (AzurLaneAutoScript, scoop's ldmnq9, MBR_xbebenkMod; LDPlayer 14 as captured on Windows
11); folders that installers offer. English names are XuanZhi, Chinese ones leidian; both hives are in use.
"""

from __future__ import annotations

from typing import Any

CONSOLE = "ldconsole.exe"
CONFIG_FOLDER = r"{ld}\vms\config"
PROGRAM = r"{ld}\ldconsole.exe"

_KEYS = (
    r"leidian\ldplayer14",
    r"XuanZhi\LDPlayer14",
    r"leidian\ldplayer9",
    r"XuanZhi\LDPlayer9",
    r"leidian\ldplayer64",
    r"XuanZhi\LDPlayer64",
)
_HIVES = (r"HKCU\SOFTWARE", r"HKU\*\SOFTWARE", r"HKLM\SOFTWARE", r"HKLM\SOFTWARE\WOW6432Node")
_UNINSTALL = r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall"
_PRODUCTS = ("LDPlayer14", "leidian14", "LDPlayer9", "leidian9", "LDPlayer", "leidian")
_FOLDERS = (r"LDPlayer\LDPlayer14", r"LDPlayer\LDPlayer9", r"leidian\LDPlayer14", r"leidian\LDPlayer9", r"LDPlayer\LDPlayer")
_DRIVES = "CDEF"


def candidates(install_dir: str | None) -> list[dict[str, Any]]:
    """What the ``find`` operation tries, in order. A folder that the user names is the only candidate."""
    if install_dir is not None:
        return [{"path": install_dir.rstrip("\\/") or install_dir}]
    keys = [{"registry": f"{hive}\\{key}", "value": "InstallDir"} for key in _KEYS for hive in _HIVES]
    icons = [{"registry": f"{_UNINSTALL}\\{product}", "value": "DisplayIcon", "parent": True} for product in _PRODUCTS]
    folders = [{"path": f"{drive}:\\{folder}"} for drive in _DRIVES for folder in _FOLDERS]
    return [*keys, *icons, *folders]
