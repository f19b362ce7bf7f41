"""Which version of a record stands: a pure decision, so that it can be proved."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.values import encode


class Stored(NamedTuple):
    """What the table, or this batch before the row at hand, holds for a key."""

    digest: bytes
    version: float | None
    deleted: bool
    partial: bool


def is_news(row: RecordRow, held: Stored | None) -> bool:
    """Whether the row changes what is held. An older version never replaces a newer one."""
    if held is None:
        return True
    if row.version is not None and held.version is not None and row.version < held.version:
        return False
    if row.deleted:
        return not held.deleted
    return held.deleted or row.digest != held.digest or (held.partial and not row.partial)


def merge(row: RecordRow, data: dict[str, Any], held_partial: bool) -> RecordRow:
    """A partial row laid over the data that is held."""
    encoded = encode({**data, **json.loads(row.raw or row.text)})
    return row._replace(text=encoded.text, raw=encoded.raw, digest=encoded.digest, partial=held_partial)


def as_stored(row: RecordRow) -> Stored:
    """What is held once the row is written."""
    return Stored(row.digest, row.version, row.deleted, row.partial)
