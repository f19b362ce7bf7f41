"""Commits the batches of a slice in their order: a full one while the connector makes the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.runtime.calling import ConnectorFailedError
from pdpp_worker.runtime.open_slice import OpenSlice
from pdpp_worker.runtime.quick_turns import QUICK_TURNS
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Batch, Spent
from pdpp_worker.store.commit import Committed, Ending, commit_batch, why_unstorable
from pdpp_worker.store.novelty import Novelty
from pdpp_worker.store.precedence import Precedence


@dataclass(frozen=True)
class _Sent:
    """A batch as it was handed over, with what else was so at that moment."""

    batch: Batch
    spent: Spent
    resolved: Sequence[int]
    """Assigned gaps of which something was said since the batch before."""
    holds_back: bool


class Committer:
    """Writes batch after batch, one at a time; counts what the slice has spent.

    The outcome of a batch that is written meanwhile is met by `settle`, and by the next commit at the latest: nothing
    is written after a batch that failed.
    """

    def __init__(self, opened: OpenSlice) -> None:
        self._slice = opened
        self._handler = opened.handler
        self._limits = opened.limits
        self._tracked = set(opened.handler.unresolved)
        self._under_way: tuple[_Sent, Future[Committed]] | None = None
        self._novelty = Novelty()
        self.precedence = Precedence()
        """Of a commit over the connector's thread."""
        self.taken_at = opened.begun_at
        """Since when the pending batch grows; monotonic, s."""
        self.spent = Spent()
        """Time, requests and items that the slice has spent, as far as they are in batches."""

    def commit(self, ending: Ending | None = None) -> None:
        """Write the pending batch, and everything before it; `ending` ends the run with it.

        Raises:
            ConnectorFailedError: the database refuses a message; the records are written all the same.
            LeaseLostError: another worker holds the connection; nothing was written.
        """
        self.settle()
        sent = self._take()
        self._conclude(sent, partial(self._write, sent, ending))
        self.taken_at = time.monotonic()

    def hand_over(self) -> None:
        """Write the pending batch in a thread, once the one before it is written; raises as `commit`, of that one."""
        self.settle()
        sent = self._take()
        self._under_way = sent, _in_thread(partial(self._write, sent))

    @property
    def has_ended(self) -> bool:
        """Whether a batch was written meanwhile, or has failed."""
        return self._under_way is not None and self._under_way[1].done()

    def settle(self) -> None:
        """Wait for the batch that is being written; raises as `commit`, of that one."""
        if self._under_way is not None:
            (sent, future), self._under_way = self._under_way, None
            self._conclude(sent, future.result)

    def record_failed(self, gap_ids: Sequence[int], *, transient: bool) -> None:
        """Record a failed attempt on each of these gaps."""
        opened = self._slice

        def record(connection: Connection) -> None:
            leases.renew(connection, opened.claimed.claim)
            opened.backlog.record_failed_attempt(
                connection, opened.manifest.version, opened.policy, gap_ids, walked=False, transient=transient
            )

        opened.db.transact(record)

    def _take(self) -> _Sent:
        resolved = self._tracked.difference(self._handler.unresolved)
        self._tracked -= resolved
        self.taken_at = time.monotonic()
        holds_back = self._handler.checkpoints.holds_back
        return _Sent(self._handler.take(), self._newly_spent(), sorted(resolved), holds_back)

    def _conclude(self, sent: _Sent, outcome: Callable[[], Committed]) -> None:
        """Let the slice know what came of a batch."""
        try:
            done = outcome()
        except ConnectorFailedError:
            self._handler.forget()  # a cursor that came since could pass what was lost
            raise
        self._limits.heartbeat.note_cancel(done.cancel_requested)
        self._handler.confirm(done.outdated)
        gaps_changed = done.gaps_closed or done.gaps_opened
        if sent.batch.checkpoints or gaps_changed or sent.spent.items or sent.holds_back:
            self._limits.time.progressed = True
        if sent.resolved:
            # So that none is assigned again in its run; nothing changes on one that the batch closed or reported.
            self.record_failed(sent.resolved, transient=False)

    def _write(self, sent: _Sent, ending: Ending | None = None) -> Committed:
        try:
            return self._write_batch(sent.batch, sent.spent, ending)
        except Exception as error:
            if (wrong := why_unstorable(error)) is None:
                raise
            if ending is not None:  # what cannot be stored may be of the end, which comes after the batch then
                ending.forget()
                return self._write(sent)
            self._write_batch(sent.batch.records_only(), sent.spent)
            raise ConnectorFailedError(Reason.PARSE_FAILED, f"a message cannot be stored ({wrong})") from error

    def _write_batch(self, batch: Batch, spent: Spent, ending: Ending | None = None) -> Committed:
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
            versions=opened.settings.record_versions,
            precedence=self.precedence,
            novelty=self._novelty,
            ending=ending,
        )

    def _newly_spent(self) -> Spent:
        """Time, requests and items since the last batch."""
        seconds = time.monotonic() - self._slice.begun_at
        now, before = Spent(seconds, self._limits.requests.sent, self._handler.resolved), self.spent
        self.spent = now
        return Spent(now.seconds - before.seconds, now.requests - before.requests, now.items - before.items)


def _in_thread(work: Callable[[], Committed]) -> Future[Committed]:
    """Do the work in a thread of its own, which costs far less than a full batch."""
    future: Future[Committed] = Future()

    def run() -> None:
        try:
            with QUICK_TURNS.for_a_commit():
                future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="commit", daemon=True).start()
    return future
