"""Passwords that the roles are given stand nowhere: not in what Ansible prints at its most talkative, not in its logs and results, not in a runner's
artifacts, and on the host only where Windows keeps secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from sites import VERSION, inventory, said, wanted

import rig
from ldfleet.sim import laid
from ldfleet.sim.farm import Farm
from ldfleet.sim.ldplayer import boot
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.machine.system import Account

#: By the variable that holds it.
PLANTED = {
    "ansible_password": "Planted-connection-7hQ",
    "winrm_account_password": "Planted-account-3kX",
    "windows_autologon_password": "Planted-logon-9wZ",
}
PLAYER, DOOR = "player", "fleetdoor"
#: Where no secret is: the simulator's own keys, which open it.
_KEYS = ("ssh_", "winrm", "client")


def base64_forms(data: bytes) -> Iterator[bytes]:
    """How bytes look in base 64, wherever in the whole they begin."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data)
        yield text[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]


def forms(secret: str) -> list[bytes]:
    """Everything that a secret in clear looks like in a file."""
    texts = (secret.encode(), secret.encode("utf-16-le"))
    return [*texts, *(form for text in texts for form in base64_forms(text))]


def leaks(content: bytes, secrets: Iterable[str]) -> list[str]:
    """Which secrets stand in some bytes."""
    return [secret for secret in secrets if any(form in content for form in forms(secret))]


def found(folder: Path, secrets: Iterable[str]) -> list[str]:
    """Files below a folder in which a secret stands, each with the secret."""
    # Emulators' disks are holes without a block.
    files = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_blocks and not file.name.startswith(_KEYS)]
    assert files
    return [f"{file.relative_to(folder)}: {leak}" for file in files for leak in leaks(file.read_bytes(), secrets)]


def test_a_secret_is_found_in_every_form() -> None:
    secret = PLANTED["ansible_password"]
    for text in (secret.encode(), secret.encode("utf-16-le")):
        for before in (b"", b"a", b"ab", b"abc"):
            assert leaks(base64.b64encode(before + text + b"and more"), [secret]) == [secret]
        assert leaks(b"x" + text, [secret]) == [secret]
    assert leaks(b"Planted-connection-7h", [secret]) == []


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A bare host with an account that shall be at its screen."""
    with rig.farm(tmp_path / "farm", spec=Spec.bare("windows11"), password=PLANTED["ansible_password"], https=True, ssh=True) as made:
        laid.share(tmp_path / "farm" / "shares", (VERSION,))
        host = made.hosts[0]
        host.world.system.accounts[PLAYER] = Account(rid=1002)
        host.users[PLAYER] = PLANTED["windows_autologon_password"]
        yield made


def given(**values: str) -> dict[str, Any]:
    return wanted(winrm_account=DOOR, windows_autologon_user=PLAYER, ldplayer_max_destroy=2, **values)


def nothing_leaks(farm: Farm, folder: Path, name: str, variables: Mapping[str, Any], way: str, *options: str, **more: Any) -> None:
    """Run a playbook at its most talkative, with a log; the secrets stand in nothing of it, nor on the host."""
    file = inventory(farm, folder, dict(variables), way)
    log = folder / "ansible.log"
    environment = {"ANSIBLE_LOG_PATH": str(log), **more.pop("environment", {})}
    done = rig.playbook(file, folder, f"ldfleet.ldplayer.{name}", "-vvvv", *options, more=environment, **more)
    assert done.returncode == 0, said(done)[-3000:]
    assert leaks((done.stdout + done.stderr).encode(), PLANTED.values()) == [], name
    assert log.stat().st_size > 1000
    assert leaks(log.read_bytes(), PLANTED.values()) == [], name
    assert found(folder / "results", PLANTED.values()) == []
    farm.hosts[0].world.save()
    assert found(folder / "farm", PLANTED.values()) == []


#: How the passwords are given -> the variables, and the environment that they are taken from.
GIVEN: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "in the inventory": (PLANTED, {}),
    "from the environment": (
        {name: f"{{{{ lookup('ansible.builtin.env', 'TEST_{name.upper()}') }}}}" for name in PLANTED},
        {f"TEST_{name.upper()}": value for name, value in PLANTED.items()},
    ),
}


@pytest.mark.parametrize(("how", "way"), [("in the inventory", "ntlm"), ("from the environment", "psrp"), ("in the inventory", "ssh")])
def test_no_password_leaves_where_it_belongs(farm: Farm, tmp_path: Path, how: str, way: str) -> None:
    rig.usable_way(way)
    host = farm.hosts[0]
    values, environment = GIVEN[how]
    for name, options in (("install", ("--check", "--diff")), ("site", ("--diff",))):
        nothing_leaks(farm, tmp_path, name, given(**values), way, *options, environment=environment)
    assert host.world.desktop is not None
    assert host.users[DOOR] == PLANTED["winrm_account_password"], "the account was made with it"
    assert host.world.registry.get(boot.WINLOGON, boot.DEFAULT_PASSWORD) is None
    assert host.world.system.lsa_secrets == [boot.DEFAULT_PASSWORD]
    nothing_leaks(farm, tmp_path, "decommission", given(**values), way, environment=environment)
    assert DOOR not in host.world.system.accounts
    assert host.world.system.lsa_secrets == []


@pytest.mark.parametrize("core", sorted(rig.CORES))
def test_every_supported_core_keeps_them_too(farm: Farm, tmp_path: Path, core: str) -> None:
    nothing_leaks(farm, tmp_path, "bootstrap", given(**PLANTED), "ntlm", core=core)
    nothing_leaks(farm, tmp_path, "install", given(**PLANTED), "ntlm", "--tags", "windows", core=core)


def test_what_fails_tells_none(farm: Farm, tmp_path: Path) -> None:
    """Where the account cannot be made, and where an option is wrong, the roles tell what is wrong and not with which password."""
    farm.hosts[0].world.system.accounts[DOOR] = Account(rid=1003, enabled=False)
    for name, changes in (("bootstrap", {}), ("install", {"windows_reboot_window": "soon"}), ("install", {"windows_power_plan": "fast"})):
        file = inventory(farm, tmp_path, {**given(**PLANTED), **changes}, "ntlm")
        failed = rig.playbook(file, tmp_path, f"ldfleet.ldplayer.{name}", "-vvvv")
        assert failed.returncode == 2, said(failed)
        assert leaks((failed.stdout + failed.stderr).encode(), PLANTED.values()) == [], (name, changes)


def test_a_runners_artifacts_hold_none(farm: Farm, tmp_path: Path) -> None:
    file = inventory(farm, tmp_path, given(**PLANTED), "ntlm")
    private = tmp_path / "runner"
    (private / "project").mkdir(parents=True)
    (private / "project" / "all.yml").write_text("- ansible.builtin.import_playbook: ldfleet.ldplayer.site\n", encoding="utf-8")
    done = ansible_runner.run(
        private_data_dir=str(private), playbook="all.yml", inventory=str(file), verbosity=4, quiet=True,
        envvars={name: value for name, value in rig.environment(tmp_path).items() if name.startswith(("ANSIBLE_", "LDFLEET_", "PATH"))},
    )  # fmt: skip
    assert done.status == "successful", done.stdout.read()
    assert len(list((private / "artifacts").rglob("*.json"))) > 30
    assert found(private / "artifacts", PLANTED.values()) == []
