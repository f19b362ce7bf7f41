"""Pages about what is missing: in groups, one by one, and one of them with all that is known of it."""

from __future__ import annotations

from pdpp_worker.coverage import all_streams, gap_groups, gap_titles, item
from pdpp_worker.coverage.documents import gap_document
from pdpp_worker.errors import NotFoundError
from pdpp_worker.owner.gap_filters import check_reason
from pdpp_worker.store.views import event_views, gap_views, item_views
from pdpp_worker.store.views.gap_views import GapPage
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages.connection import one
from pdpp_worker.web.pages.home import outlooks

EVENTS = 50


def gaps(visit: Visit) -> Page:
    """All that is missing: the groups, and the gaps that the filter leaves, page by page."""
    connection_id, reason = visit.number("connection"), visit.text("reason")
    check_reason(reason)
    found = outlooks(visit, connection_id)
    by_name = {each.view.name: each for each in found}
    closed_too = visit.text("status") == "all"
    chosen = GapPage(visit.text("stream"), reason, closed_too, visit.number("after") or 0)
    listed = gap_views.page(visit.connection, [each.view.id for each in found], chosen)
    groups = [
        group
        for group in gap_groups.read(visit.connection, found)
        if chosen.stream in (None, group.stream) and reason in (None, group.reason)
    ]
    document = {
        "groups": groups,
        "gaps": [gap_document(gap, by_name[gap.connection]) for gap in listed],
        "titles": gap_titles.read(visit.connection, listed, by_name),
        "next_after": listed[-1].id if len(listed) == chosen.limit else None,
    }
    names = {each.view.id: each.view.name for each in outlooks(visit)}
    ids = {name: id_ for id_, name in names.items()}
    return Page("gaps.html", document, {"names": names, "ids": ids, "chosen": chosen, "connection_id": connection_id})


def gap(visit: Visit) -> Page:
    """Why one item is missing, and every try: the answer of `why`, with the events of its last run."""
    found = item_views.gap_by_id(visit.connection, visit.id)
    outlook = one(visit, found.connection_id)
    streams = {each.stream: each for each in all_streams.read(visit.connection, [outlook])}
    if found.stream not in streams:
        raise NotFoundError(f"Nothing is known of the stream {found.stream} any more.")
    answer = item.answer(item.about_gap(visit.connection, streams[found.stream], outlook, found))
    tries = event_views.of_run(visit.connection, found.last_run_id, EVENTS)
    shown = {"gap_id": found.id, "connection_id": found.connection_id, "events": tries}
    titles = gap_titles.read(visit.connection, [found], {found.connection: outlook})
    return Page("gap.html", answer, {**shown, "title": titles.get(found.id)})
