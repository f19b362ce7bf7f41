"""Work of connections along the clock: slices, the waits between them, refusals, changes of version and settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

MOST_RUNS = 400
"""Runs of one timeline, the newest."""

# An event is followed by the next one of its run: after the end of a slice comes a wait, else a slice.
_SPANS = text("""
    WITH shown AS (
        SELECT id FROM runs
        WHERE (CAST(:id AS bigint) IS NULL OR connection_id = :id) AND created_at < :until
          AND (ended_at IS NULL OR ended_at >= :since)
        ORDER BY id DESC LIMIT :limit
    ), marks AS (
        SELECT events.connection_id, events.run_id, events.type, events.at, events.data,
            lead(events.at) OVER (PARTITION BY events.run_id ORDER BY events.id) AS next_at
        FROM shown JOIN events ON events.run_id = shown.id
        WHERE events.type IN ('run_queued', 'run_started', 'slice_started', 'slice_ended', 'run_ended')
    )
    SELECT connection_id, run_id, type IN ('run_started', 'slice_started') AS works,
        greatest(at, :since) AS begin, coalesce(next_at, least(:until, clock_timestamp())) AS until,
        data->>'wait_reason' AS reason
    FROM marks
    WHERE type <> 'run_ended' AND at < :until AND coalesce(next_at, :until) > :since
    ORDER BY run_id, at
""")
_REFUSALS = text("""
    SELECT DISTINCT connection_id, refused_at FROM rate_history
    WHERE refused_at >= :since AND refused_at < :until AND (CAST(:id AS bigint) IS NULL OR connection_id = :id)
    ORDER BY refused_at
""")
_VERSIONS = text("""
    SELECT connection_id, created_at AS at, connector_version AS version FROM (
        SELECT connection_id, created_at, connector_version,
            lag(connector_version) OVER (PARTITION BY connection_id ORDER BY id) AS before
        FROM runs WHERE CAST(:id AS bigint) IS NULL OR connection_id = :id
    ) AS runs
    WHERE before <> connector_version AND created_at >= :since AND created_at < :until ORDER BY created_at
""")

_CHANGES = text("""
    SELECT connection_id, at, action, data FROM audit
    WHERE at >= :since AND at < :until AND connection_id IS NOT NULL
        AND (CAST(:id AS bigint) IS NULL OR connection_id = :id)
        AND (split_part(action, '.', 1) IN ('settings', 'schedule', 'rate', 'credentials') OR action = 'account.accept')
    ORDER BY id
""")


@dataclass(frozen=True)
class Span:
    """A time in which a run worked, or waited; `reason` says for what, None where it waited for a worker only."""

    run_id: int
    works: bool
    begin: datetime
    until: datetime
    reason: str | None


@dataclass(frozen=True)
class VersionChange:
    """The first run of another version of the connector."""

    at: datetime
    version: str


@dataclass(frozen=True)
class SettingChange:
    """A change that somebody made; `names` are the settings or credentials, without their values."""

    at: datetime
    action: str
    names: list[str]


@dataclass
class Lane:
    """One connection along the clock."""

    connection_id: int
    connection: str
    spans: list[Span] = field(default_factory=list)
    refusals: list[datetime] = field(default_factory=list)
    versions: list[VersionChange] = field(default_factory=list)
    changes: list[SettingChange] = field(default_factory=list)


def read(
    connection: Connection, names: dict[int, str], connection_id: int | None, since: datetime, until: datetime
) -> list[Lane]:
    """The lanes of these connections (id to name), in their order; spans shorter than can be seen are joined."""
    lanes = {id_: Lane(id_, name) for id_, name in names.items() if connection_id in (None, id_)}
    values = {"id": connection_id, "since": since, "until": until}
    spans = (
        (row.connection_id, Span(row.run_id, row.works, row.begin, row.until, row.reason))
        for row in connection.execute(_SPANS, {**values, "limit": MOST_RUNS})
    )
    for id_, span in _joined(spans, (until - since) / 1000):
        lanes[id_].spans.append(span)
    for row in connection.execute(_REFUSALS, values):
        lanes[row.connection_id].refusals.append(row.refused_at)
    for row in connection.execute(_VERSIONS, values):
        lanes[row.connection_id].versions.append(VersionChange(row.at, row.version))
    for row in connection.execute(_CHANGES, values):
        if row.connection_id in lanes:
            lanes[row.connection_id].changes.append(SettingChange(row.at, row.action, _names(row.data)))
    return list(lanes.values())


def _names(data: dict[str, Any]) -> list[str]:
    """The names in a change's data: of settings, or of credentials."""
    given = data.get("after") or data.get("credentials") or []
    return sorted(given)


def _joined(spans: Iterator[tuple[int, Span]], least: timedelta) -> Iterator[tuple[int, Span]]:
    """Lay a wait without a reason that is too short to be seen into the work around it."""
    held: tuple[int, Span] | None = None
    for id_, span in spans:
        if held is not None and span.run_id == held[1].run_id and _goes_on(held[1], span, least):
            last = held[1]
            held = (id_, Span(last.run_id, last.works, last.begin, span.until, last.reason))
            continue
        if held is not None:
            yield held
        held = (id_, span)
    if held is not None:
        yield held


def _goes_on(last: Span, span: Span, least: timedelta) -> bool:
    same = span.works == last.works and span.reason == last.reason
    unseen = last.works and not span.works and span.reason is None and span.until - span.begin < least
    return same or unseen
