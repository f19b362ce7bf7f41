"""Transfer encodings undone piece by piece, and text made of what comes out."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser

from connectors.gmail.charsets import decoded

SNIPPET = 200
"""Characters of a snippet."""
LONGEST_LINE = 1 << 20
"""Bytes of quoted-printable that are kept back while waiting for the end of a line."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LONE = re.compile(r"<(?![a-zA-Z/!?][^<>]*>)")
"""What begins no tag that ends; the parser would look for its end again and again."""
_BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "table", "ul", "ol", "blockquote", "pre", "hr"} | {f"h{n}" for n in range(1, 7)}
)
_UNSEEN = frozenset({"script", "style", "head", "title", "template"})


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


def stripped(html: str) -> str:
    """The text of an HTML page."""
    reader = _Text()
    html = _LONE.sub("&lt;", _COMMENT.sub("", html))
    with suppress(AssertionError):  # what the parser makes of some broken declarations
        reader.feed(html)
        reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.found).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "body":
            self._unseen.clear()
        elif tag in _BLOCKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag in _BLOCKS:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found.append(data)


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
