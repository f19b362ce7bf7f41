"""`pdpp-worker recover`: retry what is missing, or say why nobody does."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli.gap_options import Gaps, Stream, Why
from pdpp_worker.cli.notify import notify
from pdpp_worker.cli.number_options import MOST, YEAR_S, finite
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.run_ends import tell_ends
from pdpp_worker.coverage.outlook import read
from pdpp_worker.coverage.recover_words import cost_of_run, why_not
from pdpp_worker.doctor.workers import START_THE_FLEET
from pdpp_worker.owner import gap_filters, lookup, manual_runs
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.manual_runs import DueRun
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.store.views import run_views


def recover(
    name: Annotated[str, typer.Argument(help="A connection, or a connector for all of its connections.")],
    stream: Stream = None,
    reason: Why = None,
    gap: Gaps = None,
    items: Annotated[int | None, typer.Option(help="At most so many of each connection.", min=1, max=MOST)] = None,
    requests: Annotated[
        int | None, typer.Option(help="At most so many requests for each connection.", min=1, max=MOST)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="At most so much work for each connection.", min=1, max=YEAR_S, callback=finite)
    ] = None,
    watched: Annotated[
        bool, typer.Option("--watch", help="Wait for the ends, with progress; in a pipe as lines on standard error.")
    ] = False,
) -> None:
    """Retry now what is missing, given-up items included. With --watch the exit code is that of `run`."""
    chosen = gap_filters.gap_filter(stream, reason, gap)
    budget = Budget(seconds=seconds, requests=requests, items=items)
    with open_session() as session:
        with session.db.begin() as connection:
            rows = lookup.targets(connection, name)
        queued = manual_runs.recover(session.settings, session.db, rows, chosen, budget)
        heard = _start(session, queued, chosen)
        _explain(session, rows, chosen, queued)
        if not all(heard):
            note(f"The broker cannot be reached; the dispatcher will find the runs. {START_THE_FLEET}")
        if watched and queued:
            from pdpp_worker.cli.progress import watch  # loads the widgets of a terminal

            tell_ends(session, watch(session.db, [run.run_id for run in queued], in_lines=True))


def _start(session: Session, queued: list[DueRun], chosen: GapFilter) -> list[bool]:
    """Say what each run will take, then notify the workers."""
    costs = [_cost_of(session, run.run_id, chosen) for run in queued]
    heard = [notify(run) for run in queued]
    say(*costs)
    say(*(f"Run {run.run_id} is queued; see: pdpp-worker runs show {run.run_id}" for run in queued))
    return heard


def _cost_of(session: Session, run_id: int, chosen: GapFilter) -> str:
    """State the expected cost of a run that retries gaps, and when it will be done."""
    with session.db.begin() as connection:
        view, cost = run_views.one(connection, run_id), run_views.stated_cost(connection, run_id)
        [outlook] = read(session.settings, connection, [view.connection_id])
        single = manual_runs.names_single_items(connection, view.connection_id, chosen)
    return cost_of_run(outlook, cost, single_items=single)


def _explain(session: Session, rows: list[ConnectionRow], chosen: GapFilter, queued: list[DueRun]) -> None:
    """Say of each connection that got no run why not."""
    with session.db.begin() as connection:
        started = {run_views.one(connection, run.run_id).connection for run in queued}
        idle = [row for row in rows if row.name not in started]
        outlooks = read(session.settings, connection, [row.id for row in idle])
        say(
            *(
                why_not(one, manual_runs.gap_summary(connection, one.view.id, chosen), chosen=chosen != gap_filters.ALL)
                for one in outlooks
            )
        )
