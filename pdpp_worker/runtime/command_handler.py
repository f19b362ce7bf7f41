"""Handles a command's messages: a rule that one of them breaks costs that message, and not the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from typing import Any, cast

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.foreign import (
    Assistance,
    AssistanceEnded,
    Attempted,
    Foreign,
    ForeignGap,
    Note,
    Refused,
    Totals,
    UnreadRecord,
)
from pdpp_worker.protocol.keys import canonical_key, names_of
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import (
    DetailCoverage,
    DetailGapRecovered,
    Done,
    Interaction,
    Message,
    Progress,
    Record,
    SkipResult,
    Start,
)
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.refusal_cost import WIRE_TYPES, Costs
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, StreamScope
from pdpp_worker.protocol.unplaced import is_unplaced
from pdpp_worker.runtime.command_checkpoints import CommandCheckpoints
from pdpp_worker.runtime.command_scope import check_scope_of_command
from pdpp_worker.runtime.command_skips import CommandSkips
from pdpp_worker.runtime.handler import NOTHING_MISSING, MessageHandler
from pdpp_worker.runtime.rules import checked_locator
from pdpp_worker.store import values
from pdpp_worker.store.batch import Rejection
from pdpp_worker.store.effects import GapClosure, KeyFetched

MOST_REFUSED = 1000
"""A connector of which more is refused does not speak the profile: its run ends."""
_MESSAGE_CHARACTERS = 500
_UNTOLD = "the connector said nothing of it"

_SAYS_NOTHING = frozenset({Progress, Assistance, Interaction})
"""Messages that say nothing of what a stream holds."""

_TELLS_A_MISS = frozenset({SkipResult, ForeignGap, UnreadRecord})


def handler_for(
    manifest: Manifest,
    start: Start,
    redact: Callable[[str], str],
    missing: Mapping[str, Container[str]] = NOTHING_MISSING,
) -> MessageHandler:
    """The handler of a connector: strict for one in Python, lenient for a command."""
    kind = MessageHandler if manifest.command is None else CommandHandler
    return kind(manifest, start, redact, missing)


class CommandHandler(MessageHandler):
    """Handles what the dialect makes of a command's lines."""

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        missing: Mapping[str, Container[str]] = NOTHING_MISSING,
    ) -> None:
        super().__init__(manifest, start, redact, missing)
        self._costs = Costs(manifest, self._scopes)
        self._lost: set[tuple[str, str]] = set()
        """Records that came and are not held, by stream and each of their names."""
        self.refused: Counter[str] = Counter()
        """Type and field to how many messages were refused in this slice."""
        self.attempted: set[int] = {int(gap.gap_id) for gap in start.detail_gaps if is_unplaced(gap.scope)}
        """Assigned gaps that the connector says to have tried, and those for which the walk has no cursor."""
        self._skips = CommandSkips()
        self._holds_skips = manifest.connector_id is not None and not start.recovery_only
        self._told: set[str] = set()
        """Streams of which something was said, beyond progress."""
        self._missed: set[str] = set()
        """Streams of which a miss was told."""

    def _make_checkpoints(self, manifest: Manifest, start: Start) -> CommandCheckpoints:
        self.checkpoints: CommandCheckpoints = CommandCheckpoints(
            manifest, start, self._redact, self.pending, self.failed_streams
        )
        return self.checkpoints

    def handle(self, message: Message | Foreign) -> None:
        """Put a message in the batch, or what refusing it costs.

        Raises:
            ProtocolViolation: DONE breaks a rule, or too much was refused.
        """
        kind, stream = type(message), getattr(message, "stream", None)
        if isinstance(stream, str) and kind not in _SAYS_NOTHING:
            self._told.add(stream)
            if kind in _TELLS_A_MISS:
                self._missed.add(stream)
        try:
            super().handle(cast("Message", message))  # the table of this class knows those of the dialect, too
        except ProtocolViolation as error:
            wire_type = WIRE_TYPES.get(kind)
            if wire_type is None or self.done is not None:
                raise
            fields = message.model_dump() if isinstance(message, Record) else vars(message)
            if isinstance(message, Record):
                self._lose(message.stream, message.key)
            self._refused(self._costs.of(wire_type, fields, error.field, str(error)))

    @property
    def is_strict(self) -> bool:
        """A rule that a message breaks costs the message."""
        return False

    @property
    def unresolved(self) -> list[int]:
        """The assigned gaps of which nothing was said; of those that a walk carries along, the ones that it tried."""
        left = super().unresolved
        return left if self._recovery_only else [one for one in left if one in self.attempted]

    def _refused(self, refused: Refused) -> None:
        self._count(refused.name, refused.why)
        for stream in refused.withholds:
            self.checkpoints.bar(stream, refused.why)
        if refused.misses is not None:
            self._miss_stream(refused.misses, Reason.PARSE_FAILED, refused.why)
        if refused.unkept is not None:
            self.checkpoints.keep_old(refused.unkept, refused.why)

    def _count(self, name: str, why: str) -> None:
        self.last_refusal = f"{name}: {why}"
        self.batch.refused[name] += 1
        self.refused[name] += 1
        if self.refused.total() > MOST_REFUSED:
            raise ProtocolViolation(f"more than {MOST_REFUSED:,} messages were refused, the last one as {name}")

    def _unread_record(self, record: UnreadRecord) -> None:
        self._count(f"RECORD.{record.field}", record.why)
        self._emitted += 1
        self.batch.tally(record.stream).emitted += 1
        key = None if record.key is None else values.storable(record.key[: values.KEY_BYTES])
        self.batch.rejections.append(Rejection(record.stream, key, record.why, values.raw_form(record.raw)))
        if record.key is None:
            self._miss_stream(record.stream, Reason.RECORD_REJECTED, record.why)
            return
        self._lose(record.stream, record.key)
        scope = ResourceScope(resource_id=record.key)
        self.pending.report_gap(record.stream, scope, Reason.RECORD_REJECTED, error=record.why)

    def _miss_stream(self, stream: str, reason: Reason, why: str) -> None:
        self.failed_streams.setdefault(stream, reason.value)
        self.pending.report_gap(stream, WHOLE_STREAM, reason, error=why)

    def _check_scope(self, record: Record, scope: StreamScope) -> None:
        check_scope_of_command(record, scope, self._streams[record.stream])

    def _lose(self, stream: str, key: str | list[str]) -> None:
        self._lost |= {(stream, name) for name in names_of(key)}

    def _reject(self, record: Record, error: Exception) -> None:
        self._lose(record.stream, record.key)
        super()._reject(record, error)

    def abandon(self) -> None:
        """Report what was held until an end that has not come."""
        self._settle_skips(succeeded=False)

    def _skip(self, skip: SkipResult) -> None:
        self._in_scope(skip.stream, "SKIP_RESULT")
        checked_locator("SKIP_RESULT", skip.stream, skip.scope or WHOLE_STREAM, skip.detail, self._redact)
        if not (self._holds_skips and self._skips.hold(skip)):
            super()._skip(skip)

    def _done(self, done: Done) -> None:
        super()._done(done)
        succeeded = done.status == "succeeded"
        if succeeded and self._holds_skips:
            self._skips.hold_shortfalls(self._missed | {stream for stream, _ in self._lost})
        self._settle_skips(succeeded=succeeded)
        if succeeded and self._holds_skips:
            self._doubt_untold()
            self._close_passed()

    def _totals(self, totals: Totals) -> None:
        self._skips.note_totals(totals)

    def _settle_skips(self, *, succeeded: bool) -> None:
        for skip in self._skips.settle(lambda stream: succeeded and self.checkpoints.moves(stream)):
            super()._skip(skip)

    def _doubt_untold(self) -> None:
        """A stream of which nothing was said, where another one is missing whole, is not taken for walked."""
        if self.failed_streams:
            for stream in self._scopes.keys() - self._told:
                self.failed_streams[stream] = _UNTOLD

    def _close_passed(self) -> None:
        walked = self._told - self.failed_streams.keys()
        for gap_id, closure in list(self._skips.passed(self._assigned.unresolved.values(), walked)):
            if closure is not None:
                self.batch.effects.append(closure)
            self.resolve(gap_id)

    def _note_skip(self, note: Note) -> None:
        said = self._redact(": ".join(part for part in (note.reason, note.message) if part))[:_MESSAGE_CHARACTERS]
        if note.stream is None:
            self.run_notes.append(said)
        elif note.again_soon:
            self.continued[note.stream] = said
        self.note(("noted", note.stream, {"said": said, "again_soon": note.again_soon}))

    def _gap(self, gap: ForeignGap) -> None:
        assigned = None if gap.gap_id is None else self._assigned.unresolved.get(gap.gap_id)
        if gap.parent_stream is not None:
            self._in_manifest(gap.parent_stream, f"DETAIL_GAP of stream {gap.stream!r} names parent")
            self.checkpoints.note_parent(gap.stream, gap.parent_stream)
        locator = checked_locator("DETAIL_GAP", gap.stream, gap.scope, gap.detail_locator, self._redact)
        if isinstance(gap.scope, ResourceScope):
            self.checkpoints.add_gap(gap.stream, gap.scope.resource_id)
        self.pending.report_gap(
            gap.stream,
            gap.scope if assigned is None else assigned.scope,
            gap.reason,
            parent=gap.parent_stream,
            error=gap.last_error,
            retry_after=gap.retry_after,
            locator=locator,
            record_key=None if isinstance(gap.record_key, str) else gap.record_key,
        )
        self.resolve(gap.gap_id)

    def _attempted(self, message: Attempted) -> None:
        self.attempted.add(int(message.gap_id))

    def _assistance(self, message: Assistance | AssistanceEnded) -> None:
        said = {name: value for name, value in vars(message).items() if value is not None and name != "stream"}
        said["message"] = self._redact(message.message)[:_MESSAGE_CHARACTERS]
        if isinstance(message, Assistance):
            self.note(("assistance", message.stream, said))
        else:
            self.note(("assistance_ended", None, said))

    def _coverage(self, coverage: DetailCoverage) -> None:
        """One of a stream without declared parents makes it a child of the stream that it names, for this run."""
        if self._streams[coverage.stream].parents:
            super()._coverage(coverage)
        else:
            self.checkpoints.add_coverage(coverage)
            if not self._recovery_only:
                self.batch.effects += [
                    KeyFetched(coverage.stream, canonical_key(key)) for key in coverage.hydrated_keys
                ]
        self.checkpoints.note_parent(coverage.stream, coverage.state_stream)

    def _recovered(self, message: DetailGapRecovered) -> None:
        """The connector's word closes a gap, unless a record of it came and is not held."""
        gap = self._assigned.unresolved.get(message.gap_id)
        if gap is None:  # it said so before
            return
        names = names_of(gap.scope.resource_id) if isinstance(gap.scope, ResourceScope) else set()
        if any((gap.stream, name) in self._lost for name in names):
            return
        self.batch.effects.append(GapClosure(gap.stream, gap.scope, message.absent))
        self.resolve(message.gap_id)

    _HANDLERS: Mapping[type, Callable[[Any, Any], None]] = {
        **MessageHandler._HANDLERS,  # noqa: SLF001 - the table of its own base
        SkipResult: _skip,
        Totals: _totals,
        Done: _done,
        Refused: _refused,
        UnreadRecord: _unread_record,
        Note: _note_skip,
        ForeignGap: _gap,
        Attempted: _attempted,
        Assistance: _assistance,
        AssistanceEnded: _assistance,
        DetailCoverage: _coverage,
        DetailGapRecovered: _recovered,
    }
