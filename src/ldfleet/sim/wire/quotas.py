"""What winrm/config allows one user and one shell: numbers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """The documented defaults of winrm/config/winrs (newer Windows allows far more): small, so that leaks are seen. Seconds, KiB."""

    shells_per_user: int = 30
    processes_per_shell: int = 25
    idle_seconds: float = 7200.0
    max_timeout_seconds: float = 60.0
    max_envelope_kb: int = 500
