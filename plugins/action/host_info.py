# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""host_info: what a Windows host is, what stands in LDPlayer's way there, and what this controller works with."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from platform import python_version
from typing import Any

import yaml
from ansible.release import __version__

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._action import LOADER, LOOK_MS, FleetAction, script
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.ldplayer import marks
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import host_info
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._host.session import Session


class ActionModule(FleetAction):
    """Asks everything at once, and judges it."""

    module = "host_info"

    def act(self, given: Mapping[str, Any], session: Session) -> dict[str, Any]:
        asked = host_info.wanted(given)
        operations = [*host_info.ask(asked, given["where"], script("_probe")), marks.look()]
        began = time.time()
        reply = session.ask(operations, LOOK_MS)
        return {**host_info.result(asked, reply, began, time.time()), "laid": marks.laid(reply)}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        result["controller"] = {
            "ansible_core": __version__,
            "python": python_version(),
            "connection": str(self._connection.transport),
            "libraries": {name: _library(name) for name in ("pywinrm", "pypsrp")},
            "collections": {name: _collection(name) for name in ("ldfleet.ldplayer", "ansible.windows")},
        }
        return result


def _library(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _collection(name: str) -> dict[str, str | None] | None:
    """Where Ansible takes a collection from: the first of its folders that has it, silently."""
    try:
        found = util.find_spec(f"ansible_collections.{name}")
    except ImportError:
        return None
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return {"path": str(Path(places[0]).resolve()), "version": _version(Path(places[0]))} if places else None


def _version(folder: Path) -> str | None:
    """A built collection has a manifest, a checkout the file that it is made from."""
    try:
        manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]
    except FileNotFoundError:
        try:
            manifest = yaml.load((folder / "galaxy.yml").read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - both loaders are safe ones
        except FileNotFoundError:
            return None
    return str(manifest["version"])
