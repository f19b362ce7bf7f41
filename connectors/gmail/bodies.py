"""The text of messages: small parts in bundles, large ones by way of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.gmail.client import Answer
from connectors.gmail.decoding import snippet, text_of, undone
from connectors.gmail.download import Ask, Downloads, TooLargeError, content
from connectors.gmail.errors import SilentError
from connectors.gmail.files import Stored
from connectors.gmail.foreign_text import outside, page_text
from connectors.gmail.rows import Mail, path_of
from connectors.gmail.source import SMALL, SOURCE, before_empty_line, has_parts
from connectors.gmail.structure import Part

INLINE = 256 * 1024
"""Bytes, as encoded, of a text part that is kept in the record whole; a larger one is kept as a file."""
PREVIEW = 4096
"""Bytes that are read for a snippet where bodies are not wanted."""
HEAD_CHARS = 65_536
"""Characters of a larger text that the record holds beside the file."""
BUNDLE = 4 * 1024 * 1024
"""Bytes that are asked for in one command."""


@dataclass
class Text:
    """The text of a message, as far as it was read."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of content by kind."""
    files: dict[str, list[Stored]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    """Texts that stand in no part."""
    within: list[dict[str, Any]] = field(default_factory=list)
    """Files that are packed in the text."""
    too_large: bool = False
    _readable: str | None = None

    @property
    def is_only_outside(self) -> bool:
        """Whether the parts hold nothing, and something stands outside of them."""
        return bool(self.outside) and not "".join((*self.plain, *self.html)).strip()

    def readable(self) -> str:
        """The text as a person reads it, once all of it is here.

        Raises:
            ShapeError: it cannot be read.
        """
        if self._readable is None:
            self._readable = self._as_read()
        return self._readable

    def _as_read(self) -> str:
        if self.is_only_outside:
            return "\n".join(self.outside)
        return "\n".join(self.plain) if self.plain else page_text("\n".join(self.html))

    def snippet(self) -> str | None:
        """The beginning of it."""
        return snippet(self.readable())


class Bodies:
    """Reads texts; `whole` says whether more than a snippet is wanted."""

    def __init__(self, downloads: Downloads, *, whole: bool) -> None:
        self._downloads = downloads
        self._limit = INLINE if whole else PREVIEW
        self._whole = whole

    def parts(self, message: Mail) -> tuple[Part, ...]:
        """The parts that are asked for."""
        texts = message.parts.texts
        return texts if self._whole else (message.parts.plain or message.parts.html)[:1]

    def items(self, message: Mail) -> list[str]:
        """The items to FETCH for a message's parts; and for the body as it stands where that may hold more."""
        items = ["UID", *(f"{path_of(part)}<0.{self._limit}>" for part in self.parts(message))]
        return [*items, f"{SOURCE}<0.{INLINE}>"] if self._wants_source(message) else items

    def _wants_source(self, message: Mail) -> bool:
        parts = (*message.parts.texts, *message.parts.attachments)
        size = (message.row["size_bytes"] or 0) - len(message.head)
        is_empty = not any(part.size or part.size is None for part in parts)
        return self._whole and size > 0 and has_parts(message.head) and (size <= SMALL or is_empty)

    def bundles(self, messages: Sequence[Mail]) -> Iterator[list[Mail]]:
        """Messages that one command can be sent for: their parts have the same paths and are not too much together."""
        by_place: dict[tuple[str, ...], list[Mail]] = {}
        for message in messages:
            by_place.setdefault(tuple(self.items(message)), []).append(message)
        for alike in by_place.values():
            bundle: list[Mail] = []
            size = 0
            for message in alike:
                expected = sum(min(self._limit, part.size or self._limit) for part in self.parts(message))
                expected += SMALL if self._wants_source(message) else 0
                if bundle and size + expected > BUNDLE:
                    yield bundle
                    bundle, size = [], 0
                bundle.append(message)
                size += expected
            yield bundle

    def read(self, message: Mail, answer: Answer, ask: Ask | None = None) -> Text:
        """The text of a message out of an answer; parts that are larger are fetched now, by way of `ask`.

        Raises:
            ProviderError: a part is missing, or could not be fetched or read.
        """
        text = Text(outside=[found] if (found := before_empty_line(message.head)) else [])
        if self._wants_source(message):
            self._read_outside(message, answer, text)
        for part in self.parts(message):
            raw = content(answer, part)
            _check_size(raw, part, self._limit)
            kind = part.type.removeprefix("text/")
            pieces = text.plain if kind == "plain" else text.html
            if self._whole and (len(raw) >= self._limit or (part.size or 0) > self._limit):
                pieces.append(self._head(message, part, text, raw, self._downloads.through(ask)))
            else:
                pieces.append(text_of(raw, part.encoding, part.charset))
                text.within += self._packed(raw, part, pieces[-1])
                text.sizes[kind] = text.sizes.get(kind, 0) + len(pieces[-1].encode("utf-8", "surrogatepass"))
        text.readable()
        return text

    def _packed(self, raw: bytes, part: Part, text: str) -> list[dict[str, Any]]:
        """The files that are packed in a small text."""
        if not self._whole or ("begin " not in text and "=ybegin " not in text):
            return []
        return self._downloads.unpacked(b"".join(undone([raw], part.encoding)))

    def _read_outside(self, message: Mail, answer: Answer, text: Text) -> None:
        """Reads the texts outside of the parts; a server that does not tell it leaves it unknown."""
        body = next((value for name, value in answer.items() if name.startswith("BODY[TEXT]")), None)
        if isinstance(body, bytes):
            text.outside += outside(message.head, body[:INLINE])
            text.too_large |= len(body) >= INLINE

    def _head(self, message: Mail, part: Part, text: Text, raw: bytes, downloads: Downloads) -> str:
        """The beginning of a large part, which is kept as a file unless it is beyond the cap."""
        kind = part.type.removeprefix("text/")
        try:
            stored = downloads.fetch(message, part)
        except TooLargeError:
            text.too_large = True
            return text_of(raw, part.encoding, part.charset)[:HEAD_CHARS]
        text.files.setdefault(kind, []).append(stored)
        text.within += downloads.within(stored).get("files_within", [])
        text.sizes[kind] = text.sizes.get(kind, 0) + stored.size_bytes
        return text_of(downloads.head(stored, HEAD_CHARS * 4), "", part.charset)[:HEAD_CHARS]


def _check_size(raw: bytes, part: Part, limit: int) -> None:
    """Refuse a text that ends before the size that the server itself told.

    Raises:
        ShapeError: it does.
    """
    if len(raw) < min(part.size or 0, limit):
        raise SilentError(f"the server sent {len(raw)} of the {part.size} bytes of part {part.path}")


def body_row(message: Mail, text: Text) -> dict[str, Any]:
    """The record of a message's body."""
    is_plain = bool(message.parts.plain)
    source = (
        "as_it_stands"
        if text.is_only_outside
        else "text_plain"
        if is_plain
        else "html_stripped"
        if message.parts.html
        else "empty"
    )
    first = next(iter(message.parts.texts), None)
    return {
        "id": message.key,
        "message_id": message.key,
        "message_received_at": message.received_at,
        "body_text": text.readable() if message.parts.texts or text.outside else None,
        "body_html": "\n".join(text.html) if message.parts.html else None,
        "body_text_bytes": text.sizes.get("plain"),
        "body_html_bytes": text.sizes.get("html"),
        "body_text_files": [stored.as_json() for stored in text.files.get("plain", [])],
        "body_html_files": [stored.as_json() for stored in text.files.get("html", [])],
        "body_outside": text.outside,
        "body_source": source,
        "charset": first.charset if first else None,
        "is_whole": not text.files and not text.too_large,
        **({"files_within": text.within} if text.within else {}),
    }
