"""The structure of a mail out of its bytes, in the form in which a server tells it (RFC 3501, 7.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.gmail.fields import HEADER_BYTES

DEEPEST = 50
"""Levels of parts within parts that are looked into; what is deeper stays whole."""
MOST_BYTES = 128 * 1024 * 1024
"""Bytes that parts within parts may take in memory: each level holds its own copy of what is below."""

MOST_PARTS = 2_000
"""A message of more parts was made to take time and memory: each becomes a record, and a file."""
_MOST_PIECES = 4 * MOST_PARTS
"""Parts, and parts of several parts, that are looked at."""

_LINE_END = ord("\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A mail, or a part of one; lines end with CRLF."""

    head: bytes
    body: bytes
    type: bytes
    """In lower case: text/plain."""
    parameters: tuple[bytes, ...]
    """Names and values in turn."""
    fields: dict[bytes, bytes]
    children: tuple[Section, ...]

    @property
    def boundary(self) -> bytes:
        """The boundary between its parts; empty where none is told."""
        return _named(self.parameters, b"boundary")

    @property
    def told(self) -> tuple[Any, ...]:
        """The BODYSTRUCTURE."""
        main, _, sub = self.type.partition(b"/")
        if main == b"multipart":
            return (*(child.told for child in self.children), sub) if self.children else (sub, None)
        disposition, given = _valued(self.fields.get(b"content-disposition", b""))
        lines = (self.body.count(b"\n"),) if main == b"text" else ()
        identity = self.fields.get(b"content-id")
        description = self.fields.get(b"content-description")
        encoding = self.fields.get(b"content-transfer-encoding", b"7bit").strip()
        named = (main, sub, self.parameters or None, identity, description, encoding, len(self.body), *lines)
        return (*named, self.fields.get(b"content-md5"), (disposition, given or None) if disposition else None)

    def at(self, path: str) -> Section | None:
        """The part of that path; a mail without parts is its own part 1."""
        here: Section | None = self
        for number in map(int, path.split(".")):
            if here is None or (not here.children and number != 1):
                return None
            here = here.children[number - 1] if 0 < number <= len(here.children) else None if here.children else here
        return here


_NOTHING = Section(b"", b"", b"text/plain", (), {}, ())


@dataclass
class _Budget:
    """The pieces that may still be looked at."""

    left: int = _MOST_PIECES

    def taken(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces, as far as it reaches."""
        for piece in pieces:
            if not self.left:
                return
            self.left -= 1
            yield piece


def parsed(raw: bytes) -> Section:
    """The structure of a mail whose lines end with CRLF; it never fails.

    One of more pieces than are looked at has more than `MOST_PARTS` parts, whatever they are.
    """
    return _parsed(raw, _Budget())


def _parsed(raw: bytes, budget: _Budget, *, default: bytes = b"text/plain", depth: int = 0) -> Section:
    head, body = split(raw)
    fields = _fields(head)
    kind, parameters = _valued(fields.get(b"content-type", b""))
    kind = kind if kind.count(b"/") == 1 else default
    children: tuple[Section, ...] = ()
    is_too_deep = depth >= DEEPEST or (depth + 1) * len(raw) > MOST_BYTES
    if kind.startswith(b"multipart/") and not is_too_deep and (boundary := _named(parameters, b"boundary")):
        inner = b"message/rfc822" if kind == b"multipart/digest" else b"text/plain"
        pieces = budget.taken(_pieces(body, boundary))
        children = tuple(_parsed(piece, budget, default=inner, depth=depth + 1) for piece in pieces)
        children += () if budget.left else (_NOTHING,) * (MOST_PARTS + 1)
    elif kind.startswith(b"multipart/") and is_too_deep:
        kind = b"application/octet-stream"
    return Section(head, body, kind, parameters, fields, children)


def split(raw: bytes) -> tuple[bytes, bytes]:
    """The header with its empty line, and the body."""
    if raw.startswith(b"\r\n"):
        return raw[:2], raw[2:]
    end = raw.find(b"\r\n\r\n")
    return (raw, b"") if end < 0 else (raw[: end + 4], raw[end + 4 :])


def is_unfinished(section: Section) -> bool:
    """Whether a mail of several parts lacks the boundary that ends it, though it has the one that begins them."""
    boundary = section.boundary if section.children else b""
    return bool(boundary) and not any(is_last for _, _, is_last in delimiters(section.body, boundary))


def delimiters(body: bytes, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """The lines that separate the parts: where each begins and ends, and whether it ends the last part."""
    mark = b"--" + boundary.rstrip()
    at = body.find(mark)
    while at >= 0:
        if at == 0 or body[at - 1] == _LINE_END:
            end = body.find(b"\n", at)
            end = end if end >= 0 else len(body)
            rest = body[at + len(mark) : end].removesuffix(b"\r")
            is_last = rest.startswith(b"--")
            if not (rest[2:] if is_last else rest).strip(b" \t"):
                yield at, end, is_last
        at = body.find(mark, at + 1)


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The parts between the boundaries; the last one reaches to the end where nothing ends it."""
    start: int | None = None
    for begin, end, is_last in delimiters(body, boundary):
        if start is not None:
            yield body[start : max(start, begin - 2)]
        if is_last:
            return
        start = end + 1
    if start is not None:
        yield body[start:]


def _fields(head: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in _FOLD.sub(b"", head[:HEADER_BYTES]).splitlines():
        name, colon, value = line.partition(b":")
        if colon and name[:8].lower() == b"content-":
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _valued(field: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """A field's value in lower case, and its parameters."""
    value, _, _ = field.partition(b";")
    pairs: list[bytes] = []
    for found in _PARAMETER.finditer(field):
        quoted = found[2] is not None
        pairs += [found[1].lower(), _ESCAPED.sub(rb"\1", found[2]) if quoted else found[3].strip()]
    return value.strip().lower(), tuple(pairs)


def _named(parameters: tuple[bytes, ...], name: bytes) -> bytes:
    return dict(zip(parameters[::2], parameters[1::2], strict=True)).get(name, b"")
