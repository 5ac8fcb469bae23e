"""Laws of the simulated drives: whatever paths and junctions come over the wire, nothing outside the folders of a host is ever named."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from ldfleet.sim.machine.clock import Clock
from ldfleet.sim.machine.drive import Drive
from ldfleet.sim.machine.windows import SYSTEM32, Caller, Windows
from ldfleet.sim.programs.files import PROGRAMS

_HEADS = ("C:\\", "D:\\", "d:/", "C:\\a\\", "C:\\a\\b\\c\\")
_NAMES = ("a", "b", "B", "c")
_HOSTILE = ("..", "..\\..\\..\\..\\etc", "/etc", ".", "con", "x:y", "~", "C:\\..\\..", "\\\\files\\..\\..", "\\\\files\\share", "E:\\a", "")
_PLAIN = st.builds(
    lambda head, parts: head + "\\".join(parts), st.sampled_from(_HEADS), st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3)
)
_PATHS = st.one_of(_PLAIN, _PLAIN, st.builds(str.__add__, st.sampled_from((*_HEADS, "")), st.sampled_from(_HOSTILE)))
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mkdir"), _PATHS),
        st.tuples(st.just("mklink"), st.just("/J"), _PATHS, _PATHS),
        st.tuples(st.just("ren"), _PATHS, st.sampled_from((*_NAMES, "a\\b", "../c", "..\\..\\c"))),
        st.tuples(st.just("rmdir"), _PATHS),
    ),
    max_size=12,
)


#: A junction in what another leads to, nearer to the root than it seems.
_THROUGH = [("mkdir", "D:\\c"), ("mklink", "/J", "C:\\a\\b\\c\\b", "D:\\c"), ("mklink", "/J", "C:\\a\\b\\c\\b\\a", "C:\\a")]


@example(_THROUGH, [])
@given(_STEPS, st.lists(_PATHS, max_size=8))
def test_no_junction_and_no_path_leaves_the_hosts_folders_also_when_these_were_moved(
    steps: list[tuple[str, ...]], asked: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        place, moved = Path(name).resolve() / "state" / "host", Path(name).resolve() / "host"
        drive = Drive(place / "C")
        drive.add("D")
        machine = Windows("HOST", drive, Clock(skip=True), None)
        for step in (("mkdir", "C:\\a\\b\\c"), *steps):
            PROGRAMS[f"{SYSTEM32}\\cmd.exe"](machine, ["/d", "/e:on", "/v:off", "/c", *step], "", Caller("Administrator"))
        assert [entry.name for entry in place.parent.iterdir()] == ["host"]
        assert {entry.name for entry in place.iterdir()} <= {"C", "D", "shares"}
        shutil.move(place, moved)
        there = Drive(moved / "C")
        for local in (*_links(moved), *_local(there, [*asked, *(word for step in steps for word in step)])):
            assert Path(os.path.realpath(local)).is_relative_to(moved), local
            there.target(local)


def _links(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink())


def _local(drive: Drive, paths: list[str]) -> Iterator[Path]:
    for path in paths:
        try:
            yield drive.local(path)
        except ValueError:
            continue
