"""Handles a connector's messages: checks every rule and fills the batch; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from types import MappingProxyType
from typing import Any

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import canonical_key, whole_name
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import (
    STREAM_FAILED,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    EncodedRecord,
    Interaction,
    Inventory,
    LongRecord,
    LongState,
    Message,
    Progress,
    Record,
    SkipResult,
    SourceAccount,
    Start,
    State,
)
from pdpp_worker.protocol.reasons import Reason, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope, StreamScope
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.runtime import rules
from pdpp_worker.runtime.assigned_gaps import AssignedGaps
from pdpp_worker.runtime.checkpoints import Checkpoints
from pdpp_worker.runtime.pending import PendingBatch
from pdpp_worker.runtime.reason_mapping import reason_for_skip
from pdpp_worker.runtime.rows import rejected_name, rejection_of, row_of
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.effects import KeyFetched, KeyProven, Row
from pdpp_worker.store.events import Event

NOTHING_MISSING: Mapping[str, Container[str]] = MappingProxyType({})
_SAYS_WHAT_WAS_READ = (Record, State, DetailCoverage, DetailGapRecovered)


class MessageHandler:
    """Handles the messages of one slice in their order and fills the pending batch."""

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        missing: Mapping[str, Container[str]] = NOTHING_MISSING,
    ) -> None:
        """`missing`: streams with open gaps to the names of what is missing, whose records may close them."""
        self._recovery_only = start.recovery_only
        self._scopes = {scope.name: scope for scope in start.scope.streams}
        self._narrowed = {name for name, scope in self._scopes.items() if rules.is_narrowed(scope)}
        self._streams: dict[str, StreamManifest] = {stream.name: stream for stream in manifest.streams}
        self._validators = rules.validators_for(self._scopes, self._streams)
        self._cursor_fields = {name: stream.cursor_field for name, stream in self._streams.items()}
        self._parents = {parent for stream in manifest.streams for parent in stream.parents}
        self._keepers = {name: manifest.keepers(name) for name in self._streams}
        self._assigned = AssignedGaps(start.detail_gaps, manifest.recovery)
        self._names_sources = manifest.recovery.names_sources
        self._redact = redact
        self._missing = missing
        self._certified: set[str] = set()
        self._emitted = 0
        self.assigned = len(start.detail_gaps)
        """Gaps that START assigned."""
        self.failed_streams: dict[str, str] = {}
        """Stream to why it was not walked to its end."""
        self.continued: dict[str, str] = {}
        """Stream to what a connector says that has done a part of it, and wants to be run again for the next."""
        self.run_notes: list[str] = []
        """Sentences about parts of the run that are missing and belong to no stream."""
        self.last_refusal: str | None = None
        """Type, member and reason of the last message that was refused without ending the run."""
        self.done: Done | None = None
        self.account: SourceAccount | None = None
        """The account that the connector said it reads."""
        self._has_said = False
        self.pending = PendingBatch(redact)
        self.checkpoints = self._make_checkpoints(manifest, start)

    def _make_checkpoints(self, manifest: Manifest, start: Start) -> Checkpoints:
        return Checkpoints(manifest, start, self._redact, self.pending, self.failed_streams)

    def handle(self, message: Message) -> None:
        """Check one message and put it in the batch.

        Raises:
            ProtocolViolation: the message breaks a rule; says which, without its content.
        """
        handler = self._HANDLERS.get(type(message))
        if handler is None:
            raise ProtocolViolation(f"{type(message).__name__} is not a message of the Collection Profile")
        if self.done is not None:
            raise ProtocolViolation("a message came after DONE; DONE is the last one")
        handler(self, message)
        self._has_said = self._has_said or isinstance(message, _SAYS_WHAT_WAS_READ)

    @property
    def is_strict(self) -> bool:
        """Whether a rule that a message breaks ends the run."""
        return True

    @property
    def batch(self) -> Batch:
        """The pending batch."""
        return self.pending.batch

    def take(self) -> Batch:
        """Hand over the pending batch and begin a new one; `confirm` is to follow before the next one is taken."""
        self._assigned.seal()
        return self.pending.take()

    def confirm(self, outdated: Collection[Row]) -> None:
        """The batch that was taken is durable, except for these records, which are older than the stored versions."""
        self._assigned.confirm(outdated)

    def note(self, event: Event) -> None:
        """Add an event to the pending batch."""
        self.batch.events.append(event)

    @property
    def unresolved(self) -> list[int]:
        """The assigned gaps of which nothing was said."""
        return [int(gap_id) for gap_id in self._assigned.unresolved]

    @property
    def resolved(self) -> int:
        """How many of the assigned gaps something was said of."""
        return self.assigned - len(self._assigned.unresolved)

    @property
    def is_certified(self) -> bool:
        """Whether DONE says that streams failed, and a SKIP_RESULT of that reason says of each which one it is."""
        error = None if self.done is None or self.done.status != "failed" else self.done.error
        return error is not None and error.code == STREAM_FAILED and bool(self._certified)

    def abandon(self) -> None:
        """Report what was held until an end that has not come: nothing, where every message counts as it comes."""

    def resolve(self, gap_id: str | None) -> None:
        """Note that nothing more is to be said of an assigned gap."""
        self._assigned.resolve(gap_id)

    def forget(self) -> None:
        """Drop what was said since the last batch was taken, and checkpoints that wait."""
        self.pending.take()
        self.checkpoints.forget()
        self.failed_streams.clear()

    def _source_account(self, account: SourceAccount) -> None:
        rules.check_account(account, self.account, self._redact, comes_late=self._has_said)
        self.account = account

    def _inventory(self, inventory: Inventory) -> None:
        rules.check_inventory(inventory, self._streams)
        if not self._recovery_only:  # only a walk sees the source whole
            self.pending.add_inventory(inventory)

    def _record(self, record: Record) -> None:
        name = record.stream
        self._in_scope(name, "RECORD")
        if name in self._narrowed:
            self._check_scope(record, self._scopes[name])
        self._emitted += 1
        if self._recovery_only and record.ground == "absent":
            return  # only a walk shows what is not there
        self.pending.batch.tallies[name].emitted += 1
        try:
            row = row_of(record, self._validators[name], self._cursor_fields[name])
        except (ValueError, RecursionError) as error:
            self._reject(record, error)
            return
        position = self.pending.add_row(name, row)
        if self._assigned.unresolved:
            self._assigned.note(record, Row(name, position))
        if name in self._missing and whole_name(record.key) in self._missing[name]:
            self._note_proof(record, Row(name, position))

    def _check_scope(self, record: Record, scope: StreamScope) -> None:
        rules.check_in_scope(record, scope, self._streams[record.stream].cursor_field)

    def _note_proof(self, record: Record, row: Row) -> None:
        """Let a record close the gap about it.

        In a recovery only a claim says that an item does not exist, or that the details which hang on it were read too.
        """
        if record.partial or record.ground == "absent":
            return
        absent = record.op == "delete"
        needs_claim = self._recovery_only and (absent or record.stream in self._parents)
        if not needs_claim:
            self.batch.effects.append(KeyProven(record.stream, whole_name(record.key), absent, row))

    def _reject(self, record: Record, error: Exception) -> None:
        self._assigned.note_refused(record)
        self.batch.rejections.append(rejection := rejection_of(record, error, self._redact))
        scope = ResourceScope(resource_id=rejected_name(record))
        self.pending.report_gap(record.stream, scope, Reason.RECORD_REJECTED, error=rejection.error)

    def _state(self, state: State) -> None:
        self._in_scope(state.stream, "STATE")
        self.checkpoints.add(state)

    def _skip(self, skip: SkipResult) -> None:
        self._in_scope(skip.stream, "SKIP_RESULT")
        scope: Scope = skip.scope or WHOLE_STREAM
        locator = rules.checked_locator("SKIP_RESULT", skip.stream, scope, skip.detail, self._redact)
        reason, detail = reason_for_skip(skip)
        if skip.reason == STREAM_FAILED:
            self._certified.add(skip.stream)
        if scope == WHOLE_STREAM or skip.reason == STREAM_FAILED:
            self.failed_streams[skip.stream] = reason.value
        self.pending.report_gap(
            skip.stream,
            scope,
            reason,
            error=": ".join(part for part in (detail, skip.message) if part) or None,
            retry_after=skip.retry_after,
            version_required=skip.connector_version_required,
            locator=locator,
        )
        self.note(("stream_skipped", skip.stream, {"reason": reason.value}))

    def _detail_gap(self, gap: DetailGap) -> None:
        self._in_scope(gap.stream, "DETAIL_GAP")
        assigned = self._assigned.named_by(gap)
        self._in_manifest(gap.parent_stream or gap.stream, f"DETAIL_GAP of stream {gap.stream!r} names parent")
        locator = rules.checked_locator("DETAIL_GAP", gap.stream, gap.scope, gap.detail_locator, self._redact)
        known = known_reason(gap.reason)
        self.checkpoints.add_gap(gap.stream, gap.record_key)
        self.pending.report_gap(
            gap.stream,
            gap.scope if assigned is None else assigned.scope,
            known or (Reason.UPSTREAM_ERROR if gap.retryable else Reason.PARSE_FAILED),
            parent=gap.parent_stream,
            error=gap.last_error if known else f"{gap.reason}: {gap.last_error or ''}",
            retry_after=gap.retry_after,
            locator=locator,
        )
        self.resolve(gap.gap_id)

    def _recovered(self, message: DetailGapRecovered) -> None:
        self.batch.effects.append(self._assigned.effect_of(message))
        self.resolve(message.gap_id)

    def _coverage(self, coverage: DetailCoverage) -> None:
        self._in_scope(coverage.stream, "DETAIL_COVERAGE")
        rules.check_coverage_position(coverage, self._streams[coverage.stream], self._keepers[coverage.stream])
        self.checkpoints.add_coverage(coverage)
        # In a recovery a record is proven only by itself, and a source of records by the message that it was read.
        if not self._recovery_only or self._names_sources(coverage.stream):
            self.batch.effects += [KeyFetched(coverage.stream, canonical_key(key)) for key in coverage.hydrated_keys]

    def _progress(self, progress: Progress) -> None:
        if progress.stream is not None and progress.stream in self._scopes:
            tally = self.batch.tally(progress.stream)
            tally.progress_count = progress.count if progress.count is not None else tally.progress_count
            tally.progress_total = progress.total if progress.total is not None else tally.progress_total

    def _interaction(self, _: Interaction) -> None:
        raise ProtocolViolation("INTERACTION needs the owner at the terminal; a scheduled run has none")

    def _done(self, done: Done) -> None:
        if done.records_emitted is not None and done.records_emitted != self._emitted:
            raise ProtocolViolation(f"DONE counts {done.records_emitted} records; {self._emitted} came")
        self.done = done

    def _in_manifest(self, stream: str, names: str) -> None:
        if stream not in self._streams:
            raise ProtocolViolation(f"{names} {stream!r}, which the manifest does not have", field="parent_stream")

    def _in_scope(self, stream: str, message: str) -> None:
        if stream not in self._scopes:
            raise ProtocolViolation(f"{message} of stream {stream!r} is outside the scope of START", field="stream")

    _HANDLERS: Mapping[type, Callable[[MessageHandler, Any], None]] = {
        SourceAccount: _source_account,
        Inventory: _inventory,
        Record: _record,
        LongRecord: _record,
        EncodedRecord: _record,
        State: _state,
        LongState: _state,
        SkipResult: _skip,
        DetailGap: _detail_gap,
        DetailGapRecovered: _recovered,
        DetailCoverage: _coverage,
        Progress: _progress,
        Interaction: _interaction,
        Done: _done,
    }
