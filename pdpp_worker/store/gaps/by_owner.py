"""Changes that an owner makes to gaps by hand."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, TextClause, text

from pdpp_worker.store import events, leases
from pdpp_worker.store.gaps.selection import IS_SELECTED, GapFilter, parameters

# Rows keep their place in the order: what was due before stays before what is made due now.
_MAKE_DUE = text(f"""
    UPDATE gaps SET status = 'open', next_attempt_at = least(next_attempt_at, now()),
        attempts = CASE WHEN status = 'exhausted' THEN 0 ELSE attempts END
    WHERE id IN (
        SELECT id FROM gaps
        WHERE connection_id = ANY(CAST(:connection_ids AS bigint[])) AND status IN ('open', 'exhausted')
            AND (recovery_kind = 'retry_by_runtime' OR next_attempt_at IS NOT NULL) AND {IS_SELECTED}
        ORDER BY next_attempt_at, id LIMIT :limit
    ) AND (status = 'exhausted' OR next_attempt_at IS NULL OR next_attempt_at > now())
""")
_MATCHING = f"connection_id = ANY(CAST(:connection_ids AS bigint[])) AND {IS_SELECTED}"
# Counted by the server: of a million gaps only their number is sent.
_COUNTED = "WITH changed AS ({} RETURNING connection_id, stream) SELECT *, count(*) AS count FROM changed GROUP BY 1, 2"
_WAIVE = text(
    _COUNTED.format(f"""
    UPDATE gaps SET status = 'waived', closed_at = clock_timestamp(), leased_by_run_id = NULL
    WHERE closed_at IS NULL AND {_MATCHING}
""")
)
_REOPEN = text(
    _COUNTED.format(f"""
    UPDATE gaps SET status = 'open', closed_at = NULL, attempts = 0, opened_at = clock_timestamp(),
        structural = false,
        next_attempt_at = CASE WHEN recovery_kind = 'retry_by_runtime' THEN clock_timestamp() END
    WHERE status IN ('waived', 'exhausted', 'absent_upstream') AND {_MATCHING}
""")
)


def make_due(connection: Connection, connection_ids: Sequence[int], selection: GapFilter, limit: int | None) -> int:
    """Let what the fleet retries be tried now, and what was given up; returns how many gaps were not due already.

    Left are those that wait for another version of the connector, without a time of their own.
    """
    leases.lock(connection, connection_ids)
    values = {"connection_ids": list(connection_ids), "limit": limit, **parameters(selection)}
    return connection.execute(_MAKE_DUE, values).rowcount


def waive(connection: Connection, connection_ids: Sequence[int], selection: GapFilter) -> int:
    """The owner does without: close these gaps; returns how many."""
    return _by_hand(connection, _WAIVE, "gaps_waived", connection_ids, selection)


def reopen(connection: Connection, connection_ids: Sequence[int], selection: GapFilter) -> int:
    """The owner wants them after all: open what was waived, given up or said not to exist; returns how many."""
    return _by_hand(connection, _REOPEN, "gaps_reopened", connection_ids, selection)


def _by_hand(
    connection: Connection, statement: TextClause, event: str, connection_ids: Sequence[int], selection: GapFilter
) -> int:
    leases.lock(connection, connection_ids)
    values = {"connection_ids": list(connection_ids), **parameters(selection)}
    changed = connection.execute(statement, values).all()
    for connection_id, stream, count in changed:
        events.append(connection, connection_id, None, [(event, stream, {"count": count})])
    return sum(row[2] for row in changed)
