"""`pdpp-worker rate`: how fast each connection goes, what holds it back, and when the pending work will be done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from pdpp_worker.cli.output import Json, console, make_table, print_json, print_json_line, say
from pdpp_worker.cli.phrases import end, waiting
from pdpp_worker.cli.times import relative
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import coverage_views as store
from pdpp_worker.store.views import rate_views
from pdpp_worker.store.views.coverage_views import GapGroup, StreamKey
from pdpp_worker.store.views.rate_views import RateRow
from pdpp_worker.store.views.reading import take_snapshot

WATCH_EVERY_S = 2.0
COLUMNS = ("connection", "interval", "per minute", "ceiling", "quota", "last back-off", "pending")


@dataclass(frozen=True)
class RateView:
    """A connection's rate; None is unknown."""

    connection: str
    interval_ms: float | None
    per_minute: float | None
    ceiling_ms: float | None
    quota_per_minute: float | None
    last_back_off_at: datetime | None
    last_back_off_reason: str | None
    learned_at: datetime | None
    pending: int
    done_at: datetime | None
    done_give_or_take_s: float | None
    waits_until: datetime | None
    wait_reason: str | None


def rate(
    name: Annotated[str | None, typer.Argument(help="Only this connection.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show the learned rate of each connection, its ceiling, and when the pending work will be done."""
    with open_session() as session:
        _show(session, name, json, as_line=watch)
        while watch:
            time.sleep(WATCH_EVERY_S)
            _show(session, name, json, as_line=True)


def _show(session: Session, name: str | None, json: bool, *, as_line: bool) -> None:
    with session.db.begin() as connection:
        take_snapshot(connection)
        ids = None if name is None else [lookup.find(connection, name).id]
        outlooks = read(session.settings, connection, ids)
        shown = [one.view.id for one in outlooks]
        learned, missing = rate_views.read(connection, shown), store.missing(connection, shown)
    views = [_view(one, learned.get(one.view.id), _of(one, missing)) for one in outlooks]
    if json and as_line:
        print_json_line(views)
    elif json:
        print_json(views)
    else:
        console().print(make_table(COLUMNS, map(_cells, views)))
        say(*(f"{view.connection} {waiting(view.waits_until, view.wait_reason)}" for view in views if view.waits_until))


def _of(outlook: Outlook, missing: Mapping[StreamKey, list[GapGroup]]) -> list[GapGroup]:
    """The gap groups of the connection."""
    return [one for (id_, _), found in missing.items() if id_ == outlook.view.id for one in found]


def _view(outlook: Outlook, row: RateRow | None, missing: list[GapGroup]) -> RateView:
    state: dict[str, Any] = row.state if row else {}
    back_off = state.get("back_off") or {}
    interval, wait, expected = outlook.interval_ms, outlook.wait, outlook.expected(missing)
    return RateView(
        connection=outlook.view.name,
        interval_ms=interval,
        per_minute=None if interval is None else round(60_000 / interval, 1),
        ceiling_ms=outlook.ceiling.min_interval_ms,
        quota_per_minute=state.get("quota_per_minute"),
        last_back_off_at=datetime.fromisoformat(back_off["at"]) if back_off else None,
        last_back_off_reason=back_off.get("why"),
        learned_at=row.updated_at if row else None,
        pending=sum(one.count for one in outlook.pending(missing)),
        done_at=expected.done_at if expected else None,
        done_give_or_take_s=expected.spread.total_seconds() if expected else None,
        waits_until=wait.until if wait else None,
        wait_reason=wait.reason if wait else None,
    )


def _cells(view: RateView) -> tuple[str, ...]:
    back_off = (
        f"{view.last_back_off_reason}, {relative(view.last_back_off_at)}" if view.last_back_off_at else "none known"
    )
    return (
        view.connection,
        _ms(view.interval_ms),
        "unknown" if view.per_minute is None else f"{view.per_minute:g}",
        _ms(view.ceiling_ms),
        "unknown" if view.quota_per_minute is None else f"{view.quota_per_minute:g}/min",
        back_off if view.learned_at else "unknown",
        f"{view.pending:,}, {end(view.done_at, view.done_give_or_take_s)}" if view.pending else "nothing",
    )


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} ms"
