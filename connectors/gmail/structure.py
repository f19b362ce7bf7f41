"""The parts of a message, out of its BODYSTRUCTURE (RFC 3501, 7.4.2): text or attachment.

IMAPClient's own `BodyData` only groups the parts of a multipart, and gives up where one of several parts is NIL; paths,
names (RFC 2231) and dispositions are read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any

from connectors.gmail.fields import number, table, unworded, word
from connectors.gmail.local.mime import MOST_PARTS
from pdpp_worker.connector import ShapeError
from pdpp_worker.connector.json_fields import rest_of

_LEAF = 7
"""Fields that describe a part without parts."""
MOST_TEXTS = 20
"""Parts that are read as text of one kind; further ones count as attachments."""
_NAMED = {"name", "charset", "filename", "name*", "filename*"}
_PLACES = {
    "text": {"description": 4, "md5": 8, "language": 10, "location": 11},
    "other": {"description": 4, "md5": 7, "language": 9, "location": 10},
}
"""Indices of a leaf's fields."""


@dataclass(frozen=True)
class Part:
    """A part without parts of its own. `size` is in bytes as encoded for the transfer; None when not told."""

    path: str
    type: str
    encoding: str
    charset: str | None
    size: int | None
    filename: str | None
    content_id: str | None
    disposition: str
    extra: dict[str, Any] = field(default_factory=dict)
    """The rest of the header, as far as the structure tells it."""

    @property
    def is_body(self) -> bool:
        """Whether the part is text that a reader is shown as the message itself."""
        readable = self.type in ("text/plain", "text/html")
        return readable and self.disposition != "attachment" and self.filename is None


@dataclass(frozen=True)
class Structure:
    """A message's parts, each either text of the message or an attachment."""

    plain: tuple[Part, ...]
    html: tuple[Part, ...]
    attachments: tuple[Part, ...]

    @property
    def texts(self) -> tuple[Part, ...]:
        """Every part that is text of the message."""
        return self.plain + self.html


def structure(raw: Any) -> Structure:
    """Sort the parts of a message.

    Raises:
        ShapeError: this is no BODYSTRUCTURE, or it has more parts than any mail.
    """
    try:
        leaves = list(islice(_leaves(raw, ""), MOST_PARTS + 1))
    except (LookupError, TypeError, AttributeError, RecursionError):
        raise ShapeError("the structure of the message cannot be read") from None
    if len(leaves) > MOST_PARTS:
        raise ShapeError(f"the message has more than {MOST_PARTS} parts")
    plain = [part for part in leaves if part.is_body and part.type == "text/plain"][:MOST_TEXTS]
    html = [part for part in leaves if part.is_body and part.type == "text/html"][:MOST_TEXTS]
    texts = {part.path for part in plain + html}
    return Structure(tuple(plain), tuple(html), tuple(part for part in leaves if part.path not in texts))


def _leaves(raw: Any, path: str) -> Iterator[Part]:
    if isinstance(raw[0], tuple):
        # The parts come first; what follows the subtype are parameters.
        for position, child in enumerate(takewhile(lambda one: isinstance(one, tuple), raw), start=1):
            yield from _leaves(child, f"{path}.{position}" if path else str(position))
        return
    if isinstance(raw[0], bytes) and not isinstance(raw[1], bytes) and len(raw) < _LEAF:
        return  # several parts, and none of them there
    yield _leaf(raw, path or "1")


def _leaf(raw: tuple[Any, ...], path: str) -> Part:
    kind = f"{word(raw[0]) or 'application'}/{word(raw[1]) or 'octet-stream'}"
    parameters = table(raw[2])
    disposition, given = _disposition(raw, kind)
    name = given.get("filename") or parameters.get("name")
    identity = raw[3].decode("utf-8", "replace").strip("<> ") if isinstance(raw[3], bytes) else None
    return Part(
        path,
        kind,
        word(raw[5]),
        parameters.get("charset"),
        number(raw[6]),
        name or None,
        identity or None,
        disposition,
        _rest(raw, kind, parameters, given),
    )


def _rest(raw: tuple[Any, ...], kind: str, parameters: dict[str, str], given: dict[str, str]) -> dict[str, Any]:
    """Facts that no other field holds; of a message within a message they stand in that message."""
    told = {"parameters": rest_of(parameters, _NAMED), "disposition_parameters": rest_of(given, _NAMED)}
    places = _PLACES["text" if kind.startswith("text/") else "other"] if kind != "message/rfc822" else {}
    texts = {name: raw[index] for name, index in places.items() if index < len(raw) and isinstance(raw[index], bytes)}
    described = {name: unworded(value.decode("utf-8", "replace")) for name, value in texts.items()}
    return {name: value for name, value in {**told, **described}.items() if value}


def _disposition(raw: tuple[Any, ...], kind: str) -> tuple[str, dict[str, str]]:
    index = 9 if kind.startswith("text/") else 11 if kind == "message/rfc822" and len(raw) > 9 else 8
    value = raw[index] if len(raw) > index else None
    if isinstance(value, tuple) and value:
        return word(value[0]), table(value[1] if len(value) > 1 else None)
    return word(value), {}
