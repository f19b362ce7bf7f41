"""Titles of items by their records: that of the item itself, or of a record of another stream with the same key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

LONGEST = 120
"""Characters of a title."""


class Candidate(NamedTuple):
    """A member of a record that may hold the title of an item."""

    connection_id: int
    stream: str
    key: str
    member: str


_TITLES = text("""
    SELECT wanted.*, left(data ->> wanted.member, :longest) AS title
    FROM unnest(CAST(:ids AS bigint[]), CAST(:streams AS text[]), CAST(:keys AS text[]), CAST(:members AS text[]))
        AS wanted (connection_id, stream, key, member)
    JOIN records USING (connection_id, stream, key)
    WHERE jsonb_typeof(data -> wanted.member) = 'string' AND data ->> wanted.member <> ''
""")


def read(connection: Connection, wanted: Iterable[Candidate]) -> dict[Candidate, str]:
    """The candidates that hold a text, with its beginning."""
    distinct = list(dict.fromkeys(wanted))
    ids, streams, keys, members = ([*column] for column in zip(*distinct, strict=True)) if distinct else ([],) * 4
    values = {"ids": ids, "streams": streams, "keys": keys, "members": members, "longest": LONGEST}
    rows = connection.execute(_TITLES, values) if distinct else ()
    return {Candidate(row.connection_id, row.stream, row.key, row.member): " ".join(row.title.split()) for row in rows}
