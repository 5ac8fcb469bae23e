"""What ldfleet's bootstrap script knows on a simulated host: its settings, the machine that it looks at, and what a step of it is."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ldplayer.world import World
from ..machine.system import ADMINISTRATORS, Account, Service
from .task import Json

#: How what the script makes is called, so that it is known again.
MARK = "ldfleet"
_MONTH = 30 * 86_400
#: With which rights the script opens its folder: administrators and the system.
ADMINISTRATORS_ONLY = frozenset({f"*{ADMINISTRATORS}", "*S-1-5-18"})


class Fault(Exception):
    """What the script throws; ``said``: the lines that it printed before."""

    def __init__(self, message: str, said: list[str] | None = None) -> None:
        super().__init__(message)
        self.said = said or []


@dataclass(frozen=True)
class Fleet:
    """The settings table of the script."""

    account: str
    port: int
    controllers: tuple[str, ...]
    names: tuple[str, ...]
    thumbprint: str
    key: str
    variables: tuple[str, ...]

    @staticmethod
    def of(told: Mapping[str, Any]) -> Fleet:
        """From the parameter Fleet. Raises Fault where something is missing, as PowerShell's strict mode does."""
        missing = next((name for name in _TABLE if name not in told), None)
        if missing is not None:
            raise Fault(f"The property '{missing}' cannot be found on this object. Verify that the property exists.")
        lists = {name: tuple(map(str, told[name])) for name in ("Controllers", "Names", "Variables")}
        return Fleet(
            str(told["Account"]), int(told["Port"]), lists["Controllers"], lists["Names"], str(told["Thumbprint"]), str(told["Key"]), lists["Variables"]
        )  # fmt: skip


_TABLE = ("Account", "Port", "Controllers", "Names", "Thumbprint", "Key", "Variables")


@dataclass(frozen=True)
class Step:
    """``says``, ``back``: what is printed. ``is_so``: whether it is so already; ``was``: what to remember; ``do`` may add to that."""

    name: str
    says: str
    back: str
    is_so: Callable[[], bool]
    was: Callable[[], Json]
    do: Callable[[Json], object]
    undo: Callable[[Json], object]


@dataclass
class Host:
    """What the steps work on. ``save`` writes the notes; ``folder``: where they lie."""

    world: World
    users: dict[str, str]
    fleet: Fleet
    password: str
    folder: str
    state: list[Json]
    save: Callable[[], None]
    service: str = ""
    rule: str = ""
    closed: tuple[str, ...] = ()

    @property
    def public(self) -> str:
        """Where the certificate's public half lies."""
        return f"{self.folder}\\{self.world.name}.cer"

    def record(self, step: str) -> Json | None:
        """What the notes say of a step."""
        return next((record for record in self.state if record["step"] == step), None)

    def found(self) -> Service | None:
        """The service, where it is there."""
        own = self.world.system.service(self.service)
        return self.world.system.services[own] if own is not None else None

    def running(self) -> bool:
        """Whether the service runs."""
        found = self.found()
        return found is not None and found.running

    def user(self, name: str) -> Account | None:
        """A local account."""
        own = self.world.system.account(name)
        return self.world.system.accounts[own] if own is not None else None

    def marked(self, name: str) -> bool:
        """Whether an account says itself that the script made it."""
        user = self.user(name)
        return user is not None and user.description.startswith(f"{MARK}:")

    def addresses(self) -> list[str]:
        """Those by which others may reach this machine."""
        return [address for address in self.world.system.addresses if not address.startswith(("127.", "169.254."))]

    def names(self) -> list[str]:
        """Everything by which a controller may call this machine."""
        seen: list[str] = []
        for name in (self.world.name, *self.addresses(), *self.fleet.names):
            if name.lower() not in [known.lower() for known in seen]:
                seen.append(name)
        return seen

    def certificate(self) -> str | None:
        """The thumbprint of the given certificate, or of the last one of the script's that is good for another month and for all names."""
        store = self.world.system.certificates
        if self.fleet.thumbprint:
            return self.fleet.thumbprint if self.fleet.thumbprint in store else None
        record = self.record("certificate")
        wanted = {name.lower() for name in self.names()}
        for made in record["was"]["made"] if record else ():
            found = store.get(made["thumbprint"])
            good = found is not None and found.private_key and found.until >= self.world.clock.now() + _MONTH
            if good and wanted <= {name.lower() for name in made["names"]}:
                return str(made["thumbprint"])
        return None

    def look_before(self) -> None:
        """What must be so before anything is touched. Raises Fault."""
        account, given = self.fleet.account, self.fleet.thumbprint
        user, found = self.user(account), self.world.system.certificates.get(given)
        if user is not None and not user.enabled:
            raise Fault(f"the account {account} is disabled: enable it, or choose another")
        if not given:
            return
        if found is None:
            raise Fault(f"there is no certificate {given} in Cert:\\LocalMachine\\My")
        if not found.private_key:
            raise Fault(f"the certificate {given} is there without its private key")
        if found.until < self.world.clock.now():
            end = datetime.datetime.fromtimestamp(found.until, datetime.UTC).strftime("%Y-%m-%d")
            raise Fault(f"the certificate {given} was good until {end}")

    def read_password(self) -> None:
        """Nobody is there to be asked. Raises Fault. Over SSH nobody knows the password, and keys open the account."""
        if self.service == "WinRM" and not self.password:
            raise Fault(
                "A command that prompts the user failed because the host program or the command type does not support user interaction. The host was "
                "attempting to request confirmation with the following message: "
            )
