"""From a connector's messages to a batch: every rule is checked here, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jsonschema_rs

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import canonical_key, whole_name
from pdpp_worker.protocol.manifest import Manifest, StreamManifest
from pdpp_worker.protocol.messages import (
    STREAM_FAILED,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    Interaction,
    LongRecord,
    LongState,
    Message,
    Progress,
    Record,
    SkipResult,
    Start,
    State,
)
from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE, Reason, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope, scope_key
from pdpp_worker.runtime.accounts import DetailAccounts
from pdpp_worker.runtime.claims import Claims
from pdpp_worker.runtime.foreign import reason_of
from pdpp_worker.runtime.rules import (
    check_accounts_for_place,
    check_in_scope,
    period_of,
    place_among_versions,
    resource_of,
)
from pdpp_worker.store import values
from pdpp_worker.store.batch import Batch, Period, RecordRow, Rejection
from pdpp_worker.store.effects import Miss, Proof, Read, Row
from pdpp_worker.store.events import Event

CURSOR_BYTES = 64 * 1024 * 1024
"""Longest cursor that is kept."""


class Intake:
    """Takes the messages of one slice in their order and fills the batch at hand."""

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        missing_in: Collection[str] = (),
    ) -> None:
        """`missing_in`: streams with open gaps, where a record may be the proof that one of them is mended."""
        self._recovery_only = start.recovery_only
        self._incremental = manifest.checkpoint_commit == "incremental"
        self._scopes = {scope.name: scope for scope in start.scope.streams}
        self._streams: dict[str, StreamManifest] = {stream.name: stream for stream in manifest.streams}
        self._validators = {
            name: jsonschema_rs.validator_for(self._streams[name].schema_)
            for name in self._scopes
            if name in self._streams
        }
        self._claims = Claims(start.detail_gaps, manifest.recovery)
        self._names_sources = manifest.recovery.names_sources
        self.handed = len(start.detail_gaps)
        """Gaps that START handed over."""
        self._accounts = DetailAccounts()
        self._staged: dict[str, str] = {}
        self._staged_periods: dict[str, list[Period]] = {}
        self._keepers = {name: manifest.keepers(name) for name in self._streams}
        self._detailed = {
            keeper for one in manifest.streams if one.parent_streams is not None for keeper in self._keepers[one.name]
        }
        self._held_back: dict[str, tuple[str, Period | None]] = {}
        """Checkpoint stream to its latest checkpoint, which a detail that turns out to be owed withholds yet."""
        self._redact = redact
        self._missing_in = set(missing_in)
        self.batch = Batch()
        self.size = 0
        """Bytes of encoded records in the batch."""
        self.rows = 0
        """Records in the batch."""
        self.failed_streams: dict[str, str] = {}
        """Stream to why it was not walked to its end."""
        self._certified: set[str] = set()
        self.checkpoint_errors: dict[str, str] = {}
        """Stream to why its latest checkpoint was not committed."""
        self.emitted = 0
        self.done: Done | None = None

    def take(self, message: Message) -> None:
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

    def confirm(self, outdated: Collection[Row]) -> None:
        """The last batch is durable, but for these records, which are older than what was held."""
        self._claims.confirm(outdated)

    def note(self, event: Event) -> None:
        """Let an event commit with the batch at hand."""
        self.batch.events.append(event)

    @property
    def unsettled(self) -> list[int]:
        """The gaps that START handed over and of which nothing was said."""
        return [int(gap_id) for gap_id in self._claims.gaps]

    @property
    def has_settled(self) -> bool:
        """Whether something was said of any of those."""
        return len(self._claims.gaps) < self.handed

    @property
    def has_staged(self) -> bool:
        """Whether checkpoints wait for the connector's end."""
        return bool(self._staged)

    @property
    def is_certified(self) -> bool:
        """Whether DONE says that streams failed, and a SKIP_RESULT of that reason says of each which one it is."""
        error = None if self.done is None or self.done.status != "failed" else self.done.error
        return error is not None and error.code == STREAM_FAILED and bool(self._certified)

    def next_batch(self) -> Batch:
        """Hand over the batch and begin a new one."""
        full, self.batch, self.size, self.rows = self.batch, Batch(), 0, 0
        return full

    @property
    def holds_back(self) -> bool:
        """Whether a checkpoint waits for what is said of its details."""
        return bool(self._held_back)

    def release(self) -> None:
        """Nothing more is said in this slice: put what was held back in the batch, but for what owes details."""
        for stream in self._accounts.owing:
            self._withhold(stream)
        for stream in list(self._held_back):
            self._release(stream)

    def commit_staged(self, excluding: Collection[str]) -> None:
        """Put the staged checkpoints in the batch: the connector ended well, but for the excluded streams."""
        self.release()
        for stream, cursor in self._staged.items():
            if stream not in excluding:
                self.batch.checkpoints[stream] = cursor
                self.batch.covered += [(stream, period) for period in self._staged_periods.get(stream, [])]
                self.batch.tally(stream).state_staged = True
                self.batch.tally(stream).state_committed = True
        self._staged = {}

    def _record(self, record: Record) -> None:
        scope = self._scopes.get(record.stream)
        if scope is None:
            raise ProtocolViolation(f"RECORD of stream {record.stream!r} is outside the scope of START")
        stream = self._streams[record.stream]
        check_in_scope(record, scope, stream.cursor_field)
        self.emitted += 1
        self.batch.tally(record.stream).emitted += 1
        try:
            row = self._row(record, stream)
        except (ValueError, RecursionError) as error:
            self._reject(record, error)
            return
        self.batch.records.setdefault(record.stream, []).append(row)
        self.size += len(row.text)
        self.rows += 1
        self._note_proof(record, Row(record.stream, len(self.batch.records[record.stream]) - 1))

    def _note_proof(self, record: Record, row: Row) -> None:
        """A record may be what a gap waits for."""
        self._claims.note(record, row)
        if record.stream in self._missing_in and not record.partial:
            self.batch.effects.append(Proof(record.stream, whole_name(record.key), record.op == "delete", row))

    def _row(self, record: Record, stream: StreamManifest) -> RecordRow:
        if isinstance(record, LongRecord):
            raise values.NotRepresentableError(f"its line of {record.line_bytes} bytes is too long to be read")
        key = values.key_text(record.key)
        encoded = values.encode(record.data)
        values.check_size(encoded.text)
        if record.op == "upsert" and not record.partial:
            # A schema speaks of what is stored, so awkward characters are replaced before it is asked.
            checked = record.data if encoded.raw is None else json.loads(encoded.text)
            self._validators[record.stream].validate(checked)
        field = stream.cursor_field
        version, digits = (None, None) if field is None else place_among_versions(record.data.get(field))
        if version is not None:
            self.batch.seen[record.stream] = max(version, self.batch.seen.get(record.stream, version))
        deleted = record.op == "delete"
        return RecordRow(key, *encoded, version, record.emitted_at, deleted, record.partial, digits)

    def _reject(self, record: Record, error: Exception) -> None:
        if isinstance(error, jsonschema_rs.ValidationError):
            text = f"{'.'.join(map(str, error.instance_path)) or 'record'} breaks the schema ({error.kind.name})"
        else:
            text = f"cannot be represented: {error}"
        self._claims.note_refused(record)
        name = resource_of(record) if isinstance(record.key, str) else values.exact_json(record.key)
        raw = values.raw_form(record.data)
        key = values.storable(name[: values.KEY_BYTES])
        self.batch.rejections.append(Rejection(record.stream, key, self._redact(text), raw))
        reason = Reason.RECORD_REJECTED
        self._miss(record.stream, ResourceScope(resource_id=name), reason, error=text)

    def _state(self, state: State) -> None:
        stream = self._streams.get(state.stream)
        if state.stream not in self._scopes or stream is None:
            raise ProtocolViolation(f"STATE of stream {state.stream!r} is outside the scope of START")
        if self._recovery_only:
            raise ProtocolViolation(f"STATE of stream {state.stream!r} in a recovery, which never moves a cursor")
        if not stream.is_checkpoint:
            raise ProtocolViolation(
                f"STATE of stream {state.stream!r} is not taken: its place is kept by "
                f"{', '.join(self._keepers[state.stream])}"
            )
        cursor = self._cursor(state)
        if self._incremental:
            self._accounts.forget_gaps(name for name, keepers in self._keepers.items() if keepers == [state.stream])
        tally = self.batch.tally(state.stream)
        tally.state_staged, tally.state_committed = True, cursor is not None and self._incremental
        if cursor is None:
            return
        self.checkpoint_errors.pop(state.stream, None)
        covered = None if state.covered is None else period_of(state.covered, state.stream)
        self._release(state.stream)
        if not self._incremental:
            self._stage(state.stream, cursor, covered)
        elif state.stream in self._detailed:
            self._held_back[state.stream] = cursor, covered
        else:
            self._keep(state.stream, cursor, covered)

    def _stage(self, stream: str, cursor: str, covered: Period | None) -> None:
        self._staged[stream] = cursor
        if covered is not None:
            self._staged_periods.setdefault(stream, []).append(covered)

    def _keep(self, stream: str, cursor: str, covered: Period | None) -> None:
        self.batch.checkpoints[stream] = cursor
        if covered is not None:
            self.batch.covered.append((stream, covered))

    def _release(self, stream: str) -> None:
        if stream in self._held_back:
            self._keep(stream, *self._held_back.pop(stream))

    def _cursor(self, state: State) -> str | None:
        """The cursor as text, or None when it cannot be kept; the records before it are durable all the same."""
        cursor, why = self._judge_cursor(state)
        if why is not None:
            self._refuse(state.stream, why)
            return None
        if self._redact(cursor) != cursor:
            raise ProtocolViolation(f"STATE of stream {state.stream!r} holds a secret of the connection")
        return cursor

    def _refuse(self, stream: str, why: str) -> None:
        self.checkpoint_errors[stream] = why
        self.batch.events.append(("checkpoint_refused", stream, {"why": why}))

    def _withhold(self, stream: str) -> None:
        """A detail of this checkpoint is owed at the end: what of it waits for that may not become durable."""
        why = self._accounts.why_withheld(stream)
        if why is None or stream not in self._scopes or self._recovery_only:
            return
        self._staged.pop(stream, None)
        self._held_back.pop(stream, None)
        self.batch.tally(stream).state_staged, self.batch.tally(stream).state_committed = True, False
        self._refuse(stream, why)

    def _judge_cursor(self, state: State) -> tuple[str, str | None]:
        """The cursor as text, and why it may not be kept, if so."""
        if self._incremental and (withheld := self._accounts.why_withheld(state.stream)) is not None:
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
            self._miss(state.stream, WHOLE_STREAM, Reason.STATE_TOO_LARGE, error=f"{size} bytes")
            return "", f"the cursor has {size} bytes, more than is kept of one"
        return cursor, None

    def _failed_of(self, checkpoint: str) -> str | None:
        """A stream of this checkpoint that failed, if one did."""
        return next((name for name in self.failed_streams if checkpoint in self._keepers[name]), None)

    def _skip(self, skip: SkipResult) -> None:
        self._in_scope(skip.stream, "SKIP_RESULT")
        scope: Scope = skip.scope or WHOLE_STREAM
        self._check_place("SKIP_RESULT", skip.stream, scope, skip.detail)
        reason, detail = reason_of(skip)
        if skip.reason == STREAM_FAILED:
            self._certified.add(skip.stream)
        if scope == WHOLE_STREAM or skip.reason == STREAM_FAILED:
            self.failed_streams[skip.stream] = reason.value
        self._miss(
            skip.stream,
            scope,
            reason,
            error=": ".join(part for part in (detail, skip.message) if part) or None,
            retry_after=skip.retry_after,
            version_required=skip.connector_version_required,
            locator=skip.detail,
        )
        self.batch.events.append(("stream_skipped", skip.stream, {"reason": reason.value}))

    def _detail_gap(self, gap: DetailGap) -> None:
        self._in_scope(gap.stream, "DETAIL_GAP")
        handed = None if gap.gap_id is None else self._claims.gaps.get(gap.gap_id)
        if handed is not None and gap.stream != handed.stream:
            raise ProtocolViolation(
                f"DETAIL_GAP names gap {gap.gap_id}, which is about stream {handed.stream!r}, "
                f"as one of stream {gap.stream!r}"
            )
        self._in_manifest(gap.parent_stream or gap.stream, f"DETAIL_GAP of stream {gap.stream!r} names parent")
        self._check_place("DETAIL_GAP", gap.stream, gap.scope, gap.detail_locator)
        known = known_reason(gap.reason)
        reason = known or (Reason.UPSTREAM_ERROR if gap.retryable else Reason.PARSE_FAILED)
        self._accounts.add_gap(gap)
        self._miss(
            gap.stream,
            gap.scope if handed is None else handed.scope,
            reason,
            parent=gap.parent_stream,
            error=gap.last_error if known else f"{gap.reason}: {gap.last_error or ''}",
            retry_after=gap.retry_after,
            locator=gap.detail_locator,
        )
        self.settle(gap.gap_id)

    def _recovered(self, message: DetailGapRecovered) -> None:
        self.batch.effects.append(self._claims.closing(message))
        self.settle(message.gap_id)

    def _coverage(self, coverage: DetailCoverage) -> None:
        self._in_scope(coverage.stream, "DETAIL_COVERAGE")
        keepers = self._keepers[coverage.stream]
        check_accounts_for_place(coverage, self._streams[coverage.stream], keepers)
        self._accounts.add_coverage(coverage, self._keepers[coverage.state_stream])
        # On the way back a record is proved by itself alone, and only a source of records by the word that it was read.
        if not self._recovery_only or self._names_sources(coverage.stream):
            self.batch.effects += [Read(coverage.stream, canonical_key(key)) for key in coverage.hydrated_keys]

    def _progress(self, progress: Progress) -> None:
        if progress.stream is not None and progress.stream in self._scopes:
            tally = self.batch.tally(progress.stream)
            tally.progress_count = progress.count if progress.count is not None else tally.progress_count
            tally.progress_total = progress.total if progress.total is not None else tally.progress_total

    def _interaction(self, _: Interaction) -> None:
        raise ProtocolViolation("INTERACTION needs the owner at the terminal; a scheduled run has none")

    def _done(self, done: Done) -> None:
        if done.records_emitted is not None and done.records_emitted != self.emitted:
            raise ProtocolViolation(f"DONE counts {done.records_emitted} records; {self.emitted} came")
        self.done = done

    def _miss(
        self,
        stream: str,
        scope: Scope,
        reason: Reason,
        *,
        parent: str | None = None,
        error: str | None = None,
        retry_after: Any = None,
        version_required: str | None = None,
        locator: dict[str, Any] | None = None,
    ) -> None:
        self.batch.tally(stream)
        if reason in PRESSURE and retry_after is not None:
            self.batch.cooldown_until = max(retry_after, self.batch.cooldown_until or retry_after)
        self.batch.effects.append(
            Miss(
                stream=stream,
                scope=scope,
                reason=reason.value,
                recovery_kind=reason.kind.value,
                parent_stream=parent,
                retry_after=retry_after,
                connector_version_required=version_required,
                detail_locator=locator,
                last_error=None if error is None else self._redact(error),
                waits_for_owner=reason in NEEDS_OWNER,
            )
        )

    def settle(self, gap_id: str | None) -> None:
        """Nothing more is to be said of a gap that START handed over."""
        self._claims.settle(gap_id)

    def _check_place(self, message: str, stream: str, scope: Scope, locator: dict[str, Any] | None) -> None:
        try:
            texts = scope_key(scope), values.storable_json(locator)
        except values.NotRepresentableError as error:
            raise ProtocolViolation(f"the locator of a miss in stream {stream!r} is no JSON: {error}") from None
        if any(self._redact(text) != text for text in texts):
            raise ProtocolViolation(f"{message} of stream {stream!r} holds a secret of the connection")

    def _in_manifest(self, stream: str, names: str) -> None:
        if stream not in self._streams:
            raise ProtocolViolation(f"{names} {stream!r}, which the manifest does not have")

    def _in_scope(self, stream: str, message: str) -> None:
        if stream not in self._scopes:
            raise ProtocolViolation(f"{message} of stream {stream!r} is outside the scope of START")

    _HANDLERS: Mapping[type, Callable[[Intake, Any], None]] = {
        Record: _record,
        LongRecord: _record,
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
