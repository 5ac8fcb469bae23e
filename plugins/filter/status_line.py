# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""status_line: one emulator, as the modules report it, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

_SHOWN = ("cpu", "memory", "resolution", "adb")


def status_line(emulator: Mapping[str, Any]) -> str:
    """``farm-000  running  cpu 2, memory 2048``; raises AnsibleFilterError for what is no emulator."""
    try:
        marks = [word for word, holds in (("not owned", not emulator["owned"]), ("protected", emulator["protected"])) if holds]
        settings = emulator.get("settings_problem") or ", ".join(
            f"{option} {emulator['settings'][option]}" for option in _SHOWN if option in emulator["settings"]
        )
        return "  ".join(part for part in (emulator["name"], emulator["state"], settings, ", ".join(marks)) if part)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(f"status_line takes an emulator as emulator_info returns it, not {emulator!r:.80}") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"status_line": status_line}
