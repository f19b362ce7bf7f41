"""Texts of a message that stand in none of its parts: before the first boundary, after the last, or without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from typing import Any

from connectors.gmail.charsets import decoded

SOURCE = "BODY.PEEK[TEXT]"
SMALL = 64 * 1024
"""Bytes of a body of several parts that is read a second time as it stands."""

_PARSER = BytesParser()
_MULTIPART = re.compile(rb"^content-type:\s*multipart/", re.IGNORECASE | re.MULTILINE)
_ENVELOPE = re.compile(rb"\A>?From [^\n]*\n")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")


def has_parts(head: bytes) -> bool:
    """Whether a message says of itself that it has several parts."""
    return _MULTIPART.search(head) is not None


def outside(mail: bytes) -> list[str]:
    """The texts outside of all parts, in their order."""
    try:
        return [text for raw in _around(_PARSER.parsebytes(mail)) if (text := _text(raw))]
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError):
        return [decoded(mail.partition(b"\r\n\r\n")[2], None)]


def beyond_header(block: bytes) -> bytes:
    """The lines of a part's header that are no header: content that no empty line stands before."""
    lines = block.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.strip() and not _FIELD.match(line)), len(lines))
    return b"".join(lines[start:])


def before_empty_line(head: bytes) -> str:
    """The text that stands in a message's header, since no empty line stands before it; mostly empty."""
    return _text(beyond_header(_ENVELOPE.sub(b"", head)).decode("utf-8", "surrogateescape"))


def _around(part: Message) -> Iterator[Any]:
    if part.get_content_maintype() != "multipart":
        return
    if not part.is_multipart():  # its boundary never occurs
        yield part.get_payload()
        return
    yield part.preamble
    for child in part.get_payload():
        if isinstance(child, Message):
            yield from _around(child)
    yield part.epilogue


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        return ""
    return decoded(raw.encode("utf-8", "surrogateescape"), None).replace("\r\n", "\n").strip()
