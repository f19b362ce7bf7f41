"""Whatever a program leaves in its directory is walked and removed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdpp_worker import trees

DEPTH = 1_100
"""Deeper than Python's stack, than the files that a process may have open, and than a path may be long."""
NAME = "a" * 100
LONG_S = 300.0


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Path]:
    """A directory of all kinds of entries, one of them deep."""
    top = tmp_path / "1-mine"
    top.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (top / "link").symlink_to(outside)
    (top / "loop").symlink_to(top)
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind(f"/proc/self/fd/{os.open(top, os.O_PATH)}/socket")
    for name in (b"\xff\xfe\n", b"-rf", b"\x1b[2J"):
        (top / os.fsdecode(name)).mkdir()
    (top / "closed").mkdir()
    (top / "closed" / "below").mkdir()
    (top / "closed").chmod(0)
    nest(top)
    yield top
    unnest(top)
    assert (outside / "kept").read_text() == "kept"


def nest(top: Path) -> None:
    """Nest directories, each with a file."""
    folder = os.open(top, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir(NAME, dir_fd=folder)
        below = os.open(NAME, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)


def unnest(top: Path) -> None:
    """Remove what was nested, whatever the code does, for pytest cannot: it would fail in every later run."""
    outer, moved = top / NAME, top / "moved"
    while outer.exists():
        if (outer / NAME).exists():
            (outer / NAME).rename(moved)
        shutil.rmtree(outer)
        if moved.exists():
            moved.rename(outer)


def test_whatever_is_in_a_directory_is_removed_with_it(hostile: Path) -> None:
    trees.remove(hostile, within_s=LONG_S)

    assert not hostile.exists()


def test_a_walk_comes_to_each_directory_however_deep(hostile: Path) -> None:
    found = {os.fstat(folder).st_ino for folder in trees.folders(hostile)}

    assert len(found) >= DEPTH + 4


def test_a_removal_that_takes_long_goes_on_at_the_next(hostile: Path) -> None:
    with pytest.raises(TimeoutError, match="goes on"):
        trees.remove(hostile, within_s=0)

    trees.remove(hostile, within_s=LONG_S)

    assert not hostile.exists()
