"""`pdpp-worker run`: ask the fleet to collect."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from pdpp_worker.cli.notify import notify, prepare
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.progress import watch
from pdpp_worker.cli.run_ends import tell_ends
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import manual_runs
from pdpp_worker.owner.manual_runs import DueRun
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import run_views


def run(
    name: Annotated[str, typer.Argument(help="The connection to collect.")],
    full: Annotated[bool, typer.Option("--full", help="Walk everything anew, not only what is new.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the run.")] = True,
    watched: Annotated[
        bool, typer.Option("--watch", help="Show its progress, also in a pipe: as lines, on standard error.")
    ] = False,
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
        if not notify(queued):
            note(f"The broker cannot be reached; run {queued.run_id} is queued, and the dispatcher will find it.")
        if not wait and not watched:
            say(f"Run {queued.run_id} of {name} is queued; see: pdpp-worker runs show {queued.run_id}")
            return
        tell_ends(session, watch(session.db, [queued.run_id], in_lines=watched))


def _work_here(session: Session, queued: DueRun) -> NoReturn:
    from pdpp_worker.cli.foreground_run import work  # needs what the runtime needs

    if work(session, queued.run_id):
        notify(queued)
        note(f"The fleet goes on with run {queued.run_id}; see: pdpp-worker runs show {queued.run_id}")
        raise typer.Exit(130)
    tell_ends(session, watch(session.db, [queued.run_id]))


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
