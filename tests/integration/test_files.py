"""emulator_file as `ansible-playbook` runs it: check, do, again, undo; and the file never passes the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rig


def test_check_do_again_undo(tmp_path: Path) -> None:
    with rig.farm(tmp_path / "farm") as farm:
        world = farm.hosts[0].world
        world.edit(world.find("LDPlayer"), {"basicSettings.adbDebug": 1})
        world.launch(world.find("LDPlayer"))
        world.settle()
        world.drive.local("C:\\files").mkdir()
        world.drive.local("C:\\files\\a.bin").write_bytes(bytes(range(256)) * 4000)
        wanted = {"name": "LDPlayer", "action": "push", "host_path": "C:\\files\\a.bin", "guest_path": "/sdcard/a.bin"}

        def run(*options: str, **more: Any) -> dict[str, Any]:
            return rig.ansible(farm.inventory(), tmp_path, "emulator_file", {**wanted, **more}, *options).one()

        planned = run("--check", "--diff")
        assert (planned["changed"], "/sdcard/a.bin" in world.find("LDPlayer").guest.files) == (True, False)
        farm.endpoints[0].wire.reset()
        done = run("--diff")
        assert (done["actions"], done["diff"], done["round_trips"]) == (planned["actions"], planned["diff"], 2)
        assert world.find("LDPlayer").guest.files["/sdcard/a.bin"] == bytes(range(256)) * 4000
        again = run()
        assert (again["changed"], again["round_trips"], again["sha256"]) == (False, 1, done["sha256"])
        world.drive.local("C:\\files\\a.bin").unlink()
        assert run(action="pull")["sha256"] == done["sha256"]
        assert world.drive.local("C:\\files\\a.bin").read_bytes() == bytes(range(256)) * 4000
