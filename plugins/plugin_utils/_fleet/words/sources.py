# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses from which hosts pull files, as users write them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_address(source: str) -> bool:
    """Whether it is one, and not a path."""
    return re.match(r"(?i)https?://", source) is not None


def address_problem(source: str) -> str | None:
    """Why nothing can be pulled from there, or None."""
    try:
        parts = urlsplit(source)
        host, user = parts.hostname, parts.username or parts.password
        _port = parts.port
    except ValueError:
        return "it is no address"
    if not host or re.search(r"\s", source):
        return "it is no address"
    return "an address holds no user and no password: they would stand in logs" if user else None


def public(source: str) -> str:
    """A source without what may be secret: user, password and query of an address."""
    if not is_address(source):
        return source
    return re.sub(r"[?#].*", "", re.sub(r"(?i)\A(https?://)[^/?#]*@", r"\1…@", source))
