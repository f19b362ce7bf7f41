"""The pure pieces: the ledger, the structure of a message, headers, transfer encodings, server's words."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient.response_parser import parse_response

from connectors.gmail.charsets import decoded
from connectors.gmail.client import _by_uid, sequence_set
from connectors.gmail.decoding import snippet, text_of, undone
from connectors.gmail.errors import typed
from connectors.gmail.fields import HEADER_BYTES, Headers, labels
from connectors.gmail.files import Files
from connectors.gmail.html_text import html_text
from connectors.gmail.ledger import BLOCK, Ledger, MessageEntry
from connectors.gmail.local import mime
from connectors.gmail.local.mime import MOST_PARTS, parsed
from connectors.gmail.structure import structure
from pdpp_worker.connector import ShapeError, Throttled
from pdpp_worker.stored_files.file_store import FileStore

ENTRIES = st.builds(
    MessageEntry,
    uid=st.integers(1, 2**32 - 1),
    gm=st.integers(0, 2**64 - 1),
    attachments=st.integers(0, 300),
    mark=st.integers(0, 2**32 - 1),
)


def spread(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


@given(st.lists(st.lists(ENTRIES, max_size=30), max_size=5), st.sets(st.integers(1, 2**32 - 1)))
def test_a_ledger_holds_what_a_table_would(pages: list[list[MessageEntry]], dropped: set[int]) -> None:
    ledger = Ledger()
    table: dict[int, MessageEntry] = {}
    for page in pages:
        ledger.add(page)
        table |= {entry.uid: entry for entry in page}
        gone = {*dropped, *list(table)[:3]}
        ledger.drop(gone)
        table = {uid: entry for uid, entry in table.items() if uid not in gone}
        ledger = Ledger.from_json(json.loads(json.dumps(ledger.as_json())))

    assert list(ledger.entries()) == [table[uid] for uid in sorted(table)]
    assert len(ledger) == len(table)


def test_a_ledger_of_a_large_mailbox_is_small() -> None:
    ledger = Ledger()
    for first in range(1, 20_001, 100):
        ledger.add(
            MessageEntry(uid, 1_700_000_000_000 + uid * 977, uid % 9 == 0, 0) for uid in range(first, first + 100)
        )

    assert ledger.size == 20_000 // BLOCK
    assert len(json.dumps(ledger.as_json())) < 20_000 * 6


@given(st.sets(st.integers(1, 500)))
def test_a_sequence_set_names_exactly_its_uids(uids: set[int]) -> None:
    parts = [part.split(":") for part in sequence_set(uids).split(",") if part]

    assert {uid for part in parts for uid in range(int(part[0]), int(part[-1]) + 1)} == uids


@given(st.binary(max_size=4000), st.integers(1, 900))
def test_base64_in_pieces_is_what_was_encoded(raw: bytes, size: int) -> None:
    assert b"".join(undone(spread(base64.encodebytes(raw), size), "base64")) == raw


@given(st.binary(max_size=2000), st.integers(1, 900))
def test_quoted_printable_in_pieces_is_what_was_encoded(raw: bytes, size: int) -> None:
    assert b"".join(undone(spread(binascii.b2a_qp(raw, istext=False), size), "quoted-printable")) == raw


def test_a_line_of_quoted_printable_without_end_is_not_kept_back() -> None:
    raw = "ä".encode() * 700_000
    line = b"".join(b"=%02X" % byte for byte in raw)

    pieces = list(undone(spread(line, 100_000), "quoted-printable"))

    assert b"".join(pieces) == raw
    assert max(map(len, pieces)) < len(raw) / 2


LABELS = [
    "utf-8",
    "us-ascii",
    "koi8-r",
    "klingon",
    "base64",
    "\x00",
    "utf-16",
    "utf-7",
    "undefined",
    "idna",
    "punycode",
]


@given(st.binary(max_size=300), st.sampled_from([None, *LABELS]))
def test_any_bytes_become_text_whatever_their_label(raw: bytes, charset: str | None) -> None:
    assert isinstance(decoded(raw, charset), str)


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"caf\xe9", "us-ascii", "café"),
        (b"caf\xe9", None, "café"),
        ("café".encode(), "x-unknown", "café"),
        (b"\x93hi\x94", "iso-8859-1", "“hi”"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
        ("é".encode() + b"\xff", "UTF-8", "é\ufffd"),
        ("éé".encode()[:-1], "UTF-8", "é\ufffd"),
        ("éé".encode()[:-1], None, "é"),
        (b"hi", "undefined", "hi"),
    ],
)
def test_wrong_labels_are_seen_through(raw: bytes, charset: str | None, text: str) -> None:
    assert text_of(raw, "8bit", charset) == text


@given(st.binary(max_size=500))
def test_no_header_is_too_broken_to_read(raw: bytes) -> None:
    headers = Headers(b"Subject: " + raw + b"\r\nFrom: " + raw + b"\r\nDate: " + raw + b"\r\nReferences: " + raw)

    for name in ("FROM", "TO", "CC", "BCC", "REPLY-TO", "SUBJECT", "DATE", "MESSAGE-ID", "REFERENCES"):
        headers.text(name)
        headers.addresses(name)
        headers.ids(name)
    headers.date()


def test_a_header_is_decoded() -> None:
    headers = Headers(
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n"
        b'From: "Ex, Ada" <Ada@Example.com>\r\nTo: =?iso-8859-1?q?J=F6rg?= <j@x.example>, k@y.example\r\n'
        b"Date: Mon, 06 May 2024 09:08:09 +0200\r\nReferences: <a@x>\r\n <b@x>\r\n\r\n"
    )

    assert headers.text("SUBJECT") == "Grüße aus Köln"
    assert headers.addresses("FROM") == [{"name": "Ex, Ada", "email": "Ada@Example.com"}]
    assert headers.addresses("TO") == [{"name": "Jörg", "email": "j@x.example"}, {"name": None, "email": "k@y.example"}]
    assert headers.date() == "2024-05-06T07:08:09.000Z"
    assert headers.ids("REFERENCES") == ["a@x", "b@x"]


@pytest.mark.parametrize("opening", ["(", "(a", ":", "a:b,"])
def test_addresses_nested_without_end_are_read_as_far_as_they_go(opening: str) -> None:
    headers = Headers(f"To: j@x.example, {opening * 5000}\r\n".encode())

    assert {"name": None, "email": "j@x.example"} in headers.addresses("TO")


def test_a_forged_date_is_none() -> None:
    assert Headers(b"Date: Thu, 99 Foo 0000 99:99:99 +9999\r\n\r\n").date() is None


def read(text: str) -> tuple[list[str], list[str], list[str]]:
    (raw,) = parse_response([text.encode()])
    found = structure(raw)
    return (
        [part.path for part in found.plain],
        [part.path for part in found.html],
        [f"{part.path} {part.type} {part.filename}" for part in found.attachments],
    )


PLAIN = '("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 10 1 NIL NIL NIL NIL)'
HTML = '("TEXT" "HTML" NIL NIL NIL "QUOTED-PRINTABLE" 20 1 NIL NIL NIL NIL)'
IMAGE = '("IMAGE" "PNG" ("NAME" "a.png") "<c@x>" NIL "BASE64" 30 NIL ("INLINE" ("FILENAME" "a.png")) NIL NIL)'
BARE = '("IMAGE" "PNG" NIL NIL NIL "BASE64" 30 NIL NIL NIL NIL)'
LONG_NAME = (
    '("APPLICATION" "PDF" NIL NIL NIL "BASE64" 9 NIL ("ATTACHMENT" '
    '("FILENAME*0*" "utf-8\'\'%C3%BCber" "FILENAME*1" "sicht.pdf")) NIL NIL)'
)
MAIL = f'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 99 ("d" "s" NIL NIL NIL NIL NIL NIL NIL NIL) {PLAIN} 5 NIL NIL NIL NIL)'
NOTE = '("TEXT" "PLAIN" ("NAME" "n.txt") NIL NIL "7BIT" 10 1 NIL ("ATTACHMENT" ("FILENAME" "n.txt")) NIL NIL)'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, (["1"], [], [])),
        (f'({PLAIN}{HTML} "ALTERNATIVE" ("BOUNDARY" "b") NIL NIL NIL)', (["1"], ["2"], [])),
        (
            f'(({PLAIN}{HTML} "ALTERNATIVE" NIL NIL NIL NIL){IMAGE}{NOTE} "MIXED" NIL NIL NIL NIL)',
            (["1.1"], ["1.2"], ["2 image/png a.png", "3 text/plain n.txt"]),
        ),
        (f'({PLAIN}{BARE}{PLAIN} "MIXED" NIL NIL NIL NIL)', (["1", "3"], [], ["2 image/png None"])),
        (f'({PLAIN}{MAIL} "MIXED" NIL NIL NIL NIL)', (["1"], [], ["2 message/rfc822 None"])),
        (LONG_NAME, ([], [], ["1 application/pdf übersicht.pdf"])),
        ('("TEXT" "PLAIN" NIL NIL NIL "7BIT" 10 1)', (["1"], [], [])),
        ('("MIXED" ("BOUNDARY" "b") NIL NIL)', ([], [], [])),
        (LONG_NAME.replace("FILENAME*1", f"FILENAME*{'9' * 5000}"), ([], [], ["1 application/pdf übersicht.pdf"])),
    ],
)
def test_every_part_is_text_or_attachment(text: str, expected: tuple[list[str], list[str], list[str]]) -> None:
    assert read(text) == expected


@given(
    st.recursive(
        st.none() | st.binary(max_size=5) | st.integers(), lambda inner: st.tuples(inner, inner) | st.tuples(inner)
    )
)
def test_what_is_no_structure_is_refused_by_name(raw: object) -> None:
    try:
        structure(raw)
    except ShapeError:
        return


def test_answers_are_kept_apart_and_unasked_ones_left_out() -> None:
    lines = [b"1 (FLAGS () UID 7)", b"7 (FLAGS (\\Deleted))", b"2 (UID 8 FLAGS (\\Seen))"]

    found = _by_uid(parse_response(lines))

    assert {uid: answer["FLAGS"] for uid, answer in found.items()} == {7: (), 8: (b"\\Seen",)}


def test_labels_of_every_form_are_read() -> None:
    (raw,) = parse_response([rb'(\\Inbox "Reisen/K&APY-ln" 2024 NIL "say \"hi\"")'])

    assert set(labels(raw)) == {"\\Inbox", "Reisen/Köln", "2024", "NIL", 'say "hi"'} or "\\\\Inbox" in labels(raw)


def test_a_snippet_is_one_line_without_quotes() -> None:
    assert snippet("Hello\n\n> you wrote\n  more\x00 of\tit " + "x" * 500) == ("Hello more of it " + "x" * 500)[:200]
    assert snippet("> only a quote") is None


def test_the_text_of_a_page_is_what_one_sees() -> None:
    head = "<html><head><title>T</title><style>p{}</style></head>"
    page = f"{head}<body><p>One &amp; two<br>three</p><script>x</script>4</body>"

    assert html_text(page.encode()).split() == ["One", "&", "two", "three", "4"]


def test_words_of_neighbouring_cells_and_blocks_are_not_run_together() -> None:
    page = "<tr><td>pangolin</td><td>go</td></tr><dl><dt>the</dt><dd>way</dd></dl><section>up</section>in<b>to</b>"

    assert html_text(page.encode()).split() == ["pangolin", "go", "the", "way", "up", "into"]


BROKEN = ["<!", "<![if x", "<!DOCTYPE [", "<a <b <c", "</", "&#xffffffff;"]
ENDLESS = [
    "<div>" * 200_000,
    "<b>" * 50_000 + "<p>" * 2000,
    "<table><tr><td>" * 20_000,
    "<!--" * 60_000,
    "<a " * 80_000,
    "<a b='" * 40_000,
]
"""The parser of the standard library works on each of these for minutes or hours."""


@pytest.mark.parametrize("page", [*BROKEN, *ENDLESS])
def test_a_broken_page_is_read_as_far_as_it_goes(page: str) -> None:
    assert html_text(f"before {page}".encode()).startswith("before")


def test_a_pause_is_a_day_at_most() -> None:
    asked = typed("BAD Suggested Backoff Time: 999999999 seconds", "FETCH")

    assert isinstance(asked, Throttled)
    assert asked.retry_after is not None


def test_words_about_one_message_are_no_outcome_of_the_server() -> None:
    assert typed("NO Some messages could not be FETCHed (Failure)", "FETCH") is None
    assert typed("NO [SERVERBUG] Internal error", "FETCH") is None


def test_the_same_content_is_kept_once(tmp_path) -> None:  # type: ignore[no-untyped-def]
    files = Files(FileStore(tmp_path))

    one, two = files.keep(iter([b"a", b"b"])), files.keep(iter([b"ab"]))

    assert one == two
    assert (tmp_path / one.path).read_bytes() == b"ab"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [one.sha256]


def test_more_of_a_header_is_asked_for_than_lists_of_recipients_take() -> None:
    assert HEADER_BYTES >= 5000 * 50


def test_text_is_read_however_deeply_it_is_nested() -> None:
    levels = 100_000

    text = html_text(b"<div>" * levels + b"at the bottom" + b"</div>" * levels + b"after")

    assert text.split() == ["at", "the", "bottom", "after"]


def test_a_message_of_too_many_parts_is_refused() -> None:
    leaf = (b"text", b"plain", None, None, None, b"7bit", 1, 1)
    many = parsed(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (MOST_PARTS + 1) + b"--b--"
    )

    assert len(structure((*[leaf] * MOST_PARTS, b"mixed")).plain) > 0
    with pytest.raises(ShapeError, match="more than 2000 parts"):
        structure(many.told)


def test_parts_within_parts_do_not_multiply_a_large_mail_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(40))
    monkeypatch.setattr(mime, "MOST_BYTES", 3 * len(nested))

    section = parsed(nested)
    levels = 0
    while section.children:
        section, levels = section.children[0], levels + 1

    assert levels < 10
    assert section.type == b"application/octet-stream"
