"""Connections with their schedule and their last run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.secret_sources import is_reference
from pdpp_worker.store.met_account import Account
from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

STORED = "stored (encrypted)"


@dataclass(frozen=True)
class ConnectionView:
    """A connection with its schedule and its last run; `credentials` says where each one is kept, never what it is."""

    id: int
    name: str
    connector: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    min_interval_ms: float | None
    created_at: datetime
    every_s: float | None
    cron: str | None
    jitter_s: float | None
    paused: bool | None
    next_run_at: datetime | None
    schedule_error: str | None
    """The reason why the schedule could not be followed the last time it came round."""
    last_run_id: int | None
    last_run_status: str | None
    last_run_at: datetime | None
    """The time at which the last run ended, else at which it started or was queued."""
    last_run_leased: bool
    """Whether a worker is at it."""
    last_run_messages_refused: int
    """Messages of its connector that were refused."""
    asked_of_owner: list[str]
    """Requests of the active run's connector that its owner acts elsewhere."""
    account: str | None
    """The account at the source that it reads, as its owner knows it, and its identity."""
    other_account: str | None
    """Another account that the source was signed in to since, and that waits for the owner's word."""


_CONNECTIONS = text("""
    SELECT connections.*, every_s, cron, jitter_s, paused, next_run_at, schedules.error AS schedule_error,
        last.id AS last_run_id,
        last.status AS last_run_status, coalesce(last.ended_at, last.started_at, last.created_at) AS last_run_at,
        coalesce(leases.expires_at > clock_timestamp(), false) AS last_run_leased,
        (SELECT coalesce(sum(value::bigint), 0)::bigint FROM jsonb_each_text(last.messages_refused))
            AS last_run_messages_refused,
        ARRAY(SELECT data ->> 'message' FROM events AS asked
            WHERE asked.run_id = last.id AND last.ended_at IS NULL AND asked.type = 'assistance' AND NOT EXISTS (
                SELECT 1 FROM events AS ended WHERE ended.run_id = last.id AND ended.type = 'assistance_ended'
                    AND ended.id > asked.id AND ended.data ->> 'request_id' = asked.data ->> 'request_id')
            ORDER BY asked.id) AS asked_of_owner
    FROM connections LEFT JOIN schedules ON schedules.connection_id = connections.id
    LEFT JOIN LATERAL (
        SELECT * FROM runs WHERE runs.connection_id = connections.id ORDER BY runs.id DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN leases ON leases.connection_id = connections.id AND leases.run_id = last.id
    WHERE CAST(:ids AS bigint[]) IS NULL OR connections.id = ANY(:ids)
    ORDER BY connections.name
""")
_SCHEDULE = text("SELECT every_s, cron FROM schedules WHERE connection_id = :id")
_RECORDS_HELD = text("SELECT coalesce(sum(records), 0)::bigint FROM held_counts WHERE connection_id = :id")


def read(connection: Connection, ids: Sequence[int] | None = None) -> list[ConnectionView]:
    """All connections by name, or those with these ids."""
    values = {"ids": list(ids) if ids is not None else None}
    rows = connection.execute(_CONNECTIONS, values).mappings()
    return [build(ConnectionView, {**row, **_accounts(row), "credentials": _forms(row["credentials"])}) for row in rows]


def schedule_of(connection: Connection, connection_id: int) -> tuple[float | None, str | None]:
    """The interval, s, and the cron line of a connection; one of them at most."""
    row = connection.execute(_SCHEDULE, {"id": connection_id}).one_or_none()
    return (None, None) if row is None else (row.every_s, row.cron)


def records_held(connection: Connection, connection_id: int) -> int:
    """The number of records that are kept of a connection, deleted ones included."""
    return int(connection.execute(_RECORDS_HELD, {"id": connection_id}).scalar_one())


def _accounts(row: RowMapping) -> dict[str, str | None]:
    return {
        name: str(Account(row[f"{column}_identity"], row[f"{column}_label"])) if row[f"{column}_identity"] else None
        for name, column in (("account", "account"), ("other_account", "other"))
    }


def _forms(credentials: dict[str, str]) -> dict[str, str]:
    return {name: stored if is_reference(stored) else STORED for name, stored in sorted(credentials.items())}
