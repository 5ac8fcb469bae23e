"""Bad words and bad hosts: each ends in one clear message that names the thing and what to do, never in a traceback, and nothing is lost.

The cases are data (tests/cases/bad-input). All cases of a file run as hosts of one play, so that one start of Ansible serves them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import rig
from ldfleet.sim.farm import PASSWORD, USER, Farm, Plan
from ldfleet.sim.ldplayer.layout import Spec
from ldfleet.sim.wire.server import LOOPBACK

CASES = Path(__file__).parents[1] / "cases" / "bad-input"
INSTALL = ("C:\\LDPlayer\\LDPlayer9", "C:\\leidian\\LDPlayer9")


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
    return found


def _told(message: str, parts: list[str]) -> bool:
    position = 0
    for part in parts:
        position = message.find(part, position)
        if position < 0:
            return False
    return True


def _assert_calm(play: rig.Play) -> None:
    assert "Traceback" not in play.output
    assert "Unexpected failure" not in play.output


def test_wrong_words_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    cases = _cases("invented-words.yml")
    with rig.farm(tmp_path / "farm") as farm:
        inventory = farm.inventory()
        group = inventory["ldplayer"]
        (connection,) = group["hosts"].values()
        group["hosts"] = {f"case-{number:02d}": {**connection, "case": case["arguments"]} for number, case in enumerate(cases)}
        play = rig.ansible(inventory, tmp_path, "emulators", "{{ case }}")
        assert farm.hosts[0].counters.batches == 0
        assert farm.endpoints[0].wire.counters.requests == 0
    _assert_calm(play)
    wrong = {
        case["why"]: play.results[f"case-{number:02d}"].get("msg")
        for number, case in enumerate(cases)
        if not play.results[f"case-{number:02d}"].get("failed") or not _told(play.results[f"case-{number:02d}"]["msg"], case["says"])
    }
    assert wrong == {}, "\n".join(f"{why}: {found}" for why, found in wrong.items())


class Hosts:
    """A farm with one host a case, each in the state that its case says."""

    def __init__(self, folder: Path, cases: list[dict[str, Any]]) -> None:
        self.cases = cases
        self.farms = [Farm(Plan(skip=True, powershell_start=0.0, spec=self._spec(case)), folder / str(n)) for n, case in enumerate(cases)]
        for farm, case in zip(self.farms, cases, strict=True):
            self._prepare(farm, case)

    @staticmethod
    def _spec(case: dict[str, Any]) -> Spec:
        return Spec.chinese() if case.get("chinese") else Spec(**case.get("spec", {}))

    @staticmethod
    def _prepare(farm: Farm, case: dict[str, Any]) -> None:
        world = farm.hosts[0].world
        for title in case.get("has", ()):
            world.add(title)
        for title in case.get("running", ()):
            world.launch(world.find(title))
        world.settle()
        if "config" in case:
            world.config_path(world.find("scout").index).write_bytes(case["config"].encode("latin-1"))
        for name, value in case.get("quirks", {}).items():
            if name == "list2_instead":
                value = value.encode("latin-1")
            assert hasattr(world.quirks, name), name
            setattr(world.quirks, name, set(value) if isinstance(value, list) else value)

    def inventory(self) -> dict[str, Any]:
        hosts = {}
        for number, (farm, case) in enumerate(zip(self.farms, self.cases, strict=True)):
            (host,) = farm.inventory("basic")["ldplayer"]["hosts"].values()
            arguments = {"emulators": case["entries"], "time_slice": 600, **case.get("options", {})}
            if "install_dir" in case:
                arguments["install_dir"] = case["install_dir"]
            hosts[f"case-{number:02d}"] = {**host, "case": arguments}
        return {"ldplayer": {"hosts": hosts, "vars": self.farms[0].inventory("basic")["ldplayer"]["vars"]}}

    def files(self) -> list[dict[str, bytes]]:
        """Every config of every host."""
        return [
            {path.name: path.read_bytes() for folder in INSTALL for path in _configs(farm.hosts[0].world.drive.local(folder))}
            for farm in self.farms
        ]

    def __enter__(self) -> Hosts:
        for farm in self.farms:
            farm.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for farm in self.farms:
            farm.__exit__(*error)


def _configs(folder: Path) -> list[Path]:
    return sorted((folder / "vms" / "config").glob("leidian*.config"))


def test_bad_hosts_are_named_and_nothing_on_them_is_lost(tmp_path: Path) -> None:
    cases = _cases("invented-hosts.yml")
    with Hosts(tmp_path / "farms", cases) as hosts:
        before = hosts.files()
        play = rig.ansible(hosts.inventory(), tmp_path, "emulators", "{{ case }}", "--forks", "8")
        after = hosts.files()
    _assert_calm(play)
    wrong = {}
    for number, case in enumerate(cases):
        result = play.results[f"case-{number:02d}"]
        if not result.get("failed") or not _told(result["msg"], case["says"]):
            wrong[case["why"]] = result.get("msg", "it did not fail")
        elif "config" in case and after[number]["leidian1.config"] != case["config"].encode("latin-1"):
            wrong[case["why"]] = "its garbled config was changed"
        elif not set(before[number]) <= set(after[number]):
            wrong[case["why"]] = "an emulator is gone"
    assert wrong == {}, "\n".join(f"{why}: {found}" for why, found in wrong.items())


def test_odd_hosts_and_words_that_are_right_are_carried_out(tmp_path: Path) -> None:
    cases = _cases("invented-odd-but-right.yml")
    with Hosts(tmp_path / "farms", cases) as hosts:
        play = rig.ansible(hosts.inventory(), tmp_path, "emulators", "{{ case }}", "--forks", "8")
        if any(case.get("rerun") for case in cases):
            rerun = rig.ansible(hosts.inventory(), tmp_path, "emulators", "{{ case }}", "--forks", "8")
        titles = [farm.hosts[0].world.titles() for farm in hosts.farms]
    _assert_calm(play)
    wrong = {}
    for number, case in enumerate(cases):
        result = (rerun if case.get("rerun") else play).results[f"case-{number:02d}"]
        if result.get("failed"):
            wrong[case["why"]] = result["msg"]
        elif titles[number] != case["titles"]:
            wrong[case["why"]] = titles[number]
        elif not case.get("rerun") and rerun.results[f"case-{number:02d}"]["changed"]:
            wrong[case["why"]] = rerun.results[f"case-{number:02d}"]["actions"]
    assert wrong == {}, "\n".join(f"{why}: {found}" for why, found in wrong.items())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"ansible_password": "wrong"}, "Check ansible_user, ansible_password and ansible_winrm_transport"),
        ({"ansible_port": 9}, "Check ansible_host and ansible_port, and that WinRM listens there"),
        ({"ansible_connection": "ssh", "ansible_port": 9, "ansible_shell_type": "powershell"}, "Check ansible_host and ansible_port"),
    ],
)
def test_a_host_that_cannot_be_reached_is_unreachable_and_says_what_to_check(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        inventory = farm.inventory()
        inventory["ldplayer"]["hosts"]["sim-01"].update(more)
        play = rig.ansible(inventory, tmp_path, "emulator_info", {})
    assert play.one()["unreachable"]
    assert says in play.one()["msg"], play.one()["msg"]
    assert PASSWORD not in play.output
    _assert_calm(play)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm", https=True) as farm:
        inventory = farm.inventory()
        assert rig.ansible(inventory, tmp_path, "emulator_info", {}).code == 0
        del inventory["ldplayer"]["vars"]["ansible_winrm_ca_trust_path"]
        play = rig.ansible(inventory, tmp_path, "emulator_info", {})
    assert play.one()["unreachable"]
    assert "Give the host a certificate that the controller trusts" in play.one()["msg"]
    _assert_calm(play)


def test_a_dead_host_costs_one_timeout(tmp_path: Path) -> None:
    """A listener that takes the connection and never answers: the read timeout passes once, and no second try follows."""
    import socket

    with socket.create_server((LOOPBACK, 0), backlog=8) as silent:
        host = {"ansible_host": LOOPBACK, "ansible_port": silent.getsockname()[1], "ansible_connection": "winrm", "ansible_user": USER}
        timeouts = {"ansible_winrm_operation_timeout_sec": 1, "ansible_winrm_read_timeout_sec": 2, "ansible_password": "x"}
        inventory = {"all": {"hosts": {"ws-01": {**host, **timeouts, "ansible_winrm_scheme": "http"}}}}
        play = rig.ansible(inventory, tmp_path, "emulator_info", {})
    assert play.one()["unreachable"]
    assert play.one()["round_trips"] == 1
    assert "Check that the host is up" in play.one()["msg"]
