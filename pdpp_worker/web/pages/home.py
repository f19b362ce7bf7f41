"""The first page, and the documents that say the same as the commands of their names."""

from __future__ import annotations

from pdpp_worker.coverage import all_streams, cards, status_rows
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.store.views import connection_views
from pdpp_worker.web.console import Page, Visit


def outlooks(visit: Visit, connection_id: int | None = None) -> list[Outlook]:
    """The outlooks of all connections, or of one."""
    ids = None if connection_id is None else [connection_id]
    return read(visit.settings, visit.connection, ids)


def home(visit: Visit) -> Page:
    """Am I missing anything?"""
    return Page("home.html", cards.read(visit.connection, outlooks(visit)))


def status(visit: Visit) -> Page:
    """The document of `status`."""
    found = outlooks(visit)
    streams = all_streams.read(visit.connection, found)
    return Page("", status_rows.read({one.view.name: one for one in found}, streams))


def coverage(visit: Visit) -> Page:
    """The document of `coverage`."""
    return Page("", all_streams.read(visit.connection, outlooks(visit, visit.number("connection"))))


def connections(visit: Visit) -> Page:
    """The document of `connection list`."""
    return Page("", connection_views.read(visit.connection))
