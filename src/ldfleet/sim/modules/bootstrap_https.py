"""The steps of ldfleet's bootstrap script that are WinRM's own: settings, certificate and listener."""

from __future__ import annotations

import base64
from pathlib import Path

from ..machine import certificates
from ..machine.system import Certificate, Listener
from .bootstrap_host import MARK, Host, Step
from .task import Json

_FIVE_YEARS = 5 * 365 * 86_400


def steps(host: Host) -> list[Step]:
    """In their order."""
    return [*(_setting(host, *setting) for setting in _SETTINGS), _certificate(host), _public_half(host), _listener(host)]


#: Of WinRM: path, value, and whether that is the least.
_SETTINGS = (
    ("Service\\AllowUnencrypted", "false", False),
    ("Service\\Auth\\Basic", "false", False),
    ("Service\\Auth\\Negotiate", "true", False),
    ("MaxEnvelopeSizekb", "500", True),
    ("Service\\MaxConcurrentOperationsPerUser", "1500", True),
    ("Shell\\MaxShellsPerUser", "30", True),
    ("Shell\\MaxProcessesPerShell", "25", True),
    ("Shell\\MaxMemoryPerShellMB", "1024", True),
)


def _setting(host: Host, path: str, wanted: str, least: bool) -> Step:
    settings = host.world.system.wsman

    def is_so() -> bool:
        return host.running() and (int(settings[path]) >= int(wanted) if least else settings[path].lower() == wanted)

    def undo(was: Json) -> None:
        if settings[path].lower() == wanted:
            settings[path] = was["value"]

    return Step(
        f"setting {path}",
        f"WinRM's {path} is {'at least ' if least else ''}{wanted}",
        f"WinRM's {path} as it was",
        is_so,
        lambda: {"value": settings[path]},
        lambda _was: settings.update({path: wanted}),
        undo,
    )


def _certificate(host: Host) -> Step:
    system = host.world.system

    def do(was: Json) -> None:
        names, now = host.names(), host.world.clock.now()
        thumbprint, data = certificates.machine(host.world.name, names, now, now + _FIVE_YEARS)
        system.certificates[thumbprint] = Certificate(names, now + _FIVE_YEARS, f"{MARK} WinRM", data=base64.b64encode(data).decode())
        was["made"].insert(0, {"thumbprint": thumbprint, "names": names})

    def undo(was: Json) -> None:
        for made in was["made"]:
            found = system.certificates.get(made["thumbprint"])
            if found is not None and found.friendly_name == f"{MARK} WinRM":
                del system.certificates[made["thumbprint"]]

    return Step(
        "certificate",
        f"makes a certificate for {', '.join(host.names())}, good for five years",
        "removes the certificates that it made",
        lambda: host.certificate() is not None,
        lambda: {"made": []},
        do,
        undo,
    )


def _public_half(host: Host) -> Step:
    def local() -> Path:
        return host.world.drive.local(host.public)

    def text() -> str:
        data = host.world.system.certificates[str(host.certificate())].data
        lines = "\n".join(data[start : start + 76] for start in range(0, len(data), 76))
        return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"

    def is_so() -> bool:
        if host.fleet.thumbprint:
            return True
        return host.certificate() is not None and local().is_file() and local().read_text(encoding="ascii") == text()

    return Step(
        "public half",
        f"writes the certificate's public half to {host.public}",
        f"removes {host.public}",
        is_so,
        dict,
        lambda _was: local().write_text(text(), encoding="ascii"),
        lambda _was: local().unlink(missing_ok=True),
    )


def _listener(host: Host) -> Step:
    listeners, port = host.world.system.listeners, host.fleet.port

    def is_so() -> bool:
        found = listeners.get("HTTPS")
        if not host.running() or host.certificate() is None or found is None:
            return False
        return found.enabled and found.port == port and found.thumbprint == host.certificate()

    def was() -> Json:
        found = listeners.get("HTTPS")
        before = found and {
            "Port": str(found.port),
            "Hostname": found.hostname,
            "CertificateThumbprint": found.thumbprint,
            "Enabled": str(found.enabled).lower(),
        }
        return {"listener": before, "ours": []}

    def do(was: Json) -> None:
        thumbprint = str(host.certificate())
        was["ours"].append(thumbprint)
        host.save()
        listeners["HTTPS"] = Listener(port, thumbprint, hostname=host.world.name)

    def undo(was: Json) -> None:
        found, before = listeners.get("HTTPS"), was["listener"]
        if found is None or found.thumbprint not in was["ours"]:
            return
        if before is None:
            del listeners["HTTPS"]
        else:
            listeners["HTTPS"] = Listener(
                int(before["Port"]), before["CertificateThumbprint"], before["Enabled"] == "true", before["Hostname"]
            )

    return Step(
        "listener",
        f"WinRM listens with HTTPS at port {port}, with that certificate",
        "WinRM's HTTPS listener as it was",
        is_so,
        was,
        do,
        undo,
    )
