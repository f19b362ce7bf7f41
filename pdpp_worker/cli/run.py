"""`pdpp-worker run`, `cancel` and `recover`: ask the fleet for work."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.rate import cost_of
from pdpp_worker.cli.run_views import advice, summary
from pdpp_worker.cli.selecting import Gaps, Stream, Why, selection
from pdpp_worker.cli.session import Session, open_session, targets
from pdpp_worker.cli.waiting import START_THE_FLEET, watch
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.recovery import sweep
from pdpp_worker.store import connections, readmodels, runs
from pdpp_worker.store.runs import Ring

EXIT_CODES = {"succeeded": 0, "partially_completed": 3}
"""Of `run`, by the run's status; any other end is 1."""


def run(
    name: Annotated[str, typer.Argument(help="The connection to collect.")],
    full: Annotated[bool, typer.Option("--full", help="Walk everything anew, not only what is new.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the run.")] = True,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Work it here, and answer what the connector asks you.")
    ] = False,
) -> None:
    """Collect a connection now. Exit code: 0 succeeded, 3 partially completed, 1 failed."""
    with open_session() as session:
        bell = _queue(session, name, full)
        if interactive:
            _work_here(session, bell)
            return
        heard = _ring(bell)
        if not heard:
            note(f"The broker cannot be reached; run {bell.run_id} is queued, and the dispatcher will find it.")
        if not wait:
            say(f"Run {bell.run_id} of {name} is queued; see: pdpp-worker runs show {bell.run_id}")
            return
        _await_end(session, bell)


def cancel(name: Annotated[str, typer.Argument(help="The connection whose run is to stop.")]) -> None:
    """Stop the active run of a connection; what it has taken stays."""
    with open_session() as session:
        with session.db.begin() as connection:
            row = connections.get(connection, name)
            run_id = runs.request_cancel(connection, row.id)
        if run_id is None:
            say(f"{name} has no active run.")
            return
        _ring(Ring(run_id, row.connector))
    say(f"Run {run_id} of {name} is asked to stop; what it has taken stays.")


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
            ids = [row.id for row in targets(connection, name)]
        bells = sweep.recover(session.settings, session.db, ids, wanted, budget)
        costs = [cost_of(session, bell.run_id) for bell in bells]
        heard = [_ring(bell) for bell in bells]
    if not bells:
        say(f"Nothing of {name} can be asked for now, or a run is at it already; see: pdpp-worker gaps {name}")
        return
    say(*costs)
    say(*(f"Run {bell.run_id} is queued; see: pdpp-worker runs show {bell.run_id}" for bell in bells))
    if not all(heard):
        note(f"The broker cannot be reached; the dispatcher will find the runs. {START_THE_FLEET}")


def _work_here(session: Session, bell: Ring) -> None:
    from pdpp_worker.cli.working import work  # needs what the runtime needs

    if work(session, bell.run_id):
        _ring(bell)
        note(f"The fleet goes on with run {bell.run_id}; see: pdpp-worker runs show {bell.run_id}")
        raise typer.Exit(130)
    _await_end(session, bell)


def _await_end(session: Session, bell: Ring) -> NoReturn:
    view = watch(session.db, bell.run_id)
    say(summary(view), *advice(view))
    raise typer.Exit(EXIT_CODES.get(view.status, 1))


def _queue(session: Session, name: str, full: bool) -> Ring:
    with session.db.begin() as connection:
        row = connections.get(connection, name)
    run_id, created = request_run(session.db, row, trigger="manual", full=full)
    if not created:
        with session.db.begin() as connection:
            active = readmodels.run_view(connection, run_id)
        if full and active.mode != "full_refresh":
            raise ConfigurationError(
                f"Run {run_id} of {name} is active and walks only what is new; stop it first with: "
                f"pdpp-worker cancel {name}"
            )
        note(f"Run {run_id} of {name} is active already.")
    return Ring(run_id, row.connector)


def _ring(bell: Ring) -> bool:
    """Celery is loaded only by the commands that ring."""
    from pdpp_worker.tasks.doorbell import ring

    return ring(bell)
