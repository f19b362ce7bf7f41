"""A connection's files have a bound, which is counted exactly and without a walk for each file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from pdpp_worker.errors import StorageFull
from pdpp_worker.stored_files import file_forms, quota
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.quota import Quota, counted

KB = 1024
MB = 1024 * KB


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories that were walked."""
    walked: list[Path] = []

    def noted(root: Path) -> int:
        walked.append(root)
        return counted(root)

    monkeypatch.setattr(quota, "counted", noted)
    return walked


def bounded(root: Path, *, most_mb: int = 1, free_mb: int = 0) -> FileStore:
    """The files of a directory."""
    return FileStore(root, quota=Quota(root, most_mb=most_mb, free_mb=free_mb))


def test_what_is_beyond_the_bound_is_refused_with_what_to_do_and_nothing_of_it_stays(tmp_path: Path) -> None:
    store = bounded(tmp_path / "7-mine")
    store.write("first", b"x" * 900 * KB)

    with pytest.raises(StorageFull, match="PDPP_CONNECTION_FILES_MB") as refused:
        store.write("second", b"y" * 200 * KB)

    assert (refused.value.reason, store.size("second")) == ("storage_full", None)
    assert [path.name for path in store.root.iterdir()] == ["first"]


def test_another_connections_files_are_kept_all_the_same(tmp_path: Path) -> None:
    full, other = bounded(tmp_path / "7-mine"), bounded(tmp_path / "8-yours")
    with pytest.raises(StorageFull):
        full.write("file", b"x" * 2 * MB)

    other.write("file", b"x" * 900 * KB)

    assert other.size("file") == 900 * KB


def test_the_count_follows_each_file_so_that_all_is_walked_once(tmp_path: Path, counts: list[Path]) -> None:
    store = bounded(tmp_path / "7-mine")

    for number in range(5):
        store.write(f"{number}", b"x" * 100 * KB)
    for _ in range(20):
        store.write("0", b"y" * 200 * KB)  # in the place of the one before
    store.move("1", "2")
    store.remove("3")
    store.write("4", b"")

    store.write("rest", b"x" * (MB - 304 * KB))
    with pytest.raises(StorageFull):
        store.write("more", b"x")
    assert (counted(store.root), counts) == (MB, [store.root])


def test_a_count_is_kept_for_the_next_slice_and_not_believed_after_a_kill(tmp_path: Path, counts: list[Path]) -> None:
    root = tmp_path / "7-mine"
    first = bounded(root)
    first.write("a", b"x" * 500 * KB)
    first.close()
    second = bounded(root)
    second.write("b", b"x" * 500 * KB)
    assert len(counts) == 1

    third = bounded(root)  # the second one was killed
    with pytest.raises(StorageFull):
        third.write("c", b"x" * 500 * KB)

    assert len(counts) == 2


def test_room_that_its_owner_has_made_is_seen_once_it_is_needed(tmp_path: Path) -> None:
    root = tmp_path / "7-mine"
    first = bounded(root)
    first.write("a", b"x" * 900 * KB)
    first.close()
    (root / "a").unlink()

    second = bounded(root)
    second.write("b", b"x" * 900 * KB)

    assert second.size("b") == 900 * KB


def test_a_count_while_a_file_is_written_holds_it_once(tmp_path: Path) -> None:
    root = tmp_path / "7-mine"
    first = bounded(root)
    first.write("old", b"x" * 900 * KB)
    first.close()
    (root / "old").unlink()  # the kept count is too high, so that all is counted once it does not fit

    store = bounded(root)
    for name in ("a", "b"):
        with store.draft() as draft:
            for _ in range(5):
                draft.write(b"x" * 100 * KB)
            draft.keep(name)

    assert counted(root) == 1000 * KB


def test_what_a_killed_worker_left_unfinished_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    root = tmp_path / "7-mine"
    working = bounded(root)
    with working.draft() as draft:
        draft.write(b"x" * 100 * KB)
        left = _made(file_forms.unfinished_in(root), 900)
        (root / f"{file_forms.UNFINISHED}link").symlink_to(_made(tmp_path / "elsewhere"))

        bounded(root).write("next", b"x" * 500 * KB)
        draft.keep("file")

    assert ((root / "file").exists(), left.exists(), (tmp_path / "elsewhere").exists()) == (True, False, True)


@dataclass
class Disk:
    """A disk of 20 GB, as the system tells of it."""

    f_bavail: int
    f_blocks: int = 20_000
    f_frsize: int = MB


@pytest.mark.parametrize(("free_mb", "left_mb", "fits"), [(500, 400, True), (500, 600, False), (2_100, 99_999, True)])
def test_a_disk_that_is_nearly_full_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, left_mb: int, fits: bool
) -> None:
    store = bounded(tmp_path / "7-mine", most_mb=0, free_mb=left_mb)
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(free_mb))

    with nullcontext() if fits else pytest.raises(StorageFull, match=r"PDPP_FILES_FREE_MB.*make room"):
        store.write("file", b"x")
    with nullcontext() if fits else pytest.raises(StorageFull):
        store.open_directory()


def test_nobody_else_can_read_the_count(tmp_path: Path) -> None:
    store = bounded(tmp_path / "7-mine")
    store.write("file", b"x")
    store.close()

    assert (tmp_path / f"7-mine{quota.SUFFIX}").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_no_flaw_of_the_connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_forms, "new_file", full)

    with pytest.raises(StorageFull, match="No space left"):
        FileStore(tmp_path).write("file", b"x" * 100)


def test_what_code_writes_by_itself_is_counted_while_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "_COUNT_EVERY_S", 0.0)
    monkeypatch.setattr(quota, "_COUNT_SHARE", 0.0)
    store = bounded(tmp_path / "7-mine")
    check = store.with_look(lambda: None)
    folder = store.open_directory()
    check()

    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_bytes(b"x" * 2 * MB)

    with pytest.raises(StorageFull):
        check()


def test_code_that_has_too_much_already_works_on_as_long_as_it_needs_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "_COUNT_EVERY_S", 0.0)
    monkeypatch.setattr(quota, "_COUNT_SHARE", 0.0)
    store = bounded(tmp_path / "7-mine")
    store.root.mkdir()
    _made(store.root / "old", 3 * KB)
    check = store.with_look(lambda: None)
    folder = store.open_directory()

    _made(folder / "small")
    check()

    _made(folder / "new", 2 * KB)
    with pytest.raises(StorageFull):
        check()


def test_a_file_that_is_refused_does_not_end_the_code_that_wanted_it_kept(tmp_path: Path) -> None:
    store = bounded(tmp_path / "7-mine")
    check = store.with_look(lambda: None)
    store.open_directory()

    with pytest.raises(StorageFull):
        store.write("file", b"x" * 2 * MB)

    check()


ODD: dict[str, tuple[Callable[[Path], object], int]] = {
    "a hole": (lambda root: os.truncate(_made(root / "file"), 500 * MB), 4),
    "two names": (lambda root: (root / "b").hardlink_to(_made(root / "a", 100)), 100),
    "a small file": (lambda root: _made(root / "file"), 4),
    "a directory": (lambda root: (root / "sub").mkdir(), 4),
    "a link elsewhere": (lambda root: (root / "link").symlink_to("/"), 4),
}


@pytest.mark.parametrize(("leave", "kilobytes"), ODD.values(), ids=ODD)
def test_what_is_counted_is_what_the_disk_loses(
    tmp_path: Path, leave: Callable[[Path], object], kilobytes: int
) -> None:
    leave(tmp_path)

    assert counted(tmp_path) == kilobytes * KB


def _made(path: Path, kilobytes: int = 0) -> Path:
    path.write_bytes(b"x" * kilobytes * KB)
    return path
