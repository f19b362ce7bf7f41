"""A stored file: encrypted where it is wanted, whole or not at all, read in either form and from any place."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.stored_files import connection_files
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.sealing import MARK
from tests.stored_files.conftest import NEW, OLD, SECRET, Host


@pytest.mark.parametrize("size", [0, 1, 12, 13, 99, 100, 101, 200, 1_000])
def test_its_bytes_are_nowhere_on_the_disk_and_come_back(host: Host, size: int) -> None:
    content = (SECRET * 40)[:size]
    store = host.store()

    store.write("a/file", content)

    assert store.read("a/file") == content
    assert store.size("a/file") == size
    assert size < 12 or content[:12] not in host.on_disk()


@pytest.mark.parametrize("encrypts", [True, False])
def test_any_part_of_it_is_read_alone(host: Host, encrypts: bool) -> None:
    content = os.urandom(1_030)
    store = host.store(encrypts=encrypts)
    store.write("file", content)

    with store.open("file") as file:
        for start, size in [(0, 5), (95, 10), (100, 100), (999, 31), (1_020, 50), (1_030, 1), (5_000, 1), (250, 300)]:
            file.seek(start)
            assert file.read(size) == content[start : start + size]
        assert file.seek(-30, os.SEEK_END) == 1_000


def test_only_its_owner_can_read_it(host: Host) -> None:
    host.store().write("a/file", SECRET)

    assert {path.stat().st_mode & 0o077 for path in (host.root / "a/file", host.root / "a", host.root)} == {0}


def test_a_file_of_either_form_is_read_whatever_the_setting_is(host: Host) -> None:
    host.store(encrypts=True).write("sealed", SECRET)
    host.store(encrypts=False).write("clear", SECRET)

    for encrypts in (True, False):
        store = host.store(encrypts=encrypts)
        assert [(store.read(name), store.size(name)) for name in ("sealed", "clear")] == [(SECRET, len(SECRET))] * 2


def test_content_that_would_pass_for_an_encrypted_file_comes_back_too(host: Host) -> None:
    store = host.store(encrypts=False)

    for content in (MARK, MARK + os.urandom(500)):
        with store.draft() as draft:
            for byte in content:
                draft.write(bytes([byte]))
            draft.keep("file")

        assert store.read("file") == content


def cuts(whole: bytes) -> list[bytes]:
    """The file without its end, cut at each place."""
    return [whole[:size] for size in range(len(MARK), len(whole))]


def changes(whole: bytes) -> list[bytes]:
    """The file with a changed bit, at each place after the mark."""
    return [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(MARK), len(whole))]


def rearranged(whole: bytes) -> list[bytes]:
    """The file with two whole pieces in each other's place, one twice, and one left out."""
    head, one, two, rest = whole[:29], whole[29:149], whole[149:269], whole[269:]
    return [head + two + one + rest, head + one + one + two + rest, head + two + rest]


@pytest.mark.parametrize("damage", [cuts, changes, rearranged])
def test_a_damaged_one_is_refused_with_its_name_and_kept(host: Host, damage: Callable[[bytes], list[bytes]]) -> None:
    store = host.store()
    store.write("file", os.urandom(230))
    file = host.root / "file"

    for raw in damage(file.read_bytes()):
        file.write_bytes(raw)

        with pytest.raises(ConfigurationError, match="mine/file cannot be opened: it is damaged"):
            store.read("file")
        assert file.read_bytes() == raw


def test_one_of_another_key_is_refused_with_its_name_and_kept(host: Host) -> None:
    host.store(OLD).write("file", SECRET)
    raw = (host.root / "file").read_bytes()

    with pytest.raises(ConfigurationError, match=r"mine/file cannot be opened: .* sealed under another key"):
        host.store(NEW).read("file")

    assert (host.root / "file").read_bytes() == raw
    assert host.store(NEW, OLD).read("file") == SECRET


def test_one_that_is_not_ended_leaves_what_was_there(host: Host) -> None:
    store = host.store()
    store.write("file", b"before")

    with suppress(ZeroDivisionError), store.draft() as draft:
        draft.write(SECRET * 100)
        raise ZeroDivisionError

    assert store.read("file") == b"before"
    assert [path.name for path in host.root.iterdir()] == ["file"]


def test_what_cannot_be_written_is_told_with_the_directory(host: Host) -> None:
    host.root.parent.mkdir(parents=True)
    host.root.write_text("a file in its place")

    with pytest.raises(ConfigurationError, match=r"Files cannot be kept in .*mine"):
        host.store().write("file", SECRET)


def test_a_file_that_was_begun_under_the_old_key_is_kept_under_the_new_one(host: Host) -> None:
    host.data_dir.mkdir()
    (host.data_dir / "secret.key").write_text(OLD)
    store = connection_files.store_at(host.settings(), host.root)

    with store.draft() as draft:
        draft.write(SECRET * 20)
        (host.data_dir / "secret.key").write_text(f"{NEW}\n{OLD}")
        draft.keep("file")

    assert host.store(NEW).read("file") == SECRET * 20


def test_clear_files_need_no_key(host: Host) -> None:
    store = host.store("no key", encrypts=False)

    store.write("file", SECRET)
    (store.open_directory() / "other").write_bytes(SECRET)
    store.close()

    assert (store.read("file"), store.size("other")) == (SECRET, len(SECRET))


def test_a_store_without_keys_keeps_files_as_they_are(tmp_path: Path) -> None:
    store = FileStore(tmp_path)

    store.write("file", MARK + b"x" * 40)

    assert (tmp_path / "file").read_bytes() == store.read("file") == MARK + b"x" * 40
