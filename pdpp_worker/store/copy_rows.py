"""Rows of `records` in COPY's binary format, made block by block: nothing is escaped, and the server parses no text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct

from pdpp_worker.store.batch import RecordRow

COLUMNS = (
    "connection_id, stream, key, data, raw, content_hash, version, version_digits, partial, emitted_at, deleted_at, "
    "first_run_id, last_run_id"
)

_BLOCK_BYTES = 128 * 1024
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
"""A field of the length -1."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY_S, _S = 86_400, 1_000_000
_length = Struct(">i").pack
_json_head = Struct(">ib").pack
_float = Struct(">id").pack
_moment = Struct(">iq").pack
_JSONB_FORM = 1
_FLAGS = {False: b"\0\0\0\x01\0", True: b"\0\0\0\x01\x01"}


def blocks(connection_id: int, run_id: int, stream: str, rows: Iterable[RecordRow]) -> Iterator[bytes]:
    """The rows of one stream as blocks of the form that COPY takes, with all `COLUMNS`."""
    name = stream.encode()
    head = Struct(">hiqi").pack(COLUMNS.count(",") + 1, 8, connection_id, len(name)) + name
    tail = Struct(">iqiq").pack(8, run_id, 8, run_id)
    block = bytearray(_BEGIN)
    for row in rows:
        block += head
        block += _middle(row)
        block += tail
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block + _END)


def _middle(row: RecordRow) -> bytes:
    """The fields that differ from row to row."""
    key, text, raw, digest, version, emitted_at, deleted, partial, digits, _ = row
    name = key.encode()
    at = _time(emitted_at)
    return b"".join(
        (
            _length(len(name)),
            name,
            _json_head(len(text) + 1, _JSONB_FORM) + text if text else _NULL,
            _NULL if raw is None else _length(len(raw)) + raw,
            _length(len(digest)) + digest if digest else _NULL,
            _NULL if version is None else _float(8, version),
            _NULL if digits is None else _length(len(digits)) + digits.encode(),
            _FLAGS[partial],
            at,
            at if deleted else _NULL,
        )
    )


@lru_cache(maxsize=16)  # records are made at the same instant as their neighbours
def _time(moment: datetime) -> bytes:
    """A time as a field: microseconds since the beginning of 2000, PostgreSQL's own."""
    since = moment - _EPOCH
    return _moment(8, (since.days * _DAY_S + since.seconds) * _S + since.microseconds)
