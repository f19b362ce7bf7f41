"""Gaps of streams that a connector never supplies, by its manifest."""

from __future__ import annotations

from sqlalchemy import Connection, text

# Reopens gaps that were closed since the stream was not supplied. An item that the provider said is gone stays gone.
_REOPEN = text("""
    UPDATE gaps SET status = 'open', closed_at = NULL, attempts = 0, opened_at = clock_timestamp(),
        structural = false,
        next_attempt_at = CASE WHEN recovery_kind = 'retry_by_runtime' THEN clock_timestamp() END
    WHERE connection_id = :connection_id AND stream = :stream AND status = 'absent_upstream' AND structural
""")
_CLOSE = text("""
    UPDATE gaps SET status = 'absent_upstream', structural = true, closed_at = clock_timestamp(),
        leased_by_run_id = NULL, closed_by_version = NULL
    WHERE connection_id = :connection_id AND stream = :stream AND closed_at IS NULL
""")


def reopen(connection: Connection, connection_id: int, stream: str) -> int:
    """Open again what was closed since the stream was not supplied; returns how many gaps."""
    return connection.execute(_REOPEN, {"connection_id": connection_id, "stream": stream}).rowcount


def close(connection: Connection, connection_id: int, stream: str) -> int:
    """Close all gaps of a stream that is not supplied; returns how many."""
    return connection.execute(_CLOSE, {"connection_id": connection_id, "stream": stream}).rowcount
