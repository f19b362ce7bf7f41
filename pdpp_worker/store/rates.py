"""What was learned about a connection's rate: one row, written at every slice's end and at every refusal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim


@dataclass(frozen=True)
class RateRow:
    """A connection's rate as it was last known; `state` is None as long as nothing was sent."""

    connection: str
    connector: str
    min_interval_ms: float | None
    state: dict[str, Any] | None
    updated_at: datetime | None
    pending: int
    """Open gaps that time mends."""
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class HeldRate:
    """What was learned, and how long ago by the database's clock, s."""

    state: dict[str, Any]
    age_s: float


_SAVE = text("""
    INSERT INTO rate_states (connection_id, state) VALUES (:connection_id, :state)
    ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, updated_at = clock_timestamp()
""").bindparams(bindparam("state", type_=JSONB))
_LOAD = text("""
    SELECT state, CAST(extract(epoch FROM clock_timestamp() - updated_at) AS double precision) AS age_s
    FROM rate_states WHERE connection_id = :connection_id
""")
_ROWS = text("""
    SELECT connections.name, connector, min_interval_ms, state, rate_states.updated_at,
        coalesce(missing.pending, 0) AS pending, missing.next_attempt_at
    FROM connections
    LEFT JOIN rate_states ON rate_states.connection_id = connections.id
    LEFT JOIN (
        SELECT connection_id, count(*) AS pending, min(next_attempt_at) AS next_attempt_at FROM gaps
        WHERE closed_at IS NULL AND status <> 'exhausted' AND next_attempt_at IS NOT NULL GROUP BY connection_id
    ) AS missing ON missing.connection_id = connections.id
    WHERE CAST(:name AS text) IS NULL OR connections.name = :name
    ORDER BY connections.name
""")


def save(connection: Connection, claim: Claim, state: dict[str, Any]) -> None:
    """Keep what was learned.

    Raises:
        LeaseLostError: another worker holds the connection, and knows better by now.
    """
    leases.renew(connection, claim)
    connection.execute(_SAVE, {"connection_id": claim.connection_id, "state": state})


def load(connection: Connection, connection_id: int) -> HeldRate | None:
    """What was learned last, or None."""
    row = connection.execute(_LOAD, {"connection_id": connection_id}).one_or_none()
    return None if row is None else HeldRate(*row)


def rows(connection: Connection, name: str | None = None) -> list[RateRow]:
    """The rates of all connections, or of one."""
    return [RateRow(*row) for row in connection.execute(_ROWS, {"name": name})]
