"""`pdpp-worker rate`: how fast each connection goes, what holds it back, and when the pending work will be done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pdpp_worker.cli.connection_views import rate_ceiling
from pdpp_worker.cli.output import Json, console, make_table, print_json, print_json_line
from pdpp_worker.cli.session import Session, open_session
from pdpp_worker.cli.times import duration, local, relative
from pdpp_worker.pacing.forecast import Forecast, forecast
from pdpp_worker.store import connections, rates, readmodels
from pdpp_worker.store.rates import RateRow

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


def cost_of(session: Session, run_id: int) -> str:
    """What a run that goes back for gaps is expected to take, in one sentence."""
    with session.db.begin() as connection:
        view, cost = readmodels.run_view(connection, run_id), readmodels.stated_cost(connection, run_id)
    expected = forecast(
        cost["items"], cost["interval_ms"], datetime.now(UTC), learned=cost["learned"], not_before=view.not_before
    )
    return f"{view.connection}: {expected.items:,} pending, about {_in_words(expected)}"


def _show(session: Session, name: str | None, json: bool, *, as_line: bool) -> None:
    with session.db.begin() as connection:
        if name is not None:
            connections.get(connection, name)
        found = rates.rows(connection, name)
    views = [_view(session, row) for row in found]
    if json and as_line:
        print_json_line(views)
    elif json:
        print_json(views)
    else:
        console().print(
            make_table(COLUMNS, [_cells(session, row, view) for row, view in zip(found, views, strict=True)])
        )


def _view(session: Session, row: RateRow) -> RateView:
    state: dict[str, Any] = row.state or {}
    back_off = state.get("back_off") or {}
    interval = state.get("interval_ms")
    expected = _forecast(session, row)
    return RateView(
        connection=row.connection,
        interval_ms=interval,
        per_minute=None if interval is None else round(60_000 / interval, 1),
        ceiling_ms=_ceiling(session, row),
        quota_per_minute=state.get("quota_per_minute"),
        last_back_off_at=datetime.fromisoformat(back_off["at"]) if back_off else None,
        last_back_off_reason=back_off.get("why"),
        learned_at=row.updated_at,
        pending=row.pending,
        done_at=expected.done_at if expected else None,
        done_give_or_take_s=expected.spread.total_seconds() if expected else None,
    )


def _forecast(session: Session, row: RateRow) -> Forecast | None:
    if row.pending == 0:
        return None
    learned = (row.state or {}).get("interval_ms")
    interval = learned or max(session.settings.pacing_cold_start_ms, _ceiling(session, row) or 0)
    return forecast(
        row.pending, interval, datetime.now(UTC), learned=learned is not None, not_before=row.next_attempt_at
    )


def _ceiling(session: Session, row: RateRow) -> float | None:
    return rate_ceiling(session.settings, row.connector, row.min_interval_ms).min_interval_ms


def _cells(session: Session, row: RateRow, view: RateView) -> tuple[str, ...]:
    back_off = (
        f"{view.last_back_off_reason}, {relative(view.last_back_off_at)}" if view.last_back_off_at else "none known"
    )
    expected = _forecast(session, row)
    return (
        view.connection,
        _ms(view.interval_ms),
        "unknown" if view.per_minute is None else f"{view.per_minute:g}",
        _ms(view.ceiling_ms),
        "unknown" if view.quota_per_minute is None else f"{view.quota_per_minute:g}/min",
        back_off if view.learned_at else "unknown",
        "nothing" if expected is None else f"{view.pending:,}, {_in_words(expected)}",
    )


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} ms"


def _in_words(expected: Forecast) -> str:
    spread = duration(max(1.0, expected.spread.total_seconds()))
    return f"{duration(max(1.0, expected.cost.total_seconds()))}, done {local(expected.done_at)} ± {spread}"
