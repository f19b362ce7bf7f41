"""Rates of connections: the learned interval, the ceiling, and when the pending work will be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.pacing.daily import used_later
from pdpp_worker.store.views import coverage_views as store
from pdpp_worker.store.views import rate_views
from pdpp_worker.store.views.coverage_views import GapGroup, StreamKey
from pdpp_worker.store.views.rate_views import RateRow


@dataclass(frozen=True)
class RateView:
    """A connection's rate; None is unknown."""

    connection: str
    interval_ms: float | None
    per_minute: float | None
    ceiling_ms: float | None
    quota_per_minute: float | None
    day_bytes: int | None
    """Bytes that were received in the last 24 hours, where the provider limits those."""
    most_day_bytes: int | None
    last_back_off_at: datetime | None
    last_back_off_reason: str | None
    learned_at: datetime | None
    pending: int
    done_at: datetime | None
    done_give_or_take_s: float | None
    waits_until: datetime | None
    wait_reason: str | None


def read(connection: Connection, outlooks: Sequence[Outlook]) -> list[RateView]:
    """The rates of these connections, in their order."""
    ids = [one.view.id for one in outlooks]
    learned, missing = rate_views.read(connection, ids), store.missing(connection, ids)
    return [_view(one, learned.get(one.view.id), _of(one, missing)) for one in outlooks]


def _of(outlook: Outlook, missing: Mapping[StreamKey, list[GapGroup]]) -> list[GapGroup]:
    """The gap groups of the connection."""
    return [one for (id_, _), found in missing.items() if id_ == outlook.view.id for one in found]


def _view(outlook: Outlook, row: RateRow | None, missing: list[GapGroup]) -> RateView:
    state: dict[str, Any] = row.state if row else {}
    back_off, day = state.get("back_off") or {}, state.get("day")
    interval, wait, expected = outlook.interval_ms, outlook.wait, outlook.expected(missing)
    return RateView(
        connection=outlook.view.name,
        interval_ms=interval,
        per_minute=None if interval is None else round(60_000 / interval, 1),
        ceiling_ms=outlook.ceiling.min_interval_ms,
        quota_per_minute=state.get("quota_per_minute"),
        day_bytes=used_later(day, (outlook.now - row.updated_at).total_seconds()) if row and day else None,
        most_day_bytes=day["most"] if day else None,
        last_back_off_at=datetime.fromisoformat(back_off["at"]) if back_off else None,
        last_back_off_reason=back_off.get("why"),
        learned_at=row.updated_at if row else None,
        pending=sum(one.count for one in outlook.pending(missing)),
        done_at=expected.done_at if expected else None,
        done_give_or_take_s=expected.spread.total_seconds() if expected else None,
        waits_until=wait.until if wait else None,
        wait_reason=wait.reason if wait else None,
    )
