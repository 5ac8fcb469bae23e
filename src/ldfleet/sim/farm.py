"""Several simulated hosts in one process: worlds, machines, engines and listeners put together, and the inventory that leads to them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from .assembly import assemble
from .engines import powershell
from .engines.real import RealPowerShell
from .engines.wine import Seat
from .host import SimHost
from .ldplayer.layout import Spec
from .machine import certificates
from .machine.clock import Clock
from .wire import ways
from .wire.auth import Policy
from .wire.quotas import Quotas
from .wire.server import Endpoint, SimServer

#: Of the simulated accounts, which guard nothing.
USER, PASSWORD = "Administrator", "ldfleet-sim"


class NoEngine(RuntimeError):
    """The engine that was asked for is not on this machine; the text says what is missing."""


@dataclass(frozen=True)
class Plan:
    """What to simulate. ``port``: of the first host's listener, one more for each further host (0: any free ones); those of SSH follow.

    ``beside``: further LDPlayers on every host (engine port only). ``doors``: hosts have listeners for HTTP too, whatever ``https`` says, and what
    stands in Windows decides who comes in: its services, listeners and firewall.

    ``speed``: simulated seconds a real second; ``skip``: waiting takes no time; ``powershell_start``: real seconds.
    """

    hosts: int = 1
    port: int = 0
    https: bool = False
    ssh: bool = False
    engine: str = "port"
    spec: Spec = field(default_factory=Spec)
    speed: float = 1.0
    skip: bool = False
    powershell_start: float = 0.7
    policy: Policy = field(default_factory=Policy)
    quotas: Quotas = field(default_factory=Quotas)
    password: str = PASSWORD
    prefix: str = "sim-"
    beside: tuple[Spec, ...] = ()
    doors: bool = False


class Farm:
    """The hosts of a Plan, with their state in ``folder``. Use it as a context: listeners are open inside."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder = folder.resolve()  # the inventory names files in it, and is used from anywhere
        self.hosts = [self._host(number) for number in range(1, plan.hosts + 1)]
        self.endpoints = [self._endpoint(host, number) for number, host in enumerate(self.hosts)]
        folder.mkdir(parents=True, exist_ok=True)
        self.client = certificates.client(folder, USER) if plan.https else None
        self.server = SimServer(self.endpoints, folder, self.client[0] if self.client else None)
        self._open = ExitStack()

    def _endpoint(self, host: SimHost, number: int) -> Endpoint:
        plan = self.plan
        port, ssh, beside = (number + plan.port + kind * plan.hosts if plan.port else 0 for kind in range(3))
        made = Endpoint(
            host,
            (beside if plan.doors else None) if plan.https else port,
            port if plan.https else None,
            ssh if plan.ssh else None,
            plan.policy,
            plan.quotas,
        )
        host.world.shell_hosts, host.world.shells_per_user = made.shells.hosts, plan.quotas.shells_per_user
        return made

    def _host(self, number: int) -> SimHost:
        name = f"{self.plan.prefix}{number:02d}"
        program = self._engine()
        spec, seat = self.plan.spec, None
        if self.plan.engine == "wine" and program is not None:
            seat = Seat(program, self.folder / name / "C", chinese=spec.acp == 936)
            tail = spec.install_dir.split("\\", 1)[1]
            spec = replace(spec, install_dir=f"{seat.home}\\{tail}", programdata=f"{seat.home}\\ProgramData")
        self._share(name)
        clock = Clock(speed=self.plan.speed, skip=self.plan.skip)
        if self.plan.beside and self.plan.engine != "port":
            raise NoEngine("several LDPlayers on one host are simulated by the engine port only")
        world = assemble(self.folder / name, name.upper(), spec, clock, seat.drive if seat else None, beside=self.plan.beside)
        if seat is not None:
            seat.lay_registry(world.registry)
        engine = RealPowerShell(program, seat, world) if program is not None else None
        return SimHost(world, {USER: self.plan.password}, engine, self.plan.powershell_start, self.plan.doors)

    def _share(self, name: str) -> None:
        """All hosts of a farm reach the same shares."""
        shares, own = self.folder / "shares", self.folder / name / "shares"
        shares.mkdir(parents=True, exist_ok=True)
        own.parent.mkdir(parents=True, exist_ok=True)
        if not own.exists():
            own.symlink_to(shares.resolve(), target_is_directory=True)

    def _engine(self) -> Path | None:
        if self.plan.engine == "port":
            return None
        found = powershell.locate(self.plan.engine)
        if isinstance(found, str):
            raise NoEngine(f"the engine {self.plan.engine} cannot be used: {found}")
        return found

    def __enter__(self) -> Farm:
        with ExitStack() as opened:
            opened.enter_context(self.server)
            if self.plan.ssh:
                from .wire.ssh import SshServer  # its library takes long to load

                opened.enter_context(SshServer(self.endpoints, self.folder))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
        for host in self.hosts:
            host.world.power.close()
            host.world.save()

    def inventory(self, *takes: str) -> dict[str, Any]:
        """An Ansible inventory with every host in the group ``ldplayer``. ``takes``: the ways (wire/ways.py), which hosts take in turn; NTLM."""
        found = [self._variables(takes[number % len(takes)] if takes else ways.DEFAULT, number) for number in range(len(self.hosts))]
        shared = {name: value for name, value in found[0].items() if all(other.get(name) == value for other in found)}
        hosts = {
            host.name.lower(): {name: value for name, value in own.items() if name == "ansible_port" or name not in shared}
            for host, own in zip(self.hosts, found, strict=True)
        }
        shared.pop("ansible_port", None)
        if self.plan.engine == "wine":
            for host in self.hosts:
                hosts[host.name.lower()]["ldplayer_install_dir"] = host.world.spec.install_dir
        return {"ldplayer": {"hosts": hosts, "vars": shared}}

    def _variables(self, way: str, number: int) -> dict[str, Any]:
        trust = self.server.certificate if self.plan.https else None
        return ways.variables(way, self.endpoints[number], ways.Keys(USER, self.plan.password, trust, self.client, self.folder))

    def inventory_text(self, *takes: str) -> str:
        """The same as YAML."""
        return yaml.safe_dump(self.inventory(*takes), sort_keys=False)
