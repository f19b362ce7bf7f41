"""`pdpp-worker run`: ask the fleet to collect."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from pdpp_worker.cli.notify import notify, prepare
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.progress import watch
from pdpp_worker.coverage.outlook import read
from pdpp_worker.coverage.run_words import advice, summary
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import manual_runs
from pdpp_worker.owner.manual_runs import DueRun
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import run_views

EXIT_CODES = {"succeeded": 0, "partially_completed": 3}
"""Exit codes of `run` by the run's status; any other end is 1."""


def run(
    name: Annotated[str, typer.Argument(help="The connection to collect.")],
    full: Annotated[bool, typer.Option("--full", help="Walk everything anew, not only what is new.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the run.")] = True,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Work it here, and answer what the connector asks you.")
    ] = False,
) -> None:
    """Collect a connection now. Exit code: 0 succeeded, 3 partially completed, 1 failed."""
    prepare()
    with open_session() as session:
        queued = _queue(session, name, full)
        if interactive:
            _work_here(session, queued)
            return
        if not notify(queued):
            note(f"The broker cannot be reached; run {queued.run_id} is queued, and the dispatcher will find it.")
        if not wait:
            say(f"Run {queued.run_id} of {name} is queued; see: pdpp-worker runs show {queued.run_id}")
            return
        _await_end(session, queued)


def _work_here(session: Session, queued: DueRun) -> None:
    from pdpp_worker.cli.foreground_run import work  # needs what the runtime needs

    if work(session, queued.run_id):
        notify(queued)
        note(f"The fleet goes on with run {queued.run_id}; see: pdpp-worker runs show {queued.run_id}")
        raise typer.Exit(130)
    _await_end(session, queued)


def _await_end(session: Session, queued: DueRun) -> NoReturn:
    view = watch(session.db, queued.run_id)
    with session.db.begin() as connection:
        [outlook] = read(session.settings, connection, [view.connection_id])
    say(summary(view, outlook), *advice(view))
    raise typer.Exit(EXIT_CODES.get(view.status, 1))


def _queue(session: Session, name: str, full: bool) -> DueRun:
    queued, created = manual_runs.request(session.db, name, full=full)
    if not created:
        with session.db.begin() as connection:
            active = run_views.one(connection, queued.run_id)
        if full and active.mode != "full_refresh":
            raise ConfigurationError(
                f"Run {active.id} of {name} is active and walks only what is new; stop it first with: "
                f"pdpp-worker cancel {name}"
            )
        note(f"Run {active.id} of {name} is active already.")
    return queued
