"""ansible.windows.win_service and win_service_info."""

from __future__ import annotations

import fnmatch

from ..machine.system import Service
from .options import Failed, Option, Spec
from .task import Double, Json, Task

_STATES = ("started", "stopped", "restarted", "absent", "paused")
_UNPLAYED = (
    "dependencies", "error_control", "failure_actions", "failure_actions_on_non_crash_failure", "failure_command", "failure_reboot_msg",
    "failure_reset_period_sec", "load_order_group", "password", "pre_shutdown_timeout_ms", "required_privileges", "service_type", "sid_info",
    "update_password", "username", "desktop_interact",
)  # fmt: skip
_KINDS = {"dependencies": "list", "failure_actions": "raw", "required_privileges": "list", "desktop_interact": "bool"}


def service(task: Task) -> None:
    """win_service."""
    services = task.world.system.services
    name = task.world.system.service(task["name"])
    task.result["exists"] = False
    task.refuse(*_UNPLAYED)
    task.diff = {"before": _diff(name, services[name]) if name else "", "after": ""}
    if task["state"] == "absent":
        if name is not None:
            task.change(lambda gone=name: services.pop(gone))  # type: ignore[misc]
        return
    if name is None:
        if task["path"] is None and all(task[option] is None for option in ("state", "start_mode", "description", "display_name")):
            return
        if task["path"] is None:
            raise Failed(f"Service '{task['name']}' is not installed, need to set 'path' to create a new service")
        name = str(task["name"])
        made = Service(name, path=task["path"])
        task.change(lambda: services.update({name: made}))
    found = services.get(name) or Service(name, path=task["path"])
    _configure(task, found)
    _run(task, name, found)
    after = _diff(name, found)
    task.diff["after"] = after = {**after, **{key: value for key, value in _wanted(task).items() if task.check}}
    state = "running" if after["state"] in ("started", "restarted") else after["state"]
    kept = {key: after[key] for key in ("dependencies", "description", "desktop_interact", "display_name", "name", "path", "start_mode")}
    task.result.update(kept, exists=True, state=state, username="LocalSystem", depended_by=[], can_pause_and_continue=False)


def _wanted(task: Task) -> Json:
    names = ("state", "start_mode", "display_name", "description", "path")
    return {name: task[name] for name in names if task[name] is not None}


def _configure(task: Task, found: Service) -> None:
    for option, field in (("start_mode", "start"), ("display_name", "display"), ("description", "description"), ("path", "path")):
        value = task[option]
        if value is not None and getattr(found, field) != value:
            task.change(lambda field=field, value=value: setattr(found, field, value))  # type: ignore[misc]


def _run(task: Task, name: str, found: Service) -> None:
    wanted = task["state"]
    if wanted == "paused":
        raise Failed(f"failed to pause service {name}: The service does not support pausing")
    running = {"started": True, "restarted": True, "stopped": False}.get(wanted, found.running)
    if running and not found.running and found.start == "disabled" and not task.check:
        raise Failed(
            f"Unhandled exception while executing module: Service '{found.display} ({name})' cannot be started due to the following error: "
            f"Cannot start service {name} on computer '.'."
        )
    if wanted == "restarted" or running != found.running:
        task.change(lambda: setattr(found, "running", running))


def _diff(name: str, found: Service) -> Json:
    return {
        "dependencies": [],
        "description": found.description,
        "desktop_interact": False,
        "display_name": found.display,
        "error_control": "normal",
        "failure_actions": [],
        "failure_actions_on_non_crash_failure": False,
        "failure_command": None,
        "failure_reboot_msg": None,
        "failure_reset_period_sec": 0,
        "load_order_group": "",
        "name": name,
        "password": "REDACTED",
        "path": found.path,
        "pre_shutdown_timeout_ms": 180_000,
        "required_privileges": [],
        "service_type": "win32_share_process",
        "sid_info": "none",
        "start_mode": found.start,
        "state": "started" if found.running else "stopped",
        "username": "NT AUTHORITY\\SYSTEM",
    }


def info(task: Task) -> None:
    """win_service_info: names with wildcards too."""
    wanted = task["name"] or "*"
    services = task.world.system.services
    exact = task.world.system.service(wanted)
    names = [exact] if exact else sorted(name for name in services if fnmatch.fnmatch(name.lower(), wanted.lower()))
    task.result.update(exists=bool(names), services=[_told(name, services[name]) for name in names])


def _told(name: str, found: Service) -> Json:
    shared = {key: value for key, value in _diff(name, found).items() if key != "password"}
    return {
        **shared,
        "checkpoint": 0,
        "controls_accepted": ["stop"] if found.running else [],
        "dependency_of": [],
        "launch_protection": "none",
        "preferred_node": None,
        "process_id": 1200 if found.running else 0,
        "service_exit_code": 0,
        "service_flags": [],
        "triggers": [],
        "wait_hint_ms": 0,
        "win32_exit_code": 0,
    }


DOUBLES = {
    "ansible.windows.win_service": Double(
        Spec(
            {
                "name": Option(required=True),
                "display_name": Option(),
                "description": Option(),
                "path": Option("path"),
                "start_mode": Option(choices=("auto", "manual", "disabled", "delayed")),
                "state": Option(choices=_STATES),
                "force_dependent_services": Option("bool", default=False),
                "dependency_action": Option(default="set", choices=("add", "remove", "set")),
                **{name: Option(_KINDS.get(name, "str"), secret=name == "password") for name in _UNPLAYED},
            },
            by={"password": ("username",)},
        ),
        service,
    ),
    "ansible.windows.win_service_info": Double(Spec({"name": Option()}), info),
}
