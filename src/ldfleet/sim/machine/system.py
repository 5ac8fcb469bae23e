"""Windows' own state on a simulated host, beyond files and registry: services, features, accounts, firewall, power, start. Values; no behaviour.

What a fresh Windows has follows Microsoft's documentation of Windows 11 23H2 and Windows Server 2022 (learn.microsoft.com: services, optional features,
default firewall rules, power plans); nothing was read off a real machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: The groups by their well-known SID (learn.microsoft.com: Security identifiers), with their English names.
ADMINISTRATORS, USERS, REMOTE_MANAGEMENT_USERS = "S-1-5-32-544", "S-1-5-32-545", "S-1-5-32-580"
GROUPS = {
    ADMINISTRATORS: "Administrators",
    USERS: "Users",
    "S-1-5-32-546": "Guests",
    "S-1-5-32-555": "Remote Desktop Users",
    "S-1-5-32-578": "Hyper-V Administrators",
    REMOTE_MANAGEMENT_USERS: "Remote Management Users",
}

Edition = Literal["windows11", "server2022"]
Start = Literal["auto", "delayed", "manual", "disabled"]


#: Optional features of a client with what each is a part of (dism /online /get-features; Hyper-V is a tree, the others stand alone).
PART_OF = {
    "Microsoft-Hyper-V-Tools-All": "Microsoft-Hyper-V-All",
    "Microsoft-Hyper-V-Management-PowerShell": "Microsoft-Hyper-V-Tools-All",
    "Microsoft-Hyper-V-Management-Clients": "Microsoft-Hyper-V-Tools-All",
    "Microsoft-Hyper-V": "Microsoft-Hyper-V-All",
    "Microsoft-Hyper-V-Hypervisor": "Microsoft-Hyper-V",
    "Microsoft-Hyper-V-Services": "Microsoft-Hyper-V",
}


@dataclass
class Service:
    """A service: its display name, how it starts, whether it runs."""

    display: str
    start: Start = "manual"
    running: bool = False
    description: str = ""
    path: str = "C:\\Windows\\System32\\svchost.exe -k netsvcs -p"


@dataclass
class Rule:
    """A firewall rule, as New-NetFirewallRule names its parts. Ports and addresses as text; an empty list is `Any`."""

    display: str
    enabled: bool = True
    action: Literal["allow", "block"] = "allow"
    direction: Literal["in", "out"] = "in"
    protocol: str = "tcp"
    local_ports: list[str] = field(default_factory=list)
    remote_addresses: list[str] = field(default_factory=list)
    group: str = ""
    description: str = ""
    program: str = ""
    service: str = ""
    local_addresses: list[str] = field(default_factory=list)
    remote_ports: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=lambda: ["domain", "private", "public"])


@dataclass
class Account:
    """A local account. ``groups``: SIDs; ``rid``: the end of its own. Its password is the host's own business (SimHost.users)."""

    enabled: bool = True
    description: str = ""
    groups: list[str] = field(default_factory=lambda: [USERS])
    rid: int = 1001
    fullname: str = ""
    password_expired: bool = False
    password_never_expires: bool = False
    user_cannot_change_password: bool = False


@dataclass
class Listener:
    """A WinRM listener at all addresses."""

    port: int
    thumbprint: str = ""
    enabled: bool = True
    hostname: str = ""


@dataclass
class Certificate:
    """A certificate of the machine's store, by its thumbprint: names, end (Unix seconds), and itself (DER in base 64) where it has one."""

    names: list[str]
    until: float
    friendly_name: str = ""
    private_key: bool = True
    data: str = ""


@dataclass
class System:
    """One Windows. ``features``: optional features or roles, by name, and whether they are on; ``pending``: those that wait for a start, and what they
    become; ``pending_reboot``: who asks for one. ``hypervisor``: whether one runs since the last start. ``booted``: Unix seconds of that start;
    ``started``: False while the machine is down. ``lsa_secrets``: names only: nobody may read them.
    """

    edition: Edition = "windows11"
    booted: float = 0.0
    started: bool = True
    services: dict[str, Service] = field(default_factory=dict)
    features: dict[str, bool] = field(default_factory=dict)
    pending: dict[str, bool] = field(default_factory=dict)
    pending_reboot: list[str] = field(default_factory=list)
    capabilities: dict[str, bool] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    firewall: dict[str, bool] = field(default_factory=lambda: {"domain": True, "private": True, "public": True})
    accounts: dict[str, Account] = field(default_factory=dict)
    wsman: dict[str, str] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    lsa_secrets: list[str] = field(default_factory=list)
    #: By what they belong to, such as an LSA secret: salted digests, by which a secret is known again.
    secrets: dict[str, str] = field(default_factory=dict)
    power_plans: list[str] = field(default_factory=lambda: ["Balanced", "High performance", "Power saver"])
    power_plan: str = "Balanced"
    time_zone: str = "UTC"
    #: Minutes that its clock is behind UTC, below 0 where it is ahead. Set apart from the time zone, whose rules are not played.
    bias: int = 0
    #: Drive, such as C: -> (initial, maximum) MiB; empty where Windows manages it.
    pagefiles: dict[str, list[int]] = field(default_factory=dict)
    pagefiles_managed: bool = True
    #: IPv4 addresses of its adapters.
    addresses: list[str] = field(default_factory=lambda: ["127.0.0.1", "10.0.0.11"])
    hypervisor: bool = False
    virtualization_firmware: bool = True
    #: As bcdedit has it.
    hypervisor_launch: Literal["auto", "off"] = "auto"
    gpus: list[str] = field(default_factory=lambda: ["NVIDIA GeForce RTX 3060"])
    memory_mib: int = 32_768
    processors: int = 16

    @property
    def caption(self) -> str:
        """As Win32_OperatingSystem.Caption tells it."""
        return "Microsoft Windows 11 Pro" if self.edition == "windows11" else "Microsoft Windows Server 2022 Standard"

    @property
    def build(self) -> int:
        """As Win32_OperatingSystem.BuildNumber tells it."""
        return 22631 if self.edition == "windows11" else 20348

    def account(self, name: str) -> str | None:
        """The name of a local account as it is written, or None where there is none."""
        return next((own for own in self.accounts if own.lower() == name.lower()), None)

    def next_rid(self) -> int:
        """The end of the next account's SID: users begin at 1001."""
        return max((1000, *(account.rid for account in self.accounts.values()))) + 1

    def service(self, name: str) -> str | None:
        """A service's name, from it or from its display name."""
        wanted = name.lower()
        return next((own for own, service in self.services.items() if wanted in (own.lower(), service.display.lower())), None)

    def document(self) -> dict[str, Any]:
        """What is kept on disk."""
        return asdict(self)

    @staticmethod
    def read(document: Mapping[str, Any]) -> System:
        """From what was kept."""
        kinds = {"services": Service, "rules": Rule, "accounts": Account, "listeners": Listener, "certificates": Certificate}
        values: dict[str, Any] = {
            name: {key: kinds[name](**item) for key, item in value.items()} if name in kinds else value for name, value in document.items()
        }
        return System(**values)


def fresh(edition: Edition, admin: str, desktop_user: str = "") -> System:
    """A Windows after its set-up, with its administrator and, where there is one, the user at its desktop."""
    client = edition == "windows11"
    found = System(edition)
    found.services = {
        # A client's was made to start with Windows by `winrm quickconfig`, without which nobody would reach it (learn.microsoft.com: WinRM, installation).
        "WinRM": Service("Windows Remote Management (WS-Management)", "delayed" if client else "auto", True),
        "W32Time": Service("Windows Time", "manual" if client else "auto", not client),
        "wuauserv": Service("Windows Update"),
        "WinDefend": Service("Microsoft Defender Antivirus Service", "auto", True),
        "Schedule": Service("Task Scheduler", "auto", True),
        "TermService": Service("Remote Desktop Services"),
    }
    names = ("Microsoft-Hyper-V-All", *PART_OF, "HypervisorPlatform", "VirtualMachinePlatform", "Containers-DisposableClientVM")
    found.features = dict.fromkeys(names, False) if client else dict.fromkeys(("Hyper-V", "Windows-Defender"), False)
    found.capabilities = {"OpenSSH.Server~~~~0.0.1.0": False}
    found.rules = {
        "WINRM-HTTP-In-TCP": Rule("Windows Remote Management (HTTP-In)", enabled=not client, local_ports=["5985"]),
        "WINRM-HTTP-In-TCP-PUBLIC": Rule(
            "Windows Remote Management (HTTP-In)", enabled=not client, local_ports=["5985"], remote_addresses=["LocalSubnet"]
        ),
        "RemoteDesktop-UserMode-In-TCP": Rule("Remote Desktop - User Mode (TCP-In)", enabled=False, local_ports=["3389"]),
    }
    found.accounts[admin] = Account(
        rid=500, groups=[USERS, ADMINISTRATORS], description="Built-in account for administering the computer/domain"
    )
    if desktop_user and desktop_user != admin:
        found.accounts[desktop_user] = Account()
    found.wsman = {
        "MaxEnvelopeSizekb": "500",
        "Service\\AllowUnencrypted": "false",
        "Service\\Auth\\Basic": "false",
        "Service\\Auth\\Negotiate": "true",
        "Service\\Auth\\Certificate": "false",
        "Service\\MaxConcurrentOperationsPerUser": "1500",
        "Shell\\MaxShellsPerUser": "30",
        "Shell\\MaxProcessesPerShell": "25",
        "Shell\\MaxMemoryPerShellMB": "1024",
    }
    found.listeners = {"HTTP": Listener(5985)}
    # VBS is on by default where the hardware can, since Windows 11 22H2 (learn.microsoft.com, memory integrity); a hypervisor runs with it.
    found.hypervisor = client
    return found
