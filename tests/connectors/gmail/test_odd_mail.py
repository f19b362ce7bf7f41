"""Mails that break the rules of their format: whatever a reader could see of them is kept."""

from __future__ import annotations

import pytest

from connectors.gmail.decoding import text_of, undone
from connectors.gmail.fields import Headers
from tests.connectors.gmail.conftest import Holder
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written

_HEAD = "From: Ada <ada@example.org>\nTo: me@example.org\nSubject: odd\nMIME-Version: 1.0\n"


def mail(content_type: str, body: str) -> bytes:
    return f"{_HEAD}Content-Type: {content_type}\n\n{body}".replace("\n", "\r\n").encode()


def deliver(server: Dovecot, raw: bytes) -> None:
    with server.owner() as owner:
        owner.append("INBOX", raw)


def only(rows: dict[str, dict[str, object]]) -> dict[str, object]:
    (row,) = rows.values()
    return row


def test_a_text_whose_boundary_never_occurs_is_kept_as_it_stands(server: Dovecot, account: Holder) -> None:
    deliver(server, mail('multipart/alternative; boundary="x"', "--y\nContent-Type: text/plain\n\nAll of it.\n--y--\n"))

    account.run()

    row = only(account.held("message_bodies"))
    assert row["body_source"] == "as_it_stands"
    assert "All of it." in str(row["body_text"])
    assert "All of it." in str(only(account.held())["snippet"])


def test_text_outside_of_the_boundaries_is_kept(server: Dovecot, account: Holder) -> None:
    body = "Before.\n--b\nContent-Type: text/plain\n\nthe letter\n--b--\nTo leave, write to leave@example.org\n"
    deliver(server, mail('multipart/mixed; boundary="b"', body))

    account.run()

    row = only(account.held("message_bodies"))
    assert row["body_outside"] == ["Before.", "To leave, write to leave@example.org"]
    assert (row["body_text"], row["body_source"]) == ("the letter", "text_plain")


def test_content_without_an_empty_line_before_it_is_kept(server: Dovecot, account: Holder) -> None:
    body = (
        "--b\nContent-Type: text/plain\n\nsee attached\n--b\nContent-Type: application/zip\n"
        'Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="a.zip"\n'
        "UEsDBBQAAAAI\nAAAAIQAAAAAA\n\n--b--\n"
    )
    deliver(server, mail('multipart/mixed; boundary="b"', body))

    account.run()

    row = only(account.held("attachments"))
    assert (account.context.files / str(row["path"])).read_bytes().startswith(b"PK\x03\x04")
    assert row["size_bytes"] == 18


@pytest.mark.parametrize("more", ["", "\n\nand more"])
def test_a_letter_without_an_empty_line_before_it_is_kept(server: Dovecot, account: Holder, more: str) -> None:
    letter = f"{_HEAD}The letter begins here.\nIts second line.{more}\n"
    deliver(server, letter.replace("\n", "\r\n").encode())

    account.run()

    row = only(account.held("message_bodies"))
    held = f"{row['body_text']} {row['body_outside']}"
    assert all(words in held for words in ("The letter begins here.", "Its second line.", more.strip()))


def test_words_beside_the_base64_of_a_text_are_kept_as_they_stand() -> None:
    footer = b"To leave this list, write to leave@example.org\r\n"

    assert text_of(b"bGV0dGVy\r\n" + footer, "base64", None) == f"letter\n{footer.decode().strip()}\n"
    assert text_of(b"these words are no base64, at all", "base64", None) == "these words are no base64, at all"


def test_an_attachment_that_is_empty_is_empty(server: Dovecot, account: Holder) -> None:
    deliver(server, written("odd", files={"empty.bin": b""}))

    account.run()

    assert only(account.held("attachments"))["size_bytes"] == 0


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_uuencoded_part_is_the_file_that_it_encodes(size: int) -> None:
    raw = b"some words\r\nbegin 644 a.bin\r\n#0V%T\r\n`\r\nend\r\nmore words\r\n"
    chunks = (raw[at : at + size] for at in range(0, len(raw), size))

    assert b"".join(undone(chunks, "x-uuencode")) == b"Cat"


def test_a_part_that_is_not_uuencoded_as_it_says_stays_as_it_stands() -> None:
    assert b"".join(undone([b"no beginning\r\nat all"], "uuencode")) == b"no beginning\r\nat all"


ADA, BOB = {"name": None, "email": "ada@example.org"}, {"name": None, "email": "bob@example.org"}


@pytest.mark.parametrize(
    ("field", "people"),
    [
        ("ada@example.org bob@example.org", [ADA, BOB]),
        ("Team@Home <ada@example.org>, bob@example.org", [{**ADA, "name": "Team@Home"}, BOB]),
        ("Ex, Ada <ada@example.org>, bob@example.org", [{**ADA, "name": "Ex, Ada"}, BOB]),
        ("the team, bob@example.org", [{"name": "the team", "email": None}, BOB]),
        ("Ada <ada@example.org> Bob <bob@example.org>", [{**ADA, "name": "Ada"}, {**BOB, "name": "Bob"}]),
    ],
)
def test_addresses_that_are_not_written_by_the_rules_are_not_run_together(field: str, people: list[object]) -> None:
    assert Headers(f"To: {field}\r\n\r\n".encode()).addresses("TO") == people


def test_every_header_is_kept_as_it_stands(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("news", List_Unsubscribe="<mailto:leave@example.org>", Received="from a by b"))

    inbox.run()

    headers = only(inbox.held())["headers"]
    assert ["List-Unsubscribe", "<mailto:leave@example.org>"] in headers  # type: ignore[operator]
    assert ["Received", "from a by b"] in headers  # type: ignore[operator]


def test_a_text_that_ends_before_its_told_size_is_a_gap(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("cut", "A text of more than a few bytes."))
    gmail.cut_at = 10

    said = inbox.run()

    assert inbox.held("message_bodies") == {}
    assert "10 of the" in str([getattr(one, "last_error", "") for one in said])
