"""The lease of a connection: who may write for it now. A fencing token that only grows shuts out whoever lost it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store.batch import Claim

_ACQUIRE = text("""
    INSERT INTO leases (connection_id, token, holder, run_id, expires_at)
    VALUES (:connection_id, 1, :holder, :run_id, clock_timestamp() + :lease_s * interval '1 second')
    ON CONFLICT (connection_id) DO UPDATE SET
        token = leases.token + 1, holder = excluded.holder, run_id = excluded.run_id, expires_at = excluded.expires_at
    WHERE leases.expires_at <= clock_timestamp()
    RETURNING token
""")
_RENEW = text("""
    UPDATE leases SET expires_at = clock_timestamp() + :lease_s * interval '1 second'
    WHERE connection_id = :connection_id AND token = :token
    RETURNING (SELECT cancel_requested FROM runs WHERE runs.id = :run_id)
""")
_LOCK = text("""
    SELECT 1 FROM leases WHERE connection_id = ANY(CAST(:connection_ids AS bigint[])) ORDER BY connection_id FOR UPDATE
""")
# The token moves on, so that a heartbeat which waited for this very transaction cannot take the lease back.
_RELEASE = text("""
    UPDATE leases SET expires_at = clock_timestamp(), token = token + 1
    WHERE connection_id = :connection_id AND token = :token
""")


def acquire(connection: Connection, connection_id: int, run_id: int, holder: str, lease_s: float) -> Claim | None:
    """Take the lease if nobody holds it; None when somebody does."""
    values = {"connection_id": connection_id, "run_id": run_id, "holder": holder, "lease_s": lease_s}
    token = connection.execute(_ACQUIRE, values).scalar()
    return None if token is None else Claim(connection_id, run_id, token, holder, lease_s)


def renew(connection: Connection, claim: Claim) -> bool:
    """Check the token, lock the lease for this transaction and extend it. Returns whether the owner asked to stop.

    Raises:
        LeaseLostError: another worker holds the lease now; nothing may be written.
    """
    values = {
        "connection_id": claim.connection_id,
        "token": claim.token,
        "lease_s": claim.lease_s,
        "run_id": claim.run_id,
    }
    row = connection.execute(_RENEW, values).one_or_none()
    if row is None:
        raise LeaseLostError(f"The lease for run {claim.run_id} went to another worker; this one stops.")
    return bool(row[0])


def lock(connection: Connection, connection_ids: Sequence[int]) -> None:
    """Let no batch of these connections commit in the time of this transaction, nor wait for its rows half way.

    For whoever changes many of their gaps without holding a lease.
    """
    connection.execute(_LOCK, {"connection_ids": list(connection_ids)})


def release(connection: Connection, claim: Claim) -> None:
    """Give the lease back, if it is still ours; the claim is void from then on."""
    connection.execute(_RELEASE, {"connection_id": claim.connection_id, "token": claim.token})
