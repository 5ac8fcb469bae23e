"""The verb `ldfleet bootstrap`: what it takes from the fleet file, what it refuses, and that it writes where it is told to."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ldfleet import bootstrap, door, project
from ldfleet.cli import app

_BODY = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode("ascii")
KEY = f"ssh-ed25519 {_BODY} ops@controller"
ME = ["--account", "ldfleet", "--controller", "10.0.0.5"]


def _run(*words: str, folder: Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["bootstrap", "--file", str(folder / "fleet.yml"), *words], env={"COLUMNS": "400"})
    return done.exit_code, done.stdout, " ".join(done.stderr.replace("│", " ").split())


def test_options_are_enough_where_there_is_no_file(tmp_path: Path) -> None:
    code, out, err = _run(*ME, "-c", "10.0.1.0/28", "-c", "10.0.0.5/32", folder=tmp_path)
    assert (code, err) == (0, "")
    assert out == bootstrap.script(bootstrap.Order("ldfleet", ("10.0.0.5", "10.0.1.0/28")))


def test_account_and_port_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yml"
    file.write_text("plugin: ldfleet.ldplayer.fleet\nvars: {ansible_user: ops, ansible_port: 5999}\n", encoding="utf-8")
    code, out, _ = _run("-c", "10.0.0.5", folder=tmp_path)
    assert (code, out) == (0, bootstrap.script(bootstrap.Order("ops", ("10.0.0.5",), 5999)))
    code, out, _ = _run("-c", "10.0.0.5", "--account", "other", "--port", "6000", folder=tmp_path)
    assert (code, out) == (0, bootstrap.script(bootstrap.Order("other", ("10.0.0.5",), 6000)))
    (tmp_path / "id.pub").write_text(f"{KEY}\n", encoding="ascii")
    code, out, _ = _run("-c", "10.0.0.5", "--ssh", "--key", str(tmp_path / "id.pub"), folder=tmp_path)
    assert (code, out) == (0, bootstrap.script(bootstrap.Order("ops", ("10.0.0.5",), 22, key=KEY)))


def test_a_file_that_init_made_will_do(tmp_path: Path) -> None:
    project.init(tmp_path)
    code, out, _ = _run("-c", "fd00::5", folder=tmp_path)
    assert (code, out) == (0, bootstrap.script(bootstrap.Order("Administrator", ("fd00::5",))))


def test_the_script_goes_into_a_file_with_windows_line_ends(tmp_path: Path) -> None:
    out = tmp_path / "bootstrap.ps1"
    thumbprint = "aa:BB " + "c" * 36
    code, told, _ = _run(*ME, "--thumbprint", thumbprint, "--name", "ws-01", "--out", str(out), folder=tmp_path)
    assert code == 0
    assert "bootstrap.ps1 -Check" in told
    order = bootstrap.Order("ldfleet", ("10.0.0.5",), names=("ws-01",), thumbprint="AABB" + "C" * 36)
    assert out.read_bytes() == bootstrap.script(order).replace("\n", "\r\n").encode("ascii")
    code, _, err = _run(*ME, "--out", str(tmp_path / "nowhere" / "x.ps1"), folder=tmp_path)
    assert code == 2
    assert "x.ps1 cannot be written" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-c", "10.0.0.5"], "fleet.yml is not there; `ldfleet init` makes one, or give --account"),
        (["--account", "ldfleet"], "the firewall lets in no others"),
        ([*ME, "-c", "anybody"], "'anybody' is no address and no network"),
        ([*ME, "-c", "10.0.0.5/24"], "has host bits set"),
        ([*ME, "-c", "0.0.0.0/0"], "is not what a controller can have"),
        ([*ME, "-c", "::/0"], "is not what a controller can have"),
        ([*ME, "-c", "224.0.0.1"], "is not what a controller can have"),
        ([*ME, "-c", "fe80::1%eth0"], "has a zone"),
        (["-c", "10.0.0.5", "--account", "DOMAIN\\ops"], "is no name of a local Windows account"),
        (["-c", "10.0.0.5", "--account", "ops@example.net"], "is no name of a local Windows account"),
        (["-c", "10.0.0.5", "--account", ""], "is no name of a local Windows account"),
        (["-c", "10.0.0.5", "--account", "x" * 21], "is no name of a local Windows account"),
        (["-c", "10.0.0.5", "--account", "a\nb"], "other than printable ASCII"),
        (["-c", "10.0.0.5", "--account", "\u2019; exit"], "other than printable ASCII"),
        ([*ME, "--port", "5985"], "is WinRM's port for plain HTTP"),
        ([*ME, "--port", "0"], "--port"),
        ([*ME, "--thumbprint", "12"], "is no thumbprint: 40 hexadecimal digits"),
        ([*ME, "--name", "ws 01"], "is no host name and no address"),
        ([*ME, "--name", "a&DNS=b"], "is no host name and no address"),
        ([*ME, "--ssh"], "wants the file of the controller's public key"),
        ([*ME, "--ssh", "--key", "nowhere.pub"], "nowhere.pub cannot be read"),
        ([*ME, "--ssh", "--key", "k", "--port", "2222"], "sshd listens at 22"),
        ([*ME, "--ssh", "--key", "k", "--name", "ws-01"], "--thumbprint and --name are for WinRM"),
        ([*ME, "--ssh", "--key", "k", "--thumbprint", "A" * 40], "--thumbprint and --name are for WinRM"),
        ([*ME, "--key", "k"], "a key is for --ssh"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, words: list[str], says: str) -> None:
    code, out, err = _run(*words, folder=tmp_path)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vars: {ansible_port: 5986}", "does not say ansible_user in its vars"),
        ("vars: {ansible_user: 7}", "does not say ansible_user in its vars"),
        ('vars: {ansible_user: "{{ said }}"}', "is no name of a local Windows account"),
        ("vars: {ansible_user: !vault x}", "does not say ansible_user in its vars"),
        ("vars: [1]", "does not say ansible_user in its vars"),
        ("vars: {ansible_user: ops, ansible_port: 5985}", "is WinRM's port for plain HTTP"),
        ("vars: {ansible_user: ops, ansible_port: 70000}", "70000 is no port"),
        ("- 1", "is no fleet file"),
        ("{", "is no YAML"),
    ],
)
def test_what_the_file_says_is_checked_as_well(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "fleet.yml").write_text(text, encoding="utf-8")
    code, out, err = _run("-c", "10.0.0.5", folder=tmp_path)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "this is the private half"),
        (f"{KEY}\n{KEY}\n", "is no public key"),
        (f'command="cmd" {KEY}', "is no public key"),
        ("ssh-ed25519 AAAA me", "is no public key"),
        (f"ssh-rsa {_BODY} me", "is no public key"),
        (f"ssh-ed25519 {_BODY} \u2019me", "other than printable ASCII"),
        (f"ssh-ed25519 {_BODY} a\tb", "other than printable ASCII"),
    ],
)
def test_a_key_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(door.BadValue, match=says):
        door.public_key(text)


def test_keys_are_taken_as_openssh_writes_them() -> None:
    assert door.public_key(f"\n{KEY}\r\n") == KEY
    assert door.public_key(f"ssh-ed25519 {_BODY}\n") == f"ssh-ed25519 {_BODY}"
