"""How Ansible reaches a simulated host, by way: the variables that an inventory gives each of its connection plugins."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .server import LOOPBACK, Endpoint

DEFAULT = "ntlm"


@dataclass(frozen=True)
class Keys:
    """What opens the hosts. ``trust``: the listeners' certificate; ``client``: a client's certificate and key; ``folder``: where SSH's keys lie."""

    user: str
    password: str
    trust: Path | None
    client: tuple[Path, Path] | None
    folder: Path


class NoWay(ValueError):
    """The hosts have no such way in; the text says what it needs."""


def variables(way: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    """What an inventory says of a host. ``way``: one of NAMES, or another transport of Ansible's winrm connection. Raises NoWay."""
    return {**_WAYS.get(way, _winrm)(way, endpoint, keys), "ansible_host": LOOPBACK}


def _winrm(way: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    return {**_listener("winrm", endpoint, keys), **_password(keys), "ansible_winrm_transport": way}


def _certificate(_way: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    if keys.client is None:
        raise NoWay("the way certificate needs listeners with HTTPS")
    certificate, key = keys.client
    return {
        **_listener("winrm", endpoint, keys),
        "ansible_winrm_transport": "certificate",
        "ansible_winrm_cert_pem": str(certificate),
        "ansible_winrm_cert_key_pem": str(key),
    }


def _psrp(_way: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    return {**_listener("psrp", endpoint, keys), **_password(keys)}


#: Of each plugin: the variables for the scheme and for the certificate that is trusted.
_PLUGINS = {
    "winrm": ("ansible_winrm_scheme", "ansible_winrm_ca_trust_path"),
    "psrp": ("ansible_psrp_protocol", "ansible_psrp_ca_cert"),
}


def _listener(plugin: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    scheme, trust = _PLUGINS[plugin]
    common: dict[str, Any] = {"ansible_connection": plugin}
    if keys.trust is None:
        return {**common, "ansible_port": endpoint.http_port, scheme: "http"}
    return {**common, "ansible_port": endpoint.https_port, scheme: "https", trust: str(keys.trust)}


def _password(keys: Keys) -> dict[str, Any]:
    return {"ansible_user": keys.user, "ansible_password": keys.password}


def _ssh(_way: str, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    """Without a password: for one, Ansible wants the program sshpass. The client trusts these hosts' keys, and offers no other key than the one named."""
    if endpoint.ssh_port is None:
        raise NoWay("the way ssh needs listeners with SSH")
    known = shlex.quote(f'UserKnownHostsFile="{keys.folder / KNOWN_HOSTS}"')
    return {
        "ansible_connection": "ssh",
        "ansible_port": endpoint.ssh_port,
        "ansible_shell_type": "powershell",
        "ansible_user": keys.user,
        "ansible_ssh_private_key_file": str(keys.folder / CLIENT_KEY),
        "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o {known}",
    }


#: Names in the folder of the hosts' state.
CLIENT_KEY, HOST_KEY, KNOWN_HOSTS = "ssh_client_key", "ssh_host_key", "ssh_known_hosts"

_WAYS: Mapping[str, Callable[[str, Endpoint, Keys], dict[str, Any]]] = {"certificate": _certificate, "psrp": _psrp, "ssh": _ssh}
NAMES = (DEFAULT, *_WAYS)
