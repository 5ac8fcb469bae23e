# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A test of the connection to a host: what to ask it, and what each finding means, costs, and asks for. Pure.

Not run on Windows: what its own programs print was taken from Microsoft's documentation, and what cannot be understood is unknown.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._host import operations
from ..._host.batch import HostFacts, Reply
from ..._host.operations import Operation
from ..words import install
from ..words.errors import FleetError
from ..words.install import Where

OK, WARNING, FAILED, UNKNOWN = "ok", "warning", "failed", "unknown"
#: The worst first.
_STATUSES = (FAILED, WARNING, UNKNOWN, OK)

#: Every check, in the order in which it is told.
CHECKS = ("way", "reach", "tls", "login", "rights", "latency", "powershell", "clock", "quotas", "desktop", "ldplayer")

_TIMEOUT_MS = 20_000
#: Seconds of a batch from which on users notice it: a converge takes one to three, and one more for each time slice.
_SLOW = 3.0
#: Seconds that clocks of one network are seldom apart.
_SKEW = 5.0
#: Kerberos' "maximum tolerance for computer clock synchronization" (Microsoft's security policy settings): 5 minutes.
_KERBEROS = 300.0
#: Days before a certificate's end at which it is told.
_SOON = 30
#: Share of the shells in use from which on it is told.
_FULL = 0.75

#: Well-known SIDs (Microsoft Learn, "Security identifiers"): administrators; the integrity levels high (a full token) and system.
_ADMINISTRATORS, _FULL_TOKEN = "S-1-5-32-544", frozenset({"S-1-16-12288", "S-1-16-16384"})


@dataclass(frozen=True)
class Line:
    """One check. ``found``: what was seen; ``costs``: what it means for the user; ``advice``: what to do. The last two are empty where all is well."""

    check: str
    status: str
    found: str
    costs: str = ""
    advice: str = ""

    def told(self) -> dict[str, str]:
        """JSON form."""
        return {"check": self.check, "status": self.status, "found": self.found, "costs": self.costs, "advice": self.advice}


@dataclass(frozen=True)
class Certificate:
    """``names``: of hosts and addresses, as far as they could be read. ``ends_s``: Unix time, None where unknown. ``problem``: why it is not trusted.

    ``checked``: whether the connection looks at it at all.
    """

    names: tuple[str, ...] = ()
    ends_s: float | None = None
    problem: str = ""
    checked: bool = True


@dataclass(frozen=True)
class Door:
    """What was seen of the host's port from here. ``way``: Ansible's connection. ``scheme``: http, https, or empty for SSH. ``ms``: of the TCP
    connection, None where there was none, with the ``problem``. ``auth``: how the connection says who asks. ``certificate``: with https."""

    way: str
    address: str
    port: int
    scheme: str
    auth: str
    ms: float | None = None
    problem: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Sample:
    """One empty batch: Unix times on the controller before and after it, and on the host in between, all in seconds."""

    before: float
    after: float
    host: float

    @property
    def trip(self) -> float:
        """Seconds there and back."""
        return self.after - self.before

    @property
    def skew(self) -> float:
        """Seconds by which the host's clock is ahead, if it was read half way: the error is half the trip at the most."""
        return self.host - (self.before + self.after) / 2


def questions() -> list[Operation]:
    """Asked in the session of the connection itself. Nothing is changed."""
    system = r"{systemroot}\System32"
    return [
        operations.execute("groups", rf"{system}\whoami.exe", ("/groups", "/fo", "csv", "/nh"), _TIMEOUT_MS, (0,)),
        # winrm.cmd is this script; a program starts in its own folder, where the script lies.
        operations.execute("quotas", rf"{system}\cscript.exe", ("//NoLogo", "winrm.vbs", "get", "winrm/config/winrs"), _TIMEOUT_MS, (0,)),
        *(
            operations.execute(
                image, rf"{system}\tasklist.exe", ("/FI", f"IMAGENAME eq {image}.exe", "/FO", "CSV", "/NH"), _TIMEOUT_MS, (0,)
            )
            for image in _SHELLS
        ),
    ]


#: Processes of WinRM's shells: of cmd (winrm), of PowerShell (psrp).
_SHELLS = ("winrshost", "wsmprovhost")


def way(name: str, door: Door, first: bool, notes: Sequence[str]) -> Line:
    """Which way was taken. ``name``: what it is called, empty where none is declared."""
    found = f"{name or 'the only one'}: {door.way}, {door.address}:{door.port}"
    if first:
        return Line("way", OK, found)
    return Line(
        "way",
        WARNING,
        f"{found}. {' '.join(notes)}".strip(),
        "The host is reached on another way than the one wanted",
        "See what was found",
    )


def closed(tried: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The lines of a host that none of its ways leads into."""
    return [
        Line(
            "way",
            FAILED,
            f"{attempt['way']}: {attempt['reason']} ({attempt['seconds']:.1f} s)",
            "Nothing can be done on the host",
            attempt["advice"],
        )
        for attempt in tried
    ]


def outside(door: Door, now_s: float) -> Iterator[Line]:
    """What can be told of the door before anybody knocks."""
    where = f"{door.address}:{door.port}"
    if door.ms is None:
        yield Line(
            "reach", FAILED, f"{where}: {door.problem}", "Nothing can be done on the host",
            "Check that the host is up, that its service listens at this port, and that its firewall lets the controller in",
        )  # fmt: skip
    else:
        yield Line("reach", OK, f"{where} takes a connection in {door.ms:.0f} ms")
    if door.scheme and (door.ms is not None or door.scheme == "http"):
        yield _tls(door, now_s)


def _tls(door: Door, now_s: float) -> Line:
    if door.scheme == "http":
        if door.auth in ("basic", "plaintext"):
            return Line(
                "tls", FAILED, "none, and the password travels as plain text", "Whoever hears it is administrator of the host", "Use HTTPS"
            )
        return Line("tls", OK, f"none; {door.auth or 'the login'} encrypts each message")
    seen = door.certificate
    if seen is None:
        return Line("tls", UNKNOWN, "the host's certificate could not be read")
    told = f"certificate for {', '.join(seen.names) or 'unknown names'}"
    if seen.ends_s is not None:
        days = (seen.ends_s - now_s) / 86400
        told += f", ends in {days:.0f} days" if days >= 0 else f", ended {-days:.0f} days ago"
    if seen.problem and seen.checked:
        return Line(
            "tls",
            FAILED,
            f"{told}; not trusted: {seen.problem}",
            "The connection is refused",
            "Give the host a certificate that the controller trusts for this name, or name its authority",
        )
    if not seen.checked:
        return Line(
            "tls",
            WARNING,
            f"{told}; not checked",
            "Another machine could pose as the host and take its password",
            "Let the connection check it",
        )
    if seen.ends_s is not None and seen.ends_s - now_s < _SOON * 86400:
        return Line("tls", WARNING, f"{told}; trusted", "From then on the connection is refused", "Renew it")
    return Line("tls", OK, f"{told}; trusted")


def shut_out(error: FleetError) -> list[Line]:
    """The lines of a host that does not let this account in, or does not answer as it should."""
    text = f"{error.problem}".lower()
    # What PowerShell says to a script that calls .NET in the language mode ConstrainedLanguage.
    if any(words in text for words in ("language mode", "core types")):
        return [
            Line(
                "powershell",
                FAILED,
                error.problem,
                "The agent cannot run",
                "Let PowerShell run in FullLanguage for this account (AppLocker, WDAC)",
            )
        ]
    check = "desktop" if "desktop" in text else "login"
    return [Line(check, FAILED, error.problem, "Nothing can be done on the host", error.advice)]


def login(door: Door, facts: HostFacts) -> Line:
    """Who was let in."""
    return Line("login", OK, f"let in by {door.auth or 'the usual login of ' + door.way}; the host calls itself {facts.name}")


def rights(reply: Reply) -> Line:
    """Whether the account is an administrator with all of its rights."""
    asked = reply.results["groups"]
    sids = set(re.findall(r"S-1-[0-9-]+", asked.data("stdout").decode("ascii", "replace"))) if asked.ok else set()
    if not sids:
        return Line("rights", UNKNOWN, "whoami told no groups")
    if _ADMINISTRATORS not in sids:
        return Line(
            "rights",
            FAILED,
            "no member of the administrators",
            "No batch reaches the desktop, and no record can be kept",
            "Connect as an administrator",
        )
    if not sids & _FULL_TOKEN:
        return Line(
            "rights", FAILED, "an administrator whose rights Windows filters (User Account Control)",
            "No batch reaches the desktop, and no record can be kept",
            "Set LocalAccountTokenFilterPolicy to 1 for local accounts, as `ldfleet bootstrap` does, or connect with a domain account",
        )  # fmt: skip
    return Line("rights", OK, "an administrator with a full token")


def latency(samples: Sequence[Sample]) -> Line:
    """How long an empty batch takes."""
    trips = sorted(sample.trip for sample in samples)
    middle = statistics.median(trips)
    found = f"an empty batch takes {_ms(middle)} (median of {len(trips)}; {_ms(trips[0])} to {_ms(trips[-1])})"
    if middle > _SLOW:
        return Line(
            "latency", WARNING, found, "Each run takes that one to three times a host at least",
            "Try psrp, which starts PowerShell once a task, and keep virus scanners from reading PowerShell at each start",
        )  # fmt: skip
    return Line("latency", OK, found)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def powershell(facts: HostFacts) -> Line:
    """The version; that the agent ran proves the language mode, since it calls .NET, which no other mode allows."""
    version = re.match(r"(\d+)\.(\d+)", facts.powershell)
    if version is None:
        return Line("powershell", UNKNOWN, "the host did not tell its version")
    found = f"{facts.powershell}, FullLanguage"
    if (int(version[1]), int(version[2])) < (5, 1):
        return Line("powershell", FAILED, found, "The agent was not made for it", "Install Windows Management Framework 5.1")
    return Line("powershell", OK, found)


def clock(samples: Sequence[Sample]) -> Line:
    """How far the clocks are apart, by the fastest trip."""
    best = min(samples, key=lambda sample: sample.trip)
    apart = f"{_span(abs(best.skew))} {'ahead' if best.skew > 0 else 'behind'} (±{best.trip / 2:.1f} s)"
    if abs(best.skew) <= _SKEW + best.trip / 2:
        return Line("clock", OK, f"the host's clock is {best.skew:+.1f} s off (±{best.trip / 2:.1f} s)")
    costs = "Times in its journal and backups mislead"
    if abs(best.skew) > _KERBEROS:
        costs += "; Kerberos refuses more than 5 minutes, and certificates may seem to be outside their time"
    return Line("clock", WARNING, f"the host's clock is {apart}", costs, "Let the host's clock follow a time server (w32tm /resync)")


def _span(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.1f} s"


def quotas(reply: Reply, door: Door) -> Line:
    """WinRM's shells, in use and allowed for each user; those in use are of all users."""
    if door.way == "ssh":
        return Line("quotas", OK, "SSH opens no shell of WinRM")
    allowed = reply.results["quotas"]
    told = re.search(rb"(?m)^\s*MaxShellsPerUser\s*=\s*(\d{1,10})", allowed.data("stdout")) if allowed.ok else None
    counted = [reply.results[image] for image in _SHELLS]
    used = sum(
        result.data("stdout").lower().count(f'"{image}.exe"'.encode()) for image, result in zip(_SHELLS, counted, strict=True) if result.ok
    )
    seen = (
        f"{used} shell{'s'[: used != 1]} of WinRM in use"
        if all(result.ok for result in counted)
        else "the shells in use could not be counted"
    )
    if told is None:
        return Line("quotas", UNKNOWN, f"{seen}; how many it allows could not be read")
    most = int(told[1])
    found = f"{seen}, {most} allowed for each user"
    if used >= most * _FULL:
        return Line(
            "quotas", WARNING, found, "Once all are in use the host refuses each task",
            "See what keeps them open (broken runs do, until they have been idle for long enough), or raise MaxShellsPerUser",
        )  # fmt: skip
    return Line("quotas", OK, found)


def desktop(facts: HostFacts) -> Line:
    """Whether a batch gets to the desktop where emulators live."""
    if facts.place == "desktop":
        return Line("desktop", OK, f"{facts.desktop_user} is logged on")
    return Line(
        "desktop", WARNING, "nobody is logged on, or desktop_session is never", "Emulators cannot be started or stopped",
        "Log on at the host's console; automatic logon keeps it so",
    )  # fmt: skip


def ldplayer(reply: Reply, where: Where) -> Line:
    """Whether there is an LDPlayer to work with, of a batch that looked for it."""
    if not install.missing(reply):
        return Line("ldplayer", OK, ", ".join(found.folder for found in install.installed(reply)))
    return Line(
        "ldplayer",
        WARNING,
        f"none was found {where.told()}",
        "There can be no emulators on the host",
        "Install it (the playbook install), or set ldplayer_install_dir",
    )


def worst(lines: Sequence[Line]) -> str:
    """The status of the whole."""
    return next((status for status in _STATUSES[:2] if any(line.status == status for line in lines)), OK)


def report(lines: Sequence[Line]) -> dict[str, Any]:
    """What the module returns. What could not be asked any more is unknown."""
    said = {line.check for line in lines}
    left = [Line(check, UNKNOWN, "could not be asked") for check in CHECKS if check not in said and check != "tls"]
    listed = sorted([*lines, *left], key=lambda line: CHECKS.index(line.check))
    return {"changed": False, "status": worst(listed), "lines": [line.told() for line in listed]}
