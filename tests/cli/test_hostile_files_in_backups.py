"""Files of a connection cost a backup what they hold, whatever a connector made of them."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pdpp_worker.local import locks
from pdpp_worker.owner import backup
from pdpp_worker.owner.sparse_files import SparseArchive

GIGABYTE = 1 << 30
DEEP = 1200
"""Directories in one another, more than Python calls functions."""


def kept(folder: Path, archive: Path) -> Path:
    """Keep a directory in an archive and bring it back; returns where."""
    with SparseArchive.open(archive, "w") as file:
        file.add_tree(folder, "files")
    back = folder.parent / "back"
    with tarfile.open(archive) as file:
        file.extractall(back, filter="data")
    return back / "files"


def test_a_hole_in_a_file_costs_nothing_and_is_one_again(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    vast = folder / "vast"
    with vast.open("wb") as file:
        for place in (0, GIGABYTE // 2, GIGABYTE - 1):
            file.seek(place)
            file.write(b"x")
    (folder / "empty").touch()
    os.truncate(folder / "empty", GIGABYTE)

    back = kept(folder, tmp_path / "backup.tar")

    assert (tmp_path / "backup.tar").stat().st_size < 100_000
    found = [(one.name, one.stat().st_size, one.stat().st_blocks * 512 < 100_000) for one in sorted(back.iterdir())]
    assert found == [("empty", GIGABYTE, True), ("vast", GIGABYTE, True)]
    with (back / "vast").open("rb") as file:
        assert [(file.seek(place), file.read(2)) for place in (0, GIGABYTE // 2, GIGABYTE - 1)] == [
            (0, b"x\0"),
            (GIGABYTE // 2, b"x\0"),
            (GIGABYTE - 1, b"x"),
        ]


@pytest.mark.process  # `rm` removes what Python's own cannot
def test_directories_in_one_another_are_kept_however_deep(tmp_path: Path) -> None:
    inner = tmp_path / "files"
    for _ in range(DEEP):
        inner.mkdir()
        inner /= "d"
    inner.write_text("here")

    with SparseArchive.open(tmp_path / "backup.tar", "w") as file:
        file.add_tree(tmp_path / "files", "files")
    subprocess.run(["rm", "-rf", tmp_path / "files"], check=True)  # noqa: S607 - Python's own goes down by calls

    with tarfile.open(tmp_path / "backup.tar") as file:
        names = file.getnames()
        assert len(names) == DEEP + 1
        assert names[-1].endswith("d/d")


def test_what_a_killed_dump_left_goes_with_the_next_one_and_that_of_another_at_work_stays(tmp_path: Path) -> None:
    left, at_work = tmp_path / ".dump-left", tmp_path / ".dump-at-work"
    for folder in (left, at_work):
        folder.mkdir()
        (folder / "backup.tar").write_text("half")
    lock = locks.try_lock(at_work / "lock")

    backup._remove_unfinished(tmp_path)
    os.close(lock or 0)

    assert (left.exists(), at_work.exists()) == (False, True)
