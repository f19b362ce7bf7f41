"""The tasks, by the names that people type after `celery call`."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready

from pdpp_worker import dispatch as dispatching
from pdpp_worker import watchdog
from pdpp_worker.errors import ConfigurationError, PdppError
from pdpp_worker.owner import gap_changes, lookup, manual_runs
from pdpp_worker.recovery import structural, sweep, upgrade
from pdpp_worker.runtime import leftovers
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import get_settings
from pdpp_worker.store import events
from pdpp_worker.store.runs import Ring
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.arguments import NoArguments, RecoverArguments, RunArguments, SliceArguments, read
from pdpp_worker.tasks.doorbell import ring, ring_after
from pdpp_worker.tasks.services import services, stopping

# An expected failure is logged as one sentence, without a traceback.
EXPECTED = (PdppError,)


@app.task(name="pdpp.run", throws=EXPECTED)  # type: ignore[untyped-decorator]
def run(**kwargs: Any) -> None:
    """Collect a connection now."""
    arguments = read("pdpp.run", RunArguments, kwargs)
    name = arguments.connection
    bell, created = manual_runs.request(services().db, name, full=arguments.full)
    if arguments.full and not created:
        raise ConfigurationError(f"Run {bell.run_id} of {name} is active; ask for a full one when it has ended.")
    ring(bell)


@app.task(name="pdpp.slice", throws=EXPECTED)  # type: ignore[untyped-decorator]
def slice_(**kwargs: Any) -> None:
    """Take up a run for one slice; if it is to go on, ring again when it is."""
    run_id = read("pdpp.slice", SliceArguments, kwargs).run
    own = services()
    result = run_slice(own.settings, own.db, own.redis, run_id, stopping=stopping)
    if result is not None and result.status is None and not stopping():
        ring_after(Ring(run_id, result.connector), result.pause_s)


@app.task(name="pdpp.recover", throws=EXPECTED)  # type: ignore[untyped-decorator]
def recover(**kwargs: Any) -> None:
    """Go back now for what is missing."""
    arguments = read("pdpp.recover", RecoverArguments, kwargs)
    own = services()
    with own.db.begin() as connection:
        if arguments.connection is not None:
            rows = [lookup.find(connection, arguments.connection)]
        else:
            rows = lookup.list_all(connection, arguments.connector)
    chosen = gap_changes.gap_filter(arguments.stream, arguments.reason, arguments.ids)
    for bell in manual_runs.recover(own.settings, own.db, rows, chosen, arguments.budget):
        ring(bell)


@app.task(name="pdpp.dispatch", throws=EXPECTED)  # type: ignore[untyped-decorator]
def dispatch(**kwargs: Any) -> None:
    """Find what is due and ring for it."""
    read("pdpp.dispatch", NoArguments, kwargs)
    own = services()
    leftovers.clean(own.settings, own.db)
    for bell in dispatching.dispatch(own.settings, own.db):
        ring(bell)


@app.task(name="pdpp.sweep.transient", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_transient(**kwargs: Any) -> None:
    """Turn gaps whose time has come into recovery runs."""
    read("pdpp.sweep.transient", NoArguments, kwargs)
    own = services()
    for bell in sweep.sweep_transient(own.settings, own.db):
        ring(bell)


@app.task(name="pdpp.sweep.upgrade", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_upgrade(**kwargs: Any) -> None:
    """Let newer connectors go back for what older ones could not read."""
    read("pdpp.sweep.upgrade", NoArguments, kwargs)
    own = services()
    for bell in upgrade.sweep_upgrade(own.settings, own.db):
        ring(bell)


@app.task(name="pdpp.sweep.structural", throws=EXPECTED)  # type: ignore[untyped-decorator]
def sweep_structural(**kwargs: Any) -> None:
    """Keep what can never be had in step with the manifests; fetches nothing."""
    read("pdpp.sweep.structural", NoArguments, kwargs)
    structural.sweep_structural(services().db)


@app.task(name="pdpp.watch", throws=EXPECTED)  # type: ignore[untyped-decorator]
def watch(**kwargs: Any) -> None:
    """Say aloud which connections stand still."""
    read("pdpp.watch", NoArguments, kwargs)
    watchdog.watch(services().db)


@worker_ready.connect  # type: ignore[untyped-decorator]
def after_deployment(**_: object) -> None:
    """A worker that starts may bring newer connectors or find a run whose bell nobody heard: neither waits for beat."""
    for task in (dispatch, sweep_structural, sweep_upgrade):
        task.apply_async(expires=get_settings().sweep_every_s, retry=False)


@app.task(name="pdpp.housekeeping", throws=EXPECTED)  # type: ignore[untyped-decorator]
def housekeeping(**kwargs: Any) -> None:
    """Drop old events."""
    read("pdpp.housekeeping", NoArguments, kwargs)
    own = services()
    with own.db.begin() as connection:
        events.trim(connection, own.settings.events_keep_days)
