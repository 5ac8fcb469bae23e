"""A small Windows registry: keys and values that are found in any case, each value with its kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Value = str | int | list[str] | bytes

HIVES = {
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_CURRENT_CONFIG": "HKCC",
}

#: What a value of a kind is here.
KINDS: dict[str, type] = {
    "REG_SZ": str,
    "REG_EXPAND_SZ": str,
    "REG_DWORD": int,
    "REG_QWORD": int,
    "REG_MULTI_SZ": list,
    "REG_BINARY": bytes,
    "REG_NONE": bytes,
}
_STANDARD = {str: "REG_SZ", int: "REG_DWORD", list: "REG_MULTI_SZ", bytes: "REG_BINARY"}


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: str
    value: Value


class Registry:
    """Keys are paths such as ``HKLM\\SOFTWARE\\leidian\\ldplayer9``."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, dict[str, _Entry]]] = {}

    def set(self, key: str, name: str, value: Value, kind: str = "") -> None:
        """Write a value, with every key on the way. ``kind``: such as REG_EXPAND_SZ; by default that of texts, numbers (DWORD), lists and bytes."""
        kind = kind or _STANDARD[type(value)]
        if not isinstance(value, KINDS[kind]):
            raise ValueError(f"{key}\\{name} is {value!r}, which is no {kind}")
        self.add(key)
        self._keys[_full(key).lower()][1][name.lower()] = _Entry(name, kind, value)

    def add(self, key: str) -> None:
        """Make a key, with every key on the way."""
        parts = _full(key).split("\\")
        for length in range(1, len(parts) + 1):
            path = "\\".join(parts[:length])
            self._keys.setdefault(path.lower(), (path, {}))

    def get(self, key: str, name: str) -> Value | None:
        """A value, or None."""
        found = self._entry(key, name)
        return found.value if found else None

    def kind(self, key: str, name: str) -> str | None:
        """A value's kind, such as REG_SZ, or None where there is no such value."""
        found = self._entry(key, name)
        return found.kind if found else None

    def _entry(self, key: str, name: str) -> _Entry | None:
        found = self._keys.get(_full(key).lower())
        return found[1].get(name.lower()) if found else None

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return _full(key).lower() in self._keys

    def values(self, key: str) -> list[tuple[str, Value]]:
        """All values of a key, by name."""
        found = self._keys.get(_full(key).lower())
        return sorted(((entry.name, entry.value) for entry in found[1].values()), key=lambda pair: pair[0]) if found else []

    def children(self, key: str) -> list[str]:
        """Names of the keys directly below, in ordinal order."""
        prefix = _full(key).lower() + "\\"
        return sorted(
            path.rsplit("\\", 1)[1] for low, (path, _) in self._keys.items() if low.startswith(prefix) and "\\" not in low[len(prefix) :]
        )

    def remove(self, key: str) -> None:
        """Delete a key with all below it."""
        low = _full(key).lower()
        for path in [path for path in self._keys if path == low or path.startswith(low + "\\")]:
            del self._keys[path]

    def remove_value(self, key: str, name: str) -> None:
        """Delete one value."""
        found = self._keys.get(_full(key).lower())
        if found is not None:
            found[1].pop(name.lower(), None)

    def entries(self) -> Iterable[tuple[str, str, Value]]:
        """Every value: key, name, value."""
        for path, values in self._keys.values():
            for entry in values.values():
                yield path, entry.name, entry.value

    def document(self) -> list[list[Any]]:
        """What is kept on disk: each key with its values; bytes as hexadecimal digits."""
        return [
            [path, [[e.name, e.kind, e.value.hex() if isinstance(e.value, bytes) else e.value] for e in values.values()]]
            for path, values in self._keys.values()
        ]

    @staticmethod
    def read(document: Sequence[Sequence[Any]]) -> Registry:
        """From what was kept."""
        found = Registry()
        for path, values in document:
            found.add(path)
            for name, kind, value in values:
                found.set(path, name, bytes.fromhex(value) if KINDS[kind] is bytes else value, kind)
        return found


def _full(key: str) -> str:
    hive, _, rest = key.partition("\\")
    short = HIVES.get(hive.upper(), hive.upper())
    return f"{short}\\{rest}" if rest else short
