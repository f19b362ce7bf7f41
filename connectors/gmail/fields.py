"""Small readers of what a server or a sender wrote; none of them raises."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7

from connectors.gmail.charsets import decoded
from pdpp_worker.connector.json_fields import iso_utc

_FOLD = re.compile(r"\r?\n(?=[ \t])")
_ID = re.compile(r"<[^<>\s]+>")
_IN_EMAIL = r"[^\s<>()\[\]:;,\"@]"
_EMAIL = re.compile(rf"(?<!{_IN_EMAIL}){_IN_EMAIL}+@{_IN_EMAIL}+")
_BRACKETED = re.compile(r"<([^<>]*)>")
_STRETCH = 2048
"""Letters of a field that are decoded together."""
_RULED = re.compile(r"[\"();:\\]")
"""Signs of quotes, comments and groups, which have rules of their own."""
_PARSER = BytesHeaderParser()

HEADER_BYTES = 262_144
"""Bytes of a header that are read; more than any real list of recipients takes."""


class Headers:
    """The header of a message, decoded (RFC 2047) as far as it can be; its first bytes where it has no end."""

    def __init__(self, raw: bytes) -> None:
        self._fields: dict[str, list[str]] = {}
        self._all: list[list[str]] = []
        for name, value in _PARSER.parsebytes(raw[:HEADER_BYTES]).raw_items():
            unfolded = _FOLD.sub("", _plain(value)).strip()
            self._fields.setdefault(name.upper(), []).append(unfolded)
            self._all.append([_plain(name), unfolded])

    def as_they_stand(self) -> list[list[str]]:
        """Every field, name and unfolded value, in its order."""
        return self._all

    def text(self, name: str) -> str | None:
        """The field's first occurrence as text."""
        raw = self._first(name)
        return None if raw is None else unworded(raw)

    def addresses(self, name: str) -> list[dict[str, str | None]]:
        """Everybody that the field names."""
        found = _loosely_parsed(self._fields.get(name, []))
        pairs = [(unworded(person).strip() or None, email.strip() or None) for person, email in found]
        return [{"name": person, "email": email} for person, email in pairs if person or email]

    def date(self) -> str | None:
        """The sender's date, when it is one."""
        raw = self._first("DATE")
        try:
            return iso(parsedate_to_datetime(raw)) if raw else None
        except (ValueError, TypeError, OverflowError, IndexError):
            return None

    def ids(self, name: str) -> list[str]:
        """The message ids in the field, without their brackets."""
        return [one[1:-1] for one in _ID.findall(self._first(name) or "")]

    def _first(self, name: str) -> str | None:
        return next(iter(self._fields.get(name, [])), None)


def _loosely_parsed(values: list[str]) -> list[tuple[str, str]]:
    """Names and addresses; the standard library runs together what stands without quotes or commas."""
    return [pair for value in values for pair in (_by_rule(value) if _RULED.search(value) else _plainly_parsed(value))]


def _plainly_parsed(value: str) -> list[tuple[str, str]]:
    """A list without quotes, comments and groups: what stands in angle brackets is an address, the rest its name."""
    found: list[tuple[str, str]] = []
    nameless: list[str] = []
    for piece in value.split(","):
        pairs = _pairs_of(piece)
        if pairs and pairs[0][0] and nameless:  # a name that was cut at its comma
            pairs[0] = (", ".join([*nameless, pairs[0][0]]), pairs[0][1])
        elif pairs:
            found += [(name, "") for name in nameless]
        elif piece.strip():
            nameless.append(piece.strip())
        if pairs:
            found, nameless = found + pairs, []
    return found + [(name, "") for name in nameless]


def _pairs_of(piece: str) -> list[tuple[str, str]]:
    parts = _BRACKETED.split(piece)
    if len(parts) == 1:
        return [("", email) for email in _EMAIL.findall(piece)]
    return [(name.strip(), email.strip()) for name, email in zip(parts[::2], parts[1::2], strict=False)]


def _by_rule(value: str) -> list[tuple[str, str]]:
    """Newer versions of the standard library give up a whole field for one odd address, unless told otherwise."""
    try:
        try:
            return getaddresses([value], strict=False)
        except TypeError:
            return getaddresses([value])
    except RecursionError:  # comments within comments, or groups within groups
        return [("", email) for email in _EMAIL.findall(value)]


def unworded(raw: str) -> str:
    """Text with its encoded words decoded."""
    return "".join(map(_unworded, _stretches(raw))) if "=?" in raw else raw


def _stretches(raw: str) -> Iterator[str]:
    """The text in pieces, cut between encoded words: the library's time grows with the square of their length."""
    at = 0
    while len(raw) - at > _STRETCH:
        end = raw.rfind("?= =?", at, at + _STRETCH)
        end = at + _STRETCH if end < 0 else end + len("?=")
        yield raw[at:end]
        at = end
    yield raw[at:]


def _unworded(raw: str) -> str:
    try:
        parts = decode_header(raw)
    except (HeaderParseError, ValueError):
        return raw
    return "".join(_piece(part, charset) for part, charset in parts)


def _piece(part: str | bytes, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    return decoded(part, charset) if charset else part.decode("raw-unicode-escape", "replace")


def iso(moment: datetime | None) -> str | None:
    """A time as ISO 8601 UTC with milliseconds and `Z`; one without a zone is taken for UTC."""
    if moment is None:
        return None
    try:
        there = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return iso_utc(there)
    except (ValueError, OverflowError):
        return None


def flags(value: Any) -> list[str]:
    """The flags of a message, sorted."""
    return sorted(atom(one) for one in value) if isinstance(value, tuple) else []


def labels(value: Any) -> list[str]:
    """Gmail's labels of a message, out of modified UTF-7, sorted."""
    return sorted(_utf7(atom(one)) for one in value) if isinstance(value, tuple) else []


def number(value: Any) -> int | None:
    """A number that is not negative, or None."""
    return value if isinstance(value, int) and value >= 0 else None


def word(value: Any) -> str:
    """A word of the protocol in lower case; empty when there is none."""
    return value.decode("utf-8", "replace").lower() if isinstance(value, bytes) else ""


def table(value: Any) -> dict[str, str]:
    """Parameters of a body part, with the continuations of RFC 2231 joined."""
    if not isinstance(value, tuple):
        return {}
    pairs = {word(name): _text(text) for name, text in zip(value[::2], value[1::2], strict=False)}
    return {**pairs, **_continued(pairs)}


def checksum(value: Any) -> int:
    """A checksum of a JSON value, never 0."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode()) or 1


def _continued(pairs: dict[str, str]) -> dict[str, str]:
    names = {name.partition("*")[0] for name in pairs if "*" in name}
    return {name: _joined(name, pairs) for name in names}


def _joined(name: str, pairs: dict[str, str]) -> str:
    pieces = [(key, pairs[key]) for key in sorted(pairs, key=_place) if key.partition("*")[0] == name and "*" in key]
    charset, raw = None, b""
    for position, (key, piece) in enumerate(pieces):
        if key.endswith("*"):
            if position == 0 and piece.count("'") >= 2:
                charset, _, piece = piece.split("'", 2)  # noqa: PLW2901
            raw += _percent_decoded(piece)
        else:
            raw += piece.encode("utf-8", "surrogatepass")
    return decoded(raw, charset or "utf-8")


def _place(key: str) -> int:
    digits = "".join(one for one in key.partition("*")[2] if one.isascii() and one.isdigit())
    return int(digits[:9] or 0)


def _percent_decoded(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found.group(1), 16)]), raw)


def _text(value: Any) -> str:
    return unworded(decoded(value, None)) if isinstance(value, bytes) else "" if value is None else str(value)


def atom(value: Any) -> str:
    """A bare word of an answer; the library reads some as numbers or as nothing."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "NIL" if value is None else str(value)


def mailbox_name(spelled: bytes) -> str:
    """A mailbox's name out of modified UTF-7 (RFC 3501, 5.1.3); one that is not spelled so is taken as plain text."""
    try:
        name = str(decode_utf7(spelled))
        if encode_utf7(name) == spelled:
            return name
    except ValueError:
        pass
    return decoded(spelled, None)


def _utf7(text: str) -> str:
    try:
        return str(decode_utf7(text.encode("ascii")))
    except ValueError:
        return text


def _plain(value: Any) -> str:
    """A header's raw value; bytes beyond ASCII are taken for UTF-8, else for Latin-1."""
    if isinstance(value, str) and value.isascii():
        return value
    return decoded(str(value).encode("utf-8", "surrogateescape"), None)
