"""Secrets that a simulated host was given, kept as salted digests: it knows one again and cannot tell it."""

from __future__ import annotations

import hashlib
import hmac
import secrets as random


def same(kept: dict[str, str], name: str, value: str | None) -> bool:
    """Whether this is the secret that is kept under a name (None: none is)."""
    digest = kept.get(name)
    if digest is None or value is None:
        return digest is None and value is None
    return hmac.compare_digest(digest.encode(), _digest(value, digest.partition("$")[0]).encode())


def keep(kept: dict[str, str], name: str, value: str | None) -> None:
    """Keep one, or none any more."""
    if value is None:
        kept.pop(name, None)
    else:
        kept[name] = _digest(value, random.token_hex(8))


def _digest(value: str, salt: str) -> str:
    return f"{salt}${hashlib.scrypt(value.encode(), salt=bytes.fromhex(salt), n=1024, r=8, p=1).hex()}"
