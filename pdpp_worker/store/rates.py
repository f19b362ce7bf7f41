"""Learned rates: one row a connection, written at every slice's end and at every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim


@dataclass(frozen=True)
class HeldRate:
    """A learned rate and its age by the database's clock, s."""

    state: dict[str, Any]
    age_s: float


_SAVE = text("""
    INSERT INTO rate_states (connection_id, state) VALUES (:connection_id, :state)
    ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, updated_at = clock_timestamp()
""").bindparams(bindparam("state", type_=JSONB))
_NOTE = text("""
    INSERT INTO rate_history (connection_id, at, interval_ms, ceiling_ms, quota_per_minute, refused_at, retry_after_s)
    SELECT :connection_id, clock_timestamp(), (state ->> 'interval_ms')::double precision,
        (state ->> 'ceiling_ms')::double precision, (state ->> 'quota_per_minute')::double precision,
        CASE WHEN state #>> '{back_off,why}' IN ('rate_limited', 'upstream_pressure')
            THEN (state #>> '{back_off,at}')::timestamptz END, (state #>> '{back_off,retry_after_s}')::double precision
    FROM (SELECT CAST(:state AS jsonb) AS state) AS given WHERE state ->> 'interval_ms' IS NOT NULL
""").bindparams(bindparam("state", type_=JSONB))
# A rate that a crash of the server forgets is learned again, so nobody waits for the disk.
_IN_TIME = text("SET LOCAL synchronous_commit = off")
_LOAD = text("""
    SELECT state, CAST(extract(epoch FROM clock_timestamp() - updated_at) AS double precision) AS age_s
    FROM rate_states WHERE connection_id = :connection_id
""")


def save(connection: Connection, claim: Claim, state: dict[str, Any]) -> None:
    """Keep a learned rate.

    Raises:
        LeaseLostError: another worker holds the connection, and knows better by now.
    """
    connection.execute(_IN_TIME)
    leases.renew(connection, claim)
    save_all(connection, {claim.connection_id: state})


def save_all(connection: Connection, states: Mapping[int, dict[str, Any]]) -> None:
    """Keep the learned rates of connections whose leases this transaction has locked."""
    if states:
        values = [{"connection_id": of, "state": state} for of, state in states.items()]
        connection.execute(_SAVE, values)
        connection.execute(_NOTE, values)


def load(connection: Connection, connection_id: int) -> HeldRate | None:
    """Load the rate that was learned last, or None."""
    row = connection.execute(_LOAD, {"connection_id": connection_id}).one_or_none()
    return None if row is None else HeldRate(*row)
