"""What is due: gaps whose time has come, in fair order, and what an owner does with gaps by hand.

Whoever is due longest comes first. A row that was tried is due later, twice as much later each time, so it sorts behind
those that were not, and a fresh gap sorts behind the old ones: no page of failing rows starves the rest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from pdpp_worker.protocol.messages import GapToClose
from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE
from pdpp_worker.store import events, leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.gaps import RetryPolicy
from pdpp_worker.store.upgrades import is_newer

PAGE = 1000
"""Gaps that are handed out or looked at in one go."""
COUNTED = 100_000
"""Beyond so many, a count is not worth its time."""


class Selection(NamedTuple):
    """Which gaps somebody asked for; None is all."""

    stream: str | None = None
    reason: str | None = None
    ids: Sequence[int] | None = None


class Forms(NamedTuple):
    """Which forms of scope a connector can be asked for by itself; a whole stream never is."""

    resources: bool = True
    batches: bool = False


class DueConnection(NamedTuple):
    """A connection with gaps that may be tried now; how many of its first page name what."""

    connection_id: int
    connector: str
    resources: int
    batches: int
    streams: int


class DueCount(NamedTuple):
    """Gaps that may be tried now, and how many of them name one resource."""

    items: int
    resources: int


class Standing(NamedTuple):
    """What keeps a connection's gaps from being tried now."""

    missing: int
    by_upgrade: int
    """Of these, those that wait for another version of the connector."""
    let_go: int
    """Closed without the item: waived, or absent at the provider."""
    cooldown_until: datetime | None
    active_run_id: int | None


_PRESSURE = ", ".join(f"'{reason.value}'" for reason in sorted(PRESSURE))
# now(), not clock_timestamp(): only what is stable can be looked up in an index. While the provider wants a pause, what
# it refused for its limits waits, and nothing else does.
_IS_TIMELY = "gaps.status = 'open' AND gaps.next_attempt_at <= now()"
IS_DUE = f"""
    {_IS_TIMELY}
    AND (gaps.reason NOT IN ({_PRESSURE}) OR connections.cooldown_until IS NULL OR connections.cooldown_until <= now())
"""
IS_PRESSED = f"gaps.status = 'open' AND gaps.next_attempt_at IS NOT NULL AND gaps.reason IN ({_PRESSURE})"
_IS_SELECTED = """
    (CAST(:stream AS text) IS NULL OR gaps.stream = CAST(:stream AS text))
    AND (CAST(:reason AS text) IS NULL OR reason = CAST(:reason AS text))
    AND (CAST(:ids AS bigint[]) IS NULL OR gaps.id = ANY(CAST(:ids AS bigint[])))
"""
_IS_WHOLE_STREAM = """scope = '{"partition": {}}'"""
_IS_TAKEN = f"CASE WHEN scope ? 'resource_id' THEN :resources ELSE :batches AND NOT {_IS_WHOLE_STREAM} END"
_IS_ANOTHERS = """(gaps.recovery_kind = 'retry_on_connector_upgrade'
    AND coalesce(gaps.connector_version_seen = CAST(:version AS text), false))"""
_FOR_RUN = f"""
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE gaps.connection_id = :connection_id AND {IS_DUE} AND {_IS_SELECTED} AND {_IS_TAKEN}
        AND last_run_id <> :run_id AND NOT {_IS_ANOTHERS}
"""
_OPENED_FOR = text("""
    SELECT DISTINCT opened_for_version FROM gaps
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at IS NOT NULL
        AND recovery_kind = 'retry_on_connector_upgrade' AND opened_for_version IS NOT NULL
""")
# What a newer version is to try is nothing for an older one, nor for one that could not read it.
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
_REST = text(f"""
    UPDATE gaps SET next_attempt_at = now() + :wait_s * interval '1 second', leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND status = 'open' AND {_IS_SELECTED}
        AND next_attempt_at < now() + :wait_s * interval '1 second'
""")
_CARRY = text("""
    UPDATE gaps SET next_attempt_at = now() + :wait_s * interval '1 second', leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at <= now() AND last_run_id <> :run_id
""")
_HELD_UNTIL = text(f"""
    SELECT cooldown_until FROM connections WHERE id = :connection_id AND cooldown_until > now() AND NOT EXISTS (
        SELECT 1 FROM schedules WHERE schedules.connection_id = :connection_id AND NOT paused
            AND next_run_at < cooldown_until) AND EXISTS (
        SELECT 1 FROM gaps WHERE gaps.connection_id = :connection_id AND {_IS_TIMELY}
            AND reason IN ({_PRESSURE}) AND {_IS_SELECTED} AND {_IS_TAKEN} AND last_run_id <> :run_id)
""")
_DUE_CONNECTIONS = text(f"""
    SELECT connections.id, connections.connector, page.resources, page.batches, page.streams
    FROM connections CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE scope ? 'resource_id') AS resources,
            count(*) FILTER (WHERE NOT scope ? 'resource_id' AND NOT {_IS_WHOLE_STREAM}) AS batches,
            count(*) FILTER (WHERE {_IS_WHOLE_STREAM}) AS streams, min(next_attempt_at) AS first
        FROM (SELECT scope, next_attempt_at FROM gaps
            WHERE gaps.connection_id = connections.id AND {IS_DUE} AND {_IS_SELECTED}
            ORDER BY gaps.next_attempt_at, gaps.id LIMIT {PAGE}) AS due
    ) AS page
    WHERE page.first IS NOT NULL AND (CAST(:connection_ids AS bigint[]) IS NULL
            OR connections.id = ANY(CAST(:connection_ids AS bigint[])))
        AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.connection_id = connections.id
            AND runs.status IN ('queued', 'running'))
        AND (:asked OR NOT EXISTS (SELECT 1 FROM schedules
            WHERE schedules.connection_id = connections.id AND (paused OR next_run_at <= now())))
    ORDER BY page.first LIMIT :limit
""")
_COUNT_DUE = text(f"""
    SELECT count(*) AS items, count(*) FILTER (WHERE scope ? 'resource_id') AS resources
    FROM (SELECT scope FROM gaps JOIN connections ON connections.id = gaps.connection_id
        WHERE gaps.connection_id = :connection_id AND {IS_DUE} AND {_IS_SELECTED} LIMIT {COUNTED}) AS due
""")
_STANDING = text(f"""
    SELECT held.*,
        (SELECT cooldown_until FROM connections WHERE id = :connection_id AND cooldown_until > now()) AS cooldown_until,
        (SELECT id FROM runs WHERE connection_id = :connection_id AND status IN ('queued', 'running')) AS active_run_id
    FROM (
        SELECT count(*) FILTER (WHERE closed_at IS NULL) AS missing,
            count(*) FILTER (WHERE status = 'open' AND recovery_kind = 'retry_on_connector_upgrade'
                AND next_attempt_at IS NULL) AS by_upgrade,
            count(*) FILTER (WHERE status IN ('waived', 'absent_upstream')) AS let_go
        FROM gaps WHERE connection_id = :connection_id AND {_IS_SELECTED}
    ) AS held
""")
# Rows keep their place in the order: what was due before stays before what is made due now.
_MAKE_DUE = text(f"""
    UPDATE gaps SET status = 'open', next_attempt_at = least(next_attempt_at, now()),
        attempts = CASE WHEN status = 'exhausted' THEN 0 ELSE attempts END
    WHERE id IN (
        SELECT id FROM gaps
        WHERE connection_id = ANY(CAST(:connection_ids AS bigint[])) AND status IN ('open', 'exhausted')
            AND recovery_kind = 'retry_by_runtime' AND {_IS_SELECTED}
        ORDER BY next_attempt_at, id LIMIT :limit
    ) AND (status = 'exhausted' OR next_attempt_at IS NULL OR next_attempt_at > now())
""")
# A version that time alone kept from trying has not failed on a gap: it tries again.
_PUT_OFF = text(f"""
    UPDATE gaps SET attempts = attempts + 1, last_run_id = :run_id, tried_run_id = :run_id, leased_by_run_id = NULL,
        connector_version_seen = CASE WHEN recovery_kind = 'retry_on_connector_upgrade' AND :passing
            THEN connector_version_seen ELSE :version END,
        status = CASE WHEN recovery_kind = 'retry_by_runtime' AND attempts + 1 >= :max_attempts
            THEN 'exhausted' ELSE 'open' END,
        next_attempt_at = CASE WHEN recovery_kind = 'retry_by_runtime' OR :passing THEN clock_timestamp()
            + least(:max_s, :first_s * (1 + random() / 10) * power(2, least(attempts, 40))) * interval '1 second' END
    FROM connections
    WHERE gaps.connection_id = :connection_id AND connections.id = gaps.connection_id AND {IS_DUE}
        AND last_run_id <> :run_id
        AND (gaps.id = ANY(CAST(:handed AS bigint[])) OR (:walked AND NOT ({_IS_TAKEN})))
""")
# With other credentials than the run had, the owner has acted already.
_AWAIT_OWNER = text("""
    UPDATE gaps SET reason = :reason, recovery_kind = 'retry_by_runtime', last_run_id = :run_id,
        next_attempt_at = (SELECT clock_timestamp() FROM connections
            WHERE id = :connection_id AND credentials_version <> :credentials_version),
        connector_version_seen = :version, leased_by_run_id = NULL
    WHERE connection_id = :connection_id AND id = ANY(CAST(:handed AS bigint[])) AND status = 'open'
""")
_NEEDS_OWNER = ", ".join(f"'{reason.value}'" for reason in sorted(NEEDS_OWNER))
_SIGNED_IN = text(f"""
    UPDATE gaps SET next_attempt_at = clock_timestamp()
    WHERE connection_id = :connection_id AND status = 'open' AND next_attempt_at IS NULL AND last_run_id <> :run_id
        AND reason IN ({_NEEDS_OWNER}) AND NOT EXISTS (SELECT 1 FROM gaps AS refused
            WHERE refused.last_run_id = :run_id AND refused.connection_id = :connection_id
                AND refused.reason IN ({_NEEDS_OWNER}) AND refused.closed_at IS NULL)
""")
_MATCHING = f"connection_id = ANY(CAST(:connection_ids AS bigint[])) AND {_IS_SELECTED}"
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


class Backlog:
    """The gaps that one run may try, in their order."""

    def __init__(self, claim: Claim, forms: Forms, selection: Selection, version: str | None = None) -> None:
        """`version`: that of the connector which is to try them."""
        self._values: dict[str, Any] = {
            "connection_id": claim.connection_id,
            "run_id": claim.run_id,
            "credentials_version": claim.credentials_version,
            "version": version,
            **forms._asdict(),
            **_listed(selection),
        }

    def lease(self, connection: Connection, limit: int) -> list[GapToClose]:
        """Take the first ones for this run, for as long as its lease of the connection lives.

        What waits for another version is handed back to the sweep of that version.

        What the run has met itself is left to the next one, or its own failures would keep it from walking on.
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

    def rest(self, connection: Connection, wait_s: float) -> None:
        """The owner wants nothing to be asked for now: let all of them wait, in whatever form, without an attempt."""
        connection.execute(_REST, {**self._values, "wait_s": wait_s})

    def carry(self, connection: Connection, wait_s: float) -> None:
        """Let the gaps that the run carried along, and that it said nothing of, wait for a next walk: no attempt."""
        connection.execute(_CARRY, {**self._values, "wait_s": wait_s})

    def held_until(self, connection: Connection) -> datetime | None:
        """When those can be taken that only a pause which the provider wants holds back.

        None: there are none, or a walk is due before, which is not to wait for them.
        """
        until: datetime | None = connection.execute(_HELD_UNTIL, self._values).scalar()
        return until

    def put_off(
        self,
        connection: Connection,
        version: str,
        policy: RetryPolicy,
        handed: Sequence[int],
        *,
        walked: bool,
        passing: bool,
    ) -> None:
        """Count an attempt at gaps that the run left as they were, so that they do not stay due for ever.

        Those that it was handed; and where it `walked`, those that the connector cannot be asked for by themselves.
        `passing`: what kept it from them passes with time, and says nothing about the version.
        """
        values = {**self._values, **policy._asdict(), "version": version, "handed": list(handed)}
        connection.execute(_PUT_OFF, {**values, "walked": walked, "passing": passing})

    def await_owner(self, connection: Connection, version: str, reason: str, handed: Sequence[int]) -> None:
        """Let those that the run was handed wait for the owner, without whom none of them can be asked for.

        They are innocent of that, so no attempt is counted.
        """
        values = {**self._values, "version": version, "reason": reason, "handed": list(handed)}
        connection.execute(_AWAIT_OWNER, values)


def signed_in(connection: Connection, claim: Claim) -> None:
    """A run has walked well: unless it was refused anything itself, what waited for the owner's sign-in is due."""
    connection.execute(_SIGNED_IN, {"connection_id": claim.connection_id, "run_id": claim.run_id})


def due_connections(
    connection: Connection,
    limit: int,
    connection_ids: Sequence[int] | None = None,
    selection: Selection = Selection(),  # noqa: B008 - a tuple, which nobody can change
    *,
    asked: bool = False,
) -> list[DueConnection]:
    """Connections without a run of their own that have due gaps, longest due first.

    Unless somebody `asked` for them, not those that are paused or have a walk due, which goes back for gaps first.
    """
    values = {"limit": limit, "connection_ids": connection_ids and list(connection_ids), "asked": asked}
    return [DueConnection(*row) for row in connection.execute(_DUE_CONNECTIONS, {**values, **_listed(selection)})]


def count_due(connection: Connection, connection_id: int, selection: Selection) -> DueCount:
    """How many gaps of a connection may be tried now; at most `COUNTED`."""
    values = {"connection_id": connection_id, **_listed(selection)}
    return DueCount(*connection.execute(_COUNT_DUE, values).one())


def standing(connection: Connection, connection_id: int, selection: Selection) -> Standing:
    """Why the selected gaps of a connection are not tried now."""
    return Standing(*connection.execute(_STANDING, {"connection_id": connection_id, **_listed(selection)}).one())


def make_due(connection: Connection, connection_ids: Sequence[int], selection: Selection, limit: int | None) -> int:
    """Let transient gaps be tried now, those that were given up included; returns how many were not due already."""
    leases.lock(connection, connection_ids)
    values = {"connection_ids": list(connection_ids), "limit": limit, **_listed(selection)}
    return connection.execute(_MAKE_DUE, values).rowcount


def waive(connection: Connection, connection_ids: Sequence[int], selection: Selection) -> int:
    """The owner does without: close these gaps; returns how many."""
    return _by_hand(connection, _WAIVE, "gaps_waived", connection_ids, selection)


def reopen(connection: Connection, connection_ids: Sequence[int], selection: Selection) -> int:
    """The owner wants them after all: open what was waived, given up or said not to exist; returns how many."""
    return _by_hand(connection, _REOPEN, "gaps_reopened", connection_ids, selection)


def _by_hand(
    connection: Connection, statement: TextClause, event: str, connection_ids: Sequence[int], selection: Selection
) -> int:
    leases.lock(connection, connection_ids)
    values = {"connection_ids": list(connection_ids), **_listed(selection)}
    changed = connection.execute(statement, values).all()
    for connection_id, stream, count in changed:
        events.append(connection, connection_id, None, [(event, stream, {"count": count})])
    return sum(row[2] for row in changed)


def _listed(selection: Selection) -> dict[str, Any]:
    return {**selection._asdict(), "ids": None if selection.ids is None else list(selection.ids)}
