"""Missing items in groups that are alike: why, how much, who acts, when, and what fetching it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.sentences import sentence, who_acts
from pdpp_worker.coverage.verdict import Resolver
from pdpp_worker.pacing.forecast import cost_of
from pdpp_worker.store.views import coverage_views as store
from pdpp_worker.store.views.coverage_views import GapGroup

Kind = tuple[int, str, str]
"""(connection id, stream, reason)."""
_GRAVEST_FIRST = (Resolver.OWNER, Resolver.UPGRADE, Resolver.TIME, Resolver.NOBODY)


@dataclass(frozen=True)
class GapGroupRow:
    """Unclosed gaps of a stream that have one reason."""

    connection_id: int
    connection: str
    stream: str
    reason: str
    sentence: str
    count: int
    exhausted: bool
    """Whether all of them are given up."""
    given_up: int
    fetching: bool
    """Whether a run that works now holds some of them."""
    who_mends: Resolver
    who_acts: str
    next_attempt_at: datetime | None
    takes_s: float | None
    """The time that asking for them takes at the present rate; None: unknown, or they are about more than one item."""


def read(connection: Connection, outlooks: Sequence[Outlook]) -> list[GapGroupRow]:
    """The groups of these connections, in their order: one for each reason of a stream."""
    missing, found = store.missing(connection, [one.view.id for one in outlooks]), dict[Kind, GapGroupRow]()
    for outlook in outlooks:
        for group in (one for (id_, _), groups in missing.items() if id_ == outlook.view.id for one in groups):
            row, kind = _row(outlook, group), (outlook.view.id, group.stream, group.reason)
            found[kind] = _together(found[kind], row) if kind in found else row
    return list(found.values())


def _together(one: GapGroupRow, other: GapGroupRow) -> GapGroupRow:
    actors = dict.fromkeys([*one.who_acts.split("; "), *other.who_acts.split("; ")])
    times = [at for at in (one.next_attempt_at, other.next_attempt_at) if at is not None]
    return replace(
        one,
        count=one.count + other.count,
        exhausted=one.exhausted and other.exhausted,
        given_up=one.given_up + other.given_up,
        fetching=one.fetching or other.fetching,
        who_mends=min(one.who_mends, other.who_mends, key=_GRAVEST_FIRST.index),
        who_acts="; ".join(actors),
        next_attempt_at=min(times, default=None),
        takes_s=None if one.takes_s is None or other.takes_s is None else one.takes_s + other.takes_s,
    )


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
        given_up=group.count if group.exhausted else 0,
        fetching=group.fetching,
        who_mends=outlook.resolver(group),
        who_acts=who_acts(group, outlook),
        next_attempt_at=outlook.next_try(group),
        takes_s=cost_of(group.count, interval).total_seconds() if interval is not None and single else None,
    )
