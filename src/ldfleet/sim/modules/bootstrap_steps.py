"""The steps of ldfleet's bootstrap script on a simulated host: whether each is so already, what to remember, how it is done and taken back."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Mapping
from pathlib import Path

from ..machine import secrets
from ..machine.registry import Value
from ..machine.system import ADMINISTRATORS, Account, Rule, Service, Start
from . import bootstrap_https as https
from .bootstrap_host import ADMINISTRATORS_ONLY, MARK, Fault, Host, Step
from .task import Json


def steps(way: str, host: Host) -> list[Step]:
    """All steps of a way, in their order."""
    key = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System", "LocalAccountTokenFilterPolicy"
    shell = "HKLM\\SOFTWARE\\OpenSSH", "DefaultShell"
    if way == "winrm":
        host.service, host.rule, host.closed = "WinRM", "ldfleet-winrm-https", ("WINRM-HTTP-In-TCP*", "WINRM-HTTP-Compat-In-TCP*")
        says = "local administrators keep their rights over the network (LocalAccountTokenFilterPolicy = 1)"
        return [
            *_account(host),
            _value(host, *key, 1, says),
            _firewall(host, way),
            _closed(host),
            _service(host),
            *https.steps(host),
        ]
    host.service, host.rule, host.closed = "sshd", "ldfleet-ssh", ("OpenSSH-Server-In-TCP*",)
    program = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
    return [
        *_account(host),
        _capability(host),
        _value(host, *shell, program, "SSH starts Windows PowerShell (DefaultShell)"),
        _firewall(host, way),
        _closed(host),
        _service(host),
        _key(host),
    ]


# ---- who ----------------------------------------------------------------------------------------------------------------------------


def _account(host: Host) -> list[Step]:
    accounts, name = host.world.system.accounts, host.fleet.account

    def make(was: Json) -> None:
        was["accounts"].append(name)
        host.save()
        system = host.world.system
        accounts[name] = Account(
            rid=system.next_rid(),
            description=f"{MARK}: connects the controller",
            password_never_expires=True,
            user_cannot_change_password=True,
        )
        if host.service == "WinRM":
            host.users[name] = host.password
            secrets.keep(system.secrets, f"account {name.lower()}", host.password)

    def unmake(was: Json) -> None:
        for own in was["accounts"]:
            if host.marked(own):
                del accounts[str(host.world.system.account(own))]
                host.users.pop(own, None)
                secrets.keep(host.world.system.secrets, f"account {own.lower()}", None)

    def raised(was: Json) -> None:
        was["accounts"].append(name)
        host.save()
        user = host.user(name)
        if user is None:
            raise Fault(f"Principal {name} was not found.")
        user.groups.append(ADMINISTRATORS)

    def lowered(was: Json) -> None:
        others = [own for own in was["accounts"] if own != name and not host.marked(own)]
        if others:
            raise Fault(f"the account {others[0]} is not of this script's making; take it back with a script for that account")
        for own in was["accounts"]:
            user = host.user(own)
            if user is not None and ADMINISTRATORS in user.groups:
                user.groups.remove(ADMINISTRATORS)

    def member() -> bool:
        user = host.user(name)
        return user is not None and ADMINISTRATORS in user.groups

    return [
        Step(
            "account",
            f"makes the local account {name}",
            "removes the accounts that it made",
            lambda: host.user(name) is not None,
            lambda: {"accounts": []},
            make,
            unmake,
        ),
        Step(
            "administrators",
            f"makes {name} an administrator of this machine",
            "takes the accounts out of the administrators that it made administrators",
            member,
            lambda: {"accounts": []},
            raised,
            lowered,
        ),
    ]


def _capability(host: Host) -> Step:
    system, name = host.world.system, "OpenSSH.Server~~~~0.0.1.0"

    def install(_was: Json) -> None:
        # What comes with it (learn.microsoft.com: Get started with OpenSSH): a service that does not start by itself, a rule, its folder.
        system.capabilities[name] = True
        system.services["sshd"] = Service("OpenSSH SSH Server", path="C:\\Windows\\System32\\OpenSSH\\sshd.exe")
        system.rules["OpenSSH-Server-In-TCP"] = Rule("OpenSSH SSH Server (sshd)", local_ports=["22"])
        host.world.drive.local(f"{host.world.spec.programdata}\\ssh").mkdir(parents=True, exist_ok=True)

    def remove(_was: Json) -> None:
        system.capabilities[name] = False
        system.services.pop("sshd", None)
        system.rules.pop("OpenSSH-Server-In-TCP", None)

    return Step(
        "capability",
        "installs Windows' OpenSSH server",
        "removes Windows' OpenSSH server",
        lambda: system.capabilities.get(name, False),
        lambda: {"name": name},
        install,
        remove,
    )


# ---- registry, service, settings ----------------------------------------------------------------------------------------------------


def _value(host: Host, key: str, name: str, wanted: Value, says: str) -> Step:
    registry = host.world.registry

    def undo(was: Json) -> None:
        if registry.get(key, name) != wanted:
            return
        if was["value"] is None:
            registry.remove_value(key, name)
        else:
            registry.set(key, name, was["value"])

    return Step(
        f"registry {name}",
        says,
        f"{name} as it was",
        lambda: registry.get(key, name) == wanted,
        lambda: {"value": registry.get(key, name)},
        lambda _was: registry.set(key, name, wanted),
        undo,
    )


def _closed(host: Host) -> Step:
    rules = host.world.system.rules

    def ours(name: str) -> bool:
        return any(fnmatch.fnmatch(name.lower(), pattern.lower()) for pattern in host.closed)

    def still_open() -> list[str]:
        return [name for name, rule in rules.items() if ours(name) and rule.enabled]

    def do(was: Json) -> None:
        was["rules"] += still_open()
        host.save()
        for name in still_open():
            rules[name].enabled = False

    def undo(was: Json) -> None:
        for name in was["rules"]:
            if ours(name):
                if name not in rules:
                    raise Fault(f"No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '{name}'.")
                rules[name].enabled = True

    return Step(
        "closed",
        f"switches off the firewall's own rules that let anybody in ({', '.join(host.closed)})",
        "switches the firewall rules on again that it switched off",
        lambda: host.found() is not None and not still_open(),
        lambda: {"rules": []},
        do,
        undo,
    )


#: How .NET calls the ways to start; a delayed start is an automatic one there.
_STARTS: Mapping[Start, str] = {"auto": "Automatic", "delayed": "Automatic", "manual": "Manual", "disabled": "Disabled"}


def _service(host: Host) -> Step:
    name = host.service

    def there() -> Service:
        found = host.found()
        if found is None:
            raise Fault(f"Cannot find any service with service name '{name}'.")
        return found

    def do(_was: Json) -> None:
        there().start, there().running = "auto", True

    def undo(was: Json) -> None:
        there().start = next(own for own, called in _STARTS.items() if called == was["start"])
        there().running = there().running and was["running"]

    return Step(
        "service",
        f"starts the service {name}, now and with Windows",
        f"the service {name} as it was",
        lambda: host.running() and _STARTS[there().start] == "Automatic",
        lambda: {"running": host.running(), "start": _STARTS[there().start]},
        do,
        undo,
    )


# ---- SSH's key, and the firewall ----------------------------------------------------------------------------------------------------


def _key(host: Host) -> Step:
    path = f"{host.world.spec.programdata}\\ssh\\administrators_authorized_keys"

    def local() -> Path:
        return host.world.drive.local(path)

    def keys() -> list[str]:
        return [line for line in local().read_text(encoding="utf-8").splitlines() if line.strip()] if local().is_file() else []

    def do(was: Json) -> None:
        was["keys"].append(host.fleet.key)
        host.save()
        fresh = not local().is_file()
        local().write_text("".join(f"{key}\n" for key in (*keys(), host.fleet.key)), encoding="utf-8")
        if fresh:
            host.world.rights[path.lower()] = ADMINISTRATORS_ONLY

    def undo(was: Json) -> None:
        if not local().is_file():
            return
        left = [key for key in keys() if key not in was["keys"]]
        if not left and not was["file"]:
            local().unlink()
        else:
            local().write_text("".join(f"{key}\n" for key in left), encoding="utf-8")

    return Step(
        "key",
        f"the controller's key opens this machine's administrators ({path})",
        "takes that key out again",
        lambda: host.fleet.key in keys(),
        lambda: {"file": local().is_file(), "keys": []},
        do,
        undo,
    )


def _firewall(host: Host, way: str) -> Step:
    rules, fleet, name = host.world.system.rules, host.fleet, host.rule

    def is_so() -> bool:
        found = rules.get(name)
        if found is None or not found.enabled or found.action != "allow" or found.local_ports != [str(fleet.port)]:
            return False
        return {_prefix(address) for address in found.remote_addresses} == set(fleet.controllers) and len(found.remote_addresses) == len(
            fleet.controllers
        )

    def do(_was: Json) -> None:
        rules[name] = Rule(f"ldfleet ({way})", local_ports=[str(fleet.port)], remote_addresses=list(fleet.controllers))

    return Step(
        "firewall",
        f"the firewall lets {', '.join(fleet.controllers)} in at port {fleet.port}, and nobody else (rule {name})",
        f"removes the firewall rule {name}",
        is_so,
        dict,
        do,
        lambda _was: rules.pop(name, None),
    )


def _prefix(address: str) -> str:
    """10.0.0.0/255.255.255.0 as 10.0.0.0/24."""
    if "/" not in address or "." not in address.partition("/")[2]:
        return address
    network = ipaddress.ip_network(address, strict=False)
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
