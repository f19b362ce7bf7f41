"""Ends of runs: a sentence for each, and the exit code that tells of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import typer

from pdpp_worker.cli.output import say
from pdpp_worker.coverage.outlook import read
from pdpp_worker.coverage.run_words import advice, summary
from pdpp_worker.owner import gap_filters, manual_runs
from pdpp_worker.owner.session import Session
from pdpp_worker.store.views.run_views import RunView

EXIT_CODES = {"succeeded": 0, "partially_completed": 3}
"""Exit codes by a run's status; any other end is 1."""
_WORST_FIRST = (1, 3, 0)


def tell_ends(session: Session, views: Sequence[RunView]) -> NoReturn:
    """Say how these runs ended, and end with the exit code of the worst."""
    for view in views:
        with session.db.begin() as connection:
            [outlook] = read(session.settings, connection, [view.connection_id])
            left = manual_runs.gap_summary(connection, view.connection_id, gap_filters.ALL).missing
        say(summary(view, outlook), *advice(view), *_still_missing(view, left))
    codes = {EXIT_CODES.get(view.status, 1) for view in views}
    raise typer.Exit(next(code for code in _WORST_FIRST if code in codes))


def _still_missing(view: RunView, gaps: int) -> list[str]:
    """The command that names each gap with its cause; a run that succeeded has no word for what earlier ones left."""
    if not gaps:
        return []
    if view.status != "succeeded":
        return [f"What is missing, and why: pdpp-worker gaps {view.connection}"]
    count = f"{gaps:,} gap{'' if gaps == 1 else 's'}"
    return [f"Of earlier runs is still missing: {count}; see: pdpp-worker gaps {view.connection}"]
