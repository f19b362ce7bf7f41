"""Records as people look for them: by their words, the latest first, or one thread in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from pdpp_worker.store.sought_words import query_of
from pdpp_worker.store.views.reading import build


@dataclass(frozen=True)
class FoundRecord:
    """A record with its own time and its thread."""

    connection_id: int
    stream: str
    key: str
    at: datetime
    thread: str | None
    data: dict[str, Any]
    deleted_at: datetime | None
    partial: bool
    emitted_at: datetime
    first_run_id: int
    last_run_id: int


REACH = 50_000
"""So many of the latest records are looked through before the index of words is asked."""


class Place(NamedTuple):
    """The place of a record among all. The rest orders records of the same time, so that none is passed over."""

    at: datetime
    key: str
    connection_id: int
    stream: str


class Wanted(NamedTuple):
    """Which records are looked for; None is all. `after` is the place of the last one of the page before."""

    words: str | None = None
    """As people write to search engines: words, "phrases in quotes" as words, OR, and - for not."""
    stream: str | None = None
    after: Place | None = None
    limit: int = 50
    since: datetime | None = None
    until: datetime | None = None
    """Records of this period, `[since, until)`, by their own times."""
    author: str | None = None
    """Records whose member `author_member` holds this text, whatever its case."""
    author_member: str | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether a period or an author is asked for."""
        return any(one is not None for one in (self.since, self.until, self.author))

    def values(self) -> dict[str, Any]:
        """Values that the statements bind."""
        at, key, connection_id, stream = self.after or (None, None, None, None)
        place = {"at": at, "after_key": key, "after_connection": connection_id, "after_stream": stream}
        words = None if self.words is None else query_of(self.words)
        narrowed = {name: getattr(self, name) for name in ("since", "until", "author", "author_member")}
        return {"words": words, "stream": self.stream, "limit": self.limit, **place, **narrowed}


_OF_THESE = """
    connection_id = ANY(CAST(:ids AS bigint[])) AND (CAST(:stream AS text) IS NULL OR stream = :stream)
"""
_AFTER = """
    (CAST(:at AS timestamptz) IS NULL OR at < :at OR (at = :at AND (key, connection_id, stream)
        > (CAST(:after_key AS text), CAST(:after_connection AS bigint), CAST(:after_stream AS text))))
"""
_NARROWED = """
    (CAST(:since AS timestamptz) IS NULL OR at >= :since) AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
    AND (CAST(:author AS text) IS NULL OR EXISTS (
        SELECT FROM records AS whole WHERE whole.connection_id = record_index.connection_id
            AND whole.stream = record_index.stream AND whole.key = record_index.key
            AND strpos(lower(whole.data ->> CAST(:author_member AS text)), lower(:author)) > 0))
"""
_ORDER = "at DESC, key, connection_id, stream"
_ORDER_FOUND = "found.at DESC, found.key, found.connection_id, found.stream"
_COLUMNS = """
    records.*, found.at, found.thread FROM found
    JOIN records USING (connection_id, stream, key)
"""
# The rows of a page are chosen in the index; only those are read from the wide table.
_LATEST = text(f"""
    WITH found AS MATERIALIZED (
        SELECT connection_id, stream, key, at, thread FROM record_index
        WHERE {_OF_THESE} AND {_AFTER} AND {_NARROWED} ORDER BY {_ORDER} LIMIT :limit
    ) SELECT {_COLUMNS} ORDER BY {_ORDER_FOUND}
""")
_IS_MATCH = "words @@ CAST(:words AS tsquery)"
# Nothing tells how rare words are, and how old the records that hold them. So the latest records are looked through
# first: words that many records hold mostly fill a page there. What does not is looked up by its words.
_AMONG_LATEST = text(f"""
    WITH found AS MATERIALIZED (
        SELECT connection_id, stream, key, at, thread FROM (
            SELECT connection_id, stream, key, at, thread, words FROM record_index
            WHERE {_AFTER} ORDER BY {_ORDER} LIMIT :reach
        ) AS latest
        WHERE {_OF_THESE} AND {_IS_MATCH} ORDER BY {_ORDER} LIMIT :limit
    ) SELECT {_COLUMNS} ORDER BY {_ORDER_FOUND}
""")
_BY_WORDS = text(f"""
    WITH matches AS MATERIALIZED (
        SELECT connection_id, stream, key, at, thread FROM record_index
        WHERE {_OF_THESE} AND {_AFTER} AND {_IS_MATCH} AND {_NARROWED}
    ), found AS MATERIALIZED (
        SELECT * FROM matches ORDER BY {_ORDER} LIMIT :limit
    ) SELECT {_COLUMNS} ORDER BY {_ORDER_FOUND}
""")
# The planner takes words that never meet to meet as often as each of them is met, and would read everything.
_USE_AN_INDEX, _USE_ANYTHING = text("SET LOCAL enable_seqscan = off"), text("SET LOCAL enable_seqscan = on")
_HELD = text(f"""
    SELECT coalesce(sum(records), 0)::bigint FROM held_counts WHERE {_OF_THESE}
""")
_THREAD = text(f"""
    WITH found AS MATERIALIZED (
        SELECT connection_id, stream, key, at, thread FROM record_index
        WHERE connection_id = :id AND stream = :stream AND md5(thread) = ANY(CAST(:hashes AS text[]))
            AND thread = ANY(CAST(:threads AS text[]))
        ORDER BY at, key LIMIT :limit
    ) SELECT {_COLUMNS} ORDER BY found.at, found.key
""")
_ONE = text("""
    SELECT records.*, coalesce(at, emitted_at) AS at, thread
    FROM records LEFT JOIN record_index USING (connection_id, stream, key)
    WHERE connection_id = :id AND stream = :stream AND key = :key
""")
_WAITING = text("SELECT coalesce(sum(cardinality(keys)), 0)::bigint FROM index_queue")


def latest(connection: Connection, ids: Sequence[int], wanted: Wanted) -> list[FoundRecord]:
    """The latest records of these connections, those that the source deleted included."""
    values = {"ids": list(ids), **wanted.values()}
    if wanted.words is None:
        return _build(connection, _LATEST, values)
    if not wanted.is_narrowed and connection.execute(_HELD, values).scalar_one() > REACH:
        found = _build(connection, _AMONG_LATEST, {**values, "reach": REACH})
        if len(found) == wanted.limit:
            return found
    connection.execute(_USE_AN_INDEX)
    found = _build(connection, _BY_WORDS, values)
    connection.execute(_USE_ANYTHING)
    return found


def place_of(row: FoundRecord) -> Place:
    """The place of a record."""
    return Place(row.at, row.key, row.connection_id, row.stream)


def in_threads(
    connection: Connection, connection_id: int, stream: str, threads: Sequence[str], limit: int
) -> list[FoundRecord]:
    """The records of a stream that are in one of these threads, in the order of their times."""
    hashes = [md5(thread.encode(), usedforsecurity=False).hexdigest() for thread in threads]
    values = {"id": connection_id, "stream": stream, "threads": list(threads), "hashes": hashes, "limit": limit}
    return _build(connection, _THREAD, values)


def one(connection: Connection, connection_id: int, stream: str, key: str) -> FoundRecord | None:
    """The record of that key; None: there is none."""
    found = _build(connection, _ONE, {"id": connection_id, "stream": stream, "key": key})
    return found[0] if found else None


def waiting(connection: Connection) -> int:
    """How many records wait to be indexed, and are not found yet."""
    return int(connection.execute(_WAITING).scalar_one())


def _build(connection: Connection, statement: TextClause, values: dict[str, Any]) -> list[FoundRecord]:
    return [build(FoundRecord, row) for row in connection.execute(statement, values).mappings()]
