"""A mail that was made to take time or memory without end costs itself, and the mails beside it are read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.gmail import foreign_text
from connectors.gmail.decoding import yenc_files
from connectors.gmail.errors import words_of
from connectors.gmail.fields import HEADER_BYTES, Headers
from connectors.gmail.local import mbox
from connectors.gmail.local.mime import parsed
from connectors.gmail.structure import structure
from pdpp_worker.connector import Room, ShapeError
from tests.connectors.gmail.conftest import Holder, gaps, holder
from tests.connectors.gmail.mails import written

HEAD = b"From: a@example.org\r\nSubject: %b\r\nMessage-ID: <%b@x>\r\nMIME-Version: 1.0\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mail"
    made.mkdir()
    return made


@pytest.fixture
def owner(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Holder]:
    """The connector of an owner who has files alone, with a limit of time that a test can wait for."""
    room = Room("connectors.gmail.html_text:html_text", cpu_s=0.5)
    monkeypatch.setattr(foreign_text, "_PAGES", room)
    yield holder({"mail_path": str(folder)}, tmp_path / "files")
    room.close()


def _nested_page() -> bytes:
    tags = (b"<b>" * 60_000, b"<b>" * 60_000, b"</i>" * 60_000, b"</i>" * 60_000)
    parts = (b"--b\r\nContent-Type: text/html\r\n\r\n%b\r\n" % one for one in tags)
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(parts) + b"--b--\r\n"


def test_a_mail_whose_page_takes_long_to_take_apart_is_one_gap(owner: Holder, folder: Path) -> None:
    (folder / "bad.eml").write_bytes(HEAD % (b"bad", b"bad") + _nested_page())
    (folder / "good.eml").write_bytes(written("good", html="<p>Good <b>morning</b></p>"))

    said = owner.run()

    (gap,) = gaps(said)
    assert gap.stream == "message_bodies"
    assert gap.last_error is not None
    assert "the HTML of the message is not read: it takes more than 0.5 s to read" in gap.last_error
    assert set(owner.by_subject()) == {"good", "bad"}
    assert owner.by_subject("message_bodies")["good"]["body_text"] == "Good morning.\n"


@pytest.mark.parametrize("value", [b"a", b"=?a?q?_", b"a.", b"(a", b"<@a:", b"a,", b'"a', b"Mon 1:1 "])
def test_a_header_takes_no_longer_than_it_is_long(value: bytes) -> None:
    headers = Headers(b"To: " + value * (HEADER_BYTES // len(value)))

    assert headers.addresses("TO") is not None
    assert headers.text("TO")


def test_no_more_of_a_header_is_read_than_a_server_is_asked_for() -> None:
    assert len(Headers(b"a: b\r\n" * 10_000_000).as_they_stand()) <= HEADER_BYTES // len("a: b\r\n") + 1


def test_a_line_that_nearly_separates_two_mails_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"From a\nX: y\n\nFrom " + b"Mon 1:11 1111 " * 70_000)

    with (tmp_path / "one").open("rb") as stream:
        assert len(list(mbox.pieces(stream))) == 1


def test_a_name_in_yenc_that_never_ends_is_looked_at_once() -> None:
    assert list(yenc_files(b"=ybegin " + b"name=" * 200_000)) == []


def test_the_words_of_a_server_are_looked_at_as_far_as_a_person_would() -> None:
    assert words_of(ValueError("b'" * 1_000_000 + "x"))


def _of_parts(*kinds: bytes) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + b"".join(b"--b\r\n%b\r\n\r\n" % kind for kind in kinds) + b"--b--"


@pytest.mark.parametrize("kind", [b"", b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"])
def test_a_mail_of_more_pieces_than_memory_can_hold_is_refused(kind: bytes) -> None:
    tracemalloc.start()

    with pytest.raises(ShapeError, match="more than 2000 parts"):
        structure(parsed(_of_parts(*[kind] * 100_000)).told)

    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


def test_the_fields_of_a_part_are_read_as_far_as_a_header_goes() -> None:
    tracemalloc.start()
    begun = b"Content-Type: text/plain" + b";a=b" * 1_000_000

    assert parsed(begun + b"\r\nContent-ID: late\r\n\r\nx").fields.keys() == {b"content-type"}

    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()
