"""The tasks, by the names that people type after `celery call`."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any

from celery.exceptions import Ignore
from celery.signals import worker_ready

from beat_schedule import MOST_WAITING
from pdpp_worker import dispatch as dispatcher
from pdpp_worker import watchdog
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.isolation import each
from pdpp_worker.notices import notifier
from pdpp_worker.owner import gap_filters, lookup, manual_runs
from pdpp_worker.recovery import structural, sweep, upgrade
from pdpp_worker.runtime import left_in_clear, removed_files
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.search import indexer
from pdpp_worker.store import process_marks, retention, runs
from pdpp_worker.store.runs import DueRun
from pdpp_worker.tasks import frozen
from pdpp_worker.tasks.alive import MarkStep
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.arguments import (
    DispatchArguments,
    NoArguments,
    RecoverArguments,
    RunArguments,
    SliceArguments,
    read,
)
from pdpp_worker.tasks.delayed import DelayedCalls
from pdpp_worker.tasks.doorbell import TURN, notify, waiting_queues
from pdpp_worker.tasks.ending import live_runs, replace_worker
from pdpp_worker.tasks.fleet_task import told
from pdpp_worker.tasks.services import Services, services, stopping
from pdpp_worker.tasks.takeover import Takeover

app.steps["consumer"].add(MarkStep)

# An expected failure is logged as one sentence, without a traceback.
EXPECTED = (PdppError,)


def _notify_once(due: DueRun) -> None:
    """Notify workers of a run, unless they were told of this turn already."""
    marked = services().db.transact(lambda connection: runs.mark_notified(connection, due))
    if marked is not None:
        notify(marked)


def _notify_after_pause(due: DueRun) -> None:
    with suppress(Ignore), told():
        _notify_once(due)


def _take_over() -> float | None:
    """Notify workers of runs whose worker is gone; returns the seconds until the next look."""
    with suppress(Ignore), told():
        found = dispatcher.take_over(services().db)
        _notify_all(found.runs)
        return found.next_s
    return None


_delayed = DelayedCalls()
_takeover = Takeover(_take_over, _delayed.schedule)


@app.task(name="pdpp.run", throws=EXPECTED)  # type: ignore[untyped-decorator]
def run(**kwargs: Any) -> None:
    """Collect a connection now."""
    arguments = read("pdpp.run", RunArguments, kwargs)
    name = arguments.connection
    due, created = manual_runs.request(services().db, name, full=arguments.full)
    if arguments.full and not created:
        raise ConfigurationError(f"Run {due.run_id} of {name} is active; ask for a full one when it has ended.")
    notify(due)


@app.task(name="pdpp.slice", throws=EXPECTED)  # type: ignore[untyped-decorator]
def slice_(**kwargs: Any) -> None:
    """Take up a run for one slice; if it goes on, notify a worker when it does."""
    run_id = read("pdpp.slice", SliceArguments, kwargs).run
    own = services()
    frozen.watch()  # here, as a process that has forked after it began to be watched cannot be watched itself
    with live_runs.entered(run_id) as free:
        turn = slice_.request.get(TURN)
        result = _slice(own, run_id, turn) if free else None
    if result is None:
        own.db.transact(lambda connection: runs.note_message_gone(connection, run_id, turn))
    elif result.status is None and not stopping():
        _go_on(DueRun(run_id, result.connector), result.pause_s)


def _slice(own: Services, run_id: int, turn: int | None) -> SliceResult | None:
    return run_slice(own.settings, own.db, own.redis, run_id, turn=turn, stopping=stopping, on_stuck=replace_worker)


def _go_on(due: DueRun, pause_s: float) -> None:
    if pause_s > 0:
        _delayed.schedule(partial(_notify_after_pause, due), pause_s)
    else:
        _notify_once(due)


@app.task(name="pdpp.recover", throws=EXPECTED)  # type: ignore[untyped-decorator]
def recover(**kwargs: Any) -> None:
    """Retry gaps now."""
    arguments = read("pdpp.recover", RecoverArguments, kwargs)
    own = services()
    with own.db.begin() as connection:
        if arguments.connection is not None:
            rows = [lookup.find(connection, arguments.connection)]
        else:
            rows = lookup.list_all(connection, arguments.connector)
    chosen = gap_filters.gap_filter(arguments.stream, arguments.reason, arguments.ids)
    for due in manual_runs.recover(own.settings, own.db, rows, chosen, arguments.budget):
        _notify_once(due)


@app.task(name="pdpp.dispatch", throws=EXPECTED)  # type: ignore[untyped-decorator]
def dispatch(**kwargs: Any) -> None:
    """Find due runs and notify workers."""
    arguments = read("pdpp.dispatch", DispatchArguments, kwargs)
    if arguments.abandoned:
        _takeover.look()
        return
    own = services()
    _notify_all(dispatcher.dispatch(own.settings, own.db, waiting_queues()))
    removed_files.remove(own.settings, own.db)  # after what is due, which it may not keep


def _notify_all(found: list[DueRun]) -> None:
    each("workers cannot be notified", found, notify, name=attrgetter("run_id"))


@app.task(name="pdpp.sweep.transient", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_transient(**kwargs: Any) -> None:
    """Queue recovery runs for due gaps."""
    read("pdpp.sweep.transient", NoArguments, kwargs)
    own = services()
    for due in sweep.sweep_transient(own.settings, own.db):
        _notify_once(due)


@app.task(name="pdpp.sweep.upgrade", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_upgrade(**kwargs: Any) -> None:
    """Let newer connectors retry gaps that older ones could not read."""
    read("pdpp.sweep.upgrade", NoArguments, kwargs)
    own = services()
    for due in upgrade.sweep_upgrade(own.settings, own.db):
        _notify_once(due)


@app.task(name="pdpp.sweep.structural", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_structural(**kwargs: Any) -> None:
    """Bring the structural gaps in line with the manifests; fetches nothing."""
    read("pdpp.sweep.structural", NoArguments, kwargs)
    structural.sweep_structural(services().db)


@app.task(name="pdpp.watch", throws=EXPECTED)  # type: ignore[untyped-decorator]
def watch(**kwargs: Any) -> None:
    """Log the connections that stand still, and tell the owner outside the fleet what waits for them."""
    read("pdpp.watch", NoArguments, kwargs)
    own = services()
    watchdog.watch(own.db)
    notifier.tell(own.settings, own.db)
    left_in_clear.seal(own.settings)


@app.task(name="pdpp.index", throws=EXPECTED)  # type: ignore[untyped-decorator]
def index(**kwargs: Any) -> None:
    """Make what was collected findable by its words."""
    read("pdpp.index", NoArguments, kwargs)
    indexer.index(services().db)


@worker_ready.connect  # type: ignore[untyped-decorator]
def after_deployment(**_: object) -> None:
    """Do at the start of a worker what beat would do later: it may bring newer connectors, or find a waiting run."""
    for task in (dispatch, sweep_structural, sweep_upgrade):
        task.apply_async(most_waiting=MOST_WAITING, retry=False)


@worker_ready.connect  # type: ignore[untyped-decorator]
def tidy_host(**_: object) -> None:
    """Tidy up what earlier workers left on this host, also where no slices run and no dispatcher ticks.

    Files of removed connections are removed, and those that a kill left in the clear are encrypted.
    """
    with suppress(Ignore), told():
        own = services()
        removed_files.remove(own.settings, own.db)
        left_in_clear.seal(own.settings)


@app.task(name="pdpp.housekeeping", throws=EXPECTED)  # type: ignore[untyped-decorator]
def housekeeping(**kwargs: Any) -> None:
    """Drop old events, the old history of rates, and old runs."""
    read("pdpp.housekeeping", NoArguments, kwargs)
    own = services()
    retention.prune(own.settings, own.db)
    with own.db.begin() as connection:
        process_marks.forget_old(connection)
