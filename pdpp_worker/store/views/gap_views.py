"""Gaps, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import PAGE, build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class GapView:
    """Something that is, or was, missing."""

    id: int
    connection: str
    connector: str
    stream: str
    scope: dict[str, Any]
    reason: str
    recovery_kind: str
    status: str
    attempts: int
    first_run_id: int
    last_run_id: int
    opened_at: datetime
    closed_at: datetime | None
    next_attempt_at: datetime | None
    connector_version_seen: str
    connector_version_required: str | None
    last_error: str | None

    @property
    def exhausted(self) -> bool:
        """Whether it was given up after many tries."""
        return self.status == "exhausted"


_GAPS = text("""
    SELECT gaps.*, connections.name AS connection, connections.connector
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = ANY(:ids) AND (:closed_too OR closed_at IS NULL)
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
    ORDER BY connections.name, stream, gaps.id LIMIT :limit
""").execution_options(stream_results=True, yield_per=PAGE)
_PAGE = text("""
    SELECT gaps.*, connections.name AS connection, connections.connector
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = ANY(:ids) AND (:closed_too OR closed_at IS NULL) AND gaps.id > :after
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
        AND (CAST(:stream AS text) IS NULL OR stream = :stream)
    ORDER BY gaps.id LIMIT :limit
""")
_UNCLOSED = text("""
    SELECT gaps.*, connections.name AS connection, connections.connector
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = :id AND stream = :stream AND closed_at IS NULL
    ORDER BY gaps.connection_id, stream, gaps.id LIMIT :limit
""").execution_options(stream_results=True, yield_per=PAGE)


class GapPage(NamedTuple):
    """Which gaps a page lists; None is all. `after` is the number of the last one of the page before."""

    stream: str | None = None
    reason: str | None = None
    closed_too: bool = False
    after: int = 0
    limit: int = 100


def page(connection: Connection, ids: Sequence[int], chosen: GapPage) -> list[GapView]:
    """The gaps of these connections by their numbers, page by page."""
    rows = connection.execute(_PAGE, {"ids": list(ids), **chosen._asdict()}).mappings()
    return [build(GapView, row) for row in rows]


def of_connections(
    connection: Connection, ids: Sequence[int], *, closed_too: bool, reason: str | None, limit: int | None
) -> Iterator[GapView]:
    """The gaps of these connections, streamed from the server."""
    values = {"ids": list(ids), "closed_too": closed_too, "reason": reason, "limit": limit}
    for row in connection.execute(_GAPS, values).mappings():
        yield build(GapView, row)


def unclosed_of_stream(connection: Connection, connection_id: int, stream: str, limit: int | None) -> Iterator[GapView]:
    """The unclosed gaps of a stream, oldest first, streamed from the server."""
    values = {"id": connection_id, "stream": stream, "limit": limit}
    for row in connection.execute(_UNCLOSED, values).mappings():
        yield build(GapView, row)
