"""Concludes a slice: commits what is left, decides what follows, and ends or continues the run."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from pdpp_worker.logs import get_logger
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.recovery.policy import carries_gaps
from pdpp_worker.runtime.collector import Collector
from pdpp_worker.runtime.next_step import (
    Cancelled,
    Continue,
    EndRun,
    Facts,
    Failed,
    Finished,
    GapDecision,
    HowItEnded,
    next_step,
)
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.runtime.run_ending import EndWithBatch, end_with_batch, run_end, stream_names, walk_of
from pdpp_worker.store import leases, run_slices, schedules
from pdpp_worker.store.run_end import end_run
from pdpp_worker.store.run_status import RunStatus


@dataclass(frozen=True)
class SliceResult:
    """How a slice ended: with the run's status, or with the run to be continued after `pause_s`."""

    connector: str
    status: RunStatus | None
    pause_s: float = 0.0


def conclude(opened: OpenSlice, collector: Collector, how: HowItEnded) -> SliceResult:
    """Commit, decide, act.

    Raises:
        ConnectorFailedError: the last batch cannot be stored; nothing was decided.
        LeaseLostError: another worker holds the connection.
    """
    ending = end_with_batch(opened, collector, how)
    how = _prepare(opened, collector, how, ending)
    if ending is not None and ending.status is not None:
        return _ended(opened, ending.status)
    claimed, facts = opened.claimed, _facts(opened, how)
    step = next_step(opened.plan.phase, claimed.kind, claimed.mode, how, facts)
    if not isinstance(how, Finished):
        _commit_last(collector, step.gaps)
    _settle_gaps(opened, collector, step.gaps)
    if isinstance(step, EndRun):
        return _end(opened, collector, step)
    return _continue(opened, step)


def _prepare(opened: OpenSlice, collector: Collector, how: HowItEnded, ending: EndWithBatch | None) -> HowItEnded:
    """Commit what a connector that has ended well leaves; report every stream that a failed one was to walk."""
    if isinstance(how, Finished):
        collector.commit_finished(ending)
        return Cancelled() if opened.limits.heartbeat.cancelled and opened.handler.checkpoints.has_staged else how
    if isinstance(how, Failed) and opened.plan.phase == "walk":
        opened.handler.abandon()
        _report_streams(opened, how.reason, how.error)
    elif isinstance(how, Failed):
        get_logger().warning("recovery failed", run=opened.claimed.claim.run_id, error=how.error)
    return how


def _report_streams(opened: OpenSlice, reason: Reason, error: str) -> None:
    handler = opened.handler
    for scope in opened.plan.start.scope.streams:
        if scope.name not in handler.failed_streams:
            handler.failed_streams[scope.name] = reason.value
            handler.pending.report_gap(scope.name, WHOLE_STREAM, reason, error=error)


def _facts(opened: OpenSlice, how: HowItEnded) -> Facts:
    """Read what the decision depends on; from the database only what can matter."""
    handler, claimed, progressed = opened.handler, opened.claimed, opened.limits.time.progressed
    finished, retries = isinstance(how, Finished), claimed.kind == "recovery"
    with opened.db.glance() as connection:
        until = opened.backlog.blocked_until(connection) if finished and retries and progressed else None
        return Facts(
            progressed=progressed,
            failed_enough=opened.limits.has_failed_enough(),
            unresolved=handler.unresolved,
            resolved=handler.resolved,
            gaps_due=finished and not carries_gaps(opened.manifest) and opened.backlog.has_any(connection),
            blocked_s=None if until is None else (until - opened.context.now()).total_seconds(),
            walk_is_due=schedules.is_due(connection, claimed.claim.connection_id),
            keeps_position=opened.manifest.checkpoint_commit == "incremental",
            walk=walk_of(opened),
        )


def _commit_last(collector: Collector, gaps: GapDecision) -> None:
    if gaps.culprit is not None:
        collector.give_up(gaps.culprit, transient=gaps.transient)
    collector.commit_last()


def _settle_gaps(opened: OpenSlice, collector: Collector, gaps: GapDecision) -> None:
    if gaps.awaits_owner is not None:
        _await_owner(opened, gaps.awaits_owner)
    if gaps.failed:
        collector.record_failed(gaps.failed, transient=gaps.transient)


def _await_owner(opened: OpenSlice, reason: Reason) -> None:
    """Without the owner none of the gaps can be tried, which is no failure of theirs."""

    def write(connection: Connection) -> None:
        leases.renew(connection, opened.claimed.claim)
        opened.backlog.await_owner(connection, opened.manifest.version, reason.value, opened.handler.unresolved)

    opened.db.transact(write)


def _continue(opened: OpenSlice, step: Continue) -> SliceResult:
    cancelled = opened.db.transact(
        lambda connection: run_slices.continue_later(
            connection,
            opened.claimed.claim,
            step.pause_s,
            step.phase,
            dict(step.carried),
            wait_reason=step.why,
            progressed=opened.limits.time.progressed or opened.limits.requests.answered > 0,
        )
    )
    return SliceResult(opened.manifest.name, None, 0.0 if cancelled else step.pause_s)


def _end(opened: OpenSlice, collector: Collector, step: EndRun) -> SliceResult:
    status = end_run(opened.db, opened.claimed.claim, stream_names(opened), run_end(opened, collector, step))
    return _ended(opened, status, step.error)


def _ended(opened: OpenSlice, status: RunStatus, error: str | None = None) -> SliceResult:
    get_logger().info("run ended", run=opened.claimed.claim.run_id, status=status.value, error=error)
    return SliceResult(opened.manifest.name, status)
