"""Writes each host's result of the last task as JSON into a folder, so that tests read results and not screens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """One file a host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ldfleet_tree"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        _keep(result, {})

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        _keep(result, {"failed": True})

    def v2_runner_on_unreachable(self, result: Any) -> None:
        _keep(result, {"unreachable": True})


def _keep(result: Any, status: dict[str, Any]) -> None:
    path = Path(os.environ["LDFLEET_TEST_RESULTS"]) / f"{result._host.get_name()}.json"
    path.write_text(json.dumps({**result._result, **status}, default=str), encoding="utf-8")
