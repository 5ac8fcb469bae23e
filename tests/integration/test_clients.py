"""Unmodified clients speak to the simulated host: pywinrm, pypsrp's shells and runspaces, OpenSSH, asyncssh and ansible's own plugins."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
import winrm
from pypsrp.client import Client
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process as PsrpProcess
from pypsrp.shell import WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

import rig
from ldfleet.sim.engines import powershell
from ldfleet.sim.farm import PASSWORD, USER, Farm
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.machine import certificates
from ldfleet.sim.wire import ways
from ldfleet.sim.wire.faults import WireFault
from ldfleet.sim.wire.quotas import Quotas
from ldfleet.sim.wire.server import Policy


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with rig.farm(tmp_path_factory.mktemp("http")) as farm:
        yield farm


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with rig.farm(tmp_path_factory.mktemp("https"), https=True) as farm:
        yield farm


def _session(farm: Farm, transport: str, password: str = PASSWORD, **more: str) -> winrm.Session:
    scheme, endpoint = ("https", farm.endpoints[0].https_port) if farm.plan.https else ("http", farm.endpoints[0].http_port)
    if farm.plan.https:
        more.setdefault("ca_trust_path", str(farm.server.certificate))
    return winrm.Session(f"{scheme}://127.0.0.1:{endpoint}/wsman", auth=(USER, password), transport=transport, **more)


@pytest.mark.parametrize(("transport", "encryption", "requests"), [("basic", "auto", 5), ("ntlm", "auto", 8), ("ntlm", "never", 7)])
def test_pywinrm_over_http(http: Farm, transport: str, encryption: str, requests: int) -> None:
    http.endpoints[0].wire.reset()
    said = _session(http, transport, message_encryption=encryption).run_cmd("hostname")
    assert (said.status_code, said.std_out, said.std_err) == (0, b"SIM-01\r\n", b"")
    assert http.endpoints[0].wire.counters.requests == requests


@pytest.mark.parametrize("transport", ["ssl", "ntlm"])
def test_pywinrm_over_https_with_a_certificate_that_it_checks(https: Farm, transport: str) -> None:
    assert _session(https, transport).run_cmd("whoami").std_out == b"sim-01\\administrator\r\n"


def test_an_unknown_certificate_is_refused_by_the_client(https: Farm) -> None:
    with pytest.raises(Exception, match="certificate verify failed"):
        _session(https, "ntlm", ca_trust_path="legacy_requests").run_cmd("hostname")


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_a_wrong_password_is_refused(http: Farm, transport: str) -> None:
    before = http.endpoints[0].wire.counters.auth_failures
    with pytest.raises(InvalidCredentialsError):
        _session(http, transport, "wrong").run_cmd("hostname")
    assert http.endpoints[0].wire.counters.auth_failures > before


def _pypsrp(farm: Farm, auth: str, **more: object) -> WSMan:
    port = farm.endpoints[0].https_port if farm.plan.https else farm.endpoints[0].http_port
    options = {"ssl": farm.plan.https, "port": port, "username": USER, "password": PASSWORD, "auth": auth, **more}
    if farm.plan.https:
        options["cert_validation"] = str(farm.server.certificate)
    return WSMan("127.0.0.1", **options)


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
@pytest.mark.parametrize("tls", [False, True])
def test_pypsrp_shell(http: Farm, https: Farm, auth: str, tls: bool) -> None:
    encryption = {} if tls else {"encryption": "never" if auth == "basic" else "always"}
    wsman = _pypsrp(https if tls else http, auth, **encryption)
    with wsman, WinRS(wsman) as shell:
        process = PsrpProcess(shell, "ldconsole", ["list2"])
        process.invoke()
        assert (process.rc, process.stdout) == (0, b"0,LDPlayer,0,0,0,-1,-1,1600,900,240\r\n")


def test_pypsrp_wrong_password(http: Farm) -> None:
    wsman = _pypsrp(http, "negotiate", password="wrong")
    with pytest.raises(AuthenticationError), wsman, WinRS(wsman):
        pass


def test_pypsrp_client(http: Farm) -> None:
    client = Client("127.0.0.1", ssl=False, port=http.endpoints[0].http_port, username=USER, password=PASSWORD, auth="ntlm")
    with client:
        out, err, code = client.execute_cmd(r"reg query HKLM\SYSTEM\CurrentControlSet\Control\Nls\CodePage /v ACP")
    assert "ACP    REG_SZ    1252" in out
    assert (err, code) == ("", 0)


def test_two_hosts_take_the_same_user_with_different_passwords(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "a", password="one") as one, rig.farm(tmp_path / "b", password="other") as other:
        assert _session(one, "ntlm", "one").run_cmd("hostname").status_code == 0
        assert _session(other, "ntlm", "other").run_cmd("hostname").status_code == 0
        with pytest.raises(InvalidCredentialsError):
            _session(one, "ntlm", "other").run_cmd("hostname")


def test_windows_own_policy_refuses_basic_and_clear_text(tmp_path: Path) -> None:
    with rig.farm(tmp_path, policy=Policy(basic=False, allow_unencrypted=False)) as farm:
        assert _session(farm, "ntlm").run_cmd("hostname").status_code == 0
        with pytest.raises(InvalidCredentialsError):
            _session(farm, "basic").run_cmd("hostname")
        with pytest.raises((InvalidCredentialsError, WinRMTransportError)):
            _session(farm, "ntlm", message_encryption="never").run_cmd("hostname")


def test_output_larger_than_an_envelope_comes_in_pieces(http: Farm) -> None:
    text = "0123456789" * 20_000
    (http.hosts[0].world.drive.local("C:\\") / "big.txt").write_text(text)
    said = _session(http, "ntlm").run_cmd("type C:\\big.txt")
    assert said.std_out.decode() == text


def test_an_unknown_command_and_a_line_that_is_too_long(http: Farm) -> None:
    session = _session(http, "basic")
    assert b"is not recognized" in session.run_cmd("nonsense").std_err
    assert session.run_cmd("echo " + "x" * 9000).std_err == b"The command line is too long.\r\n"


def test_shells_beyond_the_quota_are_refused(tmp_path: Path) -> None:
    with rig.farm(tmp_path, quotas=Quotas(shells_per_user=2)) as farm:
        wsman = _pypsrp(farm, "basic", encryption="never")
        with WinRS(wsman), WinRS(wsman), pytest.raises(WSManFaultError, match=r"2150859173|shells"), WinRS(wsman):
            pass
        assert farm.endpoints[0].shells.open_shells == 0


@pytest.mark.parametrize("kind", ["drop", "lost_reply", "truncate", "status"])
def test_faults_of_the_wire_reach_the_client(http: Farm, kind: str) -> None:
    http.endpoints[0].wire.inject(WireFault("Command", kind))
    with pytest.raises(Exception):  # noqa: B017, PT011 - each client library words a broken wire in its own exception
        _session(http, "basic").run_cmd("hostname")
    assert _session(http, "basic").run_cmd("hostname").status_code == 0


# ---- a client's certificate ---------------------------------------------------------------------------------------------------------


def _certified(farm: Farm, **more: str) -> winrm.Session:
    assert farm.client is not None
    certificate, key = map(str, farm.client)
    return _session(farm, "certificate", **{"cert_pem": certificate, "cert_key_pem": key, **more})


def test_pywinrm_with_a_certificate_of_its_own(https: Farm) -> None:
    assert _certified(https).run_cmd("whoami").std_out == b"sim-01\\administrator\r\n"


def test_pypsrp_with_a_certificate_of_its_own(https: Farm) -> None:
    assert https.client is not None
    certificate, key = map(str, https.client)
    wsman = _pypsrp(https, "certificate", certificate_pem=certificate, certificate_key_pem=key, username=None, password=None)
    with wsman, WinRS(wsman) as shell:
        process = PsrpProcess(shell, "whoami")
        process.invoke()
        assert process.stdout == b"sim-01\\administrator\r\n"


def test_a_certificate_that_nobody_trusts_gets_no_connection(https: Farm, tmp_path: Path) -> None:
    strange, key = certificates.client(tmp_path, USER)
    with pytest.raises(OSError, match=r"alert|reset|EOF|aborted|closed"):
        _certified(https, cert_pem=str(strange), cert_key_pem=str(key)).run_cmd("whoami")


def test_certificates_are_refused_where_windows_refuses_them(tmp_path: Path) -> None:
    with rig.farm(tmp_path, https=True, policy=Policy(certificate=False)) as farm, pytest.raises(InvalidCredentialsError):
        _certified(farm).run_cmd("whoami")


# ---- PSRP ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
@pytest.mark.parametrize("tls", [False, True])
def test_pypsrp_runspaces(http: Farm, https: Farm, auth: str, tls: bool) -> None:
    encryption = {} if tls else {"encryption": "never" if auth == "basic" else "always"}
    with _pypsrp(https if tls else http, auth, **encryption) as wsman, RunspacePool(wsman) as pool:
        for _ in range(2):
            shell = PowerShell(pool)
            shell.add_script("& C:\\LDPlayer\\LDPlayer9\\ldconsole.exe list2\nexit $LASTEXITCODE")
            assert shell.invoke() == ["0,LDPlayer,0,0,0,-1,-1,1600,900,240"]
            assert not shell.had_errors


def test_a_script_that_is_not_known_fails_and_says_so(http: Farm) -> None:
    with _pypsrp(http, "ntlm") as wsman, RunspacePool(wsman) as pool:
        shell = PowerShell(pool)
        shell.add_script("Get-Process | Where-Object { $_.Id -gt 4 }")
        assert shell.invoke() == []
        assert shell.had_errors
        assert "this engine runs single commands and ldfleet's own agent, no other PowerShell" in str(shell.streams.error[0])


def test_a_runspace_is_one_powershell_and_one_of_the_users_shells(tmp_path: Path) -> None:
    with rig.farm(tmp_path, quotas=Quotas(shells_per_user=1)) as farm:
        with _pypsrp(farm, "ntlm") as wsman, RunspacePool(wsman) as pool:
            for _ in range(3):
                PowerShell(pool).add_script("hostname").invoke()
            assert farm.hosts[0].counters.powershell_starts == 1
            with pytest.raises(WSManFaultError, match=r"2150859173|shells"):
                RunspacePool(wsman).open()
        assert farm.endpoints[0].shells.open_shells == 0


def test_output_larger_than_an_envelope_comes_in_pieces_over_psrp(http: Farm) -> None:
    lines = [f"{number:05d}" + "x" * 95 for number in range(5000)]
    (http.hosts[0].world.drive.local("C:\\") / "lines.txt").write_text("\n".join(lines))
    with _pypsrp(http, "ntlm") as wsman, RunspacePool(wsman) as pool:
        assert PowerShell(pool).add_script("Get-Content C:\\lines.txt").invoke() == lines


def test_titles_of_a_chinese_windows_come_whole_over_psrp(tmp_path: Path) -> None:
    with rig.farm(tmp_path, spec=Spec.chinese()) as farm, _pypsrp(farm, "ntlm") as wsman, RunspacePool(wsman) as pool:
        console = f"{farm.hosts[0].world.spec.install_dir}\\ldconsole.exe"
        assert PowerShell(pool).add_script(f"& {console} list").invoke() == ["雷电模拟器"]


def test_a_pipeline_that_takes_long_is_stopped(tmp_path: Path) -> None:
    with rig.farm(tmp_path, skip=False) as farm:
        farm.hosts[0].world.quirks.slow_seconds = 20.0
        with _pypsrp(farm, "ntlm", operation_timeout=1) as wsman, RunspacePool(wsman) as pool:
            shell = PowerShell(pool).add_script("& C:\\LDPlayer\\LDPlayer9\\ldconsole.exe list2")
            shell.begin_invoke()
            shell.poll_invoke(timeout=1)
            shell.stop()
            assert PowerShell(pool).add_script("hostname").invoke() == ["SIM-01"]


# ---- SSH ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with rig.farm(tmp_path_factory.mktemp("ssh"), ssh=True) as farm:
        yield farm


def _ssh(farm: Farm, *command: str, user: str = USER, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    rig.usable_way("ssh")
    options = [
        "BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={farm.folder / ways.KNOWN_HOSTS}", "ControlPath=none",
    ]  # fmt: skip
    port, key = str(farm.endpoints[0].ssh_port), str(farm.folder / ways.CLIENT_KEY)
    return subprocess.run(
        ["ssh", "-F", "none", "-p", port, "-i", key, *(part for option in options for part in ("-o", option)), f"{user}@127.0.0.1", *command],
        input=data, capture_output=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("hostname", 0, b"SIM-01\r\n"),
        (r"& C:\LDPlayer\LDPlayer9\ldconsole.exe list2", 0, b"0,LDPlayer,0,0,0,-1,-1,1600,900,240\r\n"),
        ("nonsense", 1, b"is not recognized"),
        ("Get-Process | Out-Null", 1, b"no other PowerShell"),
        ("ldconsole nonsense", 1, b"dnplayer Command Line Management Interface"),
        ("ldconsole nonsense; exit $LASTEXITCODE", -1000 & 0xFF, b"dnplayer Command Line Management Interface"),
    ],
)
def test_openssh(sshd: Farm, command: str, code: int, says: bytes) -> None:
    done = _ssh(sshd, command)
    assert says in done.stdout + done.stderr
    assert done.returncode == code


def test_openssh_with_input(sshd: Farm) -> None:
    before = sshd.hosts[0].counters.powershell_starts
    script = base64.b64encode("\n".join(powershell.BOOTSTRAP).encode("utf-16-le")).decode()
    done = _ssh(
        sshd, f"PowerShell -NoProfile -EncodedCommand {script}", data=b'{"agent":"","batch":{"protocol":7,"id":"' + b"0" * 32 + b'"}}\n'
    )
    assert b'"code": "UnknownProtocol"' in done.stdout
    assert sshd.hosts[0].counters.powershell_starts - before == 2  # the default shell is one


def test_openssh_without_a_user_or_a_command(sshd: Farm) -> None:
    assert b"Permission denied" in _ssh(sshd, "hostname", user="nobody").stderr
    done = _ssh(sshd)
    assert (done.returncode, b"no interactive shell" in done.stderr) == (1, True)


def test_a_password_over_ssh(sshd: Farm) -> None:
    async def run(password: str) -> asyncssh.SSHCompletedProcess:
        known = str(sshd.folder / ways.KNOWN_HOSTS)
        options = {"port": sshd.endpoints[0].ssh_port, "username": USER, "password": password, "client_keys": None, "known_hosts": known}
        async with asyncssh.connect("127.0.0.1", config=None, **options) as connection:
            return await connection.run("hostname")

    assert asyncio.run(run(PASSWORD)).stdout == "SIM-01\r\n"
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(run("wrong"))


# ---- Ansible's own module -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ntlm", "psrp", "ssh"])
def test_ansibles_raw_module(sshd: Farm, tmp_path: Path, way: str) -> None:
    rig.usable_way(way)
    (tmp_path / "inventory.yml").write_text(sshd.inventory_text(way))
    done = subprocess.run(
        [str(rig.BIN / "ansible"), "-i", str(tmp_path / "inventory.yml"), "all", "-m", "raw", "-a", r"& C:\LDPlayer\LDPlayer9\ldconsole.exe list"],
        capture_output=True, text=True, check=False, env=rig.environment(tmp_path),
    )  # fmt: skip
    assert "LDPlayer" in done.stdout, done.stdout + done.stderr
    assert "rc=0" in done.stdout
