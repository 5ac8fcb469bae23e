"""What happens to a simulated machine when it goes down, and when Windows starts: features, services, the hypervisor, and who is logged on then."""

from __future__ import annotations

from ..machine.system import System
from ..machine.windows import Desktop
from .world import World

WINLOGON = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon"
#: The LSA secret that autologon uses (learn.microsoft.com: Protecting the automatic logon password).
DEFAULT_PASSWORD = "DefaultPassword"  # noqa: S105 - its name
#: LogonUI makes it when it is ready, for this start only; Ansible's win_reboot waits for it.
LOGON_READY = f"{WINLOGON}\\AutoLogonChecked"

_GUARD = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\DeviceGuard"
_INTEGRITY = f"{_GUARD}\\Scenarios\\HypervisorEnforcedCodeIntegrity"
#: Features with which the hypervisor starts (learn.microsoft.com: Hyper-V, Windows Sandbox, Windows Hypervisor Platform).
_HYPERVISOR = ("Microsoft-Hyper-V-Hypervisor", "HypervisorPlatform", "VirtualMachinePlatform", "Containers-DisposableClientVM", "Hyper-V")


def shut_down(world: World) -> None:
    """Everything that ran is gone, and nobody is logged on. LDPlayer's emulators do not end by themselves first, as far as is known."""
    world.power_cut()
    world.end_processes()
    world.seat(None)
    world.registry.remove(LOGON_READY)
    world.system.started = False
    world.save()


def start_up(world: World) -> None:
    """Windows starts."""
    with world.lock:
        system = world.system
        system.booted, system.started = world.clock.now(), True
        system.features.update(system.pending)
        system.pending.clear()
        system.pending_reboot.clear()
        system.hypervisor = hypervisor(world)
        for service in system.services.values():
            service.running = service.start in ("auto", "delayed")
        world.registry.add(LOGON_READY)
        user = logs_on(world)
        if user:
            _count_logon(world)
        world.seat(Desktop(user) if user else None)
        world.save()


def hypervisor(world: World) -> bool:
    """Whether one runs from the next start on: bcdedit lets it, and a feature or VBS wants it. A client has VBS on where nothing says otherwise (Windows 11
    22H2 and later, learn.microsoft.com: Enable memory integrity); that memory integrity alone switched off ends VBS there is a guess."""
    system: System = world.system
    if not system.virtualization_firmware or system.hypervisor_launch == "off":
        return False
    said = world.registry.get(_GUARD, "EnableVirtualizationBasedSecurity")
    secured = said == 1 if said is not None else system.edition == "windows11" and world.registry.get(_INTEGRITY, "Enabled") != 0
    return secured or any(system.features.get(name) for name in _HYPERVISOR)


def _count_logon(world: World) -> None:
    """Where they are counted, the last one turns automatic logon off (learn.microsoft.com, unattend: AutoLogon, LogonCount)."""
    left = world.registry.get(WINLOGON, "AutoLogonCount")
    if not isinstance(left, int):
        return
    if left > 1:
        world.registry.set(WINLOGON, "AutoLogonCount", left - 1)
        return
    world.registry.remove_value(WINLOGON, "AutoLogonCount")
    world.registry.set(WINLOGON, "AutoAdminLogon", "0")
    world.system.lsa_secrets[:] = [name for name in world.system.lsa_secrets if name != DEFAULT_PASSWORD]


def logs_on(world: World) -> str | None:
    """The account that is logged on at the start without a person: autologon is on, with a password, for an account that is there."""
    system = world.system
    named = world.registry.get(WINLOGON, "DefaultUserName")
    account = system.account(str(named)) if named else None
    on = str(world.registry.get(WINLOGON, "AutoAdminLogon")) == "1" and DEFAULT_PASSWORD in system.lsa_secrets
    return account if on and account is not None and system.accounts[account].enabled and not world.wrong_password(account) else None
