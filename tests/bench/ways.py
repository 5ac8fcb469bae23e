"""The ways to do the same work that the bench compares: ldfleet, a playbook that loops `raw`, bare pywinrm in threads, and Ansible with nothing to do.

Each way is one call that returns when it is done and raises when it did not succeed. Nothing is timed or counted here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import winrm

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PLAYBOOK_SECONDS = 300
_LIST2 = r'& "C:\LDPlayer\LDPlayer9\ldconsole.exe" list2'


class DidNotWork(RuntimeError):
    """A way did not do its work, so its time means nothing; the text is what it said last."""


def environment(folder: Path) -> dict[str, str]:
    """What Ansible needs to find the collection; what it keeps lies in ``folder``."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join((str(_ROOT / ".build"), str(_ROOT / ".cache" / "collections"))),
        "ANSIBLE_NOCOLOR": "1",
    }


@dataclass(frozen=True)
class Site:
    """Where the ways work: hosts by inventory, and a folder of ours."""

    inventory: Mapping[str, Any]
    folder: Path

    def nothing(self) -> None:
        """Ansible's own start."""
        self._play(str(_HERE / "empty.yml"))

    def converge(self, emulators: int, cpu: int, *options: str) -> None:
        """ldfleet's playbook, as users run it. A time slice that holds all of LDPlayer's own work, so that round trips can be compared."""
        declared = {
            "ldplayer_emulators": [{"name": "farm", "count": emulators, "cpu": cpu, "memory": 2048, "adb": "local", "state": "stopped"}],
            "ldplayer_time_slice": 600,
        }
        self._play("ldfleet.ldplayer.converge", "-e", json.dumps(declared), *options)

    def check(self) -> None:
        """ldfleet's playbook in check mode, for what the inventory itself declares."""
        self._play("ldfleet.ldplayer.converge", "--check")

    def raw_loop(self, cpu: int) -> None:
        """One `raw` an emulator to read its settings, one more where they differ."""
        self._play(str(_HERE / "raw_loop.yml"), "-e", json.dumps({"cpu": cpu}))

    def bare_list2(self) -> None:
        """pywinrm alone, one thread a host, one PowerShell that runs list2: what no other client does with less."""
        group = self.inventory["ldplayer"]
        ports = [host["ansible_port"] for host in group["hosts"].values()]
        with ThreadPoolExecutor(len(ports)) as threads:
            for code in threads.map(lambda port: _list2(port, group["vars"]), ports):
                if code != 0:
                    raise DidNotWork(f"list2 exited with {code}")

    def _play(self, playbook: str, *options: str) -> None:
        (self.folder / "inventory.json").write_text(json.dumps(self.inventory), encoding="utf-8")
        program = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [str(program), "-i", str(self.folder / "inventory.json"), playbook, *options],
            cwd=_ROOT, env=environment(self.folder), capture_output=True, text=True, timeout=_PLAYBOOK_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise DidNotWork(f"{playbook} exited with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


def _list2(port: int, variables: Mapping[str, str]) -> int:
    session = winrm.Session(
        f"http://{variables['ansible_host']}:{port}/wsman",
        auth=(variables["ansible_user"], variables["ansible_password"]),
        transport=variables["ansible_winrm_transport"],
    )
    return int(session.run_ps(_LIST2).status_code)
