"""Pages about runs: the list with its filters, and one of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from pdpp_worker.coverage import run_words
from pdpp_worker.coverage.documents import run_document
from pdpp_worker.coverage.outlook import read
from pdpp_worker.owner.durations import parse_moment
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.store.views import event_views, run_views
from pdpp_worker.store.views.run_views import RunFilter
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import one
from pdpp_worker.web.pages.home import outlooks

EVENTS = 200


def runs(visit: Visit) -> Page:
    """The runs that the filter leaves, newest first."""
    since, until = _moment(visit, "since"), _moment(visit, "until")
    chosen = RunFilter(
        connection_id=visit.number("connection"),
        status=visit.text("status"),
        reason=visit.text("reason"),
        since=since,
        until=until + timedelta(days=1) if until else None,
        before=visit.number("before"),
    )
    found = run_views.found(visit.connection, chosen)
    ids = sorted({each.connection_id for each in found})
    by_name = {each.view.name: each for each in read(visit.settings, visit.connection, ids)}
    shown = {
        "views": found,
        "by_name": by_name,
        "run_words": run_words,
        "names": {each.view.id: each.view.name for each in outlooks(visit)},
        "statuses": run_views.STATUSES,
        "reasons": [each.value for each in Reason],
        "next_before": found[-1].id if len(found) == chosen.limit else None,
    }
    return Page("runs.html", [run_document(each, by_name[each.connection]) for each in found], shown)


def run(visit: Visit) -> Page:
    """One run with the counts of its streams; its page shows the latest events as well."""
    view = run_views.one(visit.connection, visit.id)
    streams = run_views.streams(visit.connection, visit.id)
    outlook = one(visit, view.connection_id)
    document = {**run_document(view, outlook), "streams": [asdict(each) for each in streams]}
    shown = {
        "view": view,
        "streams": streams,
        "outlook": outlook,
        "run_words": run_words,
        "events": event_views.of_run(visit.connection, visit.id, EVENTS),
        "limit": EVENTS,
    }
    return Page("run.html", document, shown)


def _moment(visit: Visit, name: str) -> datetime | None:
    text = visit.text(name)
    return None if text is None else parse_moment(text, datetime.now(UTC))
