"""A member of a zip unpacks to what its bytes can honestly hold."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pdpp_worker.confined import unpacking
from pdpp_worker.confined.unpacking import open_member, open_zip


def zipped(path: Path, content: bytes) -> Path:
    """A zip with one member, `a`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", content)
    return path


def test_a_member_that_unpacks_to_far_more_than_its_bytes_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(zipped(tmp_path / "a.zip", b"\0" * 20_000_000)) as archive,
        pytest.raises(zipfile.BadZipFile, match="more than 100 times"),
    ):
        open_member(archive, "a")


def test_a_small_member_may_be_as_dense_as_it_likes(tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped(tmp_path / "a.zip", b"\0" * 8_000_000)) as archive, open_member(archive, "a") as member:
        assert len(member.read()) == 8_000_000


def test_an_entry_that_says_less_than_there_is_breaks_off(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", b"\0" * 20_000_000)
    path.write_bytes(path.read_bytes().replace((20_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")))

    with zipfile.ZipFile(path) as archive, open_member(archive, "a") as member, pytest.raises(zipfile.BadZipFile):
        member.read(5_000)


def test_an_archive_that_lists_more_members_than_memory_can_hold_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LONGEST_LIST", 1_000)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100):
            archive.writestr(str(number), b"x" * 1_001)

    with pytest.raises(zipfile.BadZipFile, match="too many members"), open_zip(path):
        pass


def test_a_member_that_is_longer_than_the_list_may_be_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LONGEST_LIST", 1_000)

    with open_zip(zipped(tmp_path / "a.zip", bytes(range(256)) * 40)) as archive, open_member(archive, "a") as member:
        assert len(member.read()) == 256 * 40
