"""A small Windows registry: keys and values that are found in any case. Text and numbers only."""

from __future__ import annotations

from collections.abc import Iterable

Value = str | int

HIVES = {
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
}


class Registry:
    """Keys are paths such as ``HKLM\\SOFTWARE\\leidian\\ldplayer9``."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, dict[str, tuple[str, Value]]]] = {}

    def set(self, key: str, name: str, value: Value) -> None:
        """Write a value, with every key on the way."""
        parts = _full(key).split("\\")
        for length in range(1, len(parts) + 1):
            path = "\\".join(parts[:length])
            self._keys.setdefault(path.lower(), (path, {}))
        self._keys[_full(key).lower()][1][name.lower()] = (name, value)

    def get(self, key: str, name: str) -> Value | None:
        """A value, or None."""
        found = self._keys.get(_full(key).lower())
        value = found[1].get(name.lower()) if found else None
        return value[1] if value else None

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return _full(key).lower() in self._keys

    def values(self, key: str) -> list[tuple[str, Value]]:
        """All values of a key, by name."""
        found = self._keys.get(_full(key).lower())
        return sorted(found[1].values()) if found else []

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
            for name, value in values.values():
                yield path, name, value


def _full(key: str) -> str:
    hive, _, rest = key.partition("\\")
    short = HIVES.get(hive.upper(), hive.upper())
    return f"{short}\\{rest}" if rest else short
