"""Works a slice: pulls the connector's messages, hands them to the handler, commits batch after batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.isolation import reason as why
from pdpp_worker.protocol.messages import DetailGapRecovered, Message, Progress, Record, SourceAccount
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime.calling import ConnectorFailedError, call
from pdpp_worker.runtime.committer import Committer
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.runtime.pending import PendingBatch
from pdpp_worker.runtime.time_limits import BudgetSpent, SliceEnded
from pdpp_worker.store.accounts import is_kept, recognize
from pdpp_worker.store.batch import Spent
from pdpp_worker.store.commit import Ending
from pdpp_worker.store.met_account import Account

MOST_PROGRESS = 250_000
"""Messages of PROGRESS in a row that are a flood. An honest connector names at least a position between so many."""
LONG_BATCH = 500
"""Records. To wait for the commit of fewer takes less than a thread of its own."""
_LOOK_S = 0.005
"""Among records that come one right after the other, the time and whether to stop are looked at so often, s."""


class Collector:
    """Pulls, takes, batches and commits messages; counts what the slice has spent."""

    def __init__(self, opened: OpenSlice) -> None:
        self._slice = opened
        self._handler = opened.handler
        self._limits = opened.limits
        self._committer = Committer(opened)
        self._failed: Exception | None = None
        settings = opened.settings
        self._most_rows, self._most_bytes = settings.batch_records, settings.batch_bytes
        self._most_messages = settings.slice_messages
        self._empty_in_row = 0
        """Messages since the last one that says anything of the source."""
        self._limits.before_long_wait = self._commit_before_wait

    @property
    def spent(self) -> Spent:
        """Time, requests and items that the slice has spent, as far as they are in batches."""
        return self._committer.spent

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
        try:
            with closing(call(opened.connector, start, opened.context, opened.redactor)) as messages:
                self._take_all(messages)
        except SliceEnded:
            if self._failed is not None:
                raise self._failed from None
            raise
        finally:
            self._committer.settle()

    def commit(self) -> None:
        """Write the batch at hand.

        Raises:
            ConnectorFailedError: the database refuses a message; the records are written all the same.
        """
        self._committer.commit()

    @property
    def is_clean(self) -> bool:
        """Whether the end of the slice would write nothing of the batch."""
        return self._handler.pending.is_empty and not self._handler.checkpoints.holds_back

    def commit_last(self) -> None:
        """Write what is left at the end of the slice, checkpoints that were held back included."""
        self._handler.checkpoints.release()
        self.commit()

    def commit_finished(self, ending: Ending | None = None) -> None:
        """Write what is left after the connector's own end, staged checkpoints included; `ending` ends the run."""
        checkpoints = self._handler.checkpoints
        if checkpoints.has_staged:
            self.commit()  # which learns of a cancellation that came before DONE
            if self._limits.heartbeat.cancelled:
                return
        checkpoints.commit_staged(excluding=self._uncertain_streams())
        self._committer.commit(ending)

    def give_up(self, gap_id: int, *, transient: bool) -> None:
        """Record a failed attempt on the gap on which the connector failed."""
        self.record_failed([gap_id], transient=transient)
        self._handler.resolve(str(gap_id))

    def record_failed(self, gap_ids: Sequence[int], *, transient: bool) -> None:
        """Record a failed attempt on each of these gaps."""
        self._committer.record_failed(gap_ids, transient=transient)

    def _take_all(self, messages: Iterable[Message]) -> None:
        look_at, touch, pending = 0.0, self._limits.heartbeat.touch, self._handler.pending
        give_way, take = self._committer.precedence.give_way, self._take
        for count, message in enumerate(messages, start=1):
            give_way()
            now = touch()
            take(message)
            if now < look_at and isinstance(message, Record) and not self._is_full(pending, count):
                continue
            look_at = now + _LOOK_S
            self._commit_if_due()
            if self._limits.must_stop or self._may_be_cut(count):
                raise SliceEnded

    def _is_full(self, pending: PendingBatch, messages: int = 0) -> bool:
        return pending.rows >= self._most_rows or pending.size >= self._most_bytes or messages >= self._most_messages

    def _commit_before_wait(self, until: float) -> None:
        """Commit what came before a long wait; what comes after it is no older than that.

        The connector waits here for the turn of a request. Its `except Exception` must not swallow a failure.
        """
        try:
            self._committer.settle()
            if not self._handler.pending.is_empty:
                self._committer.commit()
        except Exception as error:
            self._failed = error
            raise SliceEnded from error
        self._committer.taken_at = until

    def _take(self, message: Message) -> None:
        """Handle a message. A violation costs the rest of the run, and nothing that came before it."""
        if isinstance(message, Record):
            self._empty_in_row = 0
        else:
            self._prepare(message)
        try:
            self._handler.handle(message)
        except ProtocolViolation as error:
            raise ConnectorFailedError(Reason.PARSE_FAILED, str(error)) from error
        except Exception as error:
            text = f"{type(message).__name__} cannot be taken ({why(error)})"
            raise ConnectorFailedError(Reason.PARSE_FAILED, text) from error
        if type(message) is SourceAccount:
            self._check_account(Account(message.identity, message.label))

    def _prepare(self, message: Message) -> None:
        """Let a claim wait for what it may rest on. End a connector that floods: nothing would ever end its slice."""
        if type(message) is DetailGapRecovered:
            self._committer.settle()
        self._empty_in_row = self._empty_in_row + 1 if type(message) is Progress else 0
        if self._empty_in_row > MOST_PROGRESS:
            text = f"the connector sent more than {MOST_PROGRESS:,} messages of PROGRESS in a row, and nothing else"
            raise ConnectorFailedError(Reason.PARSE_FAILED, text)

    def _check_account(self, met: Account) -> None:
        """Refuse another account than before, with all that was said so far."""
        opened = self._slice
        if is_kept(opened.claimed.connection, met):
            return
        known = opened.db.transact(lambda connection: recognize(connection, opened.claimed.claim, met))
        if known is not None:
            self._handler.forget()
            text = f"this connection has read the account {known}, and the source is now that of {met}"
            raise ConnectorFailedError(Reason.ANOTHER_ACCOUNT, text)

    def _may_be_cut(self, messages: int) -> bool:
        """Whether the slice has had its share. A connector whose cursors wait for its end would only begin anew."""
        opened, limits = self._slice, self._limits
        if messages < opened.settings.slice_messages and not limits.time.is_over:
            return False
        if opened.manifest.checkpoint_commit == "on_done" and not opened.plan.start.recovery_only:
            return False
        self._committer.settle()
        return limits.time.progressed

    def _commit_if_due(self) -> None:
        """Hand over a full batch, so that the connector makes the next one meanwhile; write one that has waited.

        One that has waited and is long is handed over, too.
        """
        committer, pending = self._committer, self._handler.pending
        has_waited = time.monotonic() - committer.taken_at >= self._slice.settings.batch_s
        if self._is_full(pending) or (has_waited and pending.rows >= LONG_BATCH):
            committer.hand_over()
        elif has_waited:
            committer.commit()
        elif committer.has_ended:
            committer.settle()

    def _uncertain_streams(self) -> set[str]:
        """Checkpoint streams that cover a failed stream; their cursors must not move past it."""
        failed = set(self._handler.failed_streams)
        return failed | {keeper for name in failed for keeper in self._handler.checkpoints.keepers(name)}
