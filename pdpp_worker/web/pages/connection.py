"""The page of one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pdpp_worker.coverage import all_streams, cards, rate_costs, rate_rows
from pdpp_worker.coverage.documents import connection_document
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.source_parts import fate, size_of
from pdpp_worker.coverage.status_rows import is_shown
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.cron_lines import CronLine
from pdpp_worker.errors import NotFoundError
from pdpp_worker.owner import schedule_rules
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.manifest_parts import SettingSpec
from pdpp_worker.store.views import member_views
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.pages import timeline
from pdpp_worker.web.pages.home import outlooks

NEXT_TIMES = 5


class Field(NamedTuple):
    """A setting in a form; `text` is its value as it is typed, empty: the default."""

    name: str
    spec: SettingSpec
    text: str


def connection(visit: Visit) -> Page:
    """Everything about one connection."""
    outlook = one(visit, visit.id)
    streams = all_streams.read(visit.connection, [outlook])
    [rate] = rate_rows.read(visit.connection, [outlook])
    view = outlook.view
    document = {
        **connection_document(outlook),
        "inventory": member_views.read(visit.connection, [view.id])[view.id],
        "card": cards.card(visit.connection, outlook, streams),
        "needs": cards.needs(outlook, streams),
        "coverage": streams,
        "rate": rate,
        "next_runs": _next_times(outlook),
    }
    asked_ms = visit.number("rate")
    shown = {
        "streams": _in_view(streams),
        "never": [one for one in streams if not is_shown(one)],
        "schedule": schedule_rules.written(view.every_s, view.cron),
        "zone": None if view.cron is None else CronLine.of(view.cron).zone,
        "due_now": view.next_run_at is not None and view.next_run_at <= outlook.now,
        "fields": fields(outlook.manifest, view.settings),
        "credentials": outlook.manifest.credentials if outlook.manifest else {},
        "asked_ms": asked_ms,
        "costs": None if asked_ms is None else rate_costs.told(outlook, rate, asked_ms),
        "parts": _parts,
        "lane": timeline.of_connection(visit, view.name),
        "fate": fate,
        "size_of": size_of,
    }
    return Page("connection.html", document, shown)


def one(visit: Visit, connection_id: int) -> Outlook:
    """The outlook of one connection.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = outlooks(visit, connection_id)
    if not found:
        raise NotFoundError(f"There is no connection with the number {connection_id}.")
    return found[0]


def fields(manifest: Manifest | None, settings: Mapping[str, Any]) -> list[Field]:
    """The settings that a connector declares, with their values."""
    specs = manifest.settings if manifest else {}
    return [Field(name, spec, text_of(settings.get(name))) for name, spec in specs.items()]


def text_of(value: Any) -> str:
    """A setting as it is typed; empty: it is not set."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _next_times(outlook: Outlook) -> list[datetime]:
    view = outlook.view
    if view.paused:
        return []
    return schedule_rules.next_times(view.every_s, view.cron, view.next_run_at, NEXT_TIMES, outlook.now)


def _in_view(streams: Sequence[StreamCoverage]) -> list[StreamCoverage]:
    return [one for one in streams if is_shown(one)]


def _parts(one: StreamCoverage) -> dict[str, int]:
    """The parts of a stream's bar: what is held, and what is missing by its reason."""
    return {"held": one.records or 0, **dict(sorted(one.gaps_by_reason.items()))}
