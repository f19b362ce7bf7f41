"""Files packed within a file or a text: TNEF (`winmail.dat`), yEnc and uuencode."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from connectors.gmail.decoding import undone, yenc_files

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest content that is unpacked."""

_TNEF = b"\x78\x9f\x3e\x22"
_UU = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]+)\r?\n(?:[ -`][^\r\n]*\r?\n)*?end[ \t]*\r?$", re.MULTILINE)
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} ", re.MULTILINE)

_TITLE, _DATA, _TEXT = 0x8010, 0x800F, 0x800C
"""Attributes of TNEF: the name of an attachment, its content, the text of the message."""


class Packed(NamedTuple):
    """A file within."""

    filename: str | None
    content: bytes


def packed_as(content: bytes) -> str | None:
    """The form in which content holds files; None for all other content."""
    if content.startswith(_TNEF):
        return "tnef"
    if next(yenc_files(content), None) is not None:
        return "yenc"
    return "uuencode" if b"begin " in content and _UU.search(content) else None


def may_hold_files(begin: bytes) -> bool:
    """Whether content that begins so is worth a closer look."""
    return begin.startswith(_TNEF) or b"=ybegin " in begin or _UU_BEGIN.search(begin) is not None


def unpacked(content: bytes) -> list[Packed]:
    """The files within, as far as they can be read; never fails."""
    kind = packed_as(content)
    if kind == "tnef":
        return _named(list(_attributes(content)))
    yenc = (Packed(_text(name), file) for name, file in yenc_files(content))
    return [*yenc, *_from_uuencode(content)] if kind else []


def _from_uuencode(content: bytes) -> Iterator[Packed]:
    for found in _UU.finditer(content):
        yield Packed(_text(found[1].strip()), b"".join(undone([found[0] + b"\n"], "uuencode")))


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of TNEF, as far as they are whole: a level, an id, a length, the value, a checksum."""
    place = len(_TNEF) + 2
    while place + 9 <= len(content):
        number, _, length = struct.unpack_from("<HHI", content, place + 1)
        value = content[place + 9 : place + 9 + length]
        if len(value) < length:
            return
        yield number, value
        place += 9 + length + 2


def _named(attributes: list[tuple[int, bytes]]) -> list[Packed]:
    """The text of the message and its attachments; a name may stand before its content or after it."""
    texts = [value.rstrip(b"\0") for number, value in attributes if number == _TEXT]
    titles = [_text(value.rstrip(b"\0")) for number, value in attributes if number == _TITLE]
    contents = [value for number, value in attributes if number == _DATA]
    names: list[str | None] = [*titles] if len(titles) == len(contents) else [None] * len(contents)
    files = [Packed(name, content) for name, content in zip(names, contents, strict=True)]
    return [*(Packed("message.txt", text) for text in texts if text.strip()), *files]


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp1252", "replace")
