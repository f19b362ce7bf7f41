"""`pdpp-worker rate`: how fast each connection goes, what holds it back, and when the pending work will be done."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pdpp_worker.cli.output import Json, fitting, print_json, print_json_line, print_table, say
from pdpp_worker.coverage import rate_rows
from pdpp_worker.coverage.outlook import read
from pdpp_worker.coverage.phrases import end, waiting
from pdpp_worker.coverage.rate_rows import RateView
from pdpp_worker.coverage.times import relative
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views.reading import take_snapshot

WATCH_EVERY_S = 2.0
COLUMNS = ("connection", "interval", "per minute", "ceiling", "quota", "last back-off", "pending")


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
        views = rate_rows.read(connection, outlooks)
    if json and as_line:
        print_json_line(views)
    elif json:
        print_json(views)
    else:
        print_table(*fitting(COLUMNS, list(map(_cells, views)), leave_out=("per minute", "quota", "ceiling")))
        say(*(f"{view.connection} {waiting(view.waits_until, view.wait_reason)}" for view in views if view.waits_until))


def _cells(view: RateView) -> tuple[str, ...]:
    back_off = (
        f"{view.last_back_off_reason}, {relative(view.last_back_off_at)}" if view.last_back_off_at else "none known"
    )
    return (
        view.connection,
        _ms(view.interval_ms),
        "unknown" if view.per_minute is None else f"{view.per_minute:g}",
        _ms(view.ceiling_ms),
        _quota(view),
        back_off if view.learned_at else "unknown",
        f"{view.pending:,}, {end(view.done_at, view.done_give_or_take_s)}" if view.pending else "nothing",
    )


def _quota(view: RateView) -> str:
    if view.day_bytes is not None and view.most_day_bytes is not None:
        return f"{view.day_bytes / 1e6:,.0f} of {view.most_day_bytes / 1e6:,.0f} MB a day"
    return "unknown" if view.quota_per_minute is None else f"{view.quota_per_minute:g}/min"


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} ms"
