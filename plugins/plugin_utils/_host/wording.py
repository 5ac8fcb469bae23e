# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the words of a failed connection mean: what happened, whether trying again can help, and what to do, by the way in. Pure.

The words are those of pywinrm, pypsrp, requests and OpenSSH, as Ansible's plugins hand them on; they were seen against the simulated host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: The host does not know, or does not take, who asks.
_REFUSED = ("credentials", "401", "authenticat", "permission denied")
#: Trying again could only lock the account, repeat a certain answer, or wait as long as the first time.
_CERTAIN = (*_REFUSED, "certificate", "access is denied", "timed out", "host key verification failed", "sshpass", "not installed")


def certain(why: str) -> bool:
    """Whether there is no use in trying again."""
    text = why.lower()
    return any(word in text for word in _CERTAIN)


def refused(why: str) -> bool:
    """Whether an account was turned away: once more, and it may be locked."""
    text = why.lower()
    return any(word in text for word in _REFUSED)


#: Characters of a library's message: ssh and requests repeat themselves at length.
_LONGEST_WHY = 300


def short(why: str) -> str:
    """What happened, as short as it can be told."""
    why = _cause(_AROUND_SSH.sub("", " ".join(why.split())))
    return why if len(why) <= _LONGEST_WHY else f"{why[:_LONGEST_WHY]}…"


#: What Ansible's ssh connection puts before what the program ssh says.
_AROUND_SSH = re.compile(
    r'\A(?:Data could not be sent to remote host "[^"]*"\. Make sure this host can be reached over ssh|Failed to connect to the host via ssh): '
)


def _cause(why: str) -> str:
    """What happened, without what urllib3 wraps around it: ``… (Caused by NewConnectionError('<…>: Failed to …: [Errno 111] Connection refused'))``."""
    _head, found, rest = why.rpartition("(Caused by ")
    if not found:
        return why
    text = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>[:,] ?|Failed to establish a new connection: ", "", rest.partition("(")[2])
    while text.endswith(("'", '"')) or text.count(")") > text.count("("):
        text = text[:-1]
    return text.strip("'\" ")


_REACH = "Check that the host is up and that its firewall lets the controller in"
_LISTENER = "Check ansible_host and ansible_port, and that WinRM listens there (winrm enumerate winrm/config/listener)"

#: What to do about words, the first that are found: for every way, or by the name of Ansible's connection.
_ADVICE: tuple[tuple[tuple[str, ...], str | Mapping[str, str]], ...] = (
    (("sshpass", "not installed"), "Install where Ansible runs what the message names"),
    (("host key verification failed",), "Compare the host's key with what the host itself shows, and put it into known_hosts"),
    (("cert_pem", "cert_key_pem"), "Check ansible_winrm_cert_pem and ansible_winrm_cert_key_pem for this host"),
    (
        _REFUSED,
        {
            "winrm": "Check ansible_user, ansible_password and ansible_winrm_transport for this host",
            "psrp": "Check ansible_user, ansible_password and ansible_psrp_auth for this host",
            "ssh": "Check ansible_user and ansible_ssh_private_key_file for this host, and that the host knows the key",
        },
    ),
    (
        ("certificate",),
        {
            "winrm": "Give the host a certificate that the controller trusts, or set ansible_winrm_ca_trust_path",
            "psrp": "Give the host a certificate that the controller trusts, or set ansible_psrp_ca_cert",
        },
    ),
    (
        ("refused",),
        {"winrm": _LISTENER, "psrp": _LISTENER, "ssh": "Check ansible_host and ansible_port, and that the service sshd runs on the host"},
    ),
    (("timed out", "timeout"), _REACH),
)


def advice(why: str, way: str) -> str:
    """What to do. ``way``: winrm, psrp or ssh."""
    text = why.lower()
    for words, told in _ADVICE:
        if any(word in text for word in words):
            found = told if isinstance(told, str) else told.get(way)
            if found is not None:
                return found
    return "Check the connection with: ansible -m ansible.windows.win_ping"
