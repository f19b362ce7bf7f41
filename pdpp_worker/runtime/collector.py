"""Works a slice: pulls the connector's messages, hands them to the handler, commits batch after batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import Connection

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.isolation import reason as why
from pdpp_worker.protocol.messages import Message, SourceAccount
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime.calling import ConnectorFailedError, call
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.runtime.time_limits import BudgetSpent, SliceEnded
from pdpp_worker.store import leases
from pdpp_worker.store.accounts import recognize
from pdpp_worker.store.batch import Batch, Spent
from pdpp_worker.store.commit import Committed, commit_batch, why_unstorable
from pdpp_worker.store.met_account import Account


class Collector:
    """Pulls, takes, batches and commits messages; counts what the slice has spent."""

    def __init__(self, opened: OpenSlice) -> None:
        self._slice = opened
        self._handler = opened.handler
        self._limits = opened.limits
        self._committed_at = opened.begun_at
        self._tracked = set(opened.handler.unresolved)
        self.spent = Spent()
        """Time, requests and items that the slice has spent, as far as they are committed."""

    def collect(self) -> None:
        """Run the connector to its end.

        Raises:
            SliceEnded: the slice is over before.
            ConnectorFailedError: the connector failed or broke the protocol.
            PacerUnavailableError: Redis cannot be reached.
        """
        opened, start = self._slice, self._slice.plan.start
        if opened.plan.budget.is_spent:
            raise BudgetSpent
        if start.recovery_only and not start.detail_gaps:
            return
        with closing(call(opened.connector, start, opened.context, opened.redactor)) as messages:
            for count, message in enumerate(messages, start=1):
                self._limits.heartbeat.touch()
                self._take(message)
                if self._batch_is_full():
                    self.commit()
                if self._limits.must_stop or self._may_be_cut(count):
                    raise SliceEnded

    def commit(self) -> None:
        """Write the batch at hand.

        Raises:
            ConnectorFailedError: the database refuses a message; the records are written all the same.
        """
        batch, spent = self._handler.pending.take(), self._newly_spent()
        try:
            done = self._write(batch, spent)
        except Exception as error:
            if (wrong := why_unstorable(error)) is None:
                raise
            self._write(batch.records_only(), spent)
            raise ConnectorFailedError(Reason.PARSE_FAILED, f"a message cannot be stored ({wrong})") from error
        self._limits.heartbeat.note_cancel(done.cancel_requested)
        self._handler.confirm(done.outdated)
        if self._is_progress(batch, spent, done):
            self._limits.time.progressed = True
        self._committed_at = time.monotonic()
        self._record_resolved()

    def commit_last(self) -> None:
        """Write what is left at the end of the slice, checkpoints that were held back included."""
        self._handler.checkpoints.release()
        self.commit()

    def commit_finished(self) -> None:
        """Write what is left after the connector's own end, staged checkpoints included."""
        checkpoints = self._handler.checkpoints
        if checkpoints.has_staged:
            self.commit()  # which learns of a cancellation that came before DONE
            if self._limits.heartbeat.cancelled:
                return
        checkpoints.commit_staged(excluding=self._uncertain_streams())
        self.commit()

    def give_up(self, gap_id: int, *, transient: bool) -> None:
        """Record a failed attempt on the gap on which the connector failed."""
        self.record_failed([gap_id], transient=transient)
        self._handler.resolve(str(gap_id))

    def record_failed(self, gap_ids: Sequence[int], *, transient: bool) -> None:
        """Record a failed attempt on each of these gaps."""
        opened = self._slice

        def record(connection: Connection) -> None:
            leases.renew(connection, opened.claimed.claim)
            opened.backlog.record_failed_attempt(
                connection, opened.manifest.version, opened.policy, gap_ids, walked=False, transient=transient
            )

        opened.db.transact(record)

    def _take(self, message: Message) -> None:
        """Handle a message. A violation costs the rest of the run, and nothing that came before it."""
        try:
            self._handler.handle(message)
        except ProtocolViolation as error:
            raise ConnectorFailedError(Reason.PARSE_FAILED, str(error)) from error
        except Exception as error:
            text = f"{type(message).__name__} cannot be taken ({why(error)})"
            raise ConnectorFailedError(Reason.PARSE_FAILED, text) from error
        if isinstance(message, SourceAccount):
            self._check_account(Account(message.identity, message.label))

    def _check_account(self, met: Account) -> None:
        """Refuse another account than before, with all that was said so far."""
        opened = self._slice
        known = opened.db.transact(lambda connection: recognize(connection, opened.claimed.claim, met))
        if known is not None:
            self._handler.forget()
            text = f"this connection has read the account {known}, and the source is now that of {met}"
            raise ConnectorFailedError(Reason.ANOTHER_ACCOUNT, text)

    def _may_be_cut(self, messages: int) -> bool:
        """Whether the slice has had its share. A connector whose cursors wait for its end would only begin anew."""
        opened, limits = self._slice, self._limits
        if opened.manifest.checkpoint_commit == "on_done" and not opened.plan.start.recovery_only:
            return False
        return limits.time.spent or (limits.time.progressed and messages >= opened.settings.slice_messages)

    def _batch_is_full(self) -> bool:
        settings, pending = self._slice.settings, self._handler.pending
        return (
            pending.rows >= settings.batch_records
            or pending.size >= settings.batch_bytes
            or time.monotonic() - self._committed_at >= settings.batch_s
        )

    def _write(self, batch: Batch, spent: Spent) -> Committed:
        opened = self._slice
        return commit_batch(
            opened.db,
            opened.claimed.claim,
            batch,
            version=opened.manifest.version,
            policy=opened.policy,
            spent=spent,
            children=opened.manifest.children,
            walk=opened.plan.walk,
        )

    def _is_progress(self, batch: Batch, spent: Spent, done: Committed) -> bool:
        gaps_changed = done.gaps_closed or done.gaps_opened
        return bool(batch.checkpoints or gaps_changed or spent.items or self._handler.checkpoints.holds_back)

    def _record_resolved(self) -> None:
        """Record an attempt on each resolved gap, so that none is assigned again in its run.

        It changes nothing on a gap that the batch has closed or reported.
        """
        resolved = self._tracked.difference(self._handler.unresolved)
        self._tracked -= resolved
        if resolved:
            self.record_failed(sorted(resolved), transient=False)

    def _newly_spent(self) -> Spent:
        """Time, requests and items since the last commit."""
        seconds = time.monotonic() - self._slice.begun_at
        now, before = Spent(seconds, self._limits.requests.sent, self._handler.resolved), self.spent
        self.spent = now
        return Spent(now.seconds - before.seconds, now.requests - before.requests, now.items - before.items)

    def _uncertain_streams(self) -> set[str]:
        """Checkpoint streams that cover a failed stream; their cursors must not move past it."""
        failed = set(self._handler.failed_streams)
        return failed | {keeper for name in failed for keeper in self._handler.checkpoints.keepers(name)}
