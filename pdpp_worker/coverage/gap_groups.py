"""Missing items in groups that are alike: why, how much, who acts, when, and what fetching it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.sentences import sentence, who_acts
from pdpp_worker.coverage.verdict import Resolver
from pdpp_worker.pacing.forecast import cost_of
from pdpp_worker.store.views import coverage_views as store
from pdpp_worker.store.views.coverage_views import GapGroup


@dataclass(frozen=True)
class GapGroupRow:
    """Unclosed gaps of a stream that have one reason and wait for the same."""

    connection_id: int
    connection: str
    stream: str
    reason: str
    sentence: str
    count: int
    exhausted: bool
    fetching: bool
    who_mends: Resolver
    who_acts: str
    next_attempt_at: datetime | None
    takes_s: float | None
    """The time that asking for them takes at the present rate; None: unknown, or they are about more than one item."""


def read(connection: Connection, outlooks: Sequence[Outlook]) -> list[GapGroupRow]:
    """The groups of these connections, in their order."""
    missing = store.missing(connection, [one.view.id for one in outlooks])
    return [
        _row(outlook, group)
        for outlook in outlooks
        for (id_, _), groups in missing.items()
        if id_ == outlook.view.id
        for group in groups
    ]


def _row(outlook: Outlook, group: GapGroup) -> GapGroupRow:
    interval, single = outlook.recovery_interval_ms, group.resources == group.count
    return GapGroupRow(
        connection_id=outlook.view.id,
        connection=outlook.view.name,
        stream=group.stream,
        reason=group.reason,
        sentence=sentence(group.reason),
        count=group.count,
        exhausted=group.exhausted,
        fetching=group.fetching,
        who_mends=outlook.resolver(group),
        who_acts=who_acts(group, outlook),
        next_attempt_at=outlook.next_try(group),
        takes_s=cost_of(group.count, interval).total_seconds() if interval is not None and single else None,
    )
