"""The frames between the worker and the process that drives the browser, one request at a time.

A frame is one letter, the length of its payload (4 bytes, big-endian) and the payload: JSON, or bytes of a body.
"""

from __future__ import annotations

import json
import struct
from enum import Enum
from typing import Any

HEADER = struct.Struct(">cI")


class Kind(Enum):
    """The kind of a frame."""

    READY = b"O"
    """The browser is open."""
    REQUEST = b"R"
    """To the browser: `method`, `url`, `headers` (pairs), `body` (base64, or null), `timeout_s` between two frames."""
    SENT = b"S"
    """The request has left the browser."""
    HEAD = b"H"
    """`status`, `headers` (pairs) and `cookies`: the cookies that a script of the page may read."""
    BODY = b"B"
    """A piece of the body."""
    END = b"E"
    """The body is whole."""
    FAILED = b"F"
    """`timed_out` and `why`, instead of the rest."""


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    """A frame on the wire."""
    return HEADER.pack(kind.value, len(payload)) + payload


def json_frame(kind: Kind, **payload: Any) -> bytes:
    """A frame with a JSON object."""
    return frame(kind, json.dumps(payload).encode())
