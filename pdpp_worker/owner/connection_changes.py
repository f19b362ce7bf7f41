"""Connections as their owner changes them: added, edited, paused, given other credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import audit, record_tables
from pdpp_worker.owner.lookup import find
from pdpp_worker.owner.schedule_rules import Schedule
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.store import accounts, connections, edits
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.met_account import Account
from pdpp_worker.store.views import reading

_NAME = re.compile(r"\w[\w.@+-]{0,99}")


def check_name(name: str) -> None:
    """Refuse a name that a new connection cannot have.

    Raises:
        ConfigurationError: it is too long, or holds other characters than it may.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot be a name; use up to 100 letters, digits and any of . _ @ + -")


def check_new_name(db: Database, name: str) -> None:
    """Refuse a name that a new connection cannot have, or that another one has.

    Raises:
        ConfigurationError: it is no name, or is taken.
    """
    check_name(name)
    with db.begin() as connection:
        connections.require_free(connection, name)


def add(
    db: Database,
    name: str,
    connector: str,
    *,
    settings: Mapping[str, Any],
    credentials: Mapping[str, str],
    schedule: Schedule | None,
    min_interval_ms: float | None,
    paused: bool,
    as_fleet_user: bool = False,
) -> None:
    """Add a connection; it is due at once.

    Raises:
        ConfigurationError: the name is taken, or cannot be one.
    """
    check_name(name)
    with db.begin() as connection:
        new = connections.add(connection, name, connector, dict(settings), dict(credentials), min_interval_ms)
        _store_schedule(connection, new, schedule)
        connections.pause(connection, new, paused)
        edits.set_as_fleet_user(connection, new, as_fleet_user)
        row = connections.by_id(connection, new)
        began = {"settings": dict(settings), "min_interval_ms": min_interval_ms, "paused": paused, **_told(schedule)}
        audit.note(connection, "connection.add", row, connector=connector, credentials=sorted(credentials), **began)
    record_tables.keep_in_step(db)


def change(
    db: Database,
    name: str,
    assignments: Sequence[str],
    schedule: Schedule | None,
    *,
    as_fleet_user: bool | None = None,
) -> None:
    """Change the settings that `key=value` assignments name (`key=`: to the default), the schedule, and the user.

    Raises:
        ConfigurationError: a setting is unknown or cannot have that value.
        NotFoundError: there is no such connection.
    """

    def apply(connection: Connection) -> None:
        row = find(connection, name)
        if schedule is not None:
            _store_schedule(connection, row.id, schedule)
            audit.note(connection, "schedule.set", row, **_told(schedule))
        if assignments:
            _change_settings(connection, row, assignments)
        if as_fleet_user is not None:
            edits.set_as_fleet_user(connection, row.id, as_fleet_user)
            audit.note(connection, "user.set", row, before=row.as_fleet_user, as_fleet_user=as_fleet_user)

    db.transact(apply)


def _change_settings(connection: Connection, row: ConnectionRow, assignments: Sequence[str]) -> None:
    values = read_settings(registry.get(row.connector).manifest, assignments, row.settings)
    changes = {key: values.get(key) for key in (assignment.partition("=")[0] for assignment in assignments)}
    edits.change_settings(connection, row.id, changes)
    audit.note(connection, "settings.set", row, before={key: row.settings.get(key) for key in changes}, after=changes)


def set_rate(db: Database, name: str, min_interval_ms: float | None) -> None:
    """Set the connection's own rate ceiling, ms between two requests; None: the connector's.

    Raises:
        NotFoundError: there is no such connection.
    """
    with db.begin() as connection:
        row = find(connection, name)
        edits.set_min_interval(connection, row.id, min_interval_ms)
        audit.note(connection, "rate.set", row, before_ms=row.min_interval_ms, after_ms=min_interval_ms)


def set_credentials(db: Database, row: ConnectionRow, stored: Mapping[str, str]) -> None:
    """Replace these credentials (none: the owner signed in by browser); gaps that waited for them become due.

    Raises:
        NotFoundError: the connection was removed meanwhile.
    """

    def apply(connection: Connection) -> None:
        connections.set_credentials(connection, row.id, dict(stored))
        audit.note(connection, "credentials.set" if stored else "credentials.sign_in", row, credentials=sorted(stored))

    db.transact(apply)


def accept_account(db: Database, name: str) -> Account:
    """Take the other account that was met at the source for the connection's own; what waited for that is due.

    Raises:
        ConfigurationError: no other account was met.
        NotFoundError: there is no such connection.
    """

    def apply(connection: Connection) -> Account | None:
        row = find(connection, name)
        if (met := accounts.accept(connection, row.id)) is not None:
            audit.note(connection, "account.accept", row, account=str(met))
        return met

    if (found := db.transact(apply)) is None:
        raise ConfigurationError(f"No other account was met at the source of {name}; nothing waits for your word.")
    return found


def pause(db: Database, name: str, paused: bool) -> None:
    """Stop or resume scheduled runs.

    Raises:
        NotFoundError: there is no such connection.
    """
    with db.begin() as connection:
        row = find(connection, name)
        connections.pause(connection, row.id, paused)
        audit.note(connection, "schedule.pause" if paused else "schedule.resume", row)


def _store_schedule(connection: Connection, connection_id: int, schedule: Schedule | None) -> None:
    if schedule is not None:
        connections.schedule(
            connection,
            connection_id,
            every_s=schedule.every_s,
            cron=schedule.cron,
            jitter_s=schedule.jitter_s,
            next_run_at=reading.now(connection),
        )


def _told(schedule: Schedule | None) -> dict[str, Any]:
    """The values of a schedule, for the audit log."""
    return {} if schedule is None else {"every_s": schedule.every_s, "cron": schedule.cron}
