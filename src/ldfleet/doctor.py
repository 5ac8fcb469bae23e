"""What stands in LDPlayer's way on a fleet's hosts and on the controller, as values, from what the module host_info returned. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import __version__

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """``status``: True, False or Unknown. ``cure``: a variable of ``role``, or, where that is empty, what to do."""

    id: str
    severity: str
    status: str
    found: str
    consequence: str
    cure: str
    role: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.status == "True"


@dataclass(frozen=True)
class Examined:
    """A host. ``problem``: why nothing is known of it. ``facts``: as the module tells them; ``unknown``: questions without an answer, and why."""

    problem: str = ""
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] | None = None
    unknown: tuple[Mapping[str, str], ...] = ()

    @property
    def holds(self) -> tuple[Finding, ...]:
        """The findings that are so."""
        return tuple(finding for finding in self.findings if finding.holds)


@dataclass(frozen=True)
class Checkup:
    """``hosts``: by name; ``controller``: versions and places; ``own``: findings about the controller."""

    hosts: Mapping[str, Examined]
    controller: Mapping[str, Any]
    own: tuple[Finding, ...] = ()

    @property
    def code(self) -> int:
        """0 where nothing worse than ``info`` was found, 2 where something was, 4 where some host did not answer, 1 where none did."""
        silent = [host.problem for host in self.hosts.values() if host.problem]
        if silent:
            return 1 if len(silent) == len(self.hosts) else 4
        found = (*self.own, *(finding for host in self.hosts.values() for finding in host.holds))
        return 2 if any(finding.severity != "info" for finding in found) else 0

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "code": self.code}


def checkup_of(results: Mapping[str, Mapping[str, Any]], package: Path) -> Checkup:
    """From what the module returned for each host. ``package``: where the collection lies that this package was made with."""
    controller: Mapping[str, Any] = next((result["controller"] for result in results.values() if "controller" in result), {})
    hosts = {name: _examined(name, result) for name, result in results.items()}
    ways = {str(result["controller"]["connection"]) for result in results.values() if "controller" in result}
    return Checkup(hosts, controller, tuple(_own(controller, package, ways)))


def _examined(name: str, result: Mapping[str, Any]) -> Examined:
    if "findings" not in result:
        problem = str(result.get("msg") or "it gave no answer")
        return Examined(problem.removeprefix(f"{name}: "))
    return Examined("", tuple(Finding(**finding) for finding in result["findings"]), result["facts"], tuple(result["unknown"]))


#: The library that each of Ansible's connections needs.
_NEEDS = {"winrm": "pywinrm", "psrp": "pypsrp"}


def _own(controller: Mapping[str, Any], package: Path, ways: Iterable[str]) -> Iterable[Finding]:
    """What is wrong with the controller: a collection that lies before this package's own, silently; what its connections or roles lack."""
    if not controller:
        return
    used = controller["collections"].get("ldfleet.ldplayer") or {"path": None, "version": None}
    if used["path"] != str(package):
        same = used["version"] == __version__
        yield Finding(
            "CollectionElsewhere", "info" if same else "error", "True",
            f"Ansible takes ldfleet.ldplayer {used['version']} from {used['path']}; that of this ldfleet {__version__} is in {package}",
            "It is replaced without a word at the next upgrade of either" if same else "Verbs and modules of different versions do not fit together",
            "remove that copy",
        )  # fmt: skip
    for way in sorted(ways):
        library = _NEEDS.get(way)
        if library is not None and controller["libraries"].get(library) is None:
            yield Finding(
                "LibraryMissing", "error", "True", f"{library} is not installed", f"No host answers over {way}", f"pip install {library}"
            )
    if controller["collections"].get("ansible.windows") is None:
        yield Finding(
            "WindowsModulesMissing", "info", "True", "the collection ansible.windows is not installed",
            "The roles winrm, ssh, windows and ldplayer cannot run", "pip install ldfleet[windows], or ansible-galaxy collection install ansible.windows",
        )  # fmt: skip
