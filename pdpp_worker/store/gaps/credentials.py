"""Gaps that wait for the owner's sign-in, and what makes them due."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from pdpp_worker.protocol.reasons import NEEDS_OWNER
from pdpp_worker.store.batch import Claim

# With other credentials than the run had, the owner has acted already.
_AWAIT_OWNER = text("""
    UPDATE gaps SET reason = :reason, recovery_kind = 'retry_by_runtime', last_run_id = :run_id,
        next_attempt_at = (SELECT clock_timestamp() FROM connections
            WHERE id = :connection_id AND credentials_version <> :credentials_version),
        connector_version_seen = :version, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND id = ANY(CAST(:assigned AS bigint[])) AND status = 'open'
""")
_NEEDS_OWNER = ", ".join(f"'{reason.value}'" for reason in sorted(NEEDS_OWNER))
_SIGNED_IN = text(f"""
    UPDATE gaps SET next_attempt_at = clock_timestamp()
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at IS NULL AND last_run_id <> :run_id
        AND reason IN ({_NEEDS_OWNER}) AND NOT EXISTS (SELECT 1 FROM gaps AS refused
            WHERE refused.last_run_id = :run_id AND refused.connection_id = :connection_id
                AND refused.reason IN ({_NEEDS_OWNER}) AND refused.closed_at IS NULL)
""")
_RENEWED = text(f"""
    UPDATE gaps SET next_attempt_at = clock_timestamp()
    WHERE connection_id = :connection_id AND status = 'open' AND reason IN ({_NEEDS_OWNER})
""")


def await_owner(connection: Connection, claim: Claim, version: str, reason: str, gap_ids: Sequence[int]) -> None:
    """Let gaps wait for the owner, without whom none of them can be asked for. No attempt is counted."""
    values = {
        "connection_id": claim.connection_id,
        "run_id": claim.run_id,
        "credentials_version": claim.credentials_version,
        "version": version,
        "reason": reason,
        "assigned": list(gap_ids),
    }
    connection.execute(_AWAIT_OWNER, values)


def signed_in(connection: Connection, claim: Claim) -> None:
    """A run has walked well: unless it was refused anything itself, what waited for the owner's sign-in is due."""
    connection.execute(_SIGNED_IN, {"connection_id": claim.connection_id, "run_id": claim.run_id})


def renewed(connection: Connection, connection_id: int) -> None:
    """The owner gave new credentials, or signed in: what waited for that is due."""
    connection.execute(_RENEWED, {"connection_id": connection_id})
