"""The bootstrap script on a real PowerShell, over a world that plays Windows' own commands: what it does, a second run, -Check, and -Undo."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pages
import rig
from ldfleet import bootstrap, door
from ldfleet.sim.engines import powershell
from ldfleet.sim.ldplayer.layout import Spec

WINDOWS = Path(__file__).with_name("bootstrap_windows.ps1")
KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode("ascii") + " ops@controller"
WINRM = bootstrap.Order("ldfleet", ("10.0.0.5", "10.0.1.0/28"), names=("ws-01.example.net", "192.0.2.1"))
SSH = bootstrap.Order("ldfleet", ("10.0.0.5",), door.SSH_PORT, key=KEY)
WAYS = pytest.mark.parametrize("order", [pytest.param(WINRM, id="winrm"), pytest.param(SSH, id="ssh")])
STATE = Path("ldfleet", "bootstrap")
#: How Windows gives new files to the administrators, or by a policy to the account that makes them; and how a file here is theirs, or somebody's.
GIVES, KEEPS = 0o077, 0o022
THEIRS, ANYBODYS = 0o700, 0o755


@dataclass(frozen=True)
class Ran:
    """What one run of the script did, said and left."""

    did: list[str]
    said: str
    fault: str
    world: dict[str, Any]
    password: str


@pytest.fixture
def engine() -> Path:
    """A real PowerShell."""
    found = powershell.locate("pwsh")
    if isinstance(found, str):
        pytest.skip(found)
    return found


def run(
    engine: Path, data: Path, lines: Sequence[str], orders: dict[str, bootstrap.Order], password: str = "correct horse", umask: int = GIVES
) -> list[Ran]:
    """Say the lines to one PowerShell, in which ``Start-Script $NAME`` runs an order's script."""
    data.mkdir(exist_ok=True)
    text = [f". ([ScriptBlock]::Create([IO.File]::ReadAllText('{WINDOWS}')))"]
    for name, order in orders.items():
        file = data.with_name(f"{name}.ps1")
        file.write_text(bootstrap.script(order), encoding="ascii")
        text.append(f"${name} = '{file}'")
    text += [*lines, "ConvertTo-Json -InputObject @($runs.ToArray()) -Depth 6 -Compress"]
    encoded = base64.b64encode("\n".join(text).encode("utf-16-le")).decode("ascii")
    own = {"ProgramData": str(data), "COMPUTERNAME": "WS-01", "SystemRoot": "C:\\Windows", "LDFLEET_PASSWORD": password}
    done = subprocess.run(
        [str(engine), "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded],
        env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=100, umask=umask,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert all(ran["output"] == 0 for ran in found)
    return [Ran(ran["did"], "\n".join(ran["said"]), ran["fault"], json.loads(ran["world"]), ran["password"]) for ran in found]


# ---- it is PowerShell -----------------------------------------------------------------------------------------------------------------


@WAYS
def test_the_real_parser_takes_the_script(engine: Path, tmp_path: Path, order: bootstrap.Order) -> None:
    file = tmp_path / "bootstrap.ps1"
    file.write_text(bootstrap.script(order), encoding="ascii")
    assert rig.misread(engine, file) == []


@WAYS
def test_each_way_has_only_its_own_steps(order: bootstrap.Order) -> None:
    text = bootstrap.script(order)
    assert ("sshd" in text, "WSMan" in text) == (bool(order.key), not order.key)
    assert "#region" not in text
    assert "#endregion" not in text


@WAYS
def test_its_switches_reach_it_as_a_file_and_a_paste_has_none(engine: Path, tmp_path: Path, order: bootstrap.Order) -> None:
    """A paste may come line by line, so each line before the block must be a whole statement; the block must see that nothing was said."""
    text = bootstrap.script(order)
    head, body = text[: text.index("\n& {\n") + 1], text[text.index("\n& {\n") + 1 :]
    for name, part in (("whole", text), ("head", head), ("body", body)):
        (tmp_path / f"{name}.ps1").write_text(part, encoding="ascii")
        assert rig.misread(engine, tmp_path / f"{name}.ps1") == []
    lines = [f"$body = '{tmp_path / 'body.ps1'}'", "Start-Script $body", "Start-Script $it -Check", "Start-Script $it -Undo -Check"]
    pasted, checked, told = run(engine, tmp_path / "data", lines, {"it": order})
    assert (pasted.fault, checked.fault, told.fault) == ("", "", "")
    assert (bool(pasted.did), checked.did, told.did) == (True, [], [])
    assert "this takes back" in told.said


# ---- notes of others ------------------------------------------------------------------------------------------------------------------


EVIL = "C:\\Users\\Public\\evil.exe"
#: A name of SDDL for the owner -> whether he is believed.
OWNERS = {
    "BA": True,
    "SY": True,
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464": True,
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-22714784640": False,
    "BU": False,
    "S-1-5-32-544": False,  # SDDL calls it BA
    "": False,
}


def plant(data: Path, name: str, folder: int, file: int) -> Path:
    """Notes that were there before, in a folder, each with its owner as a mode (THEIRS, ANYBODYS)."""
    (data / STATE).mkdir(parents=True)
    path = data / STATE / name
    path.write_text(json.dumps({"version": 1, "done": [{"step": "registry DefaultShell", "was": {"value": EVIL}}]}), encoding="ascii")
    path.chmod(file)
    path.parent.chmod(folder)
    return path


@pytest.mark.parametrize(("folder", "file"), [(ANYBODYS, ANYBODYS), (THEIRS, ANYBODYS), (ANYBODYS, THEIRS)])
@pytest.mark.parametrize("name", ["ssh.json", "winrm.json"])
def test_notes_that_somebody_else_planted_are_not_believed_then_or_later(
    engine: Path, tmp_path: Path, name: str, folder: int, file: int
) -> None:
    """Anybody may make the folder before the first run, or files in one that is open. -Undo would set with all rights what they call the state before."""
    planted = plant(tmp_path / "data", name, folder, file)
    runs = run(
        engine, tmp_path / "data", [f"Start-Script $it {words}" for words in ("-Check", "-Undo -Check", "", "", "-Undo")], {"it": SSH}
    )
    assert [ran.fault for ran in runs] == [""] * 5
    assert ["is not believed" in ran.said for ran in runs] == [name == "ssh.json"] * 3 + [False] * 2
    assert EVIL not in json.dumps([[ran.did, ran.world] for ran in runs])
    assert runs[0].did == runs[1].did == []
    assert runs[-1].world == runs[0].world
    assert not planted.exists()


def test_only_the_administrators_and_the_system_are_believed(engine: Path, tmp_path: Path) -> None:
    plant(tmp_path / "data", "ssh.json", THEIRS, THEIRS)
    lines = [f"$world.owner = '{owner}'; Start-Script $it -Undo -Check" for owner in OWNERS]
    runs = run(engine, tmp_path / "data", lines, {"it": SSH})
    assert {owner: "DefaultShell as it was" in ran.said for owner, ran in zip(OWNERS, runs, strict=True)} == OWNERS
    assert {owner: "is not believed" not in ran.said for owner, ran in zip(OWNERS, runs, strict=True)} == OWNERS


@pytest.mark.parametrize("name", ["ssh.json", "bootstrap", "ldfleet"])
def test_links_are_not_followed(engine: Path, tmp_path: Path, name: str) -> None:
    """What they lead to may well belong to the administrators; its rights are not changed, and it does not go."""
    planted = plant(tmp_path / "elsewhere", "ssh.json", THEIRS, THEIRS)
    target = {path.name: path for path in (planted, *planted.parents)}[name]
    link = tmp_path / "data" / target.relative_to(tmp_path / "elsewhere")
    link.parent.mkdir(parents=True, mode=THEIRS)
    link.symlink_to(target)
    before = planted.read_bytes(), planted.stat().st_mode
    checked, ran = run(engine, tmp_path / "data", ["Start-Script $it -Check", "Start-Script $it"], {"it": SSH})
    assert (planted.read_bytes(), planted.stat().st_mode) == before
    assert sorted(path.name for path in planted.parent.iterdir()) == ["ssh.json"]
    assert all("is not believed" in found.said for found in (checked, ran))
    if name == "ldfleet":
        assert "ldfleet is a link. Nothing was changed" in ran.fault
        assert ran.did == []
    else:
        assert ran.fault == ""
        assert EVIL not in (tmp_path / "data" / STATE / "ssh.json").read_text(encoding="ascii")


@WAYS
@pytest.mark.parametrize("umask", [GIVES, KEEPS])
def test_its_own_notes_are_believed_whoever_owns_new_files(engine: Path, tmp_path: Path, order: bootstrap.Order, umask: int) -> None:
    lines = [f"Start-Script $it {words}" for words in ("-Check", "", "", "-Undo")]
    before, first, second, undone = run(engine, tmp_path / "data", lines, {"it": order}, umask=umask)
    assert [ran.fault for ran in (before, first, second, undone)] == [""] * 4
    assert second.did == []
    assert undone.world == before.world
    assert not (tmp_path / "data" / "ldfleet").exists()


# ---- do, again, check, undo -----------------------------------------------------------------------------------------------------------


@WAYS
def test_a_second_run_does_nothing_check_does_nothing_and_undo_gives_the_old_world_back(
    engine: Path, tmp_path: Path, order: bootstrap.Order
) -> None:
    lines = [f"Start-Script $it {words}" for words in ("-Check", "", "", "-Check", "-Undo -Check", "-Undo", "-Undo", "-Check")]
    before, first, second, again, told, undone, nothing, after = run(engine, tmp_path / "data", lines, {"it": order})
    assert [ran.fault for ran in (before, first, second, again, told, undone, nothing, after)] == [""] * 8
    assert first.did
    assert before.did == second.did == again.did == told.did == nothing.did == after.did == []
    assert second.world == again.world == told.world == first.world != before.world
    assert undone.world == nothing.world == after.world == before.world
    assert after.said == before.said
    assert "Nothing was changed (-Check)." in before.said
    assert "all is as it should be" in second.said
    assert "All of it is taken back." in undone.said
    assert "Nothing to take back" in nothing.said
    assert len(told.said.splitlines()) == len(undone.said.splitlines())
    left = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert left == []
    assert not (tmp_path / "data" / "ldfleet").exists()


@pytest.mark.parametrize(("role", "order"), [("winrm", WINRM), ("ssh", SSH)])
def test_the_roles_give_the_same_host(engine: Path, tmp_path: Path, role: str, order: bootstrap.Order) -> None:
    """Their text is the same script without the other way, and what they say reaches it as a table."""
    text = _of_role(role, tmp_path)
    assert ("sshd" in text, "WSMan" in text) == (role == "ssh", role == "winrm")
    (tmp_path / "role.ps1").write_text(text, encoding="ascii")
    assert rig.misread(engine, tmp_path / "role.ps1") == []
    said = {
        "Account": [order.account],
        "Controllers": order.controllers,
        "Names": order.names,
        "Thumbprint": [""],
        "Key": [order.key],
        "Variables": [],
    }
    lists = ("Controllers", "Names", "Variables")
    told = "; ".join(
        f"{name} = {'@(' if name in lists else ''}{', '.join(map(bootstrap.literal, words))}{')' if name in lists else ''}"
        for name, words in said.items()
    )
    lines = ["Start-Script $it", f"$fleet = @{{ {told}; Port = {order.port} }}", f"$role = '{tmp_path / 'role.ps1'}'"]
    lines += [
        "Start-Script $role -Check -Fleet $fleet",
        "Start-Script $role -Undo -Fleet $fleet",
        "Start-Script $role -Fleet $fleet",
    ]
    pasted, checked, undone, done = run(engine, tmp_path / "data", lines, {"it": order})
    assert [ran.fault for ran in (pasted, checked, undone, done)] == [""] * 4
    assert (checked.did, "all is as it should be" in checked.said) == ([], True)
    assert [re.sub("A{30,}\\d", "THUMBPRINT", deed) for deed in done.did] == [
        re.sub("A{30,}\\d", "THUMBPRINT", deed) for deed in pasted.did
    ]


def _of_role(role: str, folder: Path) -> str:
    """The script as a role makes it of the one file."""
    path = rig.ROOT / "roles" / role
    task = {"ansible.builtin.copy": {"content": f"{{{{ {role}_script }}}}", "dest": str(folder / "made.ps1"), "mode": "0600"}}
    words = {"role_path": str(path), "ansible_user": "ldfleet", "ansible_python_interpreter": sys.executable}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": words,
        "vars_files": [str(path / "vars" / "main.yml")],
        "tasks": [task],
    }
    (folder / "made.json").write_text(json.dumps([play]), encoding="utf-8")
    done = rig.playbook(Path("localhost,"), folder, str(folder / "made.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "made.ps1").read_text(encoding="ascii")


@WAYS
def test_all_that_is_done_was_told_before(engine: Path, tmp_path: Path, order: bootstrap.Order) -> None:
    """When the first deed fails, the whole list has been said already."""
    lines = ["Start-Script $it -Check", "$world.broken = '*'", "Start-Script $it"]
    told, broken = run(engine, tmp_path / "data", lines, {"it": order})
    (listed,) = ([line for line in ran.said.splitlines() if line.startswith("  - ")] for ran in (told,))
    assert len(listed) > 5
    assert all(line in broken.said for line in listed)
    assert broken.did == []


def test_winrm_is_as_the_order_says(engine: Path, tmp_path: Path) -> None:
    (ran,) = run(engine, tmp_path / "data", ["Start-Script $it"], {"it": WINRM})
    world = ran.world
    assert world["members"] == ["Administrator", "ldfleet"]
    assert ran.password == "correct horse"
    assert world["services"]["WinRM"] == {"Status": "Running", "StartType": "Automatic"}
    assert world["settings"]["Service\\Auth\\Basic"] == world["settings"]["Service\\AllowUnencrypted"] == "false"
    assert world["settings"]["MaxEnvelopeSizekb"] == "500"
    assert world["settings"]["Shell\\MaxShellsPerUser"] == "2147483647"
    assert list(world["registry"].values()) == [1]
    assert world["rules"]["ldfleet-winrm-https"]["Addresses"] == ["10.0.0.5", "10.0.1.0/255.255.255.240"]
    assert {name: rule["Enabled"] for name, rule in world["rules"].items() if name != "ldfleet-winrm-https"} == {
        "WINRM-HTTP-In-TCP": "False", "WINRM-HTTP-In-TCP-PUBLIC": "False", "Other": "True",
    }  # fmt: skip
    (thumbprint,) = world["certificates"]
    assert (world["listener"]["CertificateThumbprint"], world["listener"]["Port"]) == (thumbprint, "5986")
    (made,) = [deed for deed in ran.did if deed.startswith("certificate ")]
    names = made.partition("{text}")[2].split("&")
    assert {"DNS=WS-01", "IPAddress=10.0.0.11", "DNS=ws-01.example.net", "IPAddress=192.0.2.1"} <= set(names)
    assert not any("127." in name or "169.254." in name for name in names)
    public = (tmp_path / "data" / STATE / "WS-01.cer").read_text(encoding="ascii").splitlines()
    assert (public[0], public[-1]) == ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
    assert base64.b64decode("".join(public[1:-1])).startswith(b"certificate 1 ")
    for line in (*bootstrap.variables(WINRM), "  ws-01: {ansible_host: 10.0.0.11}", f"The certificate is {thumbprint}."):
        assert line in ran.said.splitlines()


#: Controllers in several spellings -> the same in others, and who is not the same.
SPELT = ("10.0.0.5", "10.0.1.0/28", "10.1.0.0/16", "172.16.0.0/12", "2001:db8::5", "2001:db8:1::/48", "2001:db8:2::8/125")
ALIKE = (
    "10.0.0.5/32",
    "10.0.1.0/255.255.255.240",
    "10.1.0.0/16",
    "172.16.0.0-172.31.255.255",
    "2001:DB8::5",
    "2001:db8:1:0::/48",
    "2001:db8:2::8/125",
)
OTHERS = [
    (*SPELT[:-1], "2001:db8:2::8/126"),
    SPELT[:-1],
    (*SPELT, "10.0.0.6"),
    ("10.0.0.4", *SPELT[1:]),
    ("10.0.0.5", "10.0.1.0/27", *SPELT[2:]),
]


@pytest.mark.parametrize("tells", ["prefix", "capitals", "whole", "range"])
def test_a_rule_holds_however_windows_tells_its_addresses(engine: Path, tmp_path: Path, tells: str) -> None:
    orders = {"it": bootstrap.Order("ldfleet", SPELT), "alike": bootstrap.Order("ldfleet", ALIKE)}
    orders |= {f"other{number}": bootstrap.Order("ldfleet", other) for number, other in enumerate(OTHERS)}
    lines = [f"$world.tells = '{tells}'; Start-Script $it", "Start-Script $it", "Start-Script $alike"]
    lines += [f"Start-Script $other{number} -Check" for number in range(len(OTHERS))]
    lines += ["$world.rules['ldfleet-winrm-https'].Addresses = @('Any')", "Start-Script $it -Check"]
    first, second, alike, *others = run(engine, tmp_path / "data", lines, orders)
    assert [ran.fault for ran in (first, second, alike, *others)] == [""] * (3 + len(others))
    assert second.did == alike.did == []
    assert ["the firewall lets" in ran.said for ran in others] == [True] * (len(OTHERS) + 1)


def test_what_the_guide_shows_is_what_the_script_says(engine: Path, tmp_path: Path) -> None:
    """But for the domain that this machine may be in."""
    (shown,) = pages.blocks(rig.ROOT / "docs" / "guides" / "bootstrap.md", "text")
    (ran,) = run(engine, tmp_path / "data", ["Start-Script $it -Check"], {"it": bootstrap.Order("ldfleet", ("10.0.0.5",))})
    said = iter(re.sub(r", WS-01\.[^,]+", "", ran.said).splitlines())
    assert [line for line in shown.text.splitlines() if line not in said] == []


def test_the_password_is_nowhere_but_in_the_account(engine: Path, tmp_path: Path) -> None:
    (ran,) = run(engine, tmp_path / "data", ["Start-Script $it"], {"it": WINRM}, password="planted-secret")
    assert ran.password == "planted-secret"
    assert "planted" not in json.dumps([ran.did, ran.said, ran.world])
    assert not any(b"planted" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_ssh_is_as_the_order_says(engine: Path, tmp_path: Path) -> None:
    keys = tmp_path / "data" / "ssh" / "administrators_authorized_keys"
    (ran,) = run(engine, tmp_path / "data", ["Start-Script $it"], {"it": SSH}, password="")
    world = ran.world
    assert world["capability"] == "Installed"
    assert world["services"]["sshd"] == {"Status": "Running", "StartType": "Automatic"}
    assert world["registry"] == {"HKLM:\\SOFTWARE\\OpenSSH\\DefaultShell": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"}
    assert world["rules"]["OpenSSH-Server-In-TCP"]["Enabled"] == "False"
    assert (world["rules"]["ldfleet-ssh"]["Port"], world["rules"]["ldfleet-ssh"]["Addresses"]) == ("22", ["10.0.0.5"])
    assert world["rules"]["WINRM-HTTP-In-TCP"]["Enabled"] == "True"
    assert keys.read_text(encoding="ascii") == f"{KEY}\n"
    assert len(ran.password) > 40
    order = [ran.did.index(deed) for deed in ("switch off OpenSSH-Server-In-TCP", "start sshd")]
    assert order == sorted(order)


# ---- what was there before ------------------------------------------------------------------------------------------------------------


def test_undo_leaves_what_was_there_before(engine: Path, tmp_path: Path) -> None:
    """An account, a listener, rights and quotas that the script found: it does not take away what it did not make."""
    lines = [
        "$world.users.ldfleet = @{ Name = 'ldfleet'; Enabled = $true; Description = 'of a person' }; $world.members += 'ldfleet'",
        "$world.services.WinRM = @{ Status = 'Running'; StartType = 'Automatic' }",
        "$world.registry['HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\LocalAccountTokenFilterPolicy'] = 0",
        "$world.listener = @{ Port = '5999'; Hostname = 'old'; CertificateThumbprint = 'CC DD'; Enabled = 'true' }",
        "Start-Script $it -Check", "Start-Script $it", "Start-Script $it -Undo",
    ]  # fmt: skip
    before, first, undone = run(engine, tmp_path / "data", lines, {"it": WINRM})
    assert not [
        deed for deed in [*first.did, *undone.did] if "user" in deed or "member" in deed or "service" in deed or deed.startswith("st")
    ]
    before.world["listener"]["CertificateThumbprint"] = "CCDD"
    assert undone.world == before.world


def test_undo_leaves_what_somebody_changed_since(engine: Path, tmp_path: Path) -> None:
    lines = [
        "Start-Script $it",
        "$world.settings['MaxEnvelopeSizekb'] = '8192'; $world.users.ldfleet.Description = 'adopted by a person'",
        "$world.listener.CertificateThumbprint = 'EE'",
        "Start-Script $it -Undo",
    ]
    _, undone = run(engine, tmp_path / "data", lines, {"it": WINRM})
    assert undone.fault == ""
    assert undone.world["settings"]["MaxEnvelopeSizekb"] == "8192"
    assert "ldfleet" in undone.world["users"]
    assert undone.world["listener"]["CertificateThumbprint"] == "EE"


def test_keys_of_others_stay(engine: Path, tmp_path: Path) -> None:
    keys = tmp_path / "data" / "ssh" / "administrators_authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text("ssh-ed25519 AAAA person", encoding="ascii")
    run(engine, tmp_path / "data", ["Start-Script $it"], {"it": SSH})
    assert keys.read_text(encoding="ascii") == f"ssh-ed25519 AAAA person\n{KEY}\n"
    run(engine, tmp_path / "data", ["$null = Add-WindowsCapability", "Start-Script $it -Undo"], {"it": SSH})
    assert keys.read_text(encoding="ascii") == "ssh-ed25519 AAAA person\n"


def test_another_order_changes_what_differs_and_undo_takes_all_of_it_back(engine: Path, tmp_path: Path) -> None:
    other = bootstrap.Order("other", ("10.0.0.6",), 5987, names=("ws-01.example.org",))
    lines = ["Start-Script $it -Check", "Start-Script $it", "Start-Script $other", "Start-Script $other", "Start-Script $it -Undo"]
    before, _, changed, same, undone = run(engine, tmp_path / "data", lines, {"it": WINRM, "other": other})
    assert changed.world["rules"]["ldfleet-winrm-https"]["Addresses"] == ["10.0.0.6"]
    assert changed.world["listener"]["Port"] == "5987"
    assert len(changed.world["certificates"]) == 2
    assert {"ldfleet", "other"} < set(changed.world["users"])
    assert same.did == []
    assert undone.world == before.world


def test_a_given_certificate_is_used_and_kept(engine: Path, tmp_path: Path) -> None:
    given = bootstrap.Order("ldfleet", ("10.0.0.5",), thumbprint="B" * 40)
    lines = [
        "Start-Script $it",
        "$mine = New-SelfSignedCertificate -Subject 'CN=mine' -NotAfter ([DateTime]::Now.AddDays(9)); $mine.Thumbprint = 'B' * 40",
        "$world.certificates = @{ ('B' * 40) = $mine }",
        "$mine.HasPrivateKey = $false", "Start-Script $it", "$mine.HasPrivateKey = $true",
        "$mine.NotAfter = [DateTime]::Now.AddDays(-1)", "Start-Script $it", "$mine.NotAfter = [DateTime]::Now.AddDays(9)",
        "Start-Script $it", "Start-Script $it -Undo",
    ]  # fmt: skip
    absent, keyless, expired, ran, undone = run(engine, tmp_path / "data", lines, {"it": given})
    for bad, says in ((absent, "there is no certificate"), (keyless, "without its private key"), (expired, "was good until")):
        assert says in bad.fault
        assert bad.did == []
    assert (ran.fault, ran.world["listener"]["CertificateThumbprint"], ran.world["listener"]["Hostname"]) == ("", "B" * 40, "mine")
    assert undone.world["certificates"] == ["B" * 40]
    assert undone.world["listener"] is None


# ---- what goes wrong ------------------------------------------------------------------------------------------------------------------


def test_members_of_domains_that_are_gone_do_not_matter(engine: Path, tmp_path: Path) -> None:
    """They have no name any more, and may have nothing else either."""
    lines = ["$world.orphans = @('S-1-5-21-7-8-9-1104', 'one without SID')"]
    lines += [f"Start-Script $it {words}" for words in ("-Check", "", "", "-Undo")]
    lines += [
        "$world.members += 'LDFleet'",
        "$world.users.LDFleet = @{ Name = 'LDFleet'; Enabled = $true; Description = '' }",
        "Start-Script $it",
    ]
    before, first, second, undone, found = run(engine, tmp_path / "data", lines, {"it": WINRM})
    assert [ran.fault for ran in (before, first, second, undone, found)] == [""] * 5
    assert first.world["members"] == ["Administrator", "ldfleet"]
    assert second.did == []
    assert undone.world == before.world
    assert not [deed for deed in found.did if "member" in deed]


def test_who_became_a_member_meanwhile_is_one(engine: Path, tmp_path: Path) -> None:
    """Windows says MemberExists then. What it says else is a failure, and what does not hold in spite of its word, too."""
    lines = [
        "$world.users.ldfleet = @{ Name = 'ldfleet'; Enabled = $true; Description = '' }; $world.members += 'ldfleet'",
        "$world.hidden = @('ldfleet'); Start-Script $it", "Start-Script $it", "Start-Script $it -Undo",
    ]  # fmt: skip
    met, again, undone = run(engine, tmp_path / "data", lines, {"it": WINRM})
    assert (met.fault, again.fault, again.did, undone.fault) == ("", "", [], "")
    assert not [deed for deed in [*met.did, *undone.did] if "member" in deed]
    (broken,) = run(engine, tmp_path / "other", ["$world.broken = 'add member*'", "Start-Script $it"], {"it": WINRM})
    assert "'administrators' failed: broken: add member ldfleet" in broken.fault


def test_a_member_that_cannot_be_taken_out_is_told(engine: Path, tmp_path: Path) -> None:
    """The account was there before, so it stays: with these rights, if nobody says so."""
    lines = [
        "$world.users.ldfleet = @{ Name = 'ldfleet'; Enabled = $true; Description = '' }", "Start-Script $it",
        "$world.broken = 'remove member*'", "Start-Script $it -Undo", "$world.broken = ''", "Start-Script $it -Undo",
    ]  # fmt: skip
    _, broken, undone = run(engine, tmp_path / "data", lines, {"it": WINRM})
    assert "'administrators' cannot be taken back: broken: remove member ldfleet" in broken.fault
    assert (undone.fault, undone.world["members"]) == ("", ["Administrator"])


@WAYS
def test_wherever_it_breaks_a_rerun_heals_and_undo_takes_all_back(engine: Path, tmp_path: Path, order: bootstrap.Order) -> None:
    """Each deed of a whole run fails once."""
    (whole,) = run(engine, tmp_path / "whole", ["Start-Script $it"], {"it": order})
    lines = ["Start-Script $it -Check"]
    for deed in whole.did:
        pattern = deed.replace("'", "''").replace("[", "`[").partition(" {")[0][:40]
        for then in ("-Undo", ""):
            lines += [f"$world.broken = '{pattern}*'", "Start-Script $it", "$world.broken = ''", f"Start-Script $it {then}"]
        lines += ["Start-Script $it -Undo"]
    before, *ran = run(engine, tmp_path / "data", lines, {"it": order})
    for number, deed in enumerate(whole.did):
        broken, undone, broken_again, healed, back = ran[number * 5 : number * 5 + 5]
        assert "run this again" in broken.fault, deed
        assert broken_again.fault, deed
        assert (undone.fault, healed.fault, back.fault) == ("", "", ""), deed
        assert undone.world == back.world == before.world, deed
        assert {**healed.world, "certificates": 0, "listener": 0} == {**whole.world, "certificates": 0, "listener": 0}, deed


def test_it_wants_an_elevated_powershell_and_an_account_that_may_log_on(engine: Path, tmp_path: Path) -> None:
    lines = [
        "$world.elevated = $false", "Start-Script $it", "$world.elevated = $true",
        "$world.users.ldfleet = @{ Name = 'ldfleet'; Enabled = $false; Description = '' }", "Start-Script $it",
        "Start-Script $it -Chek",
    ]  # fmt: skip
    low, disabled, wrong = run(engine, tmp_path / "data", lines, {"it": WINRM})
    for ran, says in ((low, "elevated"), (disabled, "the account ldfleet is disabled"), (wrong, "Chek")):
        assert says in ran.fault
        assert ran.did == []


def test_the_password_is_asked_for_twice_before_anything_changes(engine: Path, tmp_path: Path) -> None:
    lines = [f"$world.answers = @({answers}); Start-Script $it" for answers in ("'', ''", "'a', 'b'", '"it\'s", "it\'s"')]
    empty, different, good = run(engine, tmp_path / "data", lines, {"it": WINRM}, password="")
    assert (empty.did, different.did) == ([], [])
    assert "a password is wanted" in empty.fault
    assert "two different passwords" in different.fault
    assert (good.fault, good.password) == ("", "it's")


def test_a_record_that_others_wrote_takes_nothing_away_that_is_not_ours(engine: Path, tmp_path: Path) -> None:
    """The folder may be open to the user of the desktop; -Undo runs with all rights."""
    state = tmp_path / "data" / STATE / "winrm.json"
    state.parent.mkdir(parents=True)
    done = [
        {"step": "account", "was": {"accounts": ["Administrator"]}},
        {"step": "closed", "was": {"rules": ["Other"]}},
        {"step": "certificate", "was": {"made": [{"thumbprint": "B" * 40, "names": []}]}},
    ]
    lines = [
        "$world.rules.Other.Enabled = 'False'",
        "$world.certificates = @{ ('B' * 40) = [Certificate]@{ FriendlyName = 'of a person' } }",
    ]
    for records, says in (
        (done, ""),
        ([{"step": "format", "was": {}}], "a step that this script does not know: format"),
        ([{"step": "administrators", "was": {"accounts": ["Administrator"]}}], "is not of this script's making"),
    ):
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps({"version": 1, "done": records}), encoding="ascii")
        state.chmod(THEIRS)
        state.parent.chmod(THEIRS)
        (ran,) = run(engine, tmp_path / "data", [*lines, "Start-Script $it -Undo"], {"it": WINRM})
        assert [deed for deed in ran.did if not deed.startswith("icacls ")] == []
        assert says in ran.fault
        assert bool(says) == bool(ran.fault)


# ---- the simulated host's double --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "order"), [("winrm", WINRM), ("ssh", SSH)])
def test_a_simulated_host_says_and_does_what_the_script_does(engine: Path, tmp_path: Path, role: str, order: bootstrap.Order) -> None:
    """Of the same Windows: each run of the double prints what the real PowerShell prints, and leaves the same world."""
    text = _of_role(role, tmp_path)
    (tmp_path / "role.ps1").write_text(text, encoding="ascii")
    runs = [{"Check": True}, {}, {}, {"Check": True}, {"Undo": True, "Check": True}, {"Undo": True}, {"Undo": True}]
    fleet = {
        "Account": order.account, "Port": order.port, "Controllers": list(order.controllers), "Names": list(order.names), "Thumbprint": "",
        "Key": order.key, "Variables": ["  a: line"],
    }  # fmt: skip
    document = base64.b64encode(json.dumps(fleet).encode()).decode()
    lines = [
        "$world.services.WinRM.Status = 'Running'; $world.services.WinRM.StartType = 'Manual'",
        f"$text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{document}'))",
        "$fleet = @{}; (ConvertFrom-Json -InputObject $text).PSObject.Properties | ForEach-Object { $fleet[$_.Name] = $_.Value }",
        *(f"Start-Script $role {' '.join(f'-{name}' for name in words)} -Fleet $fleet" for words in runs),
    ]
    real = run(engine, tmp_path / "data", [f"$role = '{tmp_path / 'role.ps1'}'", *lines], {})
    with rig.farm(tmp_path / "farm", prefix="ws-", spec=Spec.bare("windows11")) as farm:
        system = farm.hosts[0].world.system
        system.rules["WINRM-HTTP-In-TCP"].enabled, system.services["WinRM"].start = True, "manual"
        system.wsman.update({"Service\\Auth\\Basic": "true", "MaxEnvelopeSizekb": "150", "Shell\\MaxShellsPerUser": "2147483647"})
        before = system.document()
        tasks: list[dict[str, Any]] = [
            {
                "ansible.windows.win_powershell": {"script": text, "parameters": {**words, "Fleet": fleet}},
                "environment": {"LDFLEET_PASSWORD": "planted-secret"},
                "register": f"run_{number}",
            }
            for number, words in enumerate(runs)
        ]
        told = {f"said_{number}": f"{{{{ run_{number}.host_out }}}}" for number in range(len(runs))}
        play = rig.tasks(farm.inventory(), tmp_path, [*tasks, {"ansible.builtin.set_fact": told}])
        assert play.code == 0, play.output
        assert {name: value for name, value in system.document().items() if name != "secrets"} == {
            name: value for name, value in before.items() if name != "secrets"
        }
        assert not farm.hosts[0].world.drive.local("C:\\ProgramData\\ldfleet").exists()
    assert not any(b"planted" in path.read_bytes() for path in (tmp_path / "farm").rglob("*") if path.is_file())
    for number, ran in enumerate(real):
        assert ran.fault == ""
        said = play.one()["ansible_facts"][f"said_{number}"].replace("\r\n", "\n").removesuffix("\n")
        plain = ran.said.replace(str(tmp_path / "data"), "C:\\ProgramData")
        alike = [re.sub(r"\b[0-9A-F]{40}\b|A{30,}\d+", "THUMBPRINT", lines.replace("/", "\\")) for lines in (said, plain)]
        assert re.sub(r", WS-01\.[^,]+(?=,)", "", alike[1]) == alike[0], f"run {number}"
