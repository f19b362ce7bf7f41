"""The directory of a program: in the clear while it works, encrypted afterwards, whatever it leaves there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdpp_worker.errors import ConfigurationError, UpstreamError
from pdpp_worker.local import locks
from pdpp_worker.secret_keys import Keys
from pdpp_worker.stored_files import file_forms, replacing, resealing, tree_lock
from pdpp_worker.stored_files.sealing import MARK
from tests.stored_files.conftest import NEW, OLD, SECRET, Host

Change = Callable[[Path], object]


def work(host: Host, change: Change = str, *, encrypts: bool = True) -> dict[str, bytes]:
    """Let a program work in the directory; returns what it found there, path to content."""
    store = host.store(encrypts=encrypts)
    directory = store.open_directory()
    found = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    change(directory)
    store.close()
    return found


def leave(directory: Path) -> None:
    """Leave files of several kinds."""
    (directory / ".home").mkdir()
    (directory / ".home" / "token").write_bytes(SECRET * 30)
    (directory / "run.sh").write_bytes(SECRET)
    (directory / "run.sh").chmod(0o755)
    (directory / "empty").touch()
    os.utime(directory / "empty", (1_000, 1_000))


def test_it_is_encrypted_afterwards_and_found_again_as_it_was(host: Host) -> None:
    work(host, leave)

    assert SECRET not in host.on_disk()
    assert work(host) == {".home/token": SECRET * 30, "run.sh": SECRET, "empty": b""}
    assert (host.root / "run.sh").stat().st_mode & 0o777 == 0o700
    assert (host.root / "empty").stat().st_mtime == 1_000


def test_switched_off_and_on_and_off_again_nothing_is_lost(host: Host) -> None:
    work(host, leave, encrypts=False)
    whole = work(host, encrypts=True)
    sealed = host.on_disk()

    assert work(host, encrypts=False) == whole
    assert SECRET not in sealed
    assert SECRET in host.on_disk()


def test_what_a_killed_worker_left_in_the_clear_is_taken_as_it_is(host: Host) -> None:
    work(host, leave)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdpp_worker.stored_files.clear_trees._seal_quietly", lambda *_: None)
        work(host, lambda directory: (directory / "run.sh").write_bytes(b"newer" + SECRET))

    assert work(host)["run.sh"] == b"newer" + SECRET
    assert SECRET not in host.on_disk()


@pytest.mark.parametrize("place", [40, -1])
def test_a_damaged_file_keeps_the_program_from_working_and_is_kept(host: Host, place: int) -> None:
    work(host, leave)
    work(host, lambda directory: (directory / "first").write_bytes(SECRET))
    file = host.root / "run.sh"
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)

    with pytest.raises(ConfigurationError, match=r"run\.sh cannot be opened: it is damaged"):
        work(host)

    assert file.read_bytes() == raw
    assert SECRET not in host.on_disk()


def test_a_file_that_begins_like_an_encrypted_one_is_encrypted_like_any(host: Host) -> None:
    work(host, lambda directory: (directory / "odd").write_bytes(MARK + SECRET))

    assert SECRET not in host.on_disk()
    assert work(host) == {"odd": MARK + SECRET}


def test_no_link_is_followed_and_no_file_with_a_name_elsewhere_is_taken(host: Host, tmp_path: Path) -> None:
    linked, twice = tmp_path / "linked", tmp_path / "twice"
    for outside in (linked, twice):
        outside.write_bytes(b"of somebody else")

    def link(directory: Path) -> None:
        (directory / "link").symlink_to(linked)
        (directory / "folder").symlink_to(tmp_path)
        (directory / "hard").hardlink_to(twice)
        os.mkfifo(directory / "pipe")
        (directory / "own").write_bytes(SECRET)

    work(host, link)

    assert [linked.read_bytes(), twice.read_bytes()] == [b"of somebody else"] * 2
    assert [(host.root / "link").samefile(linked), (host.root / "hard").samefile(twice)] == [True, True]
    assert SECRET not in host.on_disk()


def test_two_do_not_work_there_at_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_lock, "WAIT_S", 0.05)
    store = host.store()
    store.open_directory()

    with pytest.raises(UpstreamError, match="in use"):
        host.store().open_directory()
    store.close()

    assert work(host) == {}


def test_folders_that_it_has_nothing_to_do_with_stay_encrypted(host: Host) -> None:
    store = host.store()
    store.write("attachments/blob", SECRET)
    store.open_directory(kept={"attachments"})
    store.at(host.root / "attachments").write("other", SECRET)

    assert SECRET not in host.on_disk()
    store.close()
    assert [store.read(f"attachments/{name}") for name in ("blob", "other")] == [SECRET, SECRET]


def test_one_file_is_opened_alone_with_what_sqlite_puts_beside_it(host: Host) -> None:
    store = host.store()
    for name in ("marks", "marks-journal", "letter"):
        store.write(name, SECRET)

    with store.in_clear("marks") as path:
        read = [path.read_bytes(), (host.root / "marks-journal").read_bytes(), (host.root / "letter").read_bytes()]

    assert read[:2] == [SECRET, SECRET]
    assert SECRET not in read[2]
    assert SECRET not in host.on_disk()


def test_a_file_of_the_store_is_not_encrypted_twice(host: Host) -> None:
    store = host.store()
    directory = store.open_directory()
    store.write("one", SECRET)
    (directory / "two").write_bytes(SECRET)
    store.close()

    assert [store.read(name) for name in ("one", "two")] == [SECRET, SECRET]


def test_a_file_that_cannot_be_encrypted_stays_in_the_clear(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replacing, "to_disk", full)

    work(host, lambda directory: (directory / "file").write_bytes(SECRET))

    assert {path.name: path.read_bytes() for path in host.root.iterdir()} == {"file": SECRET}


def test_under_a_new_key_it_is_opened_with_the_old_one_once_more(host: Host) -> None:
    for keys in ((OLD,), (NEW, OLD)):
        store = host.store(*keys)
        (store.open_directory() / "file").write_bytes(SECRET)
        store.close()

    assert host.store(NEW).read("file") == SECRET


def kill(host: Host, act: Change) -> None:
    """Let a program work on the files, and kill its worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdpp_worker.stored_files.clear_trees._seal_quietly", lambda *_: None)
        work(host, act)


def test_what_a_kill_left_in_the_clear_is_encrypted_without_a_slice(host: Host) -> None:
    work(host, leave)
    kill(host, lambda directory: (directory / "run.sh").write_bytes(b"newer" + SECRET))
    assert SECRET in host.on_disk()

    resealing.seal_left(host.settings(NEW), 10.0)

    assert SECRET not in host.on_disk()
    assert work(host)["run.sh"] == b"newer" + SECRET


def test_a_slice_that_opens_one_file_leaves_noted_what_a_kill_left_beside_it(host: Host) -> None:
    kill(host, leave)
    with host.store().in_clear("marks") as path:
        path.write_bytes(b"another")

    resealing.seal_left(host.settings(NEW), 10.0)

    assert SECRET not in host.on_disk()


def test_while_somebody_works_there_all_stays_as_it_is(host: Host) -> None:
    kill(host, leave)
    store = host.store()
    directory = store.open_directory()
    before = {path: path.read_bytes() for path in directory.iterdir() if path.is_file()}

    outcome = resealing.seal_left(host.settings(NEW), 10.0)

    assert (outcome.rewritten, outcome.left) == (0, [])
    assert {path: path.read_bytes() for path in before} == before
    store.close()


def test_where_nobody_was_killed_no_file_is_looked_at(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(host, leave)
    resealing.seal_left(host.settings(NEW), 10.0)
    monkeypatch.setattr(resealing, "files_below", None)

    assert resealing.seal_left(host.settings(NEW), 10.0).rewritten == 0


def test_what_could_not_be_encrypted_in_time_is_by_the_next_call(host: Host) -> None:
    kill(host, leave)

    resealing.seal_left(host.settings(NEW), 0.0)
    assert SECRET in host.on_disk()
    resealing.seal_left(host.settings(NEW), 10.0)

    assert SECRET not in host.on_disk()


def test_no_slice_waits_while_files_are_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(host, leave)
    held: list[bool] = []
    is_sealed = file_forms.is_sealed

    def noted(path: Path) -> bool:
        held.append(locks.is_locked(host.root.with_name(f"{host.root.name}{tree_lock.SUFFIX}")))
        return is_sealed(path)

    monkeypatch.setattr(file_forms, "is_sealed", noted)
    resealing.seal_left(host.settings(NEW), 10.0)

    assert (any(held), tree_lock.TreeLock(host.root).is_open) == (False, False)


def test_what_a_kill_leaves_while_an_earlier_ones_files_are_encrypted_stays_noted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(host, leave)
    seal_file = file_forms.seal_file

    def once(path: Path, keys: Keys) -> Path:
        monkeypatch.setattr(file_forms, "seal_file", seal_file)
        kill(host, lambda directory: (directory / "a-first").write_bytes(SECRET))
        return seal_file(path, keys)

    monkeypatch.setattr(file_forms, "seal_file", once)
    resealing.seal_left(host.settings(NEW), 10.0)
    assert tree_lock.TreeLock(host.root).is_open
    resealing.seal_left(host.settings(NEW), 10.0)

    assert SECRET not in host.on_disk()


def test_without_the_setting_nothing_is_encrypted(host: Host) -> None:
    kill(host, leave)

    resealing.seal_left(host.settings(NEW, encrypts=False), 10.0)

    assert SECRET in host.on_disk()
