"""Gaps that wait for a newer version of their connector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packaging.version import InvalidVersion, Version
from sqlalchemy import Connection, text

from pdpp_worker.store import leases


class Waiting(NamedTuple):
    """Gaps of one stream of a connection that wait for the same version."""

    connection_id: int
    connector: str
    stream: str
    seen: str
    """The version that met the gaps last."""
    required: str | None
    """The version that fixes them, where the connector knew it."""
    opened_for: str | None = None
    """The version that was let try them last."""


ALL = 1_000_000
# A gap that the version which met it looks at once more has a time, too.
_IS_NOT_OPENED = "(next_attempt_at IS NULL OR opened_for_version IS NULL)"
_WAITING = text(f"""
    SELECT DISTINCT gaps.connection_id, connections.connector, gaps.stream, connector_version_seen,
        connector_version_required, opened_for_version
    FROM gaps JOIN connections ON connections.id = gaps.connection_id
    WHERE recovery_kind = 'retry_on_connector_upgrade' AND gaps.status = 'open' AND {_IS_NOT_OPENED}
""")
# healed: another version opened a gap and this one closed it. A gap that this version opened proves nothing.
# tried: gaps being retried now, plus older versions' gaps on which this version has failed.
_TRIAL = text("""
    SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM gaps
            WHERE connection_id = :connection_id AND status = 'open' AND stream = ANY(CAST(:streams AS text[]))
            AND recovery_kind = 'retry_on_connector_upgrade'
            AND ((next_attempt_at IS NOT NULL AND opened_for_version IS NOT NULL)
                OR (connector_version_seen = :version AND opened_by_version <> :version)) LIMIT :most) AS first
        ) AS tried,
        EXISTS (SELECT 1 FROM gaps
            WHERE connection_id = :connection_id AND recovery_kind = 'retry_on_connector_upgrade'
            AND status IN ('recovered', 'absent_upstream')
            AND opened_by_version <> :version AND closed_by_version = :version) AS healed
""")
_MAKE_DUE = text(f"""
    UPDATE gaps SET next_attempt_at = clock_timestamp(), opened_for_version = :version WHERE id IN (
        SELECT id FROM gaps
        WHERE connection_id = :connection_id AND recovery_kind = 'retry_on_connector_upgrade' AND status = 'open'
            AND {_IS_NOT_OPENED} AND stream = ANY(CAST(:streams AS text[])) AND EXISTS (
                SELECT 1 FROM unnest(CAST(:seen AS text[]), CAST(:required AS text[]), CAST(:opened_for AS text[]))
                    AS met (seen, required, opened_for)
                WHERE seen = connector_version_seen AND required IS NOT DISTINCT FROM connector_version_required
                    AND opened_for IS NOT DISTINCT FROM opened_for_version)
        ORDER BY opened_at, id LIMIT :limit
    )
""")


def is_newer(version: str, *, than: str) -> bool:
    """Whether a version of a connector is newer than another; False where one of them is no version."""
    try:
        return Version(version) > Version(than)
    except InvalidVersion:
        return False


def waiting(connection: Connection) -> list[Waiting]:
    """The gaps that wait for another version, by connection and version."""
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def trial(
    connection: Connection, connection_id: int, version: str, most: int, streams: Sequence[str]
) -> tuple[int, bool]:
    """How many gaps of older versions a version tries or failed on, at most so many; and whether it healed any.

    `streams` are those that the version knows.
    """
    return _trial(connection, connection_id, version, most, streams)


def open_trial(
    connection: Connection,
    connection_id: int,
    version: str,
    met: Sequence[Waiting],
    canary: int,
    streams: Sequence[str],
) -> int:
    """Let a version try the gaps that wait for these, oldest first: a canary, or all once it has healed any.

    Returns how many it may try now. The lease is locked before they are counted, so that the sweeps of several workers
    open one canary.
    """
    leases.lock(connection, [connection_id])
    tried, healed = _trial(connection, connection_id, version, canary, streams)
    values = {
        "connection_id": connection_id,
        "seen": [one.seen for one in met],
        "required": [one.required for one in met],
        "opened_for": [one.opened_for for one in met],
        "streams": list(streams),
        "version": version,
        "limit": ALL if healed else canary - tried,
    }
    return connection.execute(_MAKE_DUE, values).rowcount


def _trial(
    connection: Connection, connection_id: int, version: str, most: int, streams: Sequence[str]
) -> tuple[int, bool]:
    values = {"connection_id": connection_id, "version": version, "most": most, "streams": list(streams)}
    row = connection.execute(_TRIAL, values).one()
    return row.tried, row.healed
