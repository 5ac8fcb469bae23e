"""Every static check in one verb: each prints its name and, when it fails, what it says. Exit code 1 if any failed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
#: Where Ansible finds the collection, and those that it depends on.
COLLECTIONS = os.pathsep.join((str(ROOT / ".build"), str(ROOT / ".cache" / "collections")))
#: What ansible-doc calls the kinds of plugins that have documentation, and the rooms that they are in.
DOCUMENTED = {"module": "modules", "inventory": "inventory", "filter": "filter", "lookup": "lookup"}


def main() -> int:
    """Run all checks."""
    checks: dict[str, list[str]] = {
        "ruff": [str(BIN / "ruff"), "check", "."],
        "ruff format": [str(BIN / "ruff"), "format", "--check", "."],
        "mypy src": [str(BIN / "mypy"), "src/ldfleet"],
        "mypy collection": [str(BIN / "mypy"), "-p", "ansible_collections.ldfleet.ldplayer.plugins.plugin_utils"],
        "generated files": [sys.executable, "tools/docs.py", "--check"],
        "changelog": [str(BIN / "antsibull-changelog"), "lint"],
    }
    failed = [name for name, command in checks.items() if not _passes(name, command)]
    failed += [name for name in ("ansible-doc",) if not _documented()]
    failed += [name for name in ("ansible-lint",) if not _ansible_lint()]
    failed += [name for name in ("powershell",) if not _powershell()]
    print(f"lint: {'all checks passed' if not failed else 'failed: ' + ', '.join(failed)}")
    return 1 if failed else 0


def _passes(name: str, command: list[str], cwd: Path = ROOT) -> bool:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def _documented() -> bool:
    """ansible-doc finds and renders each plugin."""
    found = [_rendered(kind, room) for kind, room in DOCUMENTED.items()]
    print(f"{'FAILED' if any(found) else 'ok    '} ansible-doc", flush=True)
    print("".join(found), end="")
    return not any(found)


def _rendered(kind: str, room: str) -> str:
    """What is wrong with the documentation of one kind of plugins; empty when nothing is."""
    names = [f"ldfleet.ldplayer.{path.stem}" for path in sorted((ROOT / "plugins" / room).glob("*.yml"))]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
    done = subprocess.run(
        [str(BIN / "ansible-doc"), "--type", kind, "--json", *names], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    documents = json.loads(done.stdout or "{}")
    missing = [name for name in names if "doc" not in documents.get(name, {})]
    return f"{kind}: {', '.join(missing)} {done.stderr}\n" if missing or done.returncode else ""


def _ansible_lint() -> bool:
    """On a copy outside the checkout, in the folder that a collection must lie in, with a home of its own; nothing is fetched."""
    with tempfile.TemporaryDirectory(prefix="ldfleet-lint-") as folder:
        copy = Path(folder) / "ansible_collections" / "ldfleet" / "ldplayer"
        ignore = shutil.ignore_patterns(".*", "__pycache__", "src", "tests", "tools", "dist", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=ignore)
        shutil.copy(ROOT / ".ansible-lint", copy)
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        return _passes("ansible-lint", [str(BIN / "ansible-lint"), "--offline", "--profile", "production", "--strict"], copy)


def _powershell() -> bool:
    """The real parser, where a PowerShell with --check is at hand. The agent keeps to what every engine has; a script for Windows alone need not."""
    from ldfleet.sim.engines.powershell import locate

    found = locate("pwsh")
    if isinstance(found, str):
        print(f"skip   powershell ({found})")
        return True
    agent = _passes("powershell", [str(found), "--check", "plugins/module_utils/_agent.ps1"])
    windows = [_parses(str(found), file) for file in ("roles/winrm/files/bootstrap.ps1", "plugins/module_utils/_probe.ps1")]
    return agent and all(windows)


def _parses(engine: str, file: str) -> bool:
    """Whether a file is PowerShell, also for 5.1; that it uses commands of Windows is no finding."""
    done = subprocess.run([engine, "--check", file], cwd=ROOT, capture_output=True, text=True, check=False)
    *findings, summary = done.stdout.splitlines() or [""]
    wrong = [line for line in findings if not line.endswith("cannot run in this host")]
    passed = not wrong and re.fullmatch(r"clean|\d+ findings", summary) is not None
    print(f"{'ok    ' if passed else 'FAILED'} powershell {file}", flush=True)
    if not passed:
        print("\n".join(wrong) or done.stdout + done.stderr)
    return passed


if __name__ == "__main__":
    sys.exit(main())
