"""From a connector's messages to a batch: every rule is checked here, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jsonschema_rs

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.manifest import Manifest, StreamManifest
from pdpp_worker.protocol.messages import (
    STREAM_FAILED,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    Interaction,
    Message,
    Progress,
    Record,
    SkipResult,
    Start,
    State,
)
from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE, Reason, RecoveryKind, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, ResourceScope, Scope, TimeRange
from pdpp_worker.runtime.rules import check_in_scope, moment_of, resource_of
from pdpp_worker.store import values
from pdpp_worker.store.batch import Batch, Closure, Miss, RecordRow, Rejection
from pdpp_worker.store.events import Event

CURSOR_BYTES = 64 * 1024 * 1024
"""Longest cursor that is kept."""

_FOREIGN_REASON = {RecoveryKind.RUNTIME: Reason.UPSTREAM_ERROR, RecoveryKind.UPGRADE: Reason.PARSE_FAILED}


class Intake:
    """Takes the messages of one slice in their order and fills the batch at hand."""

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        rejected_before: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        """`rejected_before`: (stream, key) of records that an earlier version had to refuse, to their open gaps."""
        self._recovery_only = start.recovery_only
        self._incremental = manifest.checkpoint_commit == "incremental"
        self._scopes = {scope.name: scope for scope in start.scope.streams}
        self._streams: dict[str, StreamManifest] = {stream.name: stream for stream in manifest.streams}
        self._validators = {
            name: jsonschema_rs.validator_for(self._streams[name].schema_)
            for name in self._scopes
            if name in self._streams
        }
        self._gaps = {gap.gap_id: gap for gap in start.detail_gaps}
        self.handed = len(self._gaps)
        """Gaps that START handed over."""
        self._proofs: set[tuple[str, str]] = set()
        self._withheld: dict[str, str] = {}
        self._gap_keys: dict[str, set[str]] = {}
        self._staged: dict[str, str] = {}
        self._staged_periods: dict[str, list[TimeRange]] = {}
        self._redact = redact
        self._rejected_before = dict(rejected_before or {})
        self.batch = Batch()
        self.size = 0
        """Bytes of encoded records in the batch."""
        self.rows = 0
        """Records in the batch."""
        self.failed_streams: dict[str, str] = {}
        """Stream to why it was not walked to its end."""
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

    def note(self, event: Event) -> None:
        """Let an event commit with the batch at hand."""
        self.batch.events.append(event)

    @property
    def unsettled(self) -> list[int]:
        """The gaps that START handed over and of which nothing was said."""
        return [int(gap_id) for gap_id in self._gaps]

    def next_batch(self) -> Batch:
        """Hand over the batch and begin a new one."""
        full, self.batch, self.size, self.rows = self.batch, Batch(), 0, 0
        return full

    def commit_staged(self, excluding: Collection[str]) -> None:
        """Put the staged checkpoints in the batch: the connector ended well, but for the excluded streams."""
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
        if self._gaps and not row.deleted:
            self._proofs.add((record.stream, row.key))
        if self._rejected_before and (healed := self._rejected_before.pop((record.stream, row.key), None)) is not None:
            self.batch.closures.append(Closure(healed, absent=row.deleted))

    def _row(self, record: Record, stream: StreamManifest) -> RecordRow:
        key = values.key_text(record.key)
        encoded = values.encode(record.data)
        values.check_size(encoded.text)
        if record.op == "upsert" and not record.partial:
            # A schema speaks of what is stored, so awkward characters are replaced before it is asked.
            checked = record.data if encoded.raw is None else json.loads(encoded.text)
            self._validators[record.stream].validate(checked)
        field = stream.cursor_field
        version = moment_of(record.data.get(field)) if field is not None else record.emitted_at.timestamp()
        if field is not None and isinstance(record.data.get(field), str) and version is not None:
            self.batch.seen[record.stream] = max(version, self.batch.seen.get(record.stream, version))
        deleted = record.op == "delete"
        return RecordRow(key, *encoded, version, record.emitted_at, deleted, record.partial)

    def _reject(self, record: Record, error: Exception) -> None:
        if isinstance(error, jsonschema_rs.ValidationError):
            text = f"{'.'.join(map(str, error.instance_path)) or 'record'} breaks the schema ({error.kind.name})"
        else:
            text = f"cannot be represented: {error}"
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
                f"STATE of stream {state.stream!r} is not taken: its place is kept by {', '.join(stream.parents)}"
            )
        cursor = self._cursor(state)
        self._gap_keys.pop(state.stream, None)
        tally = self.batch.tally(state.stream)
        tally.state_staged, tally.state_committed = True, cursor is not None and self._incremental
        if cursor is None:
            return
        self.checkpoint_errors.pop(state.stream, None)
        target = self.batch.checkpoints if self._incremental else self._staged
        target[state.stream] = cursor
        self._cover(state)

    def _cover(self, state: State) -> None:
        if state.covered is None:
            return
        for end in (state.covered.since, state.covered.until):
            if end is not None and moment_of(end) is None:
                raise ProtocolViolation(f"STATE of stream {state.stream!r} covers a period whose end is no time")
        if self._incremental:
            self.batch.covered.append((state.stream, state.covered))
        else:
            self._staged_periods.setdefault(state.stream, []).append(state.covered)

    def _cursor(self, state: State) -> str | None:
        """The cursor as text, or None when it cannot be kept; the records before it are durable all the same."""
        cursor, why = self._judge_cursor(state)
        if why is not None:
            self.checkpoint_errors[state.stream] = why
            self.batch.events.append(("checkpoint_refused", state.stream, {"why": why}))
            return None
        if self._redact(cursor) != cursor:
            raise ProtocolViolation(f"STATE of stream {state.stream!r} holds a secret of the connection")
        return cursor

    def _judge_cursor(self, state: State) -> tuple[str, str | None]:
        """The cursor as text, and why it may not be kept, if so."""
        withheld = self._withheld.pop(state.stream, None)
        if withheld is not None:
            return "", withheld
        if self._incremental and (failed := self._failed_of(state.stream)) is not None:
            return "", f"{failed} failed before it, and a cursor must not move past that"
        try:
            cursor = values.exact_json(state.cursor)
        except values.NotRepresentableError as error:
            return "", f"the cursor cannot be represented: {error}"
        if len(cursor) > CURSOR_BYTES:
            self._miss(state.stream, WHOLE_STREAM, Reason.STATE_TOO_LARGE, error=f"{len(cursor)} bytes")
            return "", f"the cursor has {len(cursor)} bytes; at most {CURSOR_BYTES} are kept"
        return cursor, None

    def _failed_of(self, checkpoint: str) -> str | None:
        """A stream of this checkpoint that failed, if one did."""
        return next(
            (name for name in self.failed_streams if checkpoint in (self._streams[name].parents or [name])), None
        )

    def _skip(self, skip: SkipResult) -> None:
        self._in_scope(skip.stream, "SKIP_RESULT")
        scope: Scope = skip.scope or WHOLE_STREAM
        reason, detail = _reason_of(skip)
        if scope == WHOLE_STREAM:
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
        if gap.parent_stream is not None and gap.parent_stream not in self._streams:
            raise ProtocolViolation(
                f"DETAIL_GAP of stream {gap.stream!r} names parent {gap.parent_stream!r}, "
                "which the manifest does not have"
            )
        known = known_reason(gap.reason)
        reason = known or (Reason.UPSTREAM_ERROR if gap.retryable else Reason.PARSE_FAILED)
        self._gap_keys.setdefault(gap.parent_stream or gap.stream, set()).add(gap.record_key)
        self._miss(
            gap.stream,
            self._gaps[gap.gap_id].scope if gap.gap_id in self._gaps else gap.scope,
            reason,
            parent=gap.parent_stream,
            error=gap.last_error if known else f"{gap.reason}: {gap.last_error or ''}",
            retry_after=gap.retry_after,
            locator=gap.detail_locator,
        )
        self._settle(gap.gap_id)

    def _recovered(self, message: DetailGapRecovered) -> None:
        if message.gap_id not in self._gaps:
            raise ProtocolViolation(f"DETAIL_GAP_RECOVERED names gap {message.gap_id}, which START did not hand over")
        if not message.absent and (message.stream, values.key_text(message.record_key)) not in self._proofs:
            raise ProtocolViolation(
                f"DETAIL_GAP_RECOVERED for gap {message.gap_id} is not proved: "
                f"no record of stream {message.stream!r} with its record_key was accepted in this slice"
            )
        self.batch.closures.append(Closure(int(message.gap_id), message.absent))
        self._settle(message.gap_id)

    def _coverage(self, coverage: DetailCoverage) -> None:
        self._in_scope(coverage.stream, "DETAIL_COVERAGE")
        announced = self._gap_keys.get(coverage.state_stream, set())
        if coverage.unaccounted_keys:
            count = len(coverage.unaccounted_keys)
            self._withheld[coverage.state_stream] = (
                f"{count} required keys of {coverage.stream} are neither read nor a gap"
            )
        elif not set(coverage.gap_keys) <= announced:
            self._withheld[coverage.state_stream] = f"a gap key of {coverage.stream} came without a DETAIL_GAP"
        if coverage.hydrated_keys:
            self.batch.hydrated.setdefault(coverage.stream, []).extend(coverage.hydrated_keys)

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
        try:
            values.storable_json(locator)
        except values.NotRepresentableError as error:
            raise ProtocolViolation(f"the locator of a miss in stream {stream!r} is no JSON: {error}") from None
        self.batch.tally(stream)
        if reason in PRESSURE and retry_after is not None:
            self.batch.cooldown_until = max(retry_after, self.batch.cooldown_until or retry_after)
        self.batch.misses.append(
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

    def _settle(self, gap_id: str | None) -> None:
        if gap_id is not None:
            self._gaps.pop(gap_id, None)
        if not self._gaps:
            self._proofs.clear()

    def _in_scope(self, stream: str, message: str) -> None:
        if stream not in self._scopes:
            raise ProtocolViolation(f"{message} of stream {stream!r} is outside the scope of START")

    _HANDLERS: Mapping[type, Callable[[Intake, Any], None]] = {
        Record: _record,
        State: _state,
        SkipResult: _skip,
        DetailGap: _detail_gap,
        DetailGapRecovered: _recovered,
        DetailCoverage: _coverage,
        Progress: _progress,
        Interaction: _interaction,
        Done: _done,
    }


def _reason_of(skip: SkipResult) -> tuple[Reason, str]:
    """The reason of our list, and the connector's own words where it used others."""
    if (known := known_reason(skip.reason)) is not None:
        return known, ""
    if skip.reason == STREAM_FAILED:
        return Reason.SOURCE_PARTITION_FAILED, ""
    if skip.hint_action == "refresh_credentials":
        return Reason.CREDENTIALS_EXPIRED, skip.reason
    if skip.hint_action == "manual_action_required":
        return Reason.CHALLENGED, skip.reason
    upgrade = skip.recovery_kind is RecoveryKind.UPGRADE or skip.hint_action in (
        "retry_on_connector_upgrade",
        "update_selector",
        "not_retriable",
    )
    return _FOREIGN_REASON[RecoveryKind.UPGRADE if upgrade else RecoveryKind.RUNTIME], skip.reason
