"""Zips and gzipped files are unpacked in a child, to what their bytes can honestly hold."""

from __future__ import annotations

import gzip
import os
import signal
import zipfile
from pathlib import Path

import pytest

from pdpp_worker.confined import unpacking
from pdpp_worker.confined.unpacking import Zip, open_gzip, open_zip

pytestmark = pytest.mark.process  # starts processes itself


def zipped(path: Path, **members: bytes) -> Path:
    """A zip with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: Path, name: str = "a") -> bytes:
    """The content of a member."""
    with open_zip(path) as archive, archive.open(name) as member:
        return member.read()


def gzipped(path: Path, *pieces: bytes) -> Path:
    """A file of gzip, with one member for each piece."""
    path.write_bytes(b"".join(map(gzip.compress, pieces)))
    return path


def test_members_come_as_they_are_and_beside_each_other(tmp_path: Path) -> None:
    long = os.urandom(3_000_000)
    path = zipped(tmp_path / "a.zip", a=long, b=b"one\ntwo\n", c=gzip.compress(b"packed twice"))

    with open_zip(path) as archive, archive.open("a") as first, archive.open("b") as second:
        begun = first.read(10)

        assert [one.name for one in archive.members] == ["a", "b", "c"]
        assert second.readlines() == [b"one\n", b"two\n"]
        assert begun + first.read() == long
        assert archive.open("c", is_gzipped=True).read() == b"packed twice"


def test_a_member_that_unpacks_to_far_more_than_its_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(zipfile.BadZipFile, match="more than 100 times"):
        read(zipped(tmp_path / "a.zip", a=b"\0" * 20_000_000))


def test_a_small_member_may_be_as_dense_as_it_likes(tmp_path: Path) -> None:
    assert len(read(zipped(tmp_path / "a.zip", a=b"\0" * 8_000_000))) == 8_000_000


def test_an_entry_that_says_less_than_there_is_breaks_off(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", a=b"\0" * 20_000_000)
    path.write_bytes(path.read_bytes().replace((20_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")))

    with pytest.raises(zipfile.BadZipFile):
        read(path)


def test_an_archive_that_lists_more_members_than_memory_can_hold_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LONGEST_LIST", 1_000)
    path = zipped(tmp_path / "many.zip", **{str(number): b"x" * 1_001 for number in range(100)})

    with pytest.raises(zipfile.BadZipFile, match="too many members"), open_zip(path):
        pass


def test_a_member_that_is_longer_than_the_list_may_be_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LONGEST_LIST", 1_000)

    assert len(read(zipped(tmp_path / "a.zip", a=bytes(range(256)) * 40))) == 256 * 40


def listed_at(path: Path, name: str, offset: int) -> None:
    """Let the list of a zip's members say that one begins elsewhere."""
    with zipfile.ZipFile(path) as archive:
        before = archive.getinfo(name).header_offset
    raw = path.read_bytes()
    entry = raw.rindex(name.encode()) - 46
    assert raw[entry + 42 : entry + 46] == before.to_bytes(4, "little")
    path.write_bytes(raw[: entry + 42] + offset.to_bytes(4, "little") + raw[entry + 46 :])


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", first=os.urandom(500), inner=b"y" * 50_000, last=b"whole")
    with zipfile.ZipFile(path) as archive:
        second = archive.getinfo("inner").header_offset
    listed_at(path, "inner", second - 50)

    with open_zip(path) as archive:
        with pytest.raises(zipfile.BadZipFile, match="shares bytes"):
            archive.open("first")
        assert archive.open("last").read() == b"whole"


def test_a_member_that_is_another_one_too_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", first=b"x" * 50_000, other=b"y" * 50_000)
    listed_at(path, "other", 0)

    with open_zip(path) as archive:
        assert len(archive.open("first").read()) == 50_000
        with pytest.raises(zipfile.BadZipFile, match="shares bytes"):
            archive.open("other")


def test_a_member_that_is_listed_twice_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"whole")
        archive.filelist.append(archive.getinfo("a"))

    assert read(tmp_path / "a.zip") == b"whole"


def test_a_gzipped_file_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    with open_gzip(gzipped(tmp_path / "a.gz", b"one\n", b"", b"two\n")) as lines:
        assert lines.readlines() == [b"one\n", b"two\n"]


def test_a_gzipped_file_that_unpacks_to_far_more_than_its_bytes_breaks_off(tmp_path: Path) -> None:
    bomb = gzipped(tmp_path / "a.gz", *[b"\0" * 4_000_000] * 5)

    with open_gzip(bomb) as file, pytest.raises(zipfile.BadZipFile, match="more than 100 times"):
        file.read()


def test_a_file_that_is_none_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"), open_zip(tmp_path / "a.zip"):
        pass


def test_a_file_that_cannot_be_opened_is_held_by_no_reader(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip" * 1_000)

    with pytest.raises(zipfile.BadZipFile, match="not a zip"), open_zip(tmp_path / "a.zip"):
        pass

    with open_zip(zipped(tmp_path / "b.zip", b=b"second")) as other:
        assert open_files(process(other)) == {"b.zip"}


def test_a_killed_reader_costs_what_it_was_reading_and_the_next_member_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", a=os.urandom(1_000_000), b=b"whole")

    with open_zip(path) as archive:
        first = archive.open("a")
        first.read(10)
        kill(archive)
        with pytest.raises(zipfile.BadZipFile, match="sudden end"):
            first.read()
        assert archive.open("b").read() == b"whole"
        with pytest.raises(zipfile.BadZipFile, match="is lost"):
            first.read()


def test_a_file_whose_reader_is_killed_again_and_again_is_given_up(tmp_path: Path) -> None:
    with open_zip(zipped(tmp_path / "a.zip", a=b"whole")) as archive:
        for _ in range(3):
            assert archive.open("a").read() == b"whole"
            kill(archive)
            with pytest.raises(zipfile.BadZipFile, match="sudden end"):
                archive.open("a")
        with pytest.raises(zipfile.BadZipFile, match="3 times"):
            archive.open("a")


def test_a_reader_that_was_left_reads_the_next_file_and_keeps_nothing_of_the_first(tmp_path: Path) -> None:
    with open_zip(zipped(tmp_path / "a.zip", a=b"first")) as archive:
        member = archive.open("a")
        child = process(archive)
    with open_zip(zipped(tmp_path / "b.zip", b=b"second")) as other:
        assert process(other) == child
        assert open_files(child) == {"b.zip"}
    with pytest.raises(zipfile.BadZipFile, match="closed"):
        member.read()


def process(archive: Zip) -> int:
    """The process that reads an archive."""
    child = archive._reader._child
    assert child is not None
    return child._process.pid


def open_files(pid: int) -> set[str]:
    """The names of the zips that a process has open."""
    held = {one.readlink().name for one in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in held if name.endswith(".zip")}


def kill(archive: Zip) -> None:
    """End it, as the kernel does."""
    os.kill(process(archive), signal.SIGKILL)
