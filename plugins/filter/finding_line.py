# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""finding_line: one finding, as host_info reports it, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def finding_line(finding: Mapping[str, Any]) -> str:
    """``warning  AutologonOff: automatic logon is off. After … starts. Cure: windows_autologon_user (role windows)``; raises AnsibleFilterError."""
    try:
        cure = f"{finding['cure']} (role {finding['role']})" if finding["role"] else finding["cure"]
        return f"{finding['severity']}  {finding['id']}: {finding['found']}. {finding['consequence']}. Cure: {cure}"
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(f"finding_line takes a finding as host_info returns it, not {finding!r:.80}") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"finding_line": finding_line}
