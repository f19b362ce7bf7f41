"""The page of a connection's coverage by months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.months import MonthState, months_of
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.stream import Interval, StreamCoverage, ancestors
from pdpp_worker.store.views import month_views
from pdpp_worker.store.views.month_views import Teller
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import one


def coverage(visit: Visit) -> Page:
    """Each stream by months: held, missing, never walked, never supplied; and what is missing without a time."""
    outlook = one(visit, visit.id)
    held, periods = month_views.held(visit.connection, visit.id), month_views.missing(visit.connection, visit.id)
    streams = all_streams.read(visit.connection, [outlook])
    tellers = [teller for each in streams for teller in _tellers(outlook, each.stream)]
    items = month_views.missing_items(visit.connection, visit.id, tellers)
    document = [
        _strip(
            outlook,
            each,
            held.get(each.stream, {}),
            [Interval(since, until) for name, since, until in periods if name == each.stream],
            items.get(each.stream, {}),
        )
        for each in streams
    ]
    return Page("strips.html", document, {"outlook": outlook, "states": list(MonthState)})


def _strip(
    outlook: Outlook,
    stream: StreamCoverage,
    held: Mapping[datetime, int],
    periods: list[Interval],
    items: Mapping[datetime | None, int],
) -> dict[str, Any]:
    timed = {month: count for month, count in items.items() if month is not None}
    months = months_of(stream.supply, stream.intervals, held, periods, outlook.now, timed)
    declared = outlook.manifest.stream(stream.stream) if outlook.manifest else None
    return {
        "stream": stream.stream,
        "verdict": stream.verdict,
        "months": months,
        "by_arrival": declared is not None and declared.own_time_field is None,
        "missing_without_time": items.get(None, 0),
        "missing_in_other_months": sum(timed.values()) - sum(month.missing for month in months),
    }


def _tellers(outlook: Outlook, stream: str) -> Iterator[Teller]:
    """Streams whose records tell the time of a missing item: its own, and those above it, the nearest first."""
    for name in (stream, *ancestors(outlook.manifest, stream)):
        declared = outlook.manifest.stream(name) if outlook.manifest else None
        if declared is not None and declared.own_time_field is not None:
            yield Teller(stream, name, declared.own_time_field)
