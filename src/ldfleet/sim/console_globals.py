"""``ldconsole globalsetting``: what it takes, and what it leaves in leidians.config.

``--fps`` was measured on LDPlayer 9 (framesPerSecond at once, no emulator's own fps touched), ``--cleanmode`` on LDPlayer 14; the keys of ``--audio``
and ``--fastplay`` are inferred from their names. Values outside the documented ranges: as of ``modify``, -1005 and `parameter error!` (inferred).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import layout
from .world import World

PARAMETER = -1005
FILE = "vms\\config\\leidians.config"


def globalsetting(world: World, options: Mapping[str, str]) -> tuple[int, str]:
    """Carry it out: exit code and text."""
    keys: dict[str, Any] = {}
    for option, value in options.items():
        if option in _OPTIONS:
            key, read = _OPTIONS[option]
            found = read(value)
            if found is None:
                return PARAMETER, "parameter error!"
            keys[key] = found
    path = world.drive.local(f"{world.spec.install_dir}\\{FILE}")
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
