"""`pdpp-worker run` and `cancel`: ask the fleet to collect, or to stop."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from pdpp_worker.cli.doorbell import ring
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.run_views import advice, summary
from pdpp_worker.cli.session import Session, open_session
from pdpp_worker.cli.waiting import watch
from pdpp_worker.coverage.outlook import read
from pdpp_worker.dispatch import request_run
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store import connections, readmodels, runs
from pdpp_worker.store.runs import DueRun

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
        heard = ring(bell)
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
        ring(DueRun(run_id, row.connector))
    say(f"Run {run_id} of {name} is asked to stop; what it has taken stays.")


def _work_here(session: Session, bell: DueRun) -> None:
    from pdpp_worker.cli.working import work  # needs what the runtime needs

    if work(session, bell.run_id):
        ring(bell)
        note(f"The fleet goes on with run {bell.run_id}; see: pdpp-worker runs show {bell.run_id}")
        raise typer.Exit(130)
    _await_end(session, bell)


def _await_end(session: Session, bell: DueRun) -> NoReturn:
    view = watch(session.db, bell.run_id)
    with session.db.begin() as connection:
        [outlook] = read(session.settings, connection, [view.connection_id])
    say(summary(view, outlook), *advice(view))
    raise typer.Exit(EXIT_CODES.get(view.status, 1))


def _queue(session: Session, name: str, full: bool) -> DueRun:
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
    return DueRun(run_id, row.connector)
