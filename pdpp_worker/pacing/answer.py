"""Reads an answer to its end within bounds: of time, of bytes, and of what those bytes unpack to."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import httpx

LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
"""Unpacked. Room for the largest item, a conversation of 25 MB. Read as JSON it can take thirty times as much."""
DENSEST = 100
"""Times its bytes; no honest answer of some size unpacks to more. Text packs to a tenth, zeros to a thousandth."""
DENSE_FREE_BYTES = 8 * 1024 * 1024
"""Below this, unpacked, an answer may be as dense as it likes."""
ACCEPTED_CODINGS = "gzip, deflate"
"""Encodings that can be unpacked piece by piece with a bound on each piece."""


_PIECE_BYTES = 64 * 1024
_MOST_CODINGS = 2
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class TooLargeError(httpx.RequestError):
    """The answer has more bytes than may be held."""


def read_whole(response: httpx.Response, deadline: float, largest: int) -> httpx.Response:
    """The same answer with its body read and unpacked, and its connection let go.

    Args:
        response: an answer whose body is still to be read.
        deadline: monotonic, s.
        largest: bytes that the body may have, packed and unpacked.

    Raises:
        httpx.ReadTimeout: the deadline came first.
        httpx.DecodingError: the body is not what its content-encoding says, or that was not asked for.
        TooLargeError: it is.
    """
    held = io.BytesIO()
    with closing(cast(httpx.SyncByteStream, response.stream)) as stream:
        for piece in _unpacked(iter(stream), response.headers.get("content-encoding", ""), largest):
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer does not end")
            held.write(piece)
    return httpx.Response(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WIRE],
        content=held.getvalue(),
        extensions=response.extensions,
    )


def _unpacked(pieces: Iterator[bytes], encoding: str, largest: int) -> Iterator[bytes]:
    codings = [name for one in encoding.lower().split(",") if (name := one.strip()) not in ("", "identity")]
    if len(codings) > _MOST_CODINGS or not {"gzip", "x-gzip", "deflate"}.issuperset(codings):
        raise httpx.DecodingError("the answer is encoded in a way that was not asked for")
    packed = _Size(largest)
    pieces = packed.bounded(pieces)
    for coding in reversed(codings):
        pieces = _Size(largest, packed).bounded(_inflated(pieces, is_gzip="gzip" in coding))
    return pieces


class _Size:
    """The bytes that have passed, bounded by themselves and by what they were unpacked from."""

    def __init__(self, largest: int, packed: _Size | None = None) -> None:
        self._largest = largest
        self._packed = packed
        self.bytes = 0

    def bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass pieces on; raises TooLargeError."""
        for piece in pieces:
            self.bytes += len(piece)
            if self.bytes > self._largest:
                raise TooLargeError(f"the answer is larger than {self._largest} bytes")
            if self._is_too_dense:
                raise TooLargeError(f"the answer unpacks to more than {DENSEST} times its bytes")
            yield piece

    @property
    def _is_too_dense(self) -> bool:
        if self._packed is None or self.bytes <= DENSE_FREE_BYTES:
            return False
        return self.bytes > DENSEST * self._packed.bytes


def _inflated(pieces: Iterator[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    """Unpack a body (RFC 1950, 1951, 1952), a bounded piece at a time.

    Empty pieces come too, so that the time is looked at.

    Raises:
        httpx.DecodingError: it is broken, or ends in the middle.
    """
    inflater = None
    try:
        for piece in filter(None, pieces):
            inflater = inflater or zlib.decompressobj(_window(piece, is_gzip=is_gzip))
            left = piece
            while left and not inflater.eof:
                yield inflater.decompress(left, _PIECE_BYTES)
                left = inflater.unconsumed_tail
            yield b""
        if inflater is not None:
            # All of the input is taken, so this is the rest of one match.
            yield inflater.flush()
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    if inflater is not None and not inflater.eof:
        raise httpx.DecodingError("the answer ends in the middle")


def _window(head: bytes, *, is_gzip: bool) -> int:
    """The `wbits` of zlib. "deflate" means the zlib format; some send it without the header, which names method 8."""
    if is_gzip:
        return zlib.MAX_WBITS | 16
    return zlib.MAX_WBITS if head[0] & 0x0F == 8 else -zlib.MAX_WBITS
