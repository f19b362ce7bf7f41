"""A PDF that was made to hang or to swell costs one gap with its name, and the others are read."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.usaa.documents import export, pdf, statement, tables
from connectors.usaa.documents.money_files import read_qif
from connectors.usaa.site import pages
from pdpp_worker.connector import Room
from tests.connectors.usaa.owner import Owner, last_errors
from tests.connectors.usaa.papers import checking, line
from tests.connectors.usaa.papers import export as exported

pytestmark = pytest.mark.process  # PDFs are read in a process of their own

SLOW = Path(__file__).parent / "hostile" / "slow.pdf"


@pytest.fixture(autouse=True)
def quick_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A limit of time that a test can wait for."""
    room = Room("connectors.usaa.documents.pdf_reader:lines_of", cpu_s=2)
    monkeypatch.setattr(pdf, "_READER", room)
    yield
    room.close()


def made_of(*objects: bytes) -> bytes:
    """A PDF of these objects; the first one is its catalog."""
    out, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, out.rindex(b"xref"))


def page_of(packed: bytes) -> bytes:
    """A PDF of one page with this packed content."""
    return made_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents 4 0 R/Resources<<>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(packed), packed),
    )


def _blanks() -> bytes:
    """A thousand megabytes of blanks, packed; one megabyte is packed once, for packing all of them takes seconds."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last_block, checksum = b"\x03\x00", _adler32(ord(" "), 1_000 << 20)
    return head + megabyte * 1_000 + last_block + checksum.to_bytes(4, "big")


def _adler32(byte: int, count: int) -> int:
    """The checksum of so many equal bytes, by its definition in RFC 1950."""
    low = (1 + count * byte) % 65_521
    high = (count + byte * count * (count + 1) // 2) % 65_521
    return high << 16 | low


BOMBS: dict[str, Callable[[], bytes]] = {
    "more than 2 s": SLOW.read_bytes,
    "too much memory": lambda: page_of(_blanks()),
    "pictures": lambda: made_of(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_costs_one_gap_that_names_its_file(owner: Owner, inbox: Path, what: str) -> None:
    (inbox / "bomb.pdf").write_bytes(BOMBS[what]())
    (inbox / "january.pdf").write_bytes(checking(closing=100_000))
    (inbox / "rows.csv").write_bytes(exported(line("01/05/2026", "GROCERY #12", "-4.50")))

    sent = owner.run()

    assert owner.reasons() == ["parse_failed"]
    (error,) = [text for text in last_errors(sent) if "bomb.pdf" in text]
    assert what in error
    assert len(owner.held("transactions")) == 1
    assert len(owner.held("statements")) == 1


def test_a_bomb_is_read_no_second_time_by_the_same_version(
    owner: Owner, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "bomb.pdf").write_bytes(page_of(_blanks()))
    owner.run()
    monkeypatch.setattr(pdf, "_READER", None)

    owner.run(assigned=False)

    assert owner.reasons() == ["parse_failed"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (export._ROW_WITHIN, "\n" * 100_000),
        (export._ACCOUNTS[1], "*" * 100_000),
        (tables._AMOUNT, "111," * 30_000),
        (statement._CLOSING, "\n" * 100_000),
        (statement._CLOSING, "end date jan" * 10_000),
        (pages._LAST_FOUR, "x" * 100_000),
    ],
    ids=["row", "account", "amount", "closing", "closing date", "last four"],
)
def test_a_text_is_looked_through_once(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text) is None


def test_a_date_of_quotes_is_looked_through_once() -> None:
    assert read_qif("D1" + " " * 100_000 + "x\nT1\n^\n").broken == [1]
