"""Who is at the other end of a connection: Basic, a client's certificate, NTLM or SPNEGO with message encryption. One Authenticator a TCP connection.

The order of the NTLM messages and the form of the encrypted MIME body follow pywinrm 0.5, requests-ntlm 1.3 and pypsrp 0.9, which were run against it.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import spnego
from spnego.exceptions import SpnegoError

_ENCRYPTED = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
_SOAP = "application/soap+xml;charset=UTF-8"
#: What stands in the Authorization header of a client that shows its certificate in the TLS handshake.
_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


@dataclass(frozen=True)
class Verdict:
    """``user``: who it is, or None. ``headers``: WWW-Authenticate values for the answer. ``bare``: the answer has no body (a handshake's end)."""

    user: str | None = None
    headers: tuple[str, ...] = ()
    bare: bool = False


class Undecryptable(ValueError):
    """An encrypted body that this connection's keys do not open: HTTP 400."""


class Accounts:
    """The accounts of one host, as they are at each moment: some are made and removed while it runs. NTLM's library takes them only from a file that an
    environment variable names while a context is made, so contexts are made and stepped under one lock of the process.

    ``admits``: whether an account may come over the network."""

    _lock = threading.Lock()

    def __init__(self, machine: str, users: Mapping[str, str], admits: Callable[[str], bool]) -> None:
        self._machine = machine
        self._users = users
        self._admits = admits
        self._written: dict[str, str] | None = None
        handle, path = tempfile.mkstemp(prefix="ldfleet-sim-")  # it makes it 0600
        os.close(handle)
        self._file = Path(path)

    def close(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)

    def known(self, user: str) -> bool:
        """Whether there is such an account, and it may come."""
        return self._password(user) is not None

    def check(self, user: str, password: str) -> bool:
        """A plain password; ``DOMAIN\\`` before the name is ignored."""
        known = self._password(user.rsplit("\\", 1)[-1])
        return known is not None and secrets.compare_digest(known.encode(), password.encode())

    def _password(self, user: str) -> str | None:
        return next((password for name, password in self._welcome().items() if name.lower() == user.lower()), None)

    def _welcome(self) -> dict[str, str]:
        return {name: password for name, password in dict(self._users).items() if self._admits(name)}

    def _write(self) -> None:
        found = self._welcome()
        if found == self._written:
            return
        domains = ("", ".", self._machine, socket.gethostname().upper())
        lines = [f"{domain}:{name}:{password}\n" for domain in domains for name, password in found.items()]
        self._file.write_text("".join(lines), encoding="utf-8")
        self._written = found

    def step(self, context: spnego.ContextProxy | None, token: bytes) -> tuple[spnego.ContextProxy, bytes | None]:
        """Go on with a handshake, or begin one. Raises SpnegoError."""
        with self._lock:
            self._write()
            os.environ["NTLM_USER_FILE"] = str(self._file)
            if context is None:
                context = spnego.server(protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate)
            return context, context.step(token)


@dataclass(frozen=True)
class Policy:
    """winrm/config/service/auth. Windows' own defaults refuse Basic, certificates and unencrypted bodies; the simulator's take all."""

    basic: bool = True
    negotiate: bool = True
    certificate: bool = True
    allow_unencrypted: bool = True

    def offers(self) -> tuple[str, ...]:
        """The schemes for a 401, one header each."""
        return (*(["Negotiate"] if self.negotiate else []), *(['Basic realm="WSMAN"'] if self.basic else []))


class Authenticator:
    """The state of one connection. ``shown``: the account that the client's certificate names."""

    def __init__(self, accounts: Accounts, policy: Policy, tls: bool, shown: str | None = None) -> None:
        self._accounts = accounts
        self._policy = policy
        self._tls = tls
        self._shown = shown
        self._context: spnego.ContextProxy | None = None
        self._user: str | None = None

    def judge(self, header: str | None, encrypted: bool, body: bool) -> Verdict:
        """Who sends a request with this Authorization header (None: there is none). ``body``: whether it carries one."""
        plain_refused = not self._tls and not self._policy.allow_unencrypted
        if header is None:
            if self._user is not None and (encrypted or not plain_refused):
                return Verdict(self._user)
            return Verdict(headers=self._policy.offers())
        if header == _CERTIFICATE and self._policy.certificate and self._shown and self._accounts.known(self._shown):
            return Verdict(self._shown)
        scheme, _, text = header.partition(" ")
        if scheme.lower() == "basic" and self._policy.basic and not plain_refused:
            return self._basic(text)
        if scheme.lower() in ("negotiate", "ntlm") and self._policy.negotiate:
            verdict = self._negotiate(scheme, text)
            # The message that ends a handshake may carry a request already: in clear, it is as unwelcome as any other.
            in_clear = verdict.user is not None and body and not encrypted and plain_refused
            return Verdict(headers=self._policy.offers()) if in_clear else verdict
        return Verdict(headers=self._policy.offers())

    def _basic(self, text: str) -> Verdict:
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Verdict(headers=self._policy.offers())
        return Verdict(user) if self._accounts.check(user, password) else Verdict(headers=self._policy.offers())

    def _negotiate(self, scheme: str, text: str) -> Verdict:
        context = None if self._user is not None else self._context  # a new handshake on a live connection begins anew
        self._user = None
        try:
            self._context, token = self._accounts.step(context, base64.b64decode(text, validate=True))
        except (SpnegoError, binascii.Error, ValueError, struct.error):
            self._context = None
            return Verdict(headers=self._policy.offers())
        reply = (f"{scheme} {base64.b64encode(token).decode()}",) if token else ()
        if not self._context.complete:
            return Verdict(headers=reply or self._policy.offers())
        self._user = str(self._context.client_principal)
        return Verdict(self._user, reply, bare=True)

    def decrypt(self, body: bytes) -> bytes:
        """The plain body of an encrypted message. Raises Undecryptable."""
        part = re.search(rb"application/octet-stream\r\n(.*)--\s?Encrypted Boundary--", body, re.DOTALL)
        if part is None or self._context is None:
            raise Undecryptable("no encrypted part")
        (size,) = struct.unpack_from("<I", part[1])
        try:
            return bytes(self._context.unwrap_winrm(part[1][4 : 4 + size], part[1][4 + size :]))
        except (SpnegoError, ValueError, struct.error) as error:
            raise Undecryptable(str(error)) from error

    def encrypt(self, body: bytes) -> tuple[str, bytes]:
        """Content type and body of an encrypted answer."""
        assert self._context is not None
        wrapped = self._context.wrap_winrm(body)
        length = len(body) + wrapped.padding_length
        head = (
            "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
            f"\tOriginalContent: type={_SOAP};Length={length}\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        ).encode()
        return _ENCRYPTED, head + struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data + b"--Encrypted Boundary--\r\n"
