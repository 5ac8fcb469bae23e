"""Playbooks through ansible-runner: the package's only door to Ansible, and the only importer of ansible_runner.

A run gets a private folder of its own that is removed at its end; nothing secret is handed over (connections take theirs from the inventory).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

COLLECTION = "ldfleet.ldplayer"


@dataclass(frozen=True)
class HostResult:
    """What the last task of ours returned for one host. ``status``: ok, changed, failed or unreachable."""

    host: str
    status: str
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """A piece of Ansible's output. ``event``: what ansible-runner calls it (``runner_on_file_diff``); ``host``: whose it is, or empty."""

    event: str
    host: str
    text: str


@dataclass(frozen=True)
class Run:
    """``code``: the exit code of ansible-playbook. ``hosts``: by name, for tasks of this collection only."""

    code: int
    hosts: Mapping[str, HostResult] = field(default_factory=dict)

    def changed(self) -> list[str]:
        """Hosts that report a change."""
        return [name for name, host in self.hosts.items() if host.result.get("changed")]


def play(
    playbook: str,
    inventory: Sequence[Path],
    options: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    show: Callable[[Said], None] | None = None,
) -> Run:
    """Run one of the collection's playbooks (``converge``, ``plan``, ``status``) and return what each host reported.

    ``options``: further options of ansible-playbook (``--check``). ``show`` is given Ansible's output as it comes.
    Relative paths of inventories start at the current folder.
    """
    hosts: dict[str, HostResult] = {}

    def on_event(event: Mapping[str, Any]) -> bool:
        if show is not None and event.get("stdout"):
            host = str((event.get("event_data") or {}).get("host") or "")
            show(Said(str(event.get("event")), host, str(event["stdout"]).replace("\r\n", "\n")))
        reported = _reported(event)
        if reported is not None:
            hosts[reported.host] = reported
        return False  # nothing is kept on disk

    with tempfile.TemporaryDirectory(prefix="ldfleet-run-") as folder:
        runner = ansible_runner.run(
            private_data_dir=folder,
            playbook=f"{COLLECTION}.{playbook}",
            cmdline=" ".join(_quoted([*(word for path in inventory for word in ("-i", str(path.resolve()))), *options])),
            extravars=dict(variables or {}),
            envvars=_environment(),
            event_handler=on_event,
            cancel_callback=lambda: False,  # without one, the runner replaces the signal handlers of this process for good
            settings={"suppress_ansible_output": True, "pexpect_timeout": 1},
            quiet=True,
        )
        return Run(int(runner.rc), hosts)


def _quoted(words: Sequence[str]) -> list[str]:
    import shlex

    return [shlex.quote(word) for word in words]


def _reported(event: Mapping[str, Any]) -> HostResult | None:
    status = _STATUS.get(str(event.get("event")))
    data = event.get("event_data") or {}
    action = str(data.get("resolved_action") or data.get("task_action") or "")
    if status is None or not action.startswith(f"{COLLECTION}."):
        return None
    result = data.get("res") or {}
    return HostResult(str(data.get("host")), "changed" if status == "ok" and result.get("changed") else status, result)


_STATUS = {"runner_on_ok": "ok", "runner_on_failed": "failed", "runner_on_unreachable": "unreachable"}


def _environment() -> dict[str, str]:
    """Ansible's settings for our runs: the checkout's collection where there is one, else the one on sys.path."""
    settings = {
        "ANSIBLE_FORKS": "50",
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_NOCOWS": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_FORCE_COLOR" if sys.stdout.isatty() else "ANSIBLE_NOCOLOR": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    checkout = Path(__file__).parents[2] / ".build"
    if (checkout / "ansible_collections").is_dir():
        settings["ANSIBLE_COLLECTIONS_PATH"] = str(checkout)
    return settings
