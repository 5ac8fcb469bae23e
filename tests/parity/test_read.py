"""What `read` tells beside the bytes of files (first bytes, free space, sizes of folders) is the same on every engine."""

from __future__ import annotations

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
