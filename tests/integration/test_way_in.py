"""Hosts with several ways in, through real Ansible and its real connections: the first that leads in is taken by all later tasks, and it is told why
others do not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

import fleets
import rig
from ldfleet.sim.farm import Farm
from ldfleet.sim.wire.faults import WireFault

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no program ssh")

#: Nobody may ever read this.
SECRET = "Plantedd-7Hx!wrong"
GROUP = "ldplayer_ways"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with rig.farm(tmp_path / "farm", https=True, ssh=True) as made:
        yield made


def way(farm: Farm, kind: str, name: str = "", **changes: Any) -> dict[str, Any]:
    """A way into the only host of a farm. ``changes``: variables in place of the right ones, None for none."""
    found = farm.inventory(kind)["ldplayer"]
    (own,) = found["hosts"].values()
    said = {**found["vars"], **own, **changes}
    return {"name": name or kind, "variables": {word: value for word, value in said.items() if value is not None}}


def inventory(ways: list[dict[str, Any]], **variables: Any) -> dict[str, Any]:
    return {
        "ldplayer": {"hosts": {"sim-01": {"ldplayer_ways": ways, "ldplayer_ways_timeout": 4, **variables}}},
        GROUP: {"hosts": {"sim-01": {}}},
    }


#: Two plays after the choice: ours over the raw route, and Ansible's own.
LATER = """
- name: Way in
  ansible.builtin.import_playbook: ldfleet.ldplayer.way_in
- name: Later
  hosts: ldplayer
  gather_facts: false
  tasks:
    - ldfleet.ldplayer.emulator_info:
      register: ours
    - ansible.builtin.raw: hostname
      register: raw
    - ansible.builtin.debug:
        msg: "way={{ ldplayer_way }} over={{ ansible_connection }} emulators={{ ours.emulators | length }} name={{ raw.stdout | trim }}"
"""


def run(folder: Path, hosts: dict[str, Any], play: str = LATER, *options: str, core: str | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (folder / "play.yml").write_text(textwrap.dedent(play), encoding="utf-8")
    return rig.playbook(folder / "hosts.yml", folder, str(folder / "play.yml"), *options, core=core)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All output, without the breaks that older releases put into warnings."""
    return " ".join((done.stdout + done.stderr).split())


#: What is wrong with the first way: the kind of way, its variables, a fault of the host, and what is said of it.
BROKEN: dict[str, tuple[str, dict[str, Any], WireFault | None, str, str]] = {
    "port closed": ("ntlm", {"ansible_port": 1}, None, "Connection refused", "Check ansible_host and ansible_port"),
    "wrong password": ("ntlm", {"ansible_password": SECRET}, None, "credentials were rejected", "Check ansible_user, ansible_password"),
    "bad certificate": ("ntlm", {"ansible_winrm_ca_trust_path": None}, None, "certificate verify failed", "Give the host a certificate"),
    "stalled over winrm": (
        "ntlm",
        {},
        WireFault("Create", "stall", seconds=9),
        "timed out: no answer within 4 s",
        "Check that the host is up",
    ),
    "stalled over psrp": (
        "psrp",
        {},
        WireFault("Create", "stall", seconds=9),
        "timed out: no answer within 4 s",
        "Check that the host is up",
    ),
    "stalled over ssh": (
        "ssh",
        {},
        WireFault("Command", "stall", seconds=9),
        "timed out: no answer within 4 s",
        "Check that the host is up",
    ),
    "key refused": ("ssh", {"ansible_user": "nobody"}, None, "Permission denied", "that the host knows the key"),
    "port closed for ssh": ("ssh", {"ansible_port": 1}, None, "Connection refused", "the service sshd runs"),
    "a password that is not there": ("psrp", {"ansible_password": "{{ not_there }}"}, None, "'not_there' is undefined", ""),
    "no connection for Windows": ("ntlm", {"ansible_connection": "local"}, None, "winrm, psrp, ssh is wanted", ""),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_next_way_takes_over_and_says_why(farm: Farm, tmp_path: Path, broken: str) -> None:
    kind, changes, fault, reason, advice = BROKEN[broken]
    second = "ntlm" if kind == "ssh" else "ssh"
    if fault is not None:
        farm.endpoints[0].wire.inject(fault)
    done = run(tmp_path, inventory([way(farm, kind, "first", **changes), way(farm, second, "second")]))
    told = said(done)
    assert done.returncode == 0, told
    assert f"way=second over={'winrm' if second == 'ntlm' else 'ssh'} emulators=1 name=SIM-01" in told
    assert "sim-01 is reached on the way second, since others did not lead in: first (" in told
    assert reason in told
    assert advice in told
    took = re.search(r"did not lead in: first \((\d+\.\d) s\)", told)
    assert took is not None
    assert float(took[1]) < 7  # a host that stalls does so for 9 s, and is given 4
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("core", ["2.16", "2.17", "2.18", None])
def test_every_supported_core(farm: Farm, tmp_path: Path, core: str | None) -> None:
    if core is not None and core not in rig.CORES:
        pytest.skip(f"ansible-core {core} is not laid out (make setup does it)")
    ways = [
        way(farm, "psrp", ansible_port=1),
        way(farm, "certificate", ansible_winrm_cert_pem="/nonexistent"),
        way(farm, "ssh"),
        way(farm, "ntlm"),
    ]
    done = run(tmp_path, inventory(ways), core=core)
    assert done.returncode == 0, said(done)
    assert "way=ssh over=ssh emulators=1 name=SIM-01" in said(done)
    assert re.search(r"psrp \(\d\.\d s\):.*certificate \(\d\.\d s\):", said(done))


def test_a_later_play_with_an_ordinary_module_goes_the_same_way(farm: Farm, tmp_path: Path) -> None:
    """No request came over WinRM, and yet it was answered."""
    play = LATER + "    - ansible.windows.win_ping:\n"
    done = run(tmp_path, inventory([way(farm, "psrp", ansible_port=1), way(farm, "ssh")]), play, "-vvv")
    assert done.returncode == 0, said(done)
    assert re.search("ping\\W+pong", said(done))
    assert farm.endpoints[0].wire.counters.requests == 0


def test_all_ways_down_is_one_unreachable_with_every_reason(farm: Farm, tmp_path: Path) -> None:
    ways = [way(farm, "ntlm", "https", ansible_port=1), way(farm, "ssh", ansible_user="nobody")]
    done = run(tmp_path, inventory(ways))
    assert done.returncode == 4, said(done)
    result = json.loads((tmp_path / "results" / "sim-01.json").read_text(encoding="utf-8"))
    assert result["unreachable"]
    assert re.fullmatch(
        r"sim-01: no way leads in: https \(\d\.\d s\): .*Connection refused; ssh \(\d\.\d s\): .*Permission denied.*"
        r"\. https: Check ansible_host and ansible_port.*; ssh: Check ansible_user and ansible_ssh_private_key_file.*",
        result["msg"],
    ), result["msg"]
    assert [(attempt["way"], attempt["outcome"]) for attempt in result["tried"]] == [("https", "failed"), ("ssh", "failed")]
    assert done.stdout.count("UNREACHABLE!") == 1


def test_a_wrong_password_is_tried_once(farm: Farm, tmp_path: Path) -> None:
    """Also where several ways have it; another password of theirs is another matter."""
    wrong = {"ansible_password": SECRET}
    ways = [
        way(farm, "ntlm", **wrong),
        way(farm, "psrp", **wrong),
        way(farm, "basic", **wrong),
        way(farm, "psrp", "other", ansible_password="Another-1"),
    ]
    done = run(tmp_path, inventory(ways))
    assert done.returncode == 4, said(done)
    assert farm.endpoints[0].wire.counters.auth_failures == 2
    assert said(done).count("was not tried: it has the account and password that were refused on the way ntlm") >= 2
    assert len(re.findall('"outcome": "(failed)"', done.stdout)) == 2


def test_a_host_that_is_closed_is_not_asked_again_in_the_same_run(farm: Farm, tmp_path: Path) -> None:
    """Though the way in was only found shut and the play went on: accounts lock."""
    play = """
    - hosts: ldplayer
      gather_facts: false
      ignore_unreachable: true
      tasks:
        - ldfleet.ldplayer.select_connection:
          register: ldplayer_way_in
        - ldfleet.ldplayer.emulator_info:
        - ldfleet.ldplayer.emulators: {emulators: []}
    """
    base = way(farm, "ntlm", ansible_password=SECRET)
    done = run(tmp_path, inventory([base], **base["variables"]), play)
    assert done.stdout.count("no way leads in: ntlm") >= 3, said(done)
    assert farm.endpoints[0].wire.counters.auth_failures == 1


# ---- memory -------------------------------------------------------------------------------------------------------------------------

CHOOSE = """
- hosts: ldplayer
  gather_facts: false
  tasks:
    - ldfleet.ldplayer.select_connection: {}
"""


def _choose(folder: Path, hosts: dict[str, Any]) -> dict[str, Any]:
    done = run(folder, hosts, CHOOSE)
    found: dict[str, Any] = json.loads((folder / "results" / "sim-01.json").read_text(encoding="utf-8"))
    return {**found, "said": said(done)}


def test_what_worked_is_tried_first_next_time_and_the_list_after_it(farm: Farm, tmp_path: Path) -> None:
    right, wrong = way(farm, "ntlm"), way(farm, "ntlm", ansible_password=SECRET)
    first = _choose(tmp_path, inventory([wrong, way(farm, "ssh")]))
    assert (first["way"], first["first"], first["remembered"], len(first["tried"])) == ("ssh", False, "", 2)
    again = _choose(tmp_path, inventory([wrong, way(farm, "ssh")]))
    assert (again["way"], again["first"], again["remembered"], len(again["tried"])) == ("ssh", False, "ssh", 1)
    assert farm.endpoints[0].wire.counters.auth_failures == 1
    assert "sim-01 is reached on the way ssh, which worked last time; the first of its ways, ntlm, was not tried" in again["said"]
    back = _choose(tmp_path, inventory([right, way(farm, "ssh", ansible_port=1)]))
    assert [(attempt["way"], attempt["outcome"]) for attempt in back["tried"]] == [("ssh", "failed"), ("ntlm", "ok")]
    assert (back["first"], back["notes"]) == (True, [])
    assert _choose(tmp_path, inventory([right, way(farm, "ssh")]))["tried"][0]["way"] == "ntlm"


@pytest.mark.parametrize("left", ["", "gone\n", "../../etc\n", "\0" * 10, "x" * 5000])
def test_a_memory_that_says_something_else_is_passed_over(farm: Farm, tmp_path: Path, left: str) -> None:
    _choose(tmp_path, inventory([way(farm, "ntlm")]))
    (kept,) = (tmp_path / "home" / "ldfleet" / "ways").iterdir()
    kept.write_text(left, encoding="utf-8")
    found = _choose(tmp_path, inventory([way(farm, "ntlm"), way(farm, "ssh")]))
    assert (found["way"], kept.read_text(encoding="utf-8")) == ("ntlm", "ntlm\n")


def test_a_memory_that_cannot_be_written_is_a_warning(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    play = CHOOSE.replace("{}", f"{{memory: {tmp_path / 'file'}/ways}}")
    done = run(tmp_path, inventory([way(farm, "ntlm")]), play)
    assert done.returncode == 0
    assert "sim-01: which way worked cannot be remembered in" in said(done)


# ---- nothing secret -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("core", ["2.16", "2.18", None])
def test_no_secret_in_the_loudest_output_or_in_any_file(farm: Farm, tmp_path: Path, core: str | None) -> None:
    if core is not None and core not in rig.CORES:
        pytest.skip(f"ansible-core {core} is not laid out (make setup does it)")
    secret = "{{ lookup('ansible.builtin.env', 'PLANTED') }}"
    os.environ["PLANTED"] = SECRET
    try:
        ways = [way(farm, "ntlm", ansible_password=secret), way(farm, "ssh", ansible_winrm_password=secret)]
        done = run(tmp_path, inventory(ways), LATER, "-vvvv", core=core)
    finally:
        del os.environ["PLANTED"]
    assert done.returncode == 0, said(done)
    assert "way=ssh" in said(done)
    assert SECRET not in done.stdout + done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file() and farm.folder not in file.parents]
    assert any(file.name.startswith("sim-01-") for file in files)
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def test_no_secret_in_what_the_runner_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    with fleets.site(tmp_path, hosts=2, replicas=2, https=True, ssh=True) as site:
        _declare(site, "ntlm", "ssh")
        site.words["ways"][0]["variables"]["ansible_password"] = SECRET
        site.write()
        heard: list[str] = []
        kept = fleets.Fleet(site.path, artifacts=tmp_path / "kept")
        planned = kept.plan(watch=lambda event: heard.append(repr(event)))
        assert (len(planned.steps), planned.faults) == (4, ())
    assert any("reached on the way ssh" in text for text in heard)
    assert SECRET not in "".join(heard) + repr(planned) + json.dumps(planned.json())
    files = [*(tmp_path / "kept").rglob("*"), *(tmp_path / "home").rglob("*")]
    assert files
    assert [file for file in files if file.is_file() and SECRET.encode() in file.read_bytes()] == []


# ---- fleets -------------------------------------------------------------------------------------------------------------------------


def _declare(site: fleets.Site, *kinds: str) -> None:
    """Ways for all hosts, with each host's own ports."""
    found = {kind: site.farm.inventory(kind)["ldplayer"] for kind in kinds}
    site.words["vars"] = {"ldplayer_ways_timeout": 4}
    site.words["ways"] = [{"name": kind, "variables": dict(found[kind]["vars"])} for kind in kinds]
    for name, host in site.words["hosts"].items():
        for word in [word for word in host if word.startswith("ansible_")]:
            del host[word]
        host["ways"] = [{"name": kind, "variables": dict(found[kind]["hosts"][name])} for kind in kinds]


def test_a_fleet_is_planned_applied_and_looked_at_over_what_leads_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    with fleets.site(tmp_path, hosts=3, replicas=3, https=True, ssh=True) as site:
        _declare(site, "psrp", "ssh")
        site.words["hosts"]["sim-02"]["ways"][0]["variables"]["ansible_port"] = 1
        site.agreed()
        assert len(site.replicas()) == 3
        mark = site.fleet.plan().fingerprint
        site.words["hosts"]["sim-01"]["ways"][1]["variables"]["ansible_winrm_password"] = SECRET  # of ssh, which does not read it
        assert site.fleet.plan().fingerprint == mark  # ways are no part of what a plan is made from
        site.words["hosts"]["sim-03"]["ways"] = [
            {"name": "psrp", "variables": {"ansible_port": 1}},
            {"name": "ssh", "variables": {"ansible_port": 1}},
        ]
        part = site.fleet.status()
        assert [name for name, host in part.hosts.items() if host.problem] == ["sim-03"]
        assert "no way leads in: psrp (" in part.hosts["sim-03"].problem
        assert {name: host.running for name, host in part.hosts.items() if not host.problem} == {"sim-01": 1, "sim-02": 1}
        for host in site.words["hosts"].values():
            for lead in host["ways"]:
                lead["variables"]["ansible_port"] = 1
        dark = site.fleet.plan()
        assert (dark.steps, len([name for name, host in dark.hosts.items() if host.problem])) == ((), 3)


def test_what_declares_no_ways_costs_nothing(tmp_path: Path) -> None:
    """No task, no connection, no command and no file more: what happens is what happened before there were ways."""
    with fleets.site(tmp_path, hosts=2, replicas=2) as site:
        path = site.write()
        done = rig.playbook(path, tmp_path, "ldfleet.ldplayer.plan")
        assert done.returncode == 0, done.stdout
        assert "Find the way that works" not in done.stdout
        assert "WARNING" not in done.stdout + done.stderr
        for endpoint in site.farm.endpoints:  # the look, and the plan of the only wave
            assert (endpoint.wire.counters.connections, endpoint.wire.counters.creates) == (2, 2)
    assert not (tmp_path / "home" / "ldfleet").exists()


def test_an_inventory_without_the_group_has_no_ways_either(farm: Farm, tmp_path: Path) -> None:
    hosts = farm.inventory()
    done = run(tmp_path, hosts, LATER.replace("way={{ ldplayer_way }} ", ""))
    assert done.returncode == 0, said(done)
    assert "Find the way that works" not in done.stdout
    assert "WARNING" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ({"ws-01": {"ways": [{"name": "ssh"}]}}, "hosts.ws-01.ways names 'ssh' without variables; did you mean sshd?"),
        ({"ws-01": {"ways": [{"nam": "ssh"}]}}, "did you mean name?"),
        ({"ws-01": {"ways": [{"name": "a b", "variables": {"x": 1}}]}}, "at most 63 letters"),
        (
            {"ws-01": {"ways": [{"name": "a", "variables": {"x": 1}}, {"name": "a", "variables": {"x": 1}}]}},
            "each way wants a name of its own",
        ),
        ({"ws-01": {"ways": "{{ all }}"}}, "a list of ways is wanted"),
    ],
)
def test_wrong_words_are_named_with_their_line(tmp_path: Path, hosts: dict[str, Any], told: str) -> None:
    words = {"plugin": "ldfleet.ldplayer.fleet", "ways": [{"name": "sshd", "variables": {"ansible_connection": "ssh"}}], "hosts": hosts}
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(words), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "inventory", "-i", str(tmp_path / "fleet.yml"), "--list"],
        cwd=rig.ROOT, env=rig.environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told in done.stdout + done.stderr


def test_fifty_hosts_and_several_runs_at_once_remember_each_their_own(tmp_path: Path) -> None:
    """The file of the memory from many processes: whole, and nobody's work is undone."""
    script = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.linking import Memory\n"
        "memory = Memory(Path(sys.argv[1]))\n"
        "for host in range(50): memory.keep(f'ws/{host}', f'way-{host}')\n"
        "assert [memory.recall(f'ws/{host}') for host in range(50)] == [f'way-{host}' for host in range(50)]\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(rig.ROOT / ".build")}

    def one(_number: int) -> int:
        return subprocess.run([sys.executable, "-c", script, str(tmp_path / "ways")], env=environment, check=False, timeout=100).returncode

    with ThreadPoolExecutor(4) as several:
        assert set(several.map(one, range(4))) == {0}
    files = list((tmp_path / "ways").iterdir())
    assert len(files) == 50
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
