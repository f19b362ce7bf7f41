"""Transfer encodings undone piece by piece, and text made of what comes out."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from connectors.gmail.charsets import decoded

SNIPPET = 200
"""Characters of a snippet."""
LONGEST_LINE = 1 << 20
"""Bytes of quoted-printable that are kept back while waiting for the end of a line."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def undone(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes behind a Content-Transfer-Encoding; what is neither of the two that encode is passed on."""
    if encoding == "base64":
        return _from_base64(chunks)
    if encoding == "quoted-printable":
        return _from_quoted(chunks)
    return iter(chunks)


def text_of(raw: bytes, encoding: str, charset: str | None) -> str:
    """A text part, decoded, with line ends as `\\n`."""
    return decoded(b"".join(undone([raw], encoding)), charset).replace("\r\n", "\n")


def snippet(text: str) -> str | None:
    """The beginning of a message on one line, without what it quotes; None when there is none."""
    own = (line for line in text[: SNIPPET * 40].splitlines() if not line.lstrip().startswith(">"))
    line = " ".join(_CONTROL.sub(" ", " ".join(own)).split())
    return line[:SNIPPET] or None


def _from_base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        clean = kept + _NOT_BASE64.sub(b"", chunk)
        whole = len(clean) // 4 * 4
        kept = clean[whole:]
        yield binascii.a2b_base64(clean[:whole])
    if len(kept) > 1:
        yield binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def _from_quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        kept += chunk
        end = kept.rfind(b"\n") + 1
        if not end and len(kept) > LONGEST_LINE:
            escape = kept.rfind(b"=", len(kept) - 2)
            end = len(kept) if escape < 0 else escape
        yield binascii.a2b_qp(kept[:end])
        kept = kept[end:]
    yield binascii.a2b_qp(kept)
