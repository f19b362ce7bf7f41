"""One slice while it works: hand START to the connector, commit what it yields, and end or continue the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from redis import Redis
from sqlalchemy import Connection

from pdpp_worker import registry
from pdpp_worker.errors import (
    PacerUnavailableError,
    ProtocolViolation,
)
from pdpp_worker.isolation import reason as why
from pdpp_worker.logs import get_logger
from pdpp_worker.pacing.hold import Hold
from pdpp_worker.pacing.pacer import Pacer
from pdpp_worker.protocol.messages import Done, DoneError, Message
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason
from pdpp_worker.recovery.policy import retry_policy, taken_forms
from pdpp_worker.runtime.allowance import Phase
from pdpp_worker.runtime.bounds import BudgetSpent, SliceEnded
from pdpp_worker.runtime.calling import ConnectorFailedError, call
from pdpp_worker.runtime.context import Answerer, make_context
from pdpp_worker.runtime.foreign import reason_by_hint
from pdpp_worker.runtime.giving_up import whole_stream_miss, why_given_up
from pdpp_worker.runtime.guard import Guard
from pdpp_worker.runtime.intake import Intake
from pdpp_worker.runtime.pace import make_pacer
from pdpp_worker.runtime.plan import plan_slice
from pdpp_worker.secrets import Redactor
from pdpp_worker.settings import Settings
from pdpp_worker.store import gaps, leases, runs, schedules
from pdpp_worker.store.backlog import Backlog
from pdpp_worker.store.batch import Spent
from pdpp_worker.store.commit import commit_batch, why_unstorable
from pdpp_worker.store.engine import Database
from pdpp_worker.store.run_end import Remaining, RunEnd, end_run
from pdpp_worker.store.run_status import RunStatus

PACER_PAUSE_S = 30.0
KNOWN_FAILURES_WEIGH = 0.25
"""What a failure tells of the provider while a run goes back for gaps: what failed before may well fail again."""
MOST_FAILURES = 10
"""Failures in a row after which a run leaves the gaps that it goes back for to a later time, and walks."""


@dataclass(frozen=True)
class SliceResult:
    """How a slice ended: with the run's status, or with the run to be continued after `pause_s`."""

    connector: str
    status: RunStatus | None
    pause_s: float = 0.0


class OneSlice:
    """One slice while it works."""

    def __init__(
        self, settings: Settings, db: Database, redis: Redis, claimed: runs.Slice, guard: Guard, answerer: Answerer
    ) -> None:
        self._settings = settings
        self._db = db
        self._claimed = claimed
        self._guard = guard
        self._connector = registry.get(claimed.connection.connector)
        self._manifest = self._connector.manifest
        self._redactor = Redactor()
        self._policy = retry_policy(settings)
        self._backlog = Backlog(claimed.claim, taken_forms(self._manifest), claimed.selection, self._manifest.version)
        self._plan = db.transact(
            lambda connection: plan_slice(connection, settings, claimed, self._manifest, self._backlog)
        )
        names = [scope["name"] for scope in claimed.streams]
        with db.begin() as connection:
            missing_in = gaps.missing_in(connection, claimed.connection.id, names)
        self._start = self._plan.start
        self._intake = Intake(self._manifest, self._start, self._redactor, missing_in)
        self._handed = set(self._intake.unsettled)
        self._clients = ExitStack()
        self._pacer = self._make_pacer(redis)
        self._context = make_context(
            settings,
            self._manifest,
            claimed,
            self._pacer,
            self._redactor,
            self._clients,
            guard,
            answerer,
            goes_back=self._plan.phase != "walk",
        )
        self._begun_at = self._committed_at = time.monotonic()
        self._accounted = Spent()
        guard.bounds.allow(self._plan.allowance.seconds)

    def work(self) -> SliceResult:
        """Run the connector until it ends or the slice does."""
        try:
            return self._work()
        except ConnectorFailedError as error:
            return self._fail(error)

    def _work(self) -> SliceResult:
        if (text := why_given_up(self._claimed, self._settings.run_attempts)) is not None:
            raise ConnectorFailedError(Reason.PARSE_FAILED, text)
        if self._claimed.cancel_requested:
            return self._cancel()
        try:
            with self._clients:
                self._collect()
        except SliceEnded as over:
            if isinstance(over, BudgetSpent) or self._guard.bounds.is_out_of_budget:
                return self._out_of_budget()
            return self._cancel() if self._guard.cancelled else self._stop_at(over)
        except PacerUnavailableError as error:
            get_logger().warning("no pacing server", run=self._claimed.claim.run_id, error=str(error))
            return self._continue(PACER_PAUSE_S, why="the pacing server cannot be reached")
        return self._finish(self._intake.done or Done(status="succeeded"))

    def _make_pacer(self, redis: Redis) -> Pacer:
        walks = self._plan.phase == "walk"
        return make_pacer(
            self._settings,
            self._db,
            redis,
            self._claimed,
            self._manifest,
            walks=walks,
            failures_weigh=1.0 if walks else KNOWN_FAILURES_WEIGH,
            emit=self._intake.note,
            wait_until=self._wait_until,
            clients=self._clients,
        )

    def _wait_until(self, instant: float, hold: Hold | None) -> None:
        if self._plan.allowance.requests is not None and self._pacer.sent >= self._plan.allowance.requests:
            raise BudgetSpent
        if self._has_failed_enough:
            raise SliceEnded
        self._guard.wait_until(instant, hold)

    def _collect(self) -> None:
        if self._plan.allowance.is_spent:
            raise BudgetSpent
        if self._start.recovery_only and not self._start.detail_gaps:
            return
        with closing(call(self._connector, self._start, self._context, self._redactor)) as messages:
            for count, message in enumerate(messages, start=1):
                self._guard.alive()
                self._take(message)
                if self._batch_is_full():
                    self._commit()
                if self._guard.must_stop or self._may_be_cut(count):
                    raise SliceEnded

    def _take(self, message: Message) -> None:
        """What a message breaks costs the rest of the run, and nothing that came before it."""
        try:
            self._intake.take(message)
        except ProtocolViolation as error:
            raise ConnectorFailedError(Reason.PARSE_FAILED, str(error)) from error
        except Exception as error:
            text = f"{type(message).__name__} cannot be taken ({why(error)})"
            raise ConnectorFailedError(Reason.PARSE_FAILED, text) from error

    def _may_be_cut(self, messages: int) -> bool:
        """Whether the slice has had its share. A connector whose cursors wait for its end would only begin anew."""
        if self._manifest.checkpoint_commit == "on_done" and not self._start.recovery_only:
            return False
        return self._guard.bounds.spent or (self._guard.bounds.progressed and messages >= self._settings.slice_messages)

    def _batch_is_full(self) -> bool:
        return (
            self._intake.rows >= self._settings.batch_records
            or self._intake.size >= self._settings.batch_bytes
            or time.monotonic() - self._committed_at >= self._settings.batch_s
        )

    def _commit(self) -> None:
        batch, spent = self._intake.next_batch(), self._spent_since()
        write = partial(
            commit_batch, self._db, self._claimed.claim, version=self._manifest.version, policy=self._policy
        )
        try:
            done = write(batch, spent=spent)
        except Exception as error:
            if (wrong := why_unstorable(error)) is None:
                raise
            write(batch.records_only(), spent=spent)
            raise ConnectorFailedError(Reason.PARSE_FAILED, f"a message cannot be stored ({wrong})") from error
        self._guard.note_cancel(done.cancel_requested)
        self._intake.confirm(done.outdated)
        if batch.checkpoints or done.gaps_closed or done.gaps_opened or spent.items or self._intake.holds_back:
            self._guard.bounds.progressed = True
        self._committed_at = time.monotonic()
        self._put_off_settled()

    def _put_off_settled(self) -> None:
        """A gap that was asked for is not asked for again in its run, even if what was said of it changed nothing."""
        settled = self._handed.difference(self._intake.unsettled)
        self._handed -= settled
        if settled:
            self._put_off(sorted(settled), passing=False)

    def _commit_last(self) -> None:
        """The connector says nothing more in this slice."""
        self._intake.release()
        self._commit()

    def _spent_since(self) -> Spent:
        """What was spent since it was last accounted for."""
        handed = self._intake.handed - len(self._intake.unsettled)
        spent = Spent(time.monotonic() - self._begun_at, self._pacer.sent, handed)
        before, self._accounted = self._accounted, spent
        return Spent(spent.seconds - before.seconds, spent.requests - before.requests, spent.items - before.items)

    def _continue(
        self, pause_s: float = 0.0, phase: Phase | None = None, *, why: str | None = None, **carried: Any
    ) -> SliceResult:
        self._commit_last()
        if self._stands_before_a_walk():
            return self._end(ended_well=True, out_of_budget=True)
        not_before = self._context.now() + timedelta(seconds=pause_s) if pause_s > 0 else None
        progressed = self._guard.bounds.progressed or self._pacer.answered > 0
        cancelled = self._db.transact(
            lambda connection: runs.continue_later(
                connection,
                self._claimed.claim,
                not_before,
                phase or self._plan.phase,
                carried,
                wait_reason=why,
                progressed=progressed,
            )
        )
        return SliceResult(self._manifest.name, None, 0.0 if cancelled else pause_s)

    def _stop_at(self, over: SliceEnded) -> SliceResult:
        """Leave the rest to the next slice, or to the walk where going back for gaps has met a hold or only fails."""
        gives_way = self._goes_on_to_walk and (over.pause_s > 0 or self._has_failed_enough)
        phase: Phase | None = "walk" if gives_way else None
        return self._continue(over.pause_s, phase, why=over.why)

    def _stands_before_a_walk(self) -> bool:
        """Whether this run only goes back for gaps, and a walk has become due that would have to wait for it."""
        if self._claimed.kind == "forward" and self._plan.phase != "drain":
            return False
        with self._db.begin() as connection:
            return schedules.is_due(connection, self._claimed.claim.connection_id)

    def _out_of_budget(self) -> SliceResult:
        """What goes back for gaps leaves the rest of the budget to the walk; else the run ends."""
        if self._goes_on_to_walk:
            return self._continue(phase="walk")
        self._commit_last()
        keeps_place = self._plan.phase != "walk" or self._manifest.checkpoint_commit == "incremental"
        short_of_s = None if keeps_place else self._claimed.spent.seconds + self._accounted.seconds
        return self._end(ended_well=self._plan.phase != "walk", out_of_budget=True, short_of_s=short_of_s)

    @property
    def _has_failed_enough(self) -> bool:
        return self._goes_on_to_walk and self._pacer.failed_in_a_row >= MOST_FAILURES

    @property
    def _goes_on_to_walk(self) -> bool:
        return self._plan.phase == "recover" and self._claimed.kind == "forward"

    def _cancel(self) -> SliceResult:
        self._commit_last()
        return self._end(ended_well=False, cancelled=True)

    def _fail(self, error: ConnectorFailedError) -> SliceResult:
        """What was taken before the failure is kept; every stream that was to be walked has a gap."""
        text = self._redactor(str(error))
        if self._start.recovery_only and error.reason in NEEDS_OWNER:
            self._await_owner(error.reason)
        elif self._start.recovery_only and self._intake.has_settled and self._intake.unsettled:
            return self._go_on_without(self._intake.unsettled[0], text, passing=error.passes)
        if self._goes_on_to_walk:
            get_logger().warning("recovery failed", run=self._claimed.claim.run_id, error=text)
            return self._walk_on(passing=error.passes, recovery_error=text)
        for scope in self._start.scope.streams:
            if not self._start.recovery_only and scope.name not in self._intake.failed_streams:
                self._intake.failed_streams[scope.name] = error.reason.value
                self._intake.batch.tally(scope.name)
                self._intake.batch.effects.append(whole_stream_miss(scope.name, error.reason, text))
        self._commit_last()
        return self._end(ended_well=False, passing=error.passes, error=text)

    def _go_on_without(self, culprit: int, text: str, *, passing: bool) -> SliceResult:
        """One item on which the connector fails costs itself an attempt, and not those behind it."""
        self._put_off([culprit], passing=passing)
        self._intake.settle(str(culprit))
        self._commit()
        return self._continue(recovery_error=text)

    def _put_off(self, handed: Sequence[int], *, passing: bool) -> None:
        def put_off(connection: Connection) -> None:
            leases.renew(connection, self._claimed.claim)
            self._backlog.put_off(
                connection, self._manifest.version, self._policy, handed, walked=False, passing=passing
            )

        self._db.transact(put_off)

    def _finish(self, done: Done) -> SliceResult:
        if done.status != "succeeded" and not self._intake.is_certified:
            error = done.error or DoneError(message=f"the connector ended with {done.status}")
            again = error.retryable or done.status == "cancelled"
            unsaid = Reason.UPSTREAM_ERROR if again else Reason.PARSE_FAILED
            return self._fail(ConnectorFailedError(reason_by_hint(error.hint_action) or unsaid, error.message))
        if self._intake.has_staged:
            self._commit()  # which learns of a cancellation that came before DONE
            if self._guard.cancelled:
                return self._cancel()
        self._intake.commit_staged(excluding=self._uncertain_streams())
        self._commit()
        due = self._has_due()
        if self._plan.phase == "walk":
            drains = due and self._claimed.mode != "full_refresh"
            return self._continue(phase="drain", walk=self._walk()) if drains else self._end(ended_well=True)
        if due and self._guard.bounds.progressed:
            return self._continue()
        if self._goes_on_to_walk:
            return self._walk_on()
        if (held_until := self._held_until()) is not None:
            pause_s = (held_until - self._context.now()).total_seconds()
            return self._continue(pause_s, why="the provider asked for a pause")
        return self._end(ended_well=True)

    def _await_owner(self, reason: Reason) -> None:
        """Without the owner none of the gaps can be asked for, which is no failure of theirs."""

        def await_owner(connection: Connection) -> None:
            leases.renew(connection, self._claimed.claim)
            self._backlog.await_owner(connection, self._manifest.version, reason.value, self._intake.unsettled)

        self._commit()
        self._db.transact(await_owner)

    def _walk_on(self, *, passing: bool = False, **carried: Any) -> SliceResult:
        """Leave the gaps that could not be settled now, and walk."""
        self._commit()
        self._put_off(self._unsettled, passing=passing)
        return self._continue(phase="walk", **carried)

    @property
    def _unsettled(self) -> list[int]:
        return [*self._plan.unasked, *self._intake.unsettled]

    def _held_until(self) -> datetime | None:
        """When a recovery run goes on that the provider wants a pause from."""
        if self._claimed.kind == "forward" or not self._guard.bounds.progressed:
            return None
        with self._db.begin() as connection:
            return self._backlog.held_until(connection)

    def _walk(self) -> dict[str, Any]:
        """How the walk ended, for the slice that ends the run."""
        own = {"failed_streams": self._intake.failed_streams, "checkpoint_errors": self._intake.checkpoint_errors}
        return self._claimed.carried.get("walk", own)  # type: ignore[no-any-return]

    def _uncertain_streams(self) -> set[str]:
        """Checkpoint streams that cover a failed stream; their cursors must not move past it."""
        failed = set(self._intake.failed_streams)
        return failed | {keeper for name in failed for keeper in self._manifest.keepers(name)}

    def _has_due(self) -> bool:
        with self._db.begin() as connection:
            return self._backlog.has_any(connection)

    def _end(
        self,
        *,
        ended_well: bool,
        cancelled: bool = False,
        out_of_budget: bool = False,
        short_of_s: float | None = None,
        passing: bool = False,
        error: str | None = None,
    ) -> SliceResult:
        walk, streams = self._walk(), [scope["name"] for scope in self._claimed.streams]
        asked = {scope.name for scope in self._start.scope.streams}
        unknown = dict.fromkeys(
            (name for name in streams if name not in asked), f"version {self._manifest.version} does not know it"
        )
        refused = walk["checkpoint_errors"].keys()
        ending = RunEnd(
            walked=self._claimed.kind == "forward",
            ended_well=ended_well or self._plan.phase == "drain",
            cancelled=cancelled,
            out_of_budget=out_of_budget,
            insufficient_s=short_of_s,
            remaining=Remaining(self._manifest.version, self._policy, self._backlog, self._unsettled, passing),
            from_scratch=self._plan.from_scratch,
            tried_gaps=bool(self._claimed.spent.items or self._intake.handed),
            session_local=[one.name for one in self._manifest.streams if one.cursor_semantic == "session_local"],
            refused_checkpoints=[name for name in streams if not refused.isdisjoint(self._manifest.keepers(name))],
            error=error or self._claimed.carried.get("recovery_error"),
            **{**walk, "failed_streams": {**walk["failed_streams"], **unknown}},
        )
        status = end_run(self._db, self._claimed.claim, streams, ending)
        get_logger().info("run ended", run=self._claimed.claim.run_id, status=status.value, error=error)
        return SliceResult(self._manifest.name, status)
