"""Which version of a record stands: a pure decision, so that it can be proved."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pdpp_worker.protocol.numbers import exact_float
from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.values import encode

NEW, SAME, OTHER = "012"
"""The standing of a row's key: not held; held with this very content, whole; held otherwise."""


class StoredVersion(NamedTuple):
    """The version of a key that the table holds, or that this batch brought before the row at hand."""

    digest: bytes
    version: float | None
    deleted: bool
    partial: bool
    digits: str | None = None


class Content(NamedTuple):
    """The data that is held for a key, and whether only some of its fields are known."""

    data: dict[str, Any]
    partial: bool


Numbered = tuple[int, RecordRow]
"""A row with its position among those of its stream in the batch."""


class AppliedRows(NamedTuple):
    """The rows to write, one for a key; how many rows of the batch changed anything; the positions of outdated rows;
    the keys of held records that a listing did not hold, each with the time at which that was said."""

    changed: dict[str, RecordRow]
    flushed: int
    outdated: list[int]
    absent: dict[str, datetime]


class Fates(NamedTuple):
    """The outcome of single rows of a stream in a batch."""

    outdated: list[int]
    """Positions of rows that are older than what is held."""
    absent: dict[str, datetime]
    """Keys of held records that a listing did not hold, and when that was said."""
    deleted: dict[str, datetime]
    """Keys of records that the source has deleted now, and when."""
    returned: list[str]
    """Keys of records that were deleted, and are here again."""


def fates_of(played: AppliedRows, held: Mapping[str, StoredVersion]) -> Fates:
    """The outcome of a batch whose rows `apply_rows` has applied to the stored versions."""
    known = [(row, held[key]) for key, row in played.changed.items() if key in held]
    return Fates(
        played.outdated,
        played.absent,
        deleted={row.key: row.emitted_at for row, before in known if row.deleted and not before.deleted},
        returned=[row.key for row, before in known if before.deleted and not row.deleted],
    )


def news(rows: Sequence[RecordRow], found: str) -> list[Numbered]:
    """The rows that may change anything. A record whose content is held whole changes nothing.

    `found`: the standing of each row's key. Where a key comes twice, what is held for it may change in between,
    so all rows count.
    """
    numbered = enumerate(rows)
    if SAME not in found or len({row.key for row in rows}) < len(rows):
        return list(numbered)
    return [(position, row) for position, row in numbered if row.deleted or found[position] != SAME]


def apply_rows(
    rows: Collection[Numbered], held: Mapping[str, StoredVersion], contents: Mapping[str, Content]
) -> AppliedRows:
    """Apply the rows of a batch in order to the stored versions; return, per key, the last row that changes anything.

    `contents` has the data that the table holds for the keys of partial rows. The outcome is the same however the rows
    are divided into batches.
    """
    known = dict(contents)
    partly = {row.key for _, row in rows if row.partial}
    changed: dict[str, RecordRow] = {}
    flushed = 0
    outdated: list[int] = []
    absent: dict[str, datetime] = {}
    for position, sent in rows:
        key = sent.key
        before = as_stored(changed[key]) if key in changed else held.get(key)
        row = _complete(sent, before, known.get(key)) if sent.partial or before is not None else sent
        if absent and not row.absent:
            absent.pop(key, None)
        if is_older(row, before):
            outdated.append(position)
        elif row.absent:
            if before is not None and not before.deleted:
                absent[key] = row.emitted_at
        elif is_change(row, before):
            if row.deleted:
                row = _keep_content(row, changed.get(key), in_table=key in held)
            flushed += 1
            changed[key] = row
            if key in partly and row.text:
                known[key] = Content(json.loads(row.raw or row.text, parse_float=exact_float), row.partial)
    return AppliedRows(changed, flushed, outdated, absent)


def is_older(row: RecordRow, held: StoredVersion | None) -> bool:
    """Whether a newer version than the row is held, which it never replaces."""
    if held is None:
        return False
    if row.digits is not None and held.digits is not None:
        return Decimal(row.digits) < Decimal(held.digits)
    in_time = row.digits is None and held.digits is None
    return in_time and row.version is not None and held.version is not None and row.version < held.version


def is_change(row: RecordRow, held: StoredVersion | None) -> bool:
    """Whether the row changes what is held. An older version never replaces a newer one."""
    if held is None:
        return True
    if is_older(row, held):
        return False
    if row.deleted:
        return not held.deleted
    return held.deleted or row.digest != held.digest or (held.partial and not row.partial)


def merge(row: RecordRow, held: Content) -> RecordRow:
    """A partial row laid over the data that is held."""
    encoded = encode({**held.data, **json.loads(row.raw or row.text, parse_float=exact_float)})
    return row._replace(text=encoded.text, raw=encoded.raw, digest=encoded.digest, partial=held.partial)


def as_stored(row: RecordRow) -> StoredVersion:
    """The version that is held once the row is written."""
    return StoredVersion(row.digest, row.version, row.deleted, row.partial, row.digits)


def _complete(row: RecordRow, before: StoredVersion | None, content: Content | None) -> RecordRow:
    """The row with what it leaves open taken from what is held: its version, and the other fields of a partial one.

    Of what was deleted only the old fields are known, so that a partial row over it stays partial.
    """
    if row.version is None and row.digits is None and before is not None:
        row = row._replace(version=before.version, digits=before.digits)
    if not row.partial or content is None or row.deleted:
        return row
    merged = merge(row, content)
    return merged._replace(partial=True) if before is not None and before.deleted else merged


def _keep_content(row: RecordRow, earlier: RecordRow | None, *, in_table: bool) -> RecordRow:
    """A deletion that keeps the content: what the batch brought before it, else what the table holds (empty text)."""
    if earlier is not None:
        return earlier._replace(deleted=True, emitted_at=row.emitted_at, version=row.version, digits=row.digits)
    return row._replace(text=b"", raw=None, digest=b"") if in_table else row
