"""Quick readers beside the libraries that they stand in for: where they have a word, it is the library's word."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient.response_parser import parse_response

from connectors.gmail.answers import values
from connectors.gmail.client import UNREADABLE, Client
from connectors.gmail.source import outside
from connectors.gmail.tidy import is_tidy
from tests.connectors.gmail.test_hostile_server import serving

_WORDS = [
    b"(",
    b")",
    b" ",
    b'"x y"',
    b'"a\\"b\\\\"',
    b'"',
    b"\\Seen",
    b"[a b]",
    b"NIL",
    b"12",
    b"012",
    b"BODY[1]<0>",
    b"%",
]
LINES = st.lists(st.lists(st.sampled_from(_WORDS), max_size=9).map(b"".join), max_size=3)
BOUNDARIES = st.sampled_from(["x", "xy", "b-1", "x--", "a b"])
ENDS = st.sampled_from(["--{0}--\r\n", "--{0}--\r\n", "--{0}--", "", "--{0}--\r\nafter\r\n", "--{0}--\r\n--{0}\r\n"])
HEADS = ["", "X: 1\r\n", "no field\r\n", "Content-Type: message/rfc822\r\n", "Content-Type: multipart/mixed\r\n"]
TEXTS = ["hello", "--x\r\nhello", "a\rb", "Subject: a\r\n\r\nb"]
_LEAVES = st.builds("{}\r\n{}".format, st.sampled_from(HEADS), st.sampled_from(TEXTS))


def _many(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def joined(boundary: str, parts: list[str], before: str, end: str, quote: str) -> str:
        told = quote.format(boundary)
        body = before + "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + end.format(boundary)
        return f"Content-Type: multipart/mixed; boundary={told}\r\n\r\n{body}"

    quotes = st.sampled_from(['"{}"', '"{}"', "{}", '"{}"; boundary=z', '"{}" (c)'])
    befores = st.sampled_from(["", "", "", "before\r\n", "\r\n"])
    return st.builds(joined, BOUNDARIES, st.lists(parts, max_size=3), befores, ENDS, quotes)


MAILS = st.recursive(_LEAVES, _many, max_leaves=6).map(lambda text: f"Subject: s\r\n{text}".encode())


@given(LINES, st.booleans())
def test_an_answer_is_read_as_the_library_reads_it(texts: list[bytes], is_literal: bool) -> None:
    lines = [(text + b" {3}", b"abc") if is_literal else text for text in texts]

    try:
        told = parse_response(lines)
    except UNREADABLE as refusal:
        with pytest.raises(type(refusal)):
            values(lines)
    else:
        assert values(lines) == told


@given(MAILS)
def test_no_text_is_outside_of_the_parts_of_a_tidy_mail(mail: bytes) -> None:
    assert not (is_tidy(mail) and outside(mail))


def test_a_mail_that_is_built_by_the_rules_is_tidy() -> None:
    inner = "Content-Type: multipart/alternative;\r\n boundary=in\r\n\r\n--in\r\n\r\na\r\n--in\r\n\r\nb\r\n--in--\r\n"
    mail = f'Subject: s\r\nContent-Type: multipart/mixed; boundary="out"\r\n\r\n--out\r\n{inner}\r\n--out--\r\n'

    assert is_tidy(mail.encode())
    assert not is_tidy(mail.encode() + b"after")


_LISTING = [
    b"* 1 FETCH (UID 11)\r\n",
    b"* 2 FETCH (UID 12)\r\n",
    b"* 3 FETCH (FLAGS () UID 13)\r\n",
    b"* 4 FETCH (UID 14 FLAGS (\\Seen))\r\n",
    b"* 5 FETCH (BODY[] {21}\r\n* 1 FETCH (UID 99)\r\nx UID 15)\r\n",
    b"* 9 EXISTS\r\n",
    b"* OK [UIDNEXT 77] UID 78\r\n",
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client whose server says nothing after its greeting: what it reads is put in place of the connection."""
    with serving(lambda _: None) as port:
        client = Client("127.0.0.1", port, ssl=False, timeout=10)
        yield client
        client.shutdown()


def let_answer(client: Client, lines: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Let these lines be the answer to the next FETCH; returns its tag."""
    tag: bytes = client._imap._command("NOOP")
    monkeypatch.setattr(client._imap, "file", io.BytesIO(b"".join(lines) + tag + b" OK done\r\n"))
    monkeypatch.setattr(client, "send_fetch", lambda _messages, _items: tag)
    return tag


@given(st.lists(st.sampled_from(_LISTING), max_size=6))
def test_uids_are_read_as_the_library_reads_them(client: Client, lines: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        told = client._lines(let_answer(client, lines, monkeypatch))
        let_answer(client, lines, monkeypatch)

        found = client.existing("1:99")

    uids = (re.search(rb"UID (\d+)", line) for line in told if isinstance(line, bytes))
    assert found == sorted({int(one.group(1)) for one in uids if one})


def test_lines_of_uids_alone_are_not_taken_through_the_library(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    let_answer(client, [b"* %d FETCH (UID %d)\r\n" % (one, one) for one in range(1, 51)], monkeypatch)
    read = Mock(side_effect=client._imap._get_line)
    monkeypatch.setattr(client._imap, "_get_line", read)

    found = client.existing("1:50")

    assert found == list(range(1, 51))
    assert read.call_count == 1
