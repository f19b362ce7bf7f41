"""One item: its record, its gap, its rejection, and the scope of the walk that would meet it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.errors import NotFoundError
from pdpp_worker.protocol.keys import canonical_key, parts_of
from pdpp_worker.protocol.scope import resource_hash
from pdpp_worker.store.sql import text
from pdpp_worker.store.values import KEY_BYTES, NotRepresentableError, key_text, storable
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class ItemGap(GapView):
    """A gap with what only a question about it needs."""

    connection_id: int
    parent_stream: str | None
    fetching: bool
    """Whether a run that works now holds it."""
    last_tried_at: datetime | None
    """The time at which the run that met it last ended, or else began."""


@dataclass(frozen=True)
class ItemRecord:
    """A record without its content."""

    first_run_id: int
    last_run_id: int
    held_since: datetime | None
    """The time at which the run that brought it first began; None once that run is no longer known."""
    emitted_at: datetime
    deleted_at: datetime | None
    partial: bool


@dataclass(frozen=True)
class ItemRejection:
    """A record that was refused, and is kept as it came."""

    id: int
    run_id: int
    error: str
    bytes: int
    created_at: datetime


MAX_ID = 2**63 - 1
"""The greatest value of PostgreSQL's bigint."""

_GAP = """
    SELECT gaps.*, connections.name AS connection, connections.connector,
        coalesce(leased_by_run_id = leases.run_id, false) AS fetching,
        coalesce(last.ended_at, last.started_at) AS last_tried_at
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    LEFT JOIN runs AS last ON last.id = gaps.last_run_id
    LEFT JOIN leases ON leases.connection_id = gaps.connection_id AND leases.expires_at > clock_timestamp()
"""
_GAP_BY_ID = text(f"{_GAP} WHERE gaps.id = :id")
_GAP_BY_SCOPE = text(f"{_GAP} WHERE gaps.connection_id = :id AND stream = :stream AND scope_hash = :hash")
# The narrowest that may be about an item is the one about a part; the whole stream comes last.
_WIDER_GAP = text(f"""{_GAP}
    WHERE gaps.connection_id = :id AND stream = ANY(CAST(:streams AS text[]))
        AND closed_at IS NULL AND NOT scope ? 'resource_id'
    ORDER BY array_position(CAST(:streams AS text[]), stream), scope = '{{"partition": {{}}}}', gaps.id LIMIT 1
""")
_RECORD = text("""
    SELECT records.*, coalesce(runs.started_at, runs.created_at) AS held_since
    FROM records LEFT JOIN runs ON runs.id = first_run_id
    WHERE records.connection_id = :id AND stream = :stream AND key = ANY(CAST(:keys AS text[]))
    ORDER BY key LIMIT 1
""")
_REJECTION = text("""
    SELECT id, run_id, error, octet_length(raw) AS bytes, created_at FROM rejections
    WHERE connection_id = :id AND stream = :stream AND key = :key ORDER BY id DESC LIMIT 1
""")
_ASKED_FOR = text("""
    SELECT scope FROM runs, jsonb_array_elements(runs.streams) AS scope
    WHERE runs.id = :run_id AND scope ->> 'name' = :stream
""")


def gap_by_id(connection: Connection, gap_id: int) -> ItemGap:
    """The gap of that number.

    Raises:
        NotFoundError: there is none.
    """
    row = connection.execute(_GAP_BY_ID, {"id": gap_id}).mappings().one_or_none() if gap_id <= MAX_ID else None
    if row is None:
        raise NotFoundError(f"There is no gap {gap_id}; see: pdpp-worker gaps NAME")
    return build(ItemGap, row)


def gap_of(connection: Connection, connection_id: int, stream: str, resource: str) -> ItemGap | None:
    """The gap about one resource, however it ended."""
    values = {"id": connection_id, "stream": stream, "hash": resource_hash(canonical_key(resource))}
    row = connection.execute(_GAP_BY_SCOPE, values).mappings().one_or_none()
    return None if row is None else build(ItemGap, row)


def wider_gap(connection: Connection, connection_id: int, streams: Sequence[str]) -> ItemGap | None:
    """An unclosed gap about a part of a stream or all of it, which may be about an item as well.

    `streams`: the item's own, then those that it depends on.
    """
    row = connection.execute(_WIDER_GAP, {"id": connection_id, "streams": list(streams)}).mappings().one_or_none()
    return None if row is None else build(ItemGap, row)


def record_of(connection: Connection, connection_id: int, stream: str, resource: str) -> ItemRecord | None:
    """The record of that key, in whatever form the key is given."""
    values = {"id": connection_id, "stream": stream, "keys": _stored_forms(resource)}
    row = connection.execute(_RECORD, values).mappings().one_or_none()
    return None if row is None else build(ItemRecord, row)


def _stored_forms(resource: str) -> list[str]:
    """Forms in which the table may write a key that somebody names: as it stands, or as the JSON that it stands for."""
    key = canonical_key(resource)
    parts = parts_of(key)
    try:
        return [key_text(key)] if parts == [key] else [key_text(key), key_text(parts)]
    except NotRepresentableError:
        return []


def rejection_of(connection: Connection, connection_id: int, stream: str, resource: str) -> ItemRejection | None:
    """The latest refusal of a record of that key."""
    values = {"id": connection_id, "stream": stream, "key": storable(canonical_key(resource)[:KEY_BYTES])}
    row = connection.execute(_REJECTION, values).mappings().one_or_none()
    return None if row is None else build(ItemRejection, row)


def asked_for(connection: Connection, run_id: int, stream: str) -> dict[str, Any] | None:
    """The scope of a stream in a run; None when the run was to leave the stream alone."""
    found: dict[str, Any] | None = connection.execute(_ASKED_FOR, {"run_id": run_id, "stream": stream}).scalar()
    return found
