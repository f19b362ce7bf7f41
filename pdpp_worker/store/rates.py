"""Learned rates: one row a connection, written at every slice's end and at every refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store.batch import Claim


@dataclass(frozen=True)
class HeldRate:
    """A learned rate and its age by the database's clock, s."""

    state: dict[str, Any]
    age_s: float


_KEPT = """kept AS (
        INSERT INTO rate_states (connection_id, state) SELECT connection_id, state FROM given
        ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, updated_at = clock_timestamp()
    )"""
_TOLD = """
    INSERT INTO rate_history
        (connection_id, at, interval_ms, ceiling_ms, quota_per_minute, refused_at, retry_after_s)
    SELECT connection_id, clock_timestamp(), (state ->> 'interval_ms')::double precision,
        (state ->> 'ceiling_ms')::double precision, (state ->> 'quota_per_minute')::double precision,
        CASE WHEN state #>> '{back_off,why}' IN ('rate_limited', 'upstream_pressure')
            THEN (state #>> '{back_off,at}')::timestamptz END, (state #>> '{back_off,retry_after_s}')::double precision
    FROM given WHERE state ->> 'interval_ms' IS NOT NULL
"""
_SAVE = text(f"""
    WITH given AS (
        SELECT connection_id, CAST(state AS jsonb) AS state
        FROM unnest(CAST(:connection_ids AS bigint[]), CAST(:states AS text[])) AS given (connection_id, state)
    ), {_KEPT}
    {_TOLD}
""")
# One statement, which asks for the lease too. A rate that a crash of the server forgets is learned again, so nobody
# waits for the disk.
_SAVE_HELD = text(f"""
    WITH held AS (
        SELECT connection_id, set_config('synchronous_commit', 'off', true) FROM leases
        WHERE connection_id = :connection_id AND token = :token FOR NO KEY UPDATE
    ), given AS (
        SELECT connection_id, CAST(:state AS jsonb) AS state FROM held
    ), {_KEPT}, told AS ({_TOLD})
    SELECT 1 FROM held
""")
_LOAD = text("""
    SELECT state, CAST(extract(epoch FROM clock_timestamp() - updated_at) AS double precision) AS age_s
    FROM rate_states WHERE connection_id = :connection_id
""")


def save(connection: Connection, claim: Claim, state: dict[str, Any]) -> None:
    """Keep a learned rate.

    Raises:
        LeaseLostError: another worker holds the connection, and knows better by now.
    """
    values = {"connection_id": claim.connection_id, "token": claim.token, "state": json.dumps(state)}
    if connection.execute(_SAVE_HELD, values).one_or_none() is None:
        raise LeaseLostError(f"The lease for run {claim.run_id} went to another worker; this one stops.")


def save_all(connection: Connection, states: Mapping[int, dict[str, Any]]) -> None:
    """Keep the learned rates of connections whose leases this transaction has locked."""
    if states:
        values = {"connection_ids": list(states), "states": [json.dumps(state) for state in states.values()]}
        connection.execute(_SAVE, values)


def load(connection: Connection, connection_id: int) -> HeldRate | None:
    """Load the rate that was learned last, or None."""
    row = connection.execute(_LOAD, {"connection_id": connection_id}).one_or_none()
    return None if row is None else HeldRate(*row)
