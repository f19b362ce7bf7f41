"""Files that are packed within attachments and texts are unpacked, or named for what they are."""

from __future__ import annotations

import binascii
import struct
from pathlib import Path
from typing import Any

import pytest

from connectors.gmail.decoding import undone
from connectors.gmail.packed import packed_as, unpacked
from tests.connectors.gmail.conftest import Holder
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written

CONTENT = bytes(range(256)) * 3


def attribute(number: int, value: bytes, level: int = 2) -> bytes:
    return struct.pack("<BHHI", level, number, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


TNEF = (
    struct.pack("<IH", 0x223E9F78, 1)
    + attribute(0x800C, b"See the file.\0", level=1)
    + attribute(0x9002, b"\0" * 14)
    + attribute(0x8010, b"a.bin\0")
    + attribute(0x800F, CONTENT)
)


def yenc(content: bytes, name: str = "a.bin") -> bytes:
    critical = {0, 10, 13, 61}
    shifted = ((byte + 42) % 256 for byte in content)
    body = b"".join(bytes([61, (one + 64) % 256]) if one in critical else bytes([one]) for one in shifted)
    return f"=ybegin line=128 size={len(content)} name={name}\r\n".encode() + body + b"\r\n=yend size=768\r\n"


def uuencoded(content: bytes, name: str = "a.bin") -> bytes:
    lines = b"".join(binascii.b2a_uu(content[at : at + 45]) for at in range(0, len(content), 45))
    return f"begin 644 {name}\n".encode() + lines + b"`\nend\n"


def files_of(row: dict[str, Any], root: Path) -> dict[str, bytes]:
    return {one["filename"]: (root / one["path"]).read_bytes() for one in row["files_within"]}


@pytest.mark.parametrize(
    ("packed", "kind"), [(TNEF, "tnef"), (yenc(CONTENT), "yenc"), (uuencoded(CONTENT), "uuencode")]
)
def test_an_attachment_that_holds_files_is_kept_and_unpacked(
    gmail: GmailServer, inbox: Holder, packed: bytes, kind: str
) -> None:
    gmail.add(written("one", files={"packed.dat": packed}))

    inbox.run()

    (row,) = inbox.held("attachments").values()
    assert row["packed_as"] == kind
    assert (inbox.context.files / row["path"]).read_bytes() == packed
    assert files_of(row, inbox.context.files)["a.bin"] == CONTENT


def test_a_file_that_stands_in_a_text_is_unpacked(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("one", f"Here it is:\n\n{uuencoded(CONTENT).decode()}\nYours\n"))

    inbox.run()

    (row,) = inbox.held("message_bodies").values()
    assert "Yours" in row["body_text"]
    assert files_of(row, inbox.context.files) == {"a.bin": CONTENT}


def test_a_text_that_only_begins_something_holds_no_files(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("one", "We begin 644 days later.\nbegin 644 what?\nno end\n", files={"a.txt": b"begin 644 x"}))

    inbox.run()

    (row,) = inbox.held("message_bodies").values()
    assert "files_within" not in row
    (attachment,) = inbox.held("attachments").values()
    assert "packed_as" not in attachment


def test_a_part_that_is_encoded_as_yenc_is_the_file_that_it_encodes() -> None:
    assert b"".join(undone([yenc(CONTENT)[:100], yenc(CONTENT)[100:]], "x-yencode")) == CONTENT


@pytest.mark.parametrize("size", range(0, len(TNEF), 37))
def test_tnef_that_is_cut_anywhere_is_named_and_read_as_far_as_it_goes(size: int) -> None:
    cut = TNEF[:size]

    assert packed_as(cut) == ("tnef" if size >= 4 else None)
    assert len(unpacked(cut)) <= 2


def test_facts_of_a_part_that_no_field_names_are_kept(gmail: GmailServer, inbox: Holder) -> None:
    raw = written("one", files={"a.bin": b"abc"}).replace(
        b'filename="a.bin"', b'filename="a.bin"; creation-date="Mon, 06 May 2024 07:08:09 +0000"'
    )
    gmail.add(raw)

    inbox.run()

    (row,) = inbox.held("attachments").values()
    assert row["extra"]["disposition_parameters"] == {"creation-date": "Mon, 06 May 2024 07:08:09 +0000"}
