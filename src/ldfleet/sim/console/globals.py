"""``ldconsole globalsetting``: what it takes, and what it leaves in leidians.config.

``--fps`` was measured on LDPlayer 9 (framesPerSecond at once, no emulator's own fps touched), ``--cleanmode`` on LDPlayer 14; the keys of ``--audio``
and ``--fastplay`` are inferred from their names. Values outside the documented ranges: as of ``modify``, -1005 and `parameter error!` (inferred).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..ldplayer import layout
from ..ldplayer.quirks import used
from .call import PARAMETER_ERROR, Call, Said

_FILE = "vms\\config\\leidians.config"


def globalsetting(call: Call) -> Said:
    """Every option of one call, or none."""
    if used(call.world.quirks, "globalsetting_ignored_times"):
        return 0, ""
    keys: dict[str, Any] = {}
    for option, value in call.options.items():
        if option in _OPTIONS:
            key, read = _OPTIONS[option]
            found = read(value)
            if found is None:
                return PARAMETER_ERROR
            keys[key] = found
    path = call.world.drive.local(f"{call.world.spec.install_dir}\\{_FILE}")
    values = layout.parse(path.read_bytes()) if path.is_file() else {}
    path.write_bytes(layout.text({**(values or {}), **keys}))
    return 0, ""


def _frames(value: str) -> int | None:
    return int(value) if value.isdigit() and int(value) <= 60 else None


def _switch(value: str) -> bool | None:
    return {"0": False, "1": True}.get(value)


_OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "fps": ("framesPerSecond", _frames),
    "audio": ("reduceAudio", _switch),
    "fastplay": ("displayMode", _switch),
    "cleanmode": ("cleanMode", _switch),
}
