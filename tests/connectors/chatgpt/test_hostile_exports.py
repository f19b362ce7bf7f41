"""An export that was made to take memory without end is a gap, and takes none."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.chatgpt import jsonstream
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from tests.connectors.chatgpt.conftest import skips
from tests.connectors.chatgpt.test_archive import reader

PIECE = 1 << 20


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Fails a test that takes more than 300 MB."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300_000_000


def bomb(path: Path, begin: bytes, filler: bytes, mebibytes: int) -> Path:
    """An export whose conversations go on with the filler."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("conversations.json", "w", force_zip64=True) as member,
    ):
        member.write(begin)
        for _ in range(mebibytes):
            member.write(filler * (PIECE // len(filler)))
    return path


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("begin", "filler"),
    [(b'["', b"a"), (b"[", b" "), (b"[", b"["), (b"[", b"0,")],
    ids=["text", "blanks", "deep", "many"],
)
def test_a_zip_that_unpacks_to_far_more_than_its_bytes_is_not_unpacked(
    tmp_path: Path, begin: bytes, filler: bytes
) -> None:
    sent = reader(bomb(tmp_path / "export.zip", begin, filler, 120)).run()

    assert skips(sent)["conversations"].reason == "source_partition_failed"


@pytest.mark.usefixtures("little_memory")
def test_an_element_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "LONGEST_ELEMENT", 4 << 20)
    path = tmp_path / "conversations.json"
    path.write_bytes(b'["' + b"a" * (50 << 20))

    sent = reader(path).run()

    assert "more than 4 MB" in skips(sent)["conversations"].message


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("value", [b"{}", b"[]", b'{"a":{}}', b"0"])
def test_a_document_of_more_values_than_memory_can_hold_is_refused(value: bytes) -> None:
    with pytest.raises(BrokenJsonError, match="values"):
        decode(b"[" + (value + b",") * 5_000_000 + b"0]")


def test_a_long_text_full_of_commas_is_read() -> None:
    assert decode(b'["' + b"1, " * 1_900_000 + b'"]') == ["1, " * 1_900_000]
