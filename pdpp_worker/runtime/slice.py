"""Works one slice of a run: claim it, open it, collect, conclude."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from redis import Redis
from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker import clock, registry
from pdpp_worker.errors import LeaseLostError, PacerUnavailableError
from pdpp_worker.isolation import reason as why
from pdpp_worker.logs import get_logger
from pdpp_worker.outages import PACING
from pdpp_worker.protocol.messages import Done, DoneError
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime import removed_files
from pdpp_worker.runtime.calling import ConnectorFailedError
from pdpp_worker.runtime.collector import Collector
from pdpp_worker.runtime.conclude import SliceResult, conclude
from pdpp_worker.runtime.giving_up import NOTHING_IN_SCOPE, give_up, why_given_up
from pdpp_worker.runtime.heartbeat import Heartbeat
from pdpp_worker.runtime.newer_version import NEWER_PAUSE_S, leave_to_newer
from pdpp_worker.runtime.next_step import Cancelled, Cut, Failed, Finished, HowItEnded, NoPacer, OutOfBudget
from pdpp_worker.runtime.open_slice import OpenSlice, open_slice
from pdpp_worker.runtime.opened_ahead import OpenedAhead, opened_ahead
from pdpp_worker.runtime.parking import park
from pdpp_worker.runtime.permits import Permit, holds_process, permit
from pdpp_worker.runtime.reason_mapping import reason_by_hint
from pdpp_worker.runtime.slice_context import Answerer, nobody
from pdpp_worker.runtime.time_limits import BudgetSpent, SliceEnded
from pdpp_worker.settings import Settings
from pdpp_worker.store import events, run_slices
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.process_names import process_name

__all__ = ["SliceResult", "run_slice"]


def run_slice(
    settings: Settings,
    db: Database,
    redis: Redis,
    run_id: int,
    *,
    turn: int | None = None,
    stopping: Callable[[], bool],
    answerer: Answerer = nobody,
    on_stuck: Callable[[int], None] = lambda _run_id: None,
) -> SliceResult | None:
    """Execute one slice of a run, this `turn` or any; None when there is nothing to do (two doorbells for one run).

    `stopping` says that the worker is shutting down; the slice then ends at the next message. `answerer` answers the
    connector's questions to its owner. `on_stuck` is told of the run, in another thread, when its connector has been
    silent for so long that the lease has run out: then this call may never return.

    Files of removed connections are removed at the end, unless the slice has failed.
    """
    with db.glance() as connection:
        due = run_slices.look_at(connection, run_id, turn)
    if due is None:
        return None
    with _permit(due.connection) as own:
        if own.was_awaited and stopping():
            return None
        # After a wait the run may be over: then it is looked for again, before anybody's lease is touched.
        known = None if own.was_awaited else due
        with opened_ahead(settings, redis, known) as ahead:
            known_id = None if known is None else known.connection.id
            return _claim_and_work(
                settings, db, redis, known_id, run_id, turn, stopping, answerer, on_stuck, own, ahead
            )


def _permit(row: ConnectionRow) -> Permit:
    """The permit that a slice of the connection needs before its claim."""
    connector = registry.all_connectors().get(row.connector)
    return permit(holds_process=connector is not None and holds_process(connector.manifest, row.settings))


def _claim_and_work(
    settings: Settings,
    db: Database,
    redis: Redis,
    connection_id: int | None,
    run_id: int,
    turn: int | None,
    stopping: Callable[[], bool],
    answerer: Answerer,
    on_stuck: Callable[[int], None],
    own: Permit,
    ahead: OpenedAhead | None,
) -> SliceResult | None:
    claimed = db.transact(
        lambda connection: run_slices.claim_slice(
            connection, run_id, process_name(), settings.lease_s, turn, connection_id=connection_id
        )
    )
    if claimed is None:
        return None
    clock.set_by(claimed.now)
    beat = Heartbeat(
        db,
        claimed.claim,
        idle_timeout_s=settings.silence_s,
        on_stuck=lambda: _tell_stuck(db, claimed, on_stuck),
        stopping=stopping,
        permit=own,
    )
    try:
        with beat as heartbeat:
            result = _open_and_work(settings, db, redis, claimed, heartbeat, stopping, answerer, ahead)
    except LeaseLostError:
        get_logger().warning("lease lost", run=run_id)
        result = None
    removed_files.remove_lately(settings, db, at_once=result is None)
    return result


def _tell_stuck(db: Database, claimed: run_slices.Slice, on_stuck: Callable[[int], None]) -> None:
    claim = claimed.claim
    with suppress(SQLAlchemyError), db.begin() as connection:
        happened = ("thread_stuck", None, {"holder": claim.holder})
        events.append(connection, claim.connection_id, claim.run_id, [happened])
    on_stuck(claim.run_id)


def _open_and_work(
    settings: Settings,
    db: Database,
    redis: Redis,
    claimed: run_slices.Slice,
    heartbeat: Heartbeat,
    stopping: Callable[[], bool],
    answerer: Answerer,
    ahead: OpenedAhead | None,
) -> SliceResult:
    if leave_to_newer(settings, db, claimed):
        return SliceResult(claimed.connection.connector, None, NEWER_PAUSE_S)
    if not claimed.streams:
        return SliceResult(claimed.connection.connector, give_up(db, claimed, NOTHING_IN_SCOPE))
    return _work(settings, db, redis, claimed, heartbeat, stopping, answerer, ahead)


def _work(
    settings: Settings,
    db: Database,
    redis: Redis,
    claimed: run_slices.Slice,
    heartbeat: Heartbeat,
    stopping: Callable[[], bool],
    answerer: Answerer,
    ahead: OpenedAhead | None,
) -> SliceResult:
    """Open the slice and work it; a run whose slices cannot be opened is given up after some attempts."""
    try:
        opened = open_slice(
            settings, db, redis, claimed, heartbeat=heartbeat, stopping=stopping, answerer=answerer, ahead=ahead
        )
    except LeaseLostError:
        raise
    except Exception as error:
        if why_given_up(claimed, settings.run_attempts) is None:
            raise
        return SliceResult(claimed.connection.connector, give_up(db, claimed, why(error)))
    collector = Collector(opened)
    heartbeat.as_parked = lambda: park(opened, collector)
    how = _collect(opened, collector)
    if heartbeat.ended:
        return SliceResult(opened.manifest.name, None)
    try:
        return conclude(opened, collector, how)
    except ConnectorFailedError as error:  # the last batch cannot be stored
        if isinstance(how, Failed):
            raise
        return conclude(opened, collector, _failed(opened, error))


def _collect(opened: OpenSlice, collector: Collector) -> HowItEnded:
    """Run the connector, unless the run is given up or cancelled already; says how that ended."""
    claimed = opened.claimed
    if (text := why_given_up(claimed, opened.settings.run_attempts)) is not None:
        return Failed(Reason.PARSE_FAILED, text, transient=False)
    if claimed.cancel_requested:
        return Cancelled()
    try:
        with opened.clients:
            collector.collect()
    except ConnectorFailedError as error:
        return _failed(opened, error)
    except SliceEnded as over:
        return _cut(opened, over)
    except PacerUnavailableError as error:
        PACING.began(str(error))
        return NoPacer()
    if opened.limits.requests.sent:
        PACING.over()
    return _ended(opened, opened.handler.done or Done(status="succeeded"))


def _failed(opened: OpenSlice, error: ConnectorFailedError) -> Failed:
    return Failed(error.reason, opened.redactor(str(error)), error.is_transient)


def _cut(opened: OpenSlice, over: SliceEnded) -> HowItEnded:
    limits = opened.limits
    if isinstance(over, BudgetSpent) or limits.time.is_out_of_budget:
        return OutOfBudget()
    return Cancelled() if limits.heartbeat.cancelled else Cut(over.pause_s, over.why)


def _ended(opened: OpenSlice, done: Done) -> HowItEnded:
    """How the connector ended by its own DONE."""
    if done.status == "succeeded" or opened.handler.is_certified:
        return Finished()
    error = done.error or DoneError(message=f"the connector ended with {done.status}")
    again = error.retryable or done.status == "cancelled"
    unsaid = Reason.UPSTREAM_ERROR if again else Reason.PARSE_FAILED
    return _failed(opened, ConnectorFailedError(reason_by_hint(error.hint_action) or unsaid, error.message))
