# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be seen of a host's port from the controller: whether it takes a connection, how fast, and with which certificate. Says nothing to the host."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._fleet.windows.connecting import Certificate, Door

#: Seconds for a connection, and for a handshake.
_PATIENCE = 10.0
#: Of each of Ansible's connections: the options with address, port and scheme, and the variables with how the login is made, with the authority that is
#: trusted, and with whether the certificate is looked at.
_WORDS: Mapping[str, tuple[str, str, str, str, str, str]] = {
    "winrm": (
        "remote_addr",
        "port",
        "scheme",
        "ansible_winrm_transport",
        "ansible_winrm_ca_trust_path",
        "ansible_winrm_server_cert_validation",
    ),
    "psrp": ("remote_addr", "port", "protocol", "ansible_psrp_auth", "ansible_psrp_ca_cert", "ansible_psrp_cert_validation"),
    "ssh": ("host", "port", "", "", "", ""),
}
#: Ports for plain HTTP and HTTPS, and for SSH, where nobody says another.
_HTTP, _HTTPS, _SSH = 5985, 5986, 22


def seen(connection: Any, variable: Callable[[str], Any]) -> Door:
    """Look at the door that a connection leads to. ``variable``: the value of a variable of the host's, or None."""
    way = str(connection.transport)
    address, port, scheme, auth, trust, validation = _WORDS[way]
    given = connection.get_option(port)
    spoken = (connection.get_option(scheme) or ("http" if given == _HTTP else "https")) if scheme else ""
    number = int(given or {"": _SSH, "http": _HTTP, "https": _HTTPS}[spoken])
    login = variable(auth) if auth else "key" if connection.get_option("private_key_file") else ""
    door = Door(
        way, str(connection.get_option(address)), number, str(spoken), ", ".join(login) if isinstance(login, list) else str(login or "")
    )
    began = time.monotonic()
    try:
        with socket.create_connection((door.address, door.port), _PATIENCE):
            door = replace(door, ms=(time.monotonic() - began) * 1000)
    except OSError as error:
        return replace(door, problem=str(error.strerror or error))
    if spoken != "https":
        return door
    return replace(door, certificate=_certificate(door, variable(trust), str(variable(validation) or "") != "ignore"))


def _certificate(door: Door, trust: Any, checked: bool) -> Certificate | None:
    problem = ""
    try:
        data = _shown(door, _trusting(trust))
    except ssl.SSLCertVerificationError as error:
        problem = error.verify_message
        with contextlib.suppress(OSError):
            data = _shown(door, None)
            return replace(_read(data), problem=problem, checked=checked)
        return Certificate(problem=problem, checked=checked)
    except OSError:
        return None
    return replace(_read(data), checked=checked)


def _trusting(trust: Any) -> ssl.SSLContext:
    """What the libraries of the connections trust: what the host's variables name, else the list of authorities that requests takes. Raises OSError."""
    if trust and str(trust) != "legacy_requests":
        path = Path(str(trust))
        return ssl.create_default_context(capath=str(path)) if path.is_dir() else ssl.create_default_context(cafile=str(path))
    try:
        from certifi import where  # requests, which both libraries use, takes its list
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=where())


def _shown(door: Door, trusting: ssl.SSLContext | None) -> bytes:
    """The certificate that the host shows. Raises OSError, of which SSLError is one."""
    context = trusting
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((door.address, door.port), _PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=door.address) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def _read(data: bytes) -> Certificate:
    """Names and end, where the library is there that reads them (pywinrm and pypsrp bring it)."""
    try:
        from cryptography import x509
    except ImportError:
        return Certificate()
    try:
        found = x509.load_der_x509_certificate(data)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return Certificate()
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return Certificate(tuple(hosts), found.not_valid_after_utc.timestamp())
