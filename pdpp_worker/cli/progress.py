"""Wait for a run, with its progress on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime

from rich.console import Group
from rich.live import Live

from pdpp_worker import registry
from pdpp_worker.cli.output import console, make_table, note
from pdpp_worker.coverage.phrases import number, waiting
from pdpp_worker.coverage.waits import Wait, wait_of
from pdpp_worker.doctor.workers import START_THE_FLEET, served_queues
from pdpp_worker.errors import PdppError
from pdpp_worker.inert import one_line
from pdpp_worker.owner.session import Database
from pdpp_worker.store.views import run_views
from pdpp_worker.store.views import wait_views as store
from pdpp_worker.store.views.run_views import RunStreamView, RunView

_FIRST_POLL_S, _LONGEST_POLL_S = 0.1, 1.0
_UNHEARD_S = 5.0
"""After so long without a worker at a due run, the workers are asked whether they are there."""


def watch(db: Database, run_id: int) -> RunView:
    """Wait for the end of a run.

    Raises:
        PdppError: the run waits for a worker, and none answers.
    """
    terminal = console(stderr=True)
    said = None
    try:
        with Live(console=terminal, transient=True) if terminal.is_terminal else nullcontext() as live:
            for view, streams, wait in _looks(db, run_id):
                if live is not None:
                    live.update(_progress(view, streams, wait))
                elif wait is not None and wait.reason != said:
                    said = wait.reason
                    note(_headline(view, wait))
    except KeyboardInterrupt:
        note(f"The run goes on without being watched; see: pdpp-worker runs show {run_id}")
        raise
    return view


def _looks(db: Database, run_id: int) -> Iterator[tuple[RunView, list[RunStreamView], Wait | None]]:
    """The run with the wait that is in force, now and again, ever less often, until it has ended."""
    pause_s, unheard_since = _FIRST_POLL_S, time.monotonic()
    while True:
        with db.begin() as connection:
            view, streams = run_views.one(connection, run_id), run_views.streams(connection, run_id)
            [waits] = store.read(connection, [view.connection_id])
        yield view, streams, wait_of(waits, datetime.now(UTC)) if view.ended_at is None else None
        if view.ended_at is not None:
            return
        if view.leased or view.not_before > datetime.now(UTC):
            unheard_since = time.monotonic()
        elif time.monotonic() - unheard_since > _UNHEARD_S:
            _require_workers(view)
            unheard_since = time.monotonic()
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)


def _require_workers(view: RunView) -> None:
    from kombu.exceptions import OperationalError

    queue = registry.get(view.connector).manifest.queue
    try:
        served = served_queues()
    except (OperationalError, OSError):
        served = {}
    if queue not in served:
        raise PdppError(
            f"Run {view.id} of {view.connection} is queued, but no worker of the queue {queue} answers; "
            f"it starts once one does. {START_THE_FLEET}"
        )


def _progress(view: RunView, streams: list[RunStreamView], wait: Wait | None) -> Group:
    rows = [
        (one.stream, _share(one), number(one.records_flushed), number(one.records_unchanged), one.state)
        for one in streams
    ]
    columns = ("stream", "seen", "new or changed", "unchanged", "")
    table = make_table(columns, rows, right=columns[1:4])
    return Group(_headline(view, wait), table) if rows else Group(_headline(view, wait))


def _headline(view: RunView, wait: Wait | None) -> str:
    if wait is not None:
        state = waiting(wait.until, wait.reason)
    elif view.leased:
        state = "collecting"
    else:
        state = "waits for a worker"
    return one_line(f"run {view.id} of {view.connection}: {state}{' (asked to stop)' if view.cancel_requested else ''}")


def _share(one: RunStreamView) -> str:
    if one.progress_total is None:
        return number(one.records_emitted)
    return f"{one.progress_count or 0:,} of {one.progress_total:,}"
