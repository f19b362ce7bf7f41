"""Transfer encodings undone piece by piece, and text made of what comes out."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from string import ascii_letters, digits

from connectors.gmail.charsets import decoded

SNIPPET = 200
"""Characters of a snippet."""
LONGEST_LINE = 1 << 20
"""Bytes of quoted-printable that are kept back while waiting for the end of a line."""

UUENCODED = frozenset({"x-uuencode", "uuencode", "x-uue", "x-uu"})
"""Names of an encoding that no standard names."""
YENCODED = frozenset({"x-yencode", "x-yenc", "yencode", "yenc"})
"""Names of another."""
_YENC = re.compile(rb"^=ybegin (?>[^\r\n]*?name=)([^\r\n]*+)\r?\n", re.MULTILINE)
_YENC_END = re.compile(rb"^=yend\b", re.MULTILINE)
_YENC_PART = re.compile(rb"\A=ypart [^\r\n]*\r?\n")
_YENC_ESCAPE = re.compile(rb"=(.)", re.DOTALL)
_YENC_SHIFTED = bytes((byte - 42) % 256 for byte in range(256))
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(ascii_letters.encode() + digits.encode() + b"+/")))
_WORDS = re.compile(rb"^.*\S[ \t]+\S.*\n?", re.MULTILINE)
"""A line of words, which base64 has not."""
_BEGIN = re.compile(rb"begin [0-7]{3,4} ")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def undone(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes behind a Content-Transfer-Encoding; what is none of those that encode is passed on."""
    if encoding == "base64":
        return _from_base64(chunks)
    if encoding == "quoted-printable":
        return _from_quoted(chunks)
    if encoding in UUENCODED:
        return _from_uuencoded(chunks)
    if encoding in YENCODED:
        content = b"".join(chunks)
        return iter([next((file for _, file in yenc_files(content)), content)])
    return iter(chunks)


def yenc_files(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The files in yEnc, each with its name."""
    for found in _YENC.finditer(content) if b"=ybegin " in content else ():
        end = _YENC_END.search(content, found.end())
        lines = _YENC_PART.sub(b"", content[found.end() : end.start() if end else len(content)])
        joined = lines.replace(b"\r", b"").replace(b"\n", b"")
        plain = _YENC_ESCAPE.sub(lambda one: bytes([(one[1][0] - 64) % 256]), joined)
        yield found[1].strip(), plain.translate(_YENC_SHIFTED)


def text_of(raw: bytes, encoding: str, charset: str | None) -> str:
    """A text part, decoded, with line ends as `\\n`; words beside its base64, such as a footer, as they stand."""
    if encoding == "base64" and (b" " in raw or b"\t" in raw) and (words := b"".join(_WORDS.findall(raw))):
        texts = (text_of(_WORDS.sub(b"", raw), encoding, charset), text_of(words, "", charset))
        return "\n".join(one for one in texts if one)
    return decoded(b"".join(undone([raw], encoding)), charset).replace("\r\n", "\n")


def snippet(text: str) -> str | None:
    """The beginning of a message on one line, without what it quotes; None when there is none."""
    own = (line for line in text[: SNIPPET * 40].splitlines() if not line.lstrip().startswith(">"))
    line = " ".join(_CONTROL.sub(" ", " ".join(own)).split())
    return line[:SNIPPET] or None


def _from_base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        clean = kept + chunk.translate(None, _NOT_BASE64)
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


def _from_uuencoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The file between `begin` and `end`; where there is no `begin` the bytes as they stand."""
    lines = _lines(chunks)
    before: list[bytes] = []
    for line in lines:
        if _BEGIN.match(line):
            yield from _uuencoded_lines(lines)
            return
        before.append(line)
    yield from before


def _uuencoded_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text == b"end":
            return
        yield _uudecoded(text)


def _uudecoded(text: bytes) -> bytes:
    """A line; one that is no line of this encoding stays as it stands."""
    try:
        # Spaces at the end of a line are lost on the way; some programs pad with more than is counted.
        length = ((text[0] - 32) & 63) if text else 0
        wanted = 1 + (length + 2) // 3 * 4
        return binascii.a2b_uu(text[:wanted].ljust(wanted)) if length else b""
    except binascii.Error:
        return text + b"\n"


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        *whole, kept = (kept + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(kept) > LONGEST_LINE:
            yield kept
            kept = b""
    if kept:
        yield kept
