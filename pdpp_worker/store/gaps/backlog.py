"""The gaps that one run may try, in their order, and what becomes of those that it tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.gaps import credentials
from pdpp_worker.store.gaps.attempts import UNRESOLVED
from pdpp_worker.store.gaps.due import COUNTED, IS_DUE, IS_TIMELY, PRESSURE_REASONS
from pdpp_worker.store.gaps.retry_policy import RetryPolicy, next_attempt
from pdpp_worker.store.gaps.selection import IS_SELECTED, IS_SUPPORTED, GapFilter, ScopeKinds, parameters
from pdpp_worker.store.gaps.upgrades import is_newer

_IS_ANOTHERS = """(gaps.recovery_kind = 'retry_on_connector_upgrade' AND gaps.opened_for_version IS NOT NULL
    AND coalesce(gaps.connector_version_seen = CAST(:version AS text), false))"""
_IS_KNOWN = "(CAST(:known AS text[]) IS NULL OR gaps.stream = ANY(CAST(:known AS text[])))"
_FOR_RUN = f"""
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = :connection_id AND {IS_DUE} AND {IS_SELECTED} AND {IS_SUPPORTED}
        AND last_run_id <> :run_id AND NOT {_IS_ANOTHERS} AND {_IS_KNOWN}
"""
_OPENED_FOR = text("""
    SELECT DISTINCT opened_for_version FROM gaps
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at IS NOT NULL
        AND recovery_kind = 'retry_on_connector_upgrade' AND opened_for_version IS NOT NULL
""")
# A gap that a newer version is to try is left alone by an older one, and by one that could not read it.
_HAND_BACK = text(f"""
    UPDATE gaps SET next_attempt_at = NULL
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at IS NOT NULL
        AND recovery_kind = 'retry_on_connector_upgrade'
        AND ({_IS_ANOTHERS} OR opened_for_version = ANY(CAST(:newer AS text[])))
""")
_LEASE = text(f"""
    WITH page AS (SELECT gaps.id {_FOR_RUN} ORDER BY gaps.next_attempt_at, gaps.id LIMIT :limit)
    UPDATE gaps SET leased_by_run_id = :run_id FROM page WHERE gaps.id = page.id
    RETURNING gaps.id, stream, scope, exact_scope, reason, detail_locator, exact_locator, record_key, parent_stream,
        next_attempt_at
""")
_COUNT = text(f"""
    SELECT stream, count(*) AS missing FROM (SELECT stream {_FOR_RUN} LIMIT {COUNTED}) AS waiting GROUP BY stream
""")
_ANY = text(f"SELECT 1 {_FOR_RUN} LIMIT 1")
_DEFER = text(f"""
    UPDATE gaps SET next_attempt_at = now() + :wait_s * interval '1 second', leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at <= now()
        AND (gaps.id = ANY(CAST(:assigned AS bigint[])) OR (:all_of_them AND {IS_SELECTED}))
""")
_CARRY = text("""
    UPDATE gaps SET next_attempt_at = now() + :wait_s * interval '1 second', leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at <= now() AND last_run_id <> :run_id
""")
_BLOCKED_UNTIL = text(f"""
    SELECT cooldown_until FROM connections WHERE id = :connection_id AND cooldown_until > now() AND NOT EXISTS (
        SELECT 1 FROM schedules WHERE schedules.connection_id = :connection_id AND NOT paused
            AND next_run_at < cooldown_until) AND EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = :connection_id AND {IS_TIMELY}
            AND reason IN ({PRESSURE_REASONS}) AND {IS_SELECTED} AND {IS_SUPPORTED} AND {_IS_KNOWN}
            AND last_run_id <> :run_id)
""")
# A version that time alone kept from trying has not failed on a gap: it tries again.
_RECORD_FAILED_ATTEMPT = text(f"""
    WITH changed AS (
    UPDATE gaps SET attempts = attempts + 1, last_run_id = :run_id, tried_run_id = :run_id, leased_by_run_id = NULL,
        connector_version_seen = CASE WHEN recovery_kind = 'retry_on_connector_upgrade' AND :transient
            THEN connector_version_seen ELSE :version END,
        status = CASE WHEN recovery_kind = 'retry_by_runtime' AND attempts + 1 >= :max_attempts
            THEN 'exhausted' ELSE 'open' END,
        next_attempt_at = CASE WHEN recovery_kind = 'retry_by_runtime' OR :transient THEN {next_attempt("attempts")} END
    FROM connections
    WHERE gaps.connection_id = :connection_id AND connections.id = gaps.connection_id AND {IS_DUE}
        AND last_run_id <> :run_id AND {_IS_KNOWN}
        AND (gaps.id = ANY(CAST(:assigned AS bigint[])) OR (:walked AND NOT ({IS_SUPPORTED})))
    RETURNING gaps.id, attempts, status, next_attempt_at
    ), {UNRESOLVED}
    SELECT count(*) FROM changed
""")


class Backlog:
    """The gaps that one run may try, in their order."""

    def __init__(
        self,
        claim: Claim,
        forms: ScopeKinds,
        selection: GapFilter,
        version: str | None = None,
        known: Sequence[str] | None = None,
    ) -> None:
        """`version` of the connector that is to try them, and the streams that it knows; None: whichever it is."""
        self._claim = claim
        self._values: dict[str, Any] = {
            "connection_id": claim.connection_id,
            "run_id": claim.run_id,
            "version": version,
            "known": known,
            **forms._asdict(),
            **parameters(selection),
        }

    def lease(self, connection: Connection, limit: int) -> list[GapToClose]:
        """Take the first ones for this run, for as long as its lease of the connection lives.

        A gap that waits for another version is handed back to the sweep of that version. A gap that the run has met
        itself is left to the next run, or its own failures would keep it from walking on.
        """
        self._hand_back(connection)
        rows = connection.execute(_LEASE, {**self._values, "limit": limit}).all()
        return [
            GapToClose(
                gap_id=str(row.id),
                stream=row.stream,
                scope=row.scope if row.exact_scope is None else json.loads(row.exact_scope),
                reason=row.reason,
                detail_locator=row.detail_locator if row.exact_locator is None else json.loads(row.exact_locator),
                record_key=row.record_key,
                parent_stream=row.parent_stream,
            )
            for row in sorted(rows, key=lambda row: (row.next_attempt_at, row.id))
        ]

    def _hand_back(self, connection: Connection) -> None:
        opened_for = connection.execute(_OPENED_FOR, self._values).scalars()
        version = self._values["version"]
        newer = [one for one in opened_for if version is not None and is_newer(one, than=version)]
        connection.execute(_HAND_BACK, {**self._values, "newer": newer})

    def count(self, connection: Connection) -> dict[str, int]:
        """How many are left, by stream; at most `COUNTED` in all."""
        return {row.stream: row.missing for row in connection.execute(_COUNT, self._values)}

    def has_any(self, connection: Connection) -> bool:
        """Whether any is left."""
        return connection.execute(_ANY, self._values).scalar() is not None

    def defer(self, connection: Connection, wait_s: float, assigned: Sequence[int], *, all_of_them: bool) -> None:
        """Let the assigned ones, or all that are due, wait for `wait_s`, without an attempt: their run was stopped."""
        values = {"wait_s": wait_s, "assigned": list(assigned), "all_of_them": all_of_them}
        connection.execute(_DEFER, {**self._values, **values})

    def carry(self, connection: Connection, wait_s: float) -> None:
        """Let the due gaps that the run carried along and said nothing of wait for `wait_s`, without an attempt."""
        connection.execute(_CARRY, {**self._values, "wait_s": wait_s})

    def blocked_until(self, connection: Connection) -> datetime | None:
        """The end of the provider's pause, where gaps are due that only it holds back.

        None: there are none, or a walk is due before, which is not to wait for them.
        """
        until: datetime | None = connection.execute(_BLOCKED_UNTIL, self._values).scalar()
        return until

    def record_failed_attempt(
        self,
        connection: Connection,
        version: str,
        policy: RetryPolicy,
        assigned: Sequence[int],
        *,
        walked: bool,
        transient: bool,
    ) -> None:
        """Count an attempt at gaps that the run left as they were, so that they do not stay due for ever.

        These are the assigned ones; and where the run `walked`, those that the connector cannot be asked for by
        themselves. `transient`: the obstacle passes with time, and says nothing about the version.
        """
        values = {**self._values, **policy._asdict(), "version": version, "assigned": list(assigned)}
        connection.execute(_RECORD_FAILED_ATTEMPT, {**values, "walked": walked, "transient": transient})

    def await_owner(self, connection: Connection, version: str, reason: str, assigned: Sequence[int]) -> None:
        """Let assigned gaps wait for the owner, without whom none of them can be asked for. No attempt is counted."""
        credentials.await_owner(connection, self._claim, version, reason, assigned)
