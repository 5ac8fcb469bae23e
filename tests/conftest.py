"""For all tests: a failing property is shown as found, with little shrinking, so that a red run ends soon."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("ldfleet", phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True)
settings.load_profile("ldfleet")
