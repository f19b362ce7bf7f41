"""The page of a connection's coverage by months."""

from __future__ import annotations

from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.months import MonthState, months_of
from pdpp_worker.coverage.stream import Interval
from pdpp_worker.store.views import month_views
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import one


def coverage(visit: Visit) -> Page:
    """Each stream by months: held, missing, never walked, never supplied."""
    outlook = one(visit, visit.id)
    held, missing = month_views.held(visit.connection, visit.id), month_views.missing(visit.connection, visit.id)
    document = [
        {
            "stream": each.stream,
            "verdict": each.verdict,
            "months": months_of(
                each.supply,
                each.intervals,
                held.get(each.stream, {}),
                [Interval(since, until) for name, since, until in missing if name == each.stream],
                outlook.now,
            ),
        }
        for each in all_streams.read(visit.connection, [outlook])
    ]
    return Page("strips.html", document, {"outlook": outlook, "states": list(MonthState)})
