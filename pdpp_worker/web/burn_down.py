"""The burn-down of pending work: how much there was, and the band in which the forecast sees its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pdpp_worker.coverage.rate_rows import RateView
from pdpp_worker.store.views.rate_views import PendingPoint
from pdpp_worker.web import charts


def burn_down(points: Sequence[PendingPoint], rate: RateView, since: datetime, now: datetime) -> dict[str, Any] | None:
    """The figures of its picture; None where nothing was pending in the period.

    The picture goes on after now for as long as the period is at most, and ends with the band.
    """
    if not points and not rate.pending:
        return None
    earliest, latest = _ends(rate)
    until = max(now, min(latest or now, now + (now - since)))
    top = 1.1 * max(rate.pending, *(one.pending for one in points), 1)
    past = [*((one.at, one.pending) for one in points), (now, rate.pending)]
    return {
        "past": charts.line([(charts.across(at, since, until), count) for at, count in _steps(past)], top),
        "band": _band(rate.pending, [now, earliest, latest], since, until, top),
        "middle": _band(rate.pending, [now, rate.done_at], since, until, top),
        "now": charts.across(now, since, until),
        "until": until,
        "top": top,
        "earliest": earliest,
        "latest": latest,
    }


def _steps(past: Sequence[tuple[datetime, int]]) -> Iterator[tuple[datetime, int]]:
    """The corners of a line that stays as it is until each change."""
    before: int | None = None
    for at, count in past:
        if before is not None:
            yield at, before
        yield at, count
        before = count


def _ends(rate: RateView) -> tuple[datetime | None, datetime | None]:
    """The band's two ends of the work; None where nobody can tell."""
    if rate.done_at is None:
        return None, None
    spread = timedelta(seconds=rate.done_give_or_take_s or 0.0)
    return rate.done_at - spread, rate.done_at + spread


def _band(
    pending: int, moments: Sequence[datetime | None], since: datetime, until: datetime, top: float
) -> charts.Line | None:
    """A line from what is pending now down to nothing at the other moments, beyond the picture's edge too."""
    known = [at for at in moments if at is not None]
    if len(known) < len(moments):
        return None
    return charts.line(
        [(charts.across(at, since, until), 0 if number else pending) for number, at in enumerate(known)], top
    )
