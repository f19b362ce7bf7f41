"""The page on which runs stand along the clock, a lane for each connection."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.views import timeline_views
from pdpp_worker.store.views.timeline_views import Lane, Span
from pdpp_worker.web import charts
from pdpp_worker.web.charts import Bar
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.home import outlooks

PERIODS = {"1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


def timeline(visit: Visit) -> Page:
    """Slices, waits with their reasons, refusals and new versions of each connection over a period."""
    period, connection_id = visit.text("period") or "6h", visit.number("connection")
    if period not in PERIODS:
        raise ConfigurationError(f"{period!r} is no period; known: {', '.join(PERIODS)}.")
    until = datetime.now(UTC)
    since = until - PERIODS[period]
    names = {each.view.id: each.view.name for each in outlooks(visit)}
    lanes = timeline_views.read(visit.connection, names, connection_id, since, until)
    document = {"since": since, "until": until, "lanes": [asdict(lane) for lane in lanes]}
    shown = {
        "lanes": [(lane, bars(lane, since, until), marks(lane, since, until)) for lane in lanes],
        "names": names,
        "period": period,
        "periods": PERIODS,
        "since": since,
        "until": until,
        "width": charts.WIDTH,
    }
    return Page("timeline.html", document, shown)


def bars(lane: Lane, since: datetime, until: datetime) -> list[Bar]:
    """The spans of a lane as bars."""
    return [
        Bar(
            charts.across(span.begin, since, until),
            max(charts.LEAST_BAR, charts.across(span.until, since, until) - charts.across(span.begin, since, until)),
            _kind(span),
            f"run {span.run_id}: {'works' if span.works else waits(span)}",
        )
        for span in lane.spans
    ]


def waits(span: Span) -> str:
    """The cause for which a run waited, in words."""
    return f"waits: {span.reason or 'for a worker'}"


def marks(lane: Lane, since: datetime, until: datetime) -> list[Bar]:
    """Refusals and new versions of a lane, as marks on the clock."""
    refused = [Bar(charts.across(at, since, until), 0, "refusal", "refused for the rate") for at in lane.refusals]
    changed = [
        Bar(charts.across(one.at, since, until), 0, "version", f"version {one.version}") for one in lane.versions
    ]
    return [*refused, *changed]


def _kind(span: Span) -> str:
    if span.works:
        return "works"
    return "waits" if span.reason else "queued"
