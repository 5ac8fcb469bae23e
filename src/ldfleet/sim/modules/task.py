"""One run of a module's double: its arguments, the world it works on, and the result that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..ldplayer.world import World
from ..machine import secrets
from ..machine.windows import Caller
from .options import Failed, Spec

Json = dict[str, Any]


@dataclass
class Task:
    """``values``: every option. ``users``: accounts that can log on, with their passwords, which stand nowhere else. ``environment``: of the task.

    ``result`` is what the module returns, ``before`` and ``after`` its diff (None: it has none).
    """

    world: World
    caller: Caller
    users: dict[str, str]
    values: Mapping[str, Any]
    check: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    result: Json = field(default_factory=lambda: {"changed": False})
    warnings: list[str] = field(default_factory=list)
    diff: Json | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def refuse(self, *names: str) -> None:
        """Options that the double does not play, where they are said. Raises Failed."""
        said = [name for name in names if self.values[name] not in (None, False)]
        if said:
            raise Failed(f"simulated host: the option {said[0]} is not played")

    def change(self, act: Callable[[], object]) -> None:
        """Something differs: say so, and do it unless this is check mode."""
        self.result["changed"] = True
        if not self.check:
            act()

    def same_secret(self, name: str, value: str | None) -> bool:
        """Whether this is the secret that was kept under a name (None: none was)."""
        return secrets.same(self.world.system.secrets, name, value)

    def keep_secret(self, name: str, value: str | None) -> None:
        """Remember a secret well enough to know it again, and no better."""
        secrets.keep(self.world.system.secrets, name, value)


@dataclass(frozen=True)
class Double:
    """A module: its arguments and what it does. It may raise Failed."""

    spec: Spec
    run: Callable[[Task], None]


__all__ = ["Double", "Failed", "Json", "Task"]
