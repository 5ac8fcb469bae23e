"""How tests are spread over workers: those of one slow engine go to one worker, so that its host is made once and Wine's drive has one user.

The mark xdist_group says the same, but pytest-xdist 3.8 writes its groups into a private field that pytest 9.2 no longer reads: its
loadgroup spreads such tests like any others.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import Phase, settings

# A failing property is shown as found, with little shrinking, so that a red run ends soon. Whether work lands is no matter of chance: there the
# examples are the same for the same code; elsewhere each run looks for new ones.
settings.register_profile(
    "ldfleet", phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("ldfleet")


class _ByEngine:
    """Mixed into xdist's scheduler: the worker's share is named by the engine in a test's parameters, else by the test."""

    def _split_scope(self, nodeid: str) -> str:
        found = re.search(r"\[(wine|pwsh)\b", nodeid)
        return found[1] if found else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    return type("ByEngine", (_ByEngine, LoadScopeScheduling), {})(config, log) if config.getvalue("dist") == "loadgroup" else None
