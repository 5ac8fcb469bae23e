"""ansible.windows.win_powershell, for one script: that of `ldfleet bootstrap` (bootstrap.py)."""

from __future__ import annotations

import datetime

from . import bootstrap
from .bootstrap_host import Fault
from .options import Failed, Option, Spec
from .task import Double, Json, Task

_UNPLAYED = ("arguments", "chdir", "creates", "executable", "path", "removes", "sensitive_parameters")


def powershell(task: Task) -> None:
    """win_powershell. What a script prints for people is in ``host_out``, and each line among the information records too."""
    task.refuse(*_UNPLAYED)
    result = task.result
    result.update(result={}, host_out="", host_err="", output=[], error=[], warning=[], verbose=[], debug=[], information=[])
    if task.check:
        # The script says nothing of SupportsShouldProcess, so the module does not run it.
        result.update(changed=True, msg="skipped, running in check mode")
        return
    try:
        said = bootstrap.run(task["script"], task["parameters"] or {}, task.world, task.users, task.environment)
    except bootstrap.Unknown as unknown:
        raise Failed(f"simulated host: {unknown}") from unknown
    except Fault as fault:
        said = fault.said
        result.update(failed=True, error=[_error(str(fault))])
    now = datetime.datetime.fromtimestamp(task.world.clock.now(), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    result.update(
        changed=True,
        host_out="".join(f"{line}\r\n" for line in said),
        information=[
            {"message_data": {"Message": line, "NoNewLine": False}, "source": "Write-Host", "time_generated": now, "tags": ["PSHOST"]}
            for line in said
        ],
    )


def _error(message: str) -> Json:
    """An error record of a script that threw."""
    return {
        "output": f"{message}\r\n    + CategoryInfo          : OperationStopped: ({message}:String) [], RuntimeException\r\n",
        "error_details": None,
        "exception": {
            "message": message,
            "type": "System.Management.Automation.RuntimeException",
            "help_link": None,
            "source": None,
            "hresult": -2146233087,
            "inner_exception": None,
        },
        "target_object": message,
        "category_info": {
            "category": "OperationStopped",
            "category_id": 14,
            "activity": "",
            "reason": "RuntimeException",
            "target_name": message,
            "target_type": "String",
        },
        "fully_qualified_error_id": message,
        "script_stack_trace": "at <ScriptBlock>, <No file>",
        "pipeline_iteration_info": [],
    }


DOUBLES = {
    "ansible.windows.win_powershell": Double(
        Spec(
            {
                "script": Option(),
                "path": Option(),
                "parameters": Option("dict"),
                "error_action": Option(default="continue", choices=("silently_continue", "continue", "stop")),
                "depth": Option("int", default=2),
                "remote_src": Option("bool", default=False),
                "arguments": Option("list"),
                "sensitive_parameters": Option("raw"),
                **{name: Option() for name in ("chdir", "creates", "executable", "removes")},
            },
            exclusive=(("path", "script"),),
            one_of=(("path", "script"),),
        ),
        powershell,
    ),
}
