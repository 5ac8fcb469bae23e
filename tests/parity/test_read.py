"""What `read` tells beside the bytes of files (first bytes, free space, sizes of folders) is the same on every engine."""

from __future__ import annotations

import pytest

from .conftest import Asker


def test_heads_space_and_folders(ask: Asker) -> None:
    inner = ask.local(f"{ask.home}\\listed\\in1")
    inner.mkdir(parents=True, exist_ok=True)
    (inner / "x.bin").write_bytes(b"1" * 70)
    (inner / "y").write_bytes(b"22")
    (inner.parent / "a.ldbk").write_bytes(b"7zabcdefgh")
    (inner.parent / "b.ldbk").write_bytes(b"")
    wish = {"id": "it", "op": "read", "pattern": "*", "content": False, "max_bytes": 5, "head": 4, "space": True, "folders": True}
    (found,) = ask({**wish, "folder": f"{ask.home}\\listed"})["results"]
    assert [(file["name"], file["head"], "sha256" in file) for file in found["files"]] == [
        ("a.ldbk", "N3phYg==", False),
        ("b.ldbk", "", True),
    ]
    assert [(folder["name"], folder["bytes"]) for folder in found["folders"]] == [("in1", 72)]
    assert found["folders"][0]["modified_ms"] == int(max(path.stat().st_mtime for path in inner.iterdir()) * 1000)
    assert found["free_bytes"] > 0
    (missing,) = ask({**wish, "folder": f"{ask.home}\\nowhere"})["results"]
    assert (missing["exists"], missing["files"], missing["folders"], missing["free_bytes"] > 0) == (False, [], [], True)


def test_links_are_told_and_followed_and_a_tree_goes_without_what_they_lead_to(ask: Asker) -> None:
    if ask.engine == "wine":
        pytest.skip("Wine 8 shows links of Linux as the folders they lead to, and makes no junctions")
    root = ask.local(f"{ask.home}\\linked")
    (root / "far" / "in1").mkdir(parents=True)
    (root / "far" / "in1" / "disk").write_bytes(b"1" * 70)
    (root / "home").mkdir()
    drive = ask.host.world.drive
    for name, target in (("vms", "far"), ("gone", "nowhere"), ("one", "two"), ("two", "one")):
        drive.join(root / "home" / name, root / target if target in ("far", "nowhere") else root / "home" / target)
    wish = {"op": "read", "pattern": "*", "content": False, "max_bytes": 5, "space": True, "folders": True, "link": True}
    home = f"{ask.home}\\linked\\home"
    names = ("vms", "gone", "one", "")
    found = ask(*({**wish, "id": name or "itself", "folder": f"{home}\\{name}".rstrip("\\")} for name in names))["results"]
    assert [(one["exists"], one["link"]) for one in found] == [
        (True, f"{ask.home}\\linked\\far"), (False, f"{ask.home}\\linked\\nowhere"), (False, f"{home}\\two"), (True, ""),
    ]  # fmt: skip
    assert [(one["name"], one["bytes"]) for one in found[0]["folders"]] == [("in1", 70)]
    assert found[0]["free_bytes"] > 0
    gone = ask({"id": "it", "op": "remove", "path": f"{home}\\vms", "expect": "any", "tree": True})["results"]
    assert (gone[0]["existed"], (root / "far" / "in1" / "disk").exists(), (root / "home" / "vms").is_symlink()) == (True, True, False)
    drive.join(root / "home" / "vms", root / "far")
    ask({"id": "it", "op": "remove", "path": home, "expect": "any", "tree": True})
    assert ((root / "home").exists(), (root / "far" / "in1" / "disk").exists()) == (False, True)
