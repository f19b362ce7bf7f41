"""Records that walks did not find, and that are not deleted: in doubt, waiting for the owner, or kept by their word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import PAGE, build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class DoubtView:
    """A record that a walk did not find."""

    connection: str
    stream: str
    key: str
    state: str
    """`doubted`: another walk has to agree; `waiting`: for your word; `kept`: by your word."""
    first_run_id: int
    """The first run that did not find it."""
    last_run_id: int
    said_at: datetime


class DoubtCounts(NamedTuple):
    """Records of a stream that walks did not find."""

    in_doubt: int
    waiting: int


_DOUBTS = text("""
    SELECT deletion_doubts.*, connections.name AS connection
    FROM deletion_doubts JOIN connections ON connections.id = deletion_doubts.connection_id
    WHERE connection_id = ANY(:ids) ORDER BY connections.name, stream, state DESC, key LIMIT :limit
""").execution_options(stream_results=True, yield_per=PAGE)
_COUNTS = text("""
    SELECT connection_id, stream, count(*) FILTER (WHERE state = 'doubted') AS in_doubt,
        count(*) FILTER (WHERE state = 'waiting') AS waiting
    FROM deletion_doubts WHERE connection_id = ANY(:ids) GROUP BY connection_id, stream
""")


def of_connections(connection: Connection, ids: Sequence[int], limit: int | None) -> Iterator[DoubtView]:
    """The doubts of these connections, those that wait first, streamed from the server."""
    for row in connection.execute(_DOUBTS, {"ids": list(ids), "limit": limit}).mappings():
        yield build(DoubtView, row)


def count(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, str], DoubtCounts]:
    """How many records of each stream are in doubt, and wait for the owner."""
    rows = connection.execute(_COUNTS, {"ids": list(ids)})
    return {(row.connection_id, row.stream): DoubtCounts(row.in_doubt, row.waiting) for row in rows}
