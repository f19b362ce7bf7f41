"""The identity of a mail by its bytes, wherever it comes from."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

from connectors.gmail.fields import HEADER_BYTES
from connectors.gmail.local.mime import split
from connectors.gmail.local.told import without_added

TOLERANCE = 4
"""Bytes by which two copies may differ: programs add or drop an empty line at the end."""

_ESCAPED = re.compile(rb"^>+(?=From )", re.MULTILINE)
_BYTES = 20


class Seal(NamedTuple):
    """The marks of a mail's bytes."""

    face: bytes
    """Of its whole header, Message-ID and all."""
    size: int
    """Bytes of its body."""
    content: bytes | None
    """Of header and body; None where the body was not read as it stands."""

    @property
    def key(self) -> str:
        """The id of a mail that no server has numbered."""
        return f"m-{(self.content or b'').hex()}"


def seal(raw: bytes) -> Seal:
    """The marks of a mail whose bytes are known; lines end with CRLF."""
    head, body = split(raw)
    face = _face(head)
    plain = _ESCAPED.sub(b"", body.replace(b"\r\n", b"\n").rstrip())
    return Seal(face, len(body), blake2b(face + plain, digest_size=_BYTES).digest())


def seal_of_parts(head: bytes, size: int) -> Seal | None:
    """The marks of a mail of which the header and the size are known; None where the header was cut."""
    if len(head) >= HEADER_BYTES:
        return None
    return Seal(_face(head), size - len(head), None)


def _face(head: bytes) -> bytes:
    plain, _ = without_added(head.rstrip(b"\r\n") + b"\r\n\r\n")
    return blake2b(plain.replace(b"\r\n", b"\n").rstrip(), digest_size=_BYTES).digest()
