"""`pdpp-worker cancel`: ask a run to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli.notify import notify
from pdpp_worker.cli.output import say
from pdpp_worker.owner import manual_runs
from pdpp_worker.owner.session import open_session


def cancel(name: Annotated[str, typer.Argument(help="The connection whose run is to stop.")]) -> None:
    """Stop the active run of a connection; what it has taken stays."""
    with open_session() as session:
        run = manual_runs.cancel(session.db, name)
        if run is None:
            say(f"{name} has no active run.")
            return
        notify(run)
    say(f"Run {run.run_id} of {name} is asked to stop; what it has taken stays.")
