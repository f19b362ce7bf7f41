"""Records and missing periods of a connection by months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

_HELD = text("SELECT stream, month, records FROM month_counts WHERE connection_id = :id AND records > 0")
_PERIODS = text("""
    SELECT stream, scope #>> '{range,since}' AS since, scope #>> '{range,until}' AS until FROM gaps
    WHERE connection_id = :id AND closed_at IS NULL AND scope ? 'range' ORDER BY gaps.id LIMIT :most
""")
# A month, a day or an instant that is a text of the gap's scope or locator. Most gaps have a name alone, and are passed
# over by its form: a regular expression over each of them would take longer than all the rest.
_WRITTEN = r"""
    CASE WHEN is_looked_up
        AND (detail_locator IS NOT NULL OR scope ? 'partition' OR scope ->> 'resource_id' LIKE '____-__%')
        THEN substring(scope::text || coalesce(detail_locator::text, '')
            FROM '"((19|20)\d\d-(0[1-9]|1[0-2]))("|-\d\d["T ])') END
"""
_ITEMS = text(f"""
    SELECT gaps.stream, date_trunc('month', coalesce(found.at, to_timestamp(
        ({_WRITTEN}) || ' UTC', 'YYYY-MM TZ')), 'UTC') AS month, count(*) AS items
    FROM (
        SELECT connection_id, stream, scope, detail_locator,
            row_number() OVER (ORDER BY id) <= :looked_up AS is_looked_up
        FROM gaps WHERE connection_id = :id AND closed_at IS NULL AND NOT scope ? 'range'
    ) AS gaps LEFT JOIN LATERAL (
        SELECT record_index.at
        FROM unnest(CAST(:streams AS text[]), CAST(:tellers AS text[]), CAST(:members AS text[]))
            WITH ORDINALITY AS told (stream, teller, member, rank)
        JOIN record_index ON record_index.connection_id = gaps.connection_id AND record_index.stream = told.teller
            AND record_index.key = gaps.scope ->> 'resource_id'
        JOIN records ON records.connection_id = gaps.connection_id AND records.stream = told.teller
            AND records.key = record_index.key AND records.data ->> told.member IS NOT NULL
        WHERE told.stream = gaps.stream AND is_looked_up ORDER BY rank LIMIT 1
    ) AS found ON true
    GROUP BY 1, 2
""")
MOST = 10_000
LOOKED_UP = 100_000
"""Missing items whose times are looked up; those beyond, the latest found missing, count as without a time."""


class Teller(NamedTuple):
    """A stream whose record, called as a missing item of `stream` is, tells the item's time in this member."""

    stream: str
    teller: str
    member: str


def held(connection: Connection, connection_id: int) -> Mapping[str, dict[datetime, int]]:
    """Stream to the number of its records by the month of their own time; what is not indexed yet is left out."""
    found: dict[str, dict[datetime, int]] = {}
    for row in connection.execute(_HELD, {"id": connection_id}):
        found.setdefault(row.stream, {})[row.month.astimezone(UTC)] = row.records
    return found


def missing(connection: Connection, connection_id: int) -> list[tuple[str, datetime | None, datetime | None]]:
    """Stream, begin and end of each period of which something is missing; None where an end is open."""
    rows = connection.execute(_PERIODS, {"id": connection_id, "most": MOST})
    return [(row.stream, _moment(row.since), _moment(row.until)) for row in rows]


def missing_items(
    connection: Connection, connection_id: int, tellers: Sequence[Teller]
) -> dict[str, dict[datetime | None, int]]:
    """Stream to the number of its unclosed gaps that name no period, by the month of the item's time; None: unknown.

    The first teller of a stream that holds such a record counts, else the first month, day or instant that is written
    in the gap's scope or locator.
    """
    streams, names, members = ([*column] for column in zip(*tellers, strict=True)) if tellers else ([],) * 3
    values = {"id": connection_id, "streams": streams, "tellers": names, "members": members, "looked_up": LOOKED_UP}
    found: dict[str, dict[datetime | None, int]] = {}
    for row in connection.execute(_ITEMS, values):
        found.setdefault(row.stream, {})[row.month and row.month.astimezone(UTC)] = row.items
    return found


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    found = datetime.fromisoformat(written)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
