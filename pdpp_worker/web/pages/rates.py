"""Pages about how fast is collected: all connections, and the history of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pdpp_worker.coverage import rate_rows
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.views import coverage_views, rate_views
from pdpp_worker.store.views.rate_views import RateBucket
from pdpp_worker.web import charts
from pdpp_worker.web.burn_down import burn_down
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import one
from pdpp_worker.web.pages.home import outlooks

PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "30d": timedelta(days=30)}


def rates(visit: Visit) -> Page:
    """The rate of each connection."""
    found = outlooks(visit, visit.number("connection"))
    ids = {each.view.name: each.view.id for each in found}
    return Page("rates.html", rate_rows.read(visit.connection, found), {"ids": ids})


def rate(visit: Visit) -> Page:
    """The rate of one connection over an hour, a day or thirty days, and when the pending work will be done."""
    outlook, until = one(visit, visit.id), datetime.now(UTC)
    period = visit.text("period") or "24h"
    if period not in PERIODS:
        raise ConfigurationError(f"{period!r} is no period; known: {', '.join(PERIODS)}.")
    since = until - PERIODS[period]
    [view] = rate_rows.read(visit.connection, [outlook])
    history = rate_views.history(visit.connection, visit.id, since, until)
    points = rate_views.burn_down(visit.connection, visit.id, _pending(visit, outlook), since, until)
    document = {"rate": view, "since": since, "until": until, "history": history, "burn_down": points}
    shown = {
        "period": period,
        "periods": PERIODS,
        "chart": chart(history, since, until),
        "burn": burn_down(points, view, since, until),
        "connection_id": visit.id,
    }
    return Page("rate.html", document, shown)


def _pending(visit: Visit, outlook: Outlook) -> set[tuple[str, str]]:
    """The streams and reasons of gaps that the fleet retries by itself."""
    missing = coverage_views.missing(visit.connection, [visit.id])
    groups = outlook.pending(group for found in missing.values() for group in found)
    return {(one.stream, one.reason) for one in groups}


def chart(history: Sequence[RateBucket], since: datetime, until: datetime) -> dict[str, Any]:
    """Lines of the interval and of its ceiling, and the places of refusals."""
    top = 1.1 * max((each.slowest_ms for each in history), default=1.0)
    places = [charts.across(each.at, since, until) for each in history]
    intervals = [(place, each.slowest_ms) for place, each in zip(places, history, strict=True)]
    ceilings = [(place, each.ceiling_ms) for place, each in zip(places, history, strict=True) if each.ceiling_ms]
    return {
        "interval": charts.line(intervals, top),
        "ceiling": charts.line(ceilings, top),
        "refusals": [place for place, each in zip(places, history, strict=True) if each.refusals],
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }
