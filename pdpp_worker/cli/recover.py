"""`pdpp-worker recover`: go back for what is missing, or say why nobody does."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli.coverage import end, waiting
from pdpp_worker.cli.doorbell import ring
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.selecting import Gaps, Stream, Why, selection
from pdpp_worker.cli.session import Session, open_session, targets
from pdpp_worker.cli.times import clock, duration
from pdpp_worker.cli.waiting import START_THE_FLEET
from pdpp_worker.coverage.outlook import read
from pdpp_worker.coverage.when import Wait
from pdpp_worker.pacing.forecast import forecast
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.recovery import sweep
from pdpp_worker.store import backlog, readmodels
from pdpp_worker.store.backlog import Selection, Standing
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.runs import DueRun


def recover(
    name: Annotated[str, typer.Argument(help="A connection, or a connector for all of its connections.")],
    stream: Stream = None,
    reason: Why = None,
    gap: Gaps = None,
    items: Annotated[int | None, typer.Option(help="At most so many of each connection.", min=1)] = None,
    requests: Annotated[int | None, typer.Option(help="At most so many requests for each connection.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="At most so much work for each connection.", min=1)] = None,
) -> None:
    """Go back now for what is missing, given-up items included."""
    wanted = selection(stream, reason, gap)
    budget = Budget(seconds=seconds, requests=requests, items=items)
    with open_session() as session:
        with session.db.begin() as connection:
            rows = targets(connection, name)
        bells = sweep.recover(session.settings, session.db, [row.id for row in rows], wanted, budget)
        heard = _start(session, bells, wanted)
        _explain(session, rows, wanted, bells)
    if not all(heard):
        note(f"The broker cannot be reached; the dispatcher will find the runs. {START_THE_FLEET}")


def _start(session: Session, bells: list[DueRun], wanted: Selection) -> list[bool]:
    """Say what each run will take, then ring for it."""
    costs = [_cost_of(session, bell.run_id, wanted) for bell in bells]
    heard = [ring(bell) for bell in bells]
    say(*costs)
    say(*(f"Run {bell.run_id} is queued; see: pdpp-worker runs show {bell.run_id}" for bell in bells))
    return heard


def _cost_of(session: Session, run_id: int, wanted: Selection) -> str:
    """What a run that goes back for gaps is expected to take, and when it will be done."""
    with session.db.begin() as connection:
        view, cost = readmodels.run_view(connection, run_id), readmodels.stated_cost(connection, run_id)
        [outlook] = read(session.settings, connection, [view.connection_id])
        due = backlog.count_due(connection, view.connection_id, wanted)
    wait, one_by_one = outlook.wait, outlook.is_targeted and due.resources == due.items
    expected = forecast(
        cost["items"],
        cost["interval_ms"],
        outlook.now,
        learned=cost["learned"],
        not_before=wait.until if wait else None,
    )
    takes = duration(max(1.0, expected.cost.total_seconds()))
    done = end(expected.done_at if cost["learned"] and one_by_one else None, expected.spread.total_seconds())
    waits = f"; {waiting(wait.until, wait.reason)}" if wait else ""
    return f"{view.connection}: {expected.items:,} pending, about {takes}, {done}{waits}"


def _explain(session: Session, rows: list[ConnectionRow], wanted: Selection, bells: list[DueRun]) -> None:
    """Of each connection that got no run, say why not."""
    with session.db.begin() as connection:
        started = {readmodels.run_view(connection, bell.run_id).connection for bell in bells}
        idle = [row for row in rows if row.name not in started]
        waits = {one.view.id: one.wait for one in read(session.settings, connection, [row.id for row in idle])}
        say(*(_why_not(row, wanted, backlog.standing(connection, row.id, wanted), waits[row.id]) for row in idle))


def _why_not(row: ConnectionRow, wanted: Selection, held: Standing, wait: Wait | None) -> str:
    name = row.name
    that = "that you asked for " if wanted != Selection() else ""
    if not held.missing and held.let_go:
        return (
            f"Nothing {that}is missing of {name}, but for {held.let_go:,} that you waived or that do not exist at the "
            f"provider; ask for them after all with: pdpp-worker gaps reopen {name}"
        )
    if not held.missing:
        return f"Nothing {that}is known to be missing of {name}."
    if held.by_upgrade == held.missing:
        return (
            f"All that is missing of {name} ({held.missing:,}) waits for another version of the connector "
            f"{row.connector}; see: pdpp-worker coverage {name}"
        )
    if held.active_run_id is not None:
        waits = f" and {waiting(wait.until, wait.reason)}" if wait else ""
        return (
            f"Run {held.active_run_id} of {name} is active{waits}; what you asked for is tried by it or by the next "
            f"one; see: pdpp-worker runs show {held.active_run_id}"
        )
    if held.cooldown_until is not None:
        return f"The provider of {name} wants a pause until {clock(held.cooldown_until)}; ask again then."
    return f"Nobody can go back for what is missing of {name}: the connector {row.connector} is not installed."
