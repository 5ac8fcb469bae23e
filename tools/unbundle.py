"""Lay the collections that galaxy.yml depends on into a folder, out of the wheel of PyPI's bundle: unbundle.py WHEEL FOLDER."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def main(wheel: str, folder: str) -> int:
    """Lay them; 1 where the bundle lacks one."""
    wanted = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]
    with zipfile.ZipFile(wheel) as bundle:
        for name in wanted:
            members = [member for member in bundle.namelist() if member.startswith(f"ansible_collections/{name.replace('.', '/')}/")]
            if not members:
                print(f"{Path(wheel).name} holds no collection {name}", file=sys.stderr)
                return 1
            bundle.extractall(folder, members)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
