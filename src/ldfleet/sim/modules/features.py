"""ansible.windows.win_optional_feature and win_feature: what Windows has built in, on or off. A change waits for the next start, and says so.

Every feature here is one that needs a start (hypervisor, Defender); Windows counts the start as pending in the servicing stack.
"""

from __future__ import annotations

from ..machine.system import PART_OF, System
from .options import Failed, Option, Spec
from .task import Double, Task

#: Who asks for a start: Windows' component based servicing.
SERVICING = "servicing"


def optional(task: Task) -> None:
    """win_optional_feature. One that waits for a start is neither Enabled nor Disabled, so the module changes it again (it compares with `Enabled*`)."""
    system, present = task.world.system, task["state"] == "present"
    task.result["reboot_required"] = False
    names = [_known(system, name) for name in task["name"]]
    if task["source"] is not None:
        task.refuse("source")
    differing = [name for name in names if system.features[name] != present or name in system.pending]
    if present and not task["include_parent"]:
        lacking = next((name for name in differing if not _becomes(system, PART_OF.get(name))), None)
        if lacking is not None:
            raise Failed(
                f"Unhandled exception while executing module: One or several parent features are disabled so current feature can not be enabled: {lacking}"
            )
    if differing:
        task.change(lambda: _turn(task, sorted({other for name in differing for other in _with_it(name, present)}), present))


def _becomes(system: System, name: str | None) -> bool:
    return name is None or system.pending.get(name, system.features[name])


def _with_it(name: str, present: bool) -> set[str]:
    """What is turned on with a feature, all that it is a part of, and off, all its parts."""
    found = {name}
    while more := {(whole if present else part) for part, whole in PART_OF.items() if (part if present else whole) in found} - found:
        found |= more
    return found


def _known(system: System, name: str) -> str:
    roles = system.edition == "server2022"
    found = next((own for own in system.features if own.lower() == name.lower()), None)
    if found is None or (roles and found in _ROLES):
        raise Failed(f"Failed to find feature '{name}'")
    return found


def _turn(task: Task, names: list[str], present: bool) -> None:
    system = task.world.system
    for name in names:
        system.pending[name] = present
        if system.features[name] == present:
            del system.pending[name]
    if SERVICING not in system.pending_reboot:
        system.pending_reboot.append(SERVICING)
    task.result["reboot_required"] = True


#: Names of Server Manager's, which win_feature takes.
_ROLES = {"Hyper-V": "Hyper-V", "Windows-Defender": "Microsoft Defender Antivirus"}


def role(task: Task) -> None:
    """win_feature, of servers only."""
    system, present = task.world.system, task["state"] == "present"
    if system.edition != "server2022":
        raise Failed(
            "Unhandled exception while executing module: The specified module 'ServerManager' was not loaded because no valid module file was found in "
            "any module directory."
        )
    known = {name.lower(): name for name in _ROLES}
    wrong = next((name for name in task["name"] if name.lower() not in known), None)
    if wrong is not None:
        verb = "install" if present else "uninstall"
        raise Failed(
            f"Failed to {verb} Windows Feature: ArgumentNotValid: The role, role service, or feature name is not valid: '{wrong}'. The name was not found."
        )
    names = [known[name.lower()] for name in task["name"]]
    differing = [name for name in names if system.pending.get(name, system.features[name]) != present]
    if differing:
        task.change(lambda: _turn(task, differing, present))
    task.result.update(
        feature_result=[
            {
                "id": 100 + list(_ROLES).index(name),
                "display_name": _ROLES[name],
                "message": [],
                "reboot_required": True,
                "skip_reason": "NotSkipped",
                "success": True,
            }
            for name in differing
        ],
        success=True,
        exitcode="SuccessRestartRequired" if differing else "NoChangeNeeded",
        reboot_required=bool(differing),
        failed=False,
    )


DOUBLES = {
    "ansible.windows.win_optional_feature": Double(
        Spec(
            {
                "name": Option("list", required=True),
                "state": Option(default="present", choices=("absent", "present")),
                "source": Option(),
                "include_parent": Option("bool", default=False),
            }
        ),
        optional,
    ),
    "ansible.windows.win_feature": Double(
        Spec(
            {
                "name": Option("list", required=True),
                "state": Option(default="present", choices=("present", "absent")),
                "include_sub_features": Option("bool", default=False),
                "include_management_tools": Option("bool", default=False),
                "source": Option(),
            },
            legacy=True,
        ),
        role,
    ),
}
