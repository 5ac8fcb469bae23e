"""Who may connect, as whom, by which port: what `ldfleet bootstrap` takes, the roles take, and what it refuses, they refuse, in the same words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import rig
from ldfleet import bootstrap
from ldfleet.cli import app

Case = dict[str, Any]
CASES: dict[str, list[Case]] = yaml.safe_load((rig.ROOT / "tests" / "cases" / "door" / "invented-values.yml").read_text(encoding="utf-8"))
#: Kind of case -> option of the verb, variable of the role without its prefix, word of the script's table, and whether variable and word are lists.
DOORS = {
    "controllers": ("--controller", "controllers", "Controllers", True),
    "accounts": ("--account", "account", "Account", False),
    "ports": ("--port", "port", "Port", False),
    "names": ("--name", "names", "Names", True),
    "thumbprints": ("--thumbprint", "thumbprint", "Thumbprint", False),
}
WINRM: Case = {"account": "ldfleet", "controllers": ["10.0.0.9"], "port": 5986, "names": [], "thumbprint": ""}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZsZWV0ZmxlZXRmbGVldGZsZWV0ZmxlZXRmbGVldGZs fleet"
SSH: Case = {"account": "ldfleet", "controllers": ["10.0.0.9"], "key": KEY}


def _cases() -> Iterator[tuple[str, Case]]:
    yield from ((kind, case) for kind, cases in CASES.items() for case in cases)


def _of_role(said: list[Case], folder: Path, role: str, core: str | None = None) -> list[dict[str, Any]]:
    """What the filter of the roles makes of each, in a real Ansible."""
    content = f"{{{{ said | map('ldfleet.ldplayer.letting_in', '{role}') | list | to_json }}}}"
    task = {"ansible.builtin.copy": {"content": content, "dest": str(folder / "made.json"), "mode": "0600"}}
    done = _play(folder, {"vars": {"said": said}, "tasks": [task]}, core)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "made.json").read_text(encoding="utf-8"))
    return found


def _play(folder: Path, own: dict[str, Any], core: str | None = None) -> subprocess.CompletedProcess[str]:
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, **own}
    play["vars"] = {"ansible_python_interpreter": sys.executable, **own.get("vars", {})}
    (folder / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    return rig.playbook(Path("localhost,"), folder, str(folder / "play.json"), core=core)


@pytest.mark.parametrize("core", [None, "2.16"])
def test_the_roles_take_what_the_table_says(tmp_path: Path, core: str | None) -> None:
    said = [{**WINRM, DOORS[kind][1]: [case["said"]] if DOORS[kind][3] else case["said"]} for kind, case in _cases()]
    for (kind, case), found in zip(_cases(), _of_role(said, tmp_path, "winrm", core), strict=True):
        _, variable, word, several = DOORS[kind]
        if "gives" in case:
            assert found == {
                "fleet": {**found["fleet"], word: [case["gives"]] if several else case["gives"]}, "problems": [],
            }, case  # fmt: skip
        else:
            (problem,) = found["problems"]
            assert problem.startswith(f"winrm_{variable}{'[0]' if several else ''} cannot be used: "), case
            assert case["refused"] in problem, case
            assert found["fleet"][word] in ([], "", 0), case


@pytest.mark.parametrize(("kind", "case"), [pytest.param(kind, case, id=f"{kind}-{case['said']}") for kind, case in _cases()])
def test_the_verb_takes_what_the_table_says(tmp_path: Path, kind: str, case: Case) -> None:
    option = DOORS[kind][0]
    words = {"--account": "ldfleet", "--controller": "10.0.0.9", option: str(case["said"])}
    file = ["--file", str(tmp_path / "fleet.yml")]
    done = CliRunner().invoke(app, ["bootstrap", *file, *(word for pair in words.items() for word in pair)], env={"COLUMNS": "600"})
    if "gives" not in case:
        assert (done.exit_code, done.stdout) == (2, "")
        assert case["refused"] in " ".join(done.stderr.replace("│", " ").split())
        return
    value = (case["gives"],) if DOORS[kind][3] else case["gives"]
    name = {"ports": "port", "accounts": "account", "thumbprints": "thumbprint"}.get(kind, kind)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == bootstrap.script(bootstrap.Order(**{"account": "ldfleet", "controllers": ("10.0.0.9",), name: value}))


ODD: list[tuple[str, Case, list[str]]] = [
    (
        "winrm",
        {"controllers": "10.0.0.5"},
        ["winrm_controllers is '10.0.0.5'; a list of addresses and networks that may connect is wanted"],
    ),
    ("winrm", {"controllers": []}, ["winrm_controllers is empty; a list of addresses"]),
    ("winrm", {"controllers": [{}, 7]}, ["winrm_controllers[0] cannot be used", "winrm_controllers[1] cannot be used: '7' is no address"]),
    ("winrm", {"account": ""}, ["winrm_account is empty; a local account is wanted, which a way without ansible_user does not tell"]),
    ("winrm", {"names": "ws-01"}, ["winrm_names is 'ws-01'; a list"]),
    ("winrm", {"port": "https"}, ["winrm_port cannot be used: 'https' is no port"]),
    ("winrm", {"port": 70000, "thumbprint": "1"}, ["winrm_port cannot be used: 70000 is no port", "winrm_thumbprint cannot be used"]),
    ("winrm", {"port": "5987"}, []),
    ("ssh", {"key": ""}, ["ssh_key cannot be used: this is no public key"]),
    ("ssh", {"key": "-----BEGIN OPENSSH PRIVATE KEY-----"}, ["ssh_key cannot be used: this is the private half"]),
    ("ssh", {"key": "ssh-ed25519 AAAA me"}, ["ssh_key cannot be used: this is no public key"]),
    ("ssh", {"account": "CORP\\admin"}, ["ssh_account cannot be used: 'CORP\\admin' is no name of a local Windows account"]),
]


@pytest.mark.parametrize("role", ["winrm", "ssh"])
def test_what_no_option_of_the_verb_can_be_is_named_too(tmp_path: Path, role: str) -> None:
    own = [(said, problems) for of, said, problems in ODD if of == role]
    found = _of_role([{**(WINRM if role == "winrm" else SSH), **said} for said, _ in own], tmp_path, role)
    for (said, problems), made in zip(own, found, strict=True):
        assert len(made["problems"]) == len(problems), said
        assert all(told.startswith(wanted) for told, wanted in zip(made["problems"], problems, strict=True)), (said, made["problems"])


def test_each_controller_is_told_once(tmp_path: Path) -> None:
    said = {**SSH, "controllers": ["2001:DB8::5", "10.0.0.5/32", "10.0.0.5", "2001:db8:0::5"], "key": f"\n{KEY}\n"}
    (found,) = _of_role([said], tmp_path, "ssh")
    assert found["problems"] == []
    assert found["fleet"] == {
        "Account": "ldfleet", "Port": 22, "Controllers": ["2001:db8::5", "10.0.0.5"], "Names": [], "Thumbprint": "", "Key": KEY, "Variables": [],
    }  # fmt: skip


@pytest.mark.parametrize("core", [None, "2.16"])
@pytest.mark.parametrize(
    ("role", "variables", "says"),
    [
        ("winrm", {"winrm_port": 5555, "winrm_account": "CORP\\admin"}, ["winrm_port cannot be used: 5555 is one of adb's ports", "CORP"]),
        ("winrm", {"winrm_controllers": "10.0.0.5"}, ["winrm_controllers is '10.0.0.5'; a list"]),
        ("ssh", {"ssh_controllers": ["10.0.0.5/24"]}, ["ssh_controllers[0] cannot be used: '10.0.0.5/24' is no address and no network"]),
    ],
)
def test_a_role_says_so_before_it_asks_the_host(
    tmp_path: Path, role: str, variables: dict[str, Any], says: list[str], core: str | None
) -> None:
    """The host here is no Windows, and would fail at the first question."""
    own = {f"{role}_account": "ldfleet", f"{role}_controllers": ["10.0.0.9"], **({"ssh_key": KEY} if role == "ssh" else {}), **variables}
    done = _play(tmp_path, {"roles": [{"role": f"ldfleet.ldplayer.{role}", "vars": own}]}, core)
    told = " ".join((done.stdout + done.stderr).replace("\\\\", "\\").replace('\\"', '"').split())
    assert done.returncode == 2, told
    assert [text for text in says if text not in told] == [], told
    assert "win_ping" not in told
    assert "Know that the host answers" not in told
