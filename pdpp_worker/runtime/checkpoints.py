"""When a STATE becomes durable: at once, when its details are resolved, at the end of the connector, or never."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import DetailCoverage, LongState, Start, State
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import WHOLE_STREAM
from pdpp_worker.runtime.detail_accounting import DetailAccounting
from pdpp_worker.runtime.pending import PendingBatch
from pdpp_worker.runtime.rules import period_of
from pdpp_worker.store import values
from pdpp_worker.store.batch import Period

CURSOR_BYTES = 64 * 1024 * 1024
"""Longest cursor that is kept."""


class Checkpoints:
    """The checkpoints of one slice.

    With `checkpoint_commit: incremental` a checkpoint goes into the batch at once; one of a stream with details is held
    back until the next one, because a detail may still turn out to be pending. With `on_done` it is staged until the
    connector has ended well.
    """

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        pending: PendingBatch,
        failed_streams: Mapping[str, str],
    ) -> None:
        """`failed_streams` is read at each checkpoint; it grows while the slice works."""
        self._streams = {stream.name: stream for stream in manifest.streams}
        self._scopes = {scope.name for scope in start.scope.streams}
        self._recovery_only = start.recovery_only
        self._incremental = manifest.checkpoint_commit == "incremental"
        self._redact = redact
        self._pending = pending
        self._failed_streams = failed_streams
        self._details = DetailAccounting()
        self._keepers = {name: manifest.keepers(name) for name in self._streams}
        self._detailed = {
            keeper for one in manifest.streams if one.parent_streams is not None for keeper in self._keepers[one.name]
        }
        self._staged: dict[str, str] = {}
        self._staged_periods: dict[str, list[Period]] = {}
        self._held_back: dict[str, tuple[str, Period | None]] = {}
        self.errors: dict[str, str] = {}
        """Stream to why its latest checkpoint was not committed."""

    @property
    def has_staged(self) -> bool:
        """Whether checkpoints wait for the connector's end."""
        return bool(self._staged)

    @property
    def holds_back(self) -> bool:
        """Whether a checkpoint waits for what is said of its details."""
        return bool(self._held_back)

    def add_gap(self, stream: str, record_key: str) -> None:
        """Note that a detail is a gap."""
        self._details.add_gap(stream, record_key)

    def keepers(self, stream: str) -> set[str]:
        """The streams whose checkpoints keep a stream's position."""
        return set(self._keepers.get(stream, [stream]))

    def add_coverage(self, coverage: DetailCoverage) -> None:
        """Note which details a page requires, and which of them were fetched."""
        self._details.add_coverage(coverage, self._keepers[coverage.state_stream])

    def add(self, state: State) -> None:
        """Keep, stage, hold back or refuse a checkpoint.

        Raises:
            ProtocolViolation: no cursor is taken of this stream, or the cursor holds a secret.
        """
        self._check_is_taken(state)
        cursor = self._cursor(state)
        if self._incremental:
            self._details.forget_gaps(name for name, keepers in self._keepers.items() if keepers == [state.stream])
        tally = self._pending.batch.tally(state.stream)
        tally.state_staged, tally.state_committed = True, cursor is not None and self._incremental
        if cursor is None:
            return
        self.errors.pop(state.stream, None)
        covered = None if state.covered is None else period_of(state.covered, state.stream)
        self._release(state.stream)
        if not self._incremental:
            self._stage(state.stream, cursor, covered)
        elif state.stream in self._detailed:
            self._held_back[state.stream] = cursor, covered
        else:
            self._keep(state.stream, cursor, covered)

    def release(self) -> None:
        """Put what was held back in the batch at the end of a slice; drop checkpoints with pending details."""
        for stream in self._details.waiting:
            self._withhold(stream)
        for stream in list(self._held_back):
            self._release(stream)

    def forget(self) -> None:
        """Drop checkpoints that wait for what is said of their details, or for the connector's end."""
        self._staged.clear()
        self._staged_periods.clear()
        self._held_back.clear()

    def commit_staged(self, excluding: Collection[str]) -> None:
        """Put the staged checkpoints in the batch: the connector ended well, but for the excluded streams."""
        self.release()
        for stream, cursor in self._staged.items():
            if stream not in excluding:
                self._pending.batch.checkpoints[stream] = cursor
                self._pending.batch.covered += [(stream, period) for period in self._staged_periods.get(stream, [])]
                tally = self._pending.batch.tally(stream)
                tally.state_staged = tally.state_committed = True
        self._staged = {}

    def _check_is_taken(self, state: State) -> None:
        if self._recovery_only:
            raise ProtocolViolation(f"STATE of stream {state.stream!r} in a recovery, which never moves a cursor")
        if not self._streams[state.stream].is_checkpoint:
            raise ProtocolViolation(
                f"STATE of stream {state.stream!r} is not taken: its place is kept by "
                f"{', '.join(self._keepers[state.stream])}"
            )

    def _stage(self, stream: str, cursor: str, covered: Period | None) -> None:
        self._staged[stream] = cursor
        if covered is not None:
            self._staged_periods.setdefault(stream, []).append(covered)

    def _keep(self, stream: str, cursor: str, covered: Period | None) -> None:
        self._pending.batch.checkpoints[stream] = cursor
        if covered is not None:
            self._pending.batch.covered.append((stream, covered))

    def _release(self, stream: str) -> None:
        if stream in self._held_back:
            self._keep(stream, *self._held_back.pop(stream))

    def _withhold(self, stream: str) -> None:
        """Drop this stream's uncommitted checkpoint: a required detail is neither fetched nor reported as a gap."""
        why = self._details.why_withheld(stream)
        if why is None or stream not in self._scopes or self._recovery_only:
            return
        self._staged.pop(stream, None)
        self._held_back.pop(stream, None)
        tally = self._pending.batch.tally(stream)
        tally.state_staged, tally.state_committed = True, False
        self._refuse(stream, why)

    def _refuse(self, stream: str, why: str) -> None:
        self.errors[stream] = why
        self._pending.batch.events.append(("checkpoint_refused", stream, {"why": why}))

    def _cursor(self, state: State) -> str | None:
        """The cursor as text, or None when it cannot be kept; the records before it are durable all the same."""
        cursor, why = self._judge_cursor(state)
        if why is not None:
            self._refuse(state.stream, why)
            return None
        if self._redact(cursor) != cursor:
            raise ProtocolViolation(
                f"STATE of stream {state.stream!r} holds a secret of the connection", field="cursor"
            )
        return cursor

    def _judge_cursor(self, state: State) -> tuple[str, str | None]:
        """The cursor as text, and why it may not be kept, if so."""
        if self._incremental and (withheld := self._details.why_withheld(state.stream)) is not None:
            self._held_back.pop(state.stream, None)
            return "", withheld
        if self._incremental and (failed := self._failed_of(state.stream)) is not None:
            return "", f"{failed} failed before it, and a cursor must not move past that"
        try:
            cursor = values.exact_json(state.cursor)
        except values.NotRepresentableError as error:
            return "", f"the cursor cannot be represented: {error}"
        size = state.line_bytes if isinstance(state, LongState) else len(cursor)
        if isinstance(state, LongState) or size > CURSOR_BYTES:
            self._pending.report_gap(state.stream, WHOLE_STREAM, Reason.STATE_TOO_LARGE, error=f"{size} bytes")
            return "", f"the cursor has {size} bytes, more than is kept of one"
        return cursor, None

    def _failed_of(self, checkpoint: str) -> str | None:
        """A stream of this checkpoint that failed, if one did."""
        return next((name for name in self._failed_streams if checkpoint in self._keepers[name]), None)
