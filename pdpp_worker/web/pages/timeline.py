"""The page on which runs stand along the clock, a lane for each connection."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.views import timeline_views
from pdpp_worker.store.views.timeline_views import Lane, SettingChange, Span
from pdpp_worker.web import charts
from pdpp_worker.web.charts import Bar
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.home import outlooks

PERIODS = {"1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


def timeline(visit: Visit) -> Page:
    """Slices, waits with their reasons, refusals, new versions and changes of each connection over a period."""
    period, connection_id = visit.text("period") or "6h", visit.number("connection")
    if period not in PERIODS:
        raise ConfigurationError(f"{period!r} is no period; known: {', '.join(PERIODS)}.")
    until = datetime.now(UTC)
    since = until - PERIODS[period]
    names = {each.view.id: each.view.name for each in outlooks(visit)}
    lanes = timeline_views.read(visit.connection, names, connection_id, since, until)
    document = {"since": since, "until": until, "lanes": [asdict(lane) for lane in lanes]}
    shown = {
        "lanes": [ShownLane(lane, since, until) for lane in lanes],
        "period": period,
        "periods": PERIODS,
    }
    return Page("timeline.html", document, shown)


class ShownLane:
    """A lane as it is drawn."""

    width = charts.WIDTH

    def __init__(self, lane: Lane, since: datetime, until: datetime) -> None:
        self.lane = lane
        self.since = since
        self.until = until
        self.bars = bars(lane, since, until)
        self.marks = marks(lane, since, until)
        self.words = changed_words


def of_connection(visit: Visit, name: str) -> ShownLane:
    """The last day of the visit's connection, whose name is given."""
    until = datetime.now(UTC)
    since = until - PERIODS["24h"]
    [lane] = timeline_views.read(visit.connection, {visit.id: name}, visit.id, since, until)
    return ShownLane(lane, since, until)


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
    """Refusals, new versions and changed settings of a lane, as marks on the clock."""
    refused = [Bar(charts.across(at, since, until), 0, "refusal", "refused for the rate") for at in lane.refusals]
    changed = [
        Bar(charts.across(one.at, since, until), 0, "version", f"version {one.version}") for one in lane.versions
    ]
    settings = [Bar(charts.across(one.at, since, until), 0, "setting", changed_words(one)) for one in lane.changes]
    return [*refused, *changed, *settings]


def changed_words(change: SettingChange) -> str:
    """A change that somebody made, in words: `settings set: place`."""
    words = change.action.replace(".", " ").replace("_", " ")
    return f"{words}: {', '.join(change.names)}" if change.names else words


def _kind(span: Span) -> str:
    if span.works:
        return "works"
    return "waits" if span.reason else "queued"
