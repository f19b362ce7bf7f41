"""Wait for runs, with their progress."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Group
from rich.live import Live
from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.cli.output import console, make_table, note
from pdpp_worker.coverage.phrases import number, waiting
from pdpp_worker.coverage.waits import Wait, wait_of
from pdpp_worker.doctor.workers import START_THE_FLEET, served_queues, starts_on_request
from pdpp_worker.errors import PdppError
from pdpp_worker.inert import one_line
from pdpp_worker.owner.session import Database
from pdpp_worker.settings import get_settings
from pdpp_worker.store.views import run_views
from pdpp_worker.store.views import wait_views as store
from pdpp_worker.store.views.run_views import RunStreamView, RunView

_FIRST_POLL_S, _LONGEST_POLL_S = 0.1, 1.0
_UNHEARD_S = 5.0
"""After so long without a worker at a due run, the workers are asked whether they are there."""
_LINE_EVERY_S = 10.0
"""The counts of a run are printed as a line so often at most."""


class Look(NamedTuple):
    """A run as it is now: its streams, and the wait that is in force."""

    view: RunView
    streams: list[RunStreamView]
    wait: Wait | None


class _Lines:
    """Tells of runs where nobody looks at a terminal: why they wait, and with `all_of_it` also how far they are."""

    def __init__(self, *, all_of_it: bool) -> None:
        self._all_of_it = all_of_it
        self._told: dict[int, tuple[str, str, float]] = {}

    def tell(self, look: Look) -> None:
        """Print a line where its state is another one, or its counts are and the last line is a while ago."""
        if look.wait is None and not self._all_of_it:
            return
        state = look.wait.reason if look.wait is not None else _headline(look)
        counts, now = _counts(look) if self._all_of_it else "", time.monotonic()
        said, counted, at = self._told.get(look.view.id, ("", "", 0.0))
        if state != said or (counts != counted and now - at >= _LINE_EVERY_S):
            note(f"{_headline(look)}{counts}")
            self._told[look.view.id] = (state, counts, now)


def watch(db: Database, run_ids: Sequence[int], *, in_lines: bool = False) -> list[RunView]:
    """Wait for the end of these runs, with their progress on a terminal; `in_lines`: also where there is none.

    Raises:
        PdppError: a run waits for a worker, and none answers.
    """
    terminal, lines = console(stderr=True), _Lines(all_of_it=in_lines)
    looks: list[Look] = []
    try:
        with Live(console=terminal, transient=True) if terminal.is_terminal else nullcontext() as live:
            for looks in _looks(db, run_ids):
                if live is not None:
                    live.update(Group(*map(_progress, looks)))
                for look in looks if live is None else ():
                    lines.tell(look)
    except KeyboardInterrupt:
        ended = {look.view.id for look in looks if look.view.ended_at is not None}
        _tell_unwatched([run_id for run_id in run_ids if run_id not in ended])
        raise
    return [look.view for look in looks]


def _tell_unwatched(run_ids: Sequence[int]) -> None:
    """Say how to look at runs that are watched no more, where there are any."""
    if run_ids:
        subject = "The runs go" if len(run_ids) > 1 else "The run goes"
        note(f"{subject} on without being watched; see: pdpp-worker runs show {run_ids[0]}")


def _looks(db: Database, run_ids: Sequence[int]) -> Iterator[list[Look]]:
    """The runs, now and again, ever less often, until all have ended; at first the machine is left to them."""
    pause_s, heard_at = _FIRST_POLL_S, dict.fromkeys(run_ids, time.monotonic())
    while True:
        time.sleep(pause_s)
        with db.begin() as connection:
            looks = [_look(connection, run_id) for run_id in run_ids]
        yield looks
        open_ones = [look.view for look in looks if look.view.ended_at is None]
        if not open_ones:
            return
        for view in open_ones:
            if view.leased or view.not_before > datetime.now(UTC):
                heard_at[view.id] = time.monotonic()
            elif time.monotonic() - heard_at[view.id] > _UNHEARD_S:
                _require_workers(view)
                heard_at[view.id] = time.monotonic()
        pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)


def _look(connection: Connection, run_id: int) -> Look:
    view, streams = run_views.one(connection, run_id), run_views.streams(connection, run_id)
    [waits] = store.read(connection, [view.connection_id])
    return Look(view, streams, wait_of(waits, datetime.now(UTC)) if view.ended_at is None else None)


def _require_workers(view: RunView) -> None:
    from kombu.exceptions import OperationalError

    queue = registry.get(view.connector).manifest.queue
    try:
        served = served_queues()
    except (OperationalError, OSError):
        served = {}
    if queue not in served and not starts_on_request(queue, get_settings().data_dir):
        raise PdppError(
            f"Run {view.id} of {view.connection} is queued, but no worker of the queue {queue} answers; "
            f"it starts once one does. {START_THE_FLEET}"
        )


def _progress(look: Look) -> Group:
    rows = [
        (one.stream, _share(one), number(one.records_flushed), number(one.records_unchanged), one.state)
        for one in look.streams
    ]
    columns = ("stream", "seen", "new or changed", "unchanged", "")
    table = make_table(columns, rows, right=columns[1:4])
    return Group(_headline(look), table) if rows else Group(_headline(look))


def _headline(look: Look) -> str:
    view = look.view
    if look.wait is not None:
        state = waiting(look.wait.until, look.wait.reason)
    elif view.ended_at is not None:
        state = view.status.replace("_", " ")
    else:
        state = "collecting" if view.leased else "waits for a worker"
    return one_line(f"run {view.id} of {view.connection}: {state}{' (asked to stop)' if view.cancel_requested else ''}")


def _counts(look: Look) -> str:
    """The counts of its streams, as the end of a line."""
    told = [f"{one.stream} {_share(one)}" for one in look.streams]
    return f"; seen: {', '.join(told)}" if told else ""


def _share(one: RunStreamView) -> str:
    if one.progress_total is None:
        return number(one.records_emitted)
    return f"{one.progress_count or 0:,} of {one.progress_total:,}"
