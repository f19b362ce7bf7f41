"""Records and missing periods of a connection by months."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, text

_HELD = text("SELECT stream, month, records FROM month_counts WHERE connection_id = :id AND records > 0")
_PERIODS = text("""
    SELECT stream, scope #>> '{range,since}' AS since, scope #>> '{range,until}' AS until FROM gaps
    WHERE connection_id = :id AND closed_at IS NULL AND scope ? 'range' ORDER BY gaps.id LIMIT :most
""")
MOST = 10_000


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


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    found = datetime.fromisoformat(written)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
