"""Rows of `records` in COPY's binary format, made block by block: nothing is escaped, and the server parses no text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.values import DIGEST_BYTES

COLUMNS = (
    "connection_id, stream, key, data, raw, content_hash, version, version_digits, partial, emitted_at, deleted_at, "
    "first_run_id, last_run_id"
)

BLOCK_BYTES = 128 * 1024
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NO = -1
"""The length of a field that is NULL."""
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY_S, _S = 86_400, 1_000_000
_length = Struct(">i").pack
_json_head = Struct(">ib").pack
_float = Struct(">id").pack
_moment = Struct(">iq").pack
_usual = Struct(f">ii{DIGEST_BYTES}sidi").pack
"""The fields from raw to digits of nearly all rows: a digest and a version, and NULL in the others."""
_JSONB_FORM = 1
_FLAGS = {False: b"\0\0\0\x01\0", True: b"\0\0\0\x01\x01"}


def blocks(connection_id: int, run_id: int, stream: str, rows: Iterable[RecordRow]) -> Iterator[bytes]:
    """The rows of one stream as blocks of the form that COPY takes, with all `COLUMNS`."""
    name = stream.encode()
    head = Struct(">hiqi").pack(COLUMNS.count(",") + 1, 8, connection_id, len(name)) + name
    tail = Struct(">iqiq").pack(8, run_id, 8, run_id)
    parts, size = [_BEGIN], 0
    for row in rows:
        key, text, raw, digest, version, emitted_at, deleted, partial, digits, _ = row
        name = key.encode()
        if raw is None and version is not None and digits is None and len(digest) == DIGEST_BYTES:
            middle = _usual(_NO, DIGEST_BYTES, digest, 8, version, _NO)
        else:
            middle = _middle(raw, digest, version, digits)
        body = _json_head(len(text) + 1, _JSONB_FORM) if text else _NULL
        parts += (head, _length(len(name)), name, body, text, middle, _end(partial, deleted, emitted_at), tail)
        size += len(text)
        if size >= BLOCK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join((*parts, _END))


def _middle(raw: bytes | None, digest: bytes, version: float | None, digits: str | None) -> bytes:
    """The fields that are often empty."""
    return b"".join(
        (
            _NULL if raw is None else _length(len(raw)) + raw,
            _length(len(digest)) + digest if digest else _NULL,
            _NULL if version is None else _float(8, version),
            _NULL if digits is None else _length(len(digits)) + digits.encode(),
        )
    )


@lru_cache(maxsize=64)  # records are made at the same instant as their neighbours
def _end(partial: bool, deleted: bool, moment: datetime) -> bytes:
    """The last of these fields; a time is microseconds since the beginning of 2000, PostgreSQL's own."""
    since = moment - _EPOCH
    at = _moment(8, (since.days * _DAY_S + since.seconds) * _S + since.microseconds)
    return _FLAGS[partial] + at + (at if deleted else _NULL)
