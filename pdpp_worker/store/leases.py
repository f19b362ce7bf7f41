"""The lease of a connection: who may write for it now. A fencing token that only grows shuts out a worker that lost it.

Its row is also the connection's lock: a transaction that changes rows of several tables locks it first, so that no two
transactions wait for each other's rows. The whole order of locks is in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from pdpp_worker.errors import LeaseLostError
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.engine import IDLE_IN_TRANSACTION_S, LOCK_TIMEOUT_S

LEAST_IDLE_S = 5.0
"""A transaction that holds a lease may do nothing for at least so long, however short the lease: a worker computes."""

_WAIT_FOR_ROW = "2s"
"""A transaction that holds a lease row locked for longer works with it, or is cut off; the run is found again later."""
# The patience is told before the row is waited for, and the usual one is in force again once it is locked.
_ACQUIRE = text(f"""
    INSERT INTO leases (connection_id, token, holder, run_id, expires_at)
    SELECT :connection_id, 1, :holder, :run_id, clock_timestamp() + :lease_s * interval '1 second'
    FROM (SELECT set_config('lock_timeout', '{_WAIT_FOR_ROW}', true) AS told OFFSET 0) AS patience
    WHERE told IS NOT NULL
    ON CONFLICT (connection_id) DO UPDATE SET
        token = leases.token + 1, holder = excluded.holder, run_id = excluded.run_id, expires_at = excluded.expires_at
    WHERE leases.expires_at <= clock_timestamp()
    RETURNING token, set_config('lock_timeout', '{LOCK_TIMEOUT_S}s', true)
""")
_LOCK_NOT_AVAILABLE = "55P03"
# A host that is cut off inside the transaction keeps its locks no longer than its lease. The run is locked after the
# lease, so that what the owner asks for while this transaction works is not passed over at its end.
_RENEW = text("""
    WITH held AS (
        UPDATE leases SET expires_at = clock_timestamp() + :lease_s * interval '1 second'
        WHERE connection_id = :connection_id AND token = :token
        RETURNING set_config('idle_in_transaction_session_timeout', :idle_ms, true)
    ), run AS (
        SELECT cancel_requested FROM runs WHERE id = :run_id AND EXISTS (SELECT FROM held) FOR NO KEY UPDATE
    )
    SELECT (SELECT cancel_requested FROM run) AS is_cancelled FROM held
""")
# The leases of one process together. A row that is locked is left out: who locked it commits for this lease, which
# renews it, or is waited for by nobody here.
_RENEW_ALL = text("""
    WITH held AS (
        SELECT connection_id, lease_s FROM leases
        JOIN unnest(CAST(:connection_ids AS bigint[]), CAST(:tokens AS bigint[]), CAST(:leases_s AS double precision[]))
            AS given (connection_id, token, lease_s) USING (connection_id, token)
        ORDER BY connection_id FOR NO KEY UPDATE OF leases SKIP LOCKED
    )
    UPDATE leases SET expires_at = clock_timestamp() + held.lease_s * interval '1 second'
    FROM held WHERE leases.connection_id = held.connection_id
    RETURNING leases.connection_id
""")
_LOST_AND_CANCELLED = text("""
    SELECT given.run_id, leases.token IS NOT DISTINCT FROM given.token AS is_held,
        runs.cancel_requested IS TRUE AS is_cancelled
    FROM unnest(CAST(:connection_ids AS bigint[]), CAST(:tokens AS bigint[]), CAST(:run_ids AS bigint[]))
        AS given (connection_id, token, run_id)
    LEFT JOIN leases ON leases.connection_id = given.connection_id
    LEFT JOIN runs ON runs.id = given.run_id
    WHERE leases.token IS DISTINCT FROM given.token OR runs.cancel_requested
""")
# Every connection has its row, but for one that an older version added since the migration.
_CREATE = text("""
    INSERT INTO leases (connection_id, token, holder, run_id, expires_at)
    SELECT id, 0, '', 0, clock_timestamp() FROM connections
    WHERE id = ANY(CAST(:connection_ids AS bigint[]))
        AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.connection_id = connections.id)
    ORDER BY id ON CONFLICT (connection_id) DO NOTHING
""")
_LOCK_ROWS = """
    SELECT 1 FROM leases WHERE connection_id = ANY(CAST(:connection_ids AS bigint[])) ORDER BY connection_id FOR UPDATE
"""
_LOCK, _TRY_LOCK = text(_LOCK_ROWS), text(f"{_LOCK_ROWS} SKIP LOCKED")
# The token moves on, so that a heartbeat which waited for this very transaction cannot take the lease back.
_RELEASE = text("""
    UPDATE leases SET expires_at = clock_timestamp(), token = leases.token + 1
    FROM unnest(CAST(:connection_ids AS bigint[]), CAST(:tokens AS bigint[])) AS given (connection_id, token)
    WHERE leases.connection_id = given.connection_id AND leases.token = given.token
""")
# Greatest, since the clock goes on between the two questions.
_NEXT_END = text("""
    SELECT CAST(greatest(extract(epoch FROM min(expires_at) - clock_timestamp()), 0) AS double precision)
    FROM leases WHERE expires_at > clock_timestamp() HAVING count(*) > 0
""")


def create(connection: Connection, connection_id: int) -> None:
    """Add the lease of a new connection, which nobody holds."""
    connection.execute(_CREATE, {"connection_ids": [connection_id]})


def acquire(connection: Connection, connection_id: int, run_id: int, holder: str, lease_s: float) -> Claim | None:
    """Take the lease if nobody holds it.

    None when somebody holds it, has locked its row for longer than a moment, or removed the connection meanwhile: so a
    transaction that hangs keeps a thread of nobody else. Then this transaction is over.
    """
    values = {"connection_id": connection_id, "run_id": run_id, "holder": holder, "lease_s": lease_s}
    try:
        token = connection.execute(_ACQUIRE, values).scalar()
    except IntegrityError:
        return None
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return None
    return None if token is None else Claim(connection_id, run_id, token, holder, lease_s)


def renew(connection: Connection, claim: Claim) -> bool:
    """Check the token, lock the lease and the run for this transaction, and extend the lease.

    Returns whether the owner asked the run to stop.

    Raises:
        LeaseLostError: another worker holds the lease now; nothing may be written.
    """
    values = {
        "connection_id": claim.connection_id,
        "token": claim.token,
        "run_id": claim.run_id,
        "lease_s": claim.lease_s,
        "idle_ms": f"{min(IDLE_IN_TRANSACTION_S, max(claim.lease_s, LEAST_IDLE_S)) * 1000:.0f}",
    }
    row = connection.execute(_RENEW, values).one_or_none()
    if row is None:
        raise LeaseLostError(f"The lease for run {claim.run_id} went to another worker; this one stops.")
    return bool(row.is_cancelled)


def renew_all(connection: Connection, claims: Sequence[Claim]) -> set[int]:
    """Extend these leases, as far as they are ours and nobody has locked them; returns their connections."""
    values = {
        "connection_ids": [one.connection_id for one in claims],
        "tokens": [one.token for one in claims],
        "leases_s": [one.lease_s for one in claims],
    }
    return set(connection.execute(_RENEW_ALL, values).scalars()) if claims else set()


def lost_and_cancelled(connection: Connection, claims: Sequence[Claim]) -> tuple[set[int], set[int]]:
    """The runs whose lease another worker holds, and those that their owners ask to stop."""
    values = {
        "connection_ids": [one.connection_id for one in claims],
        "tokens": [one.token for one in claims],
        "run_ids": [one.run_id for one in claims],
    }
    rows = connection.execute(_LOST_AND_CANCELLED, values).all()
    return {row.run_id for row in rows if not row.is_held}, {row.run_id for row in rows if row.is_cancelled}


def next_end_s(connection: Connection) -> float | None:
    """The time until the first of the leases that are held runs out, s; None: none is held."""
    left_s: float | None = connection.execute(_NEXT_END).scalar()
    return left_s


def lock(connection: Connection, connection_ids: Sequence[int]) -> None:
    """Lock these leases in id order; no batch of the connections commits until this transaction ends.

    For a transaction that changes their rows without holding a lease. It locks all of its connections at once.
    """
    values = {"connection_ids": list(connection_ids)}
    if len(connection.execute(_LOCK, values).all()) < len(set(connection_ids)):
        connection.execute(_CREATE, values)
        connection.execute(_LOCK, values)


def try_lock(connection: Connection, connection_id: int) -> bool:
    """Lock one lease, unless another transaction has locked it: then False, and nothing is locked."""
    create(connection, connection_id)
    return connection.execute(_TRY_LOCK, {"connection_ids": [connection_id]}).scalar() is not None


def release(connection: Connection, claim: Claim) -> None:
    """Give the lease back, if it is still ours; the claim is void from then on."""
    release_all(connection, [claim])


def release_all(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give leases back that this transaction has locked, or one that it has not."""
    values = {"connection_ids": [one.connection_id for one in claims], "tokens": [one.token for one in claims]}
    connection.execute(_RELEASE, values)
