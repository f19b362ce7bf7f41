"""The batch that the next commit writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE, Reason
from pdpp_worker.protocol.scope import Scope
from pdpp_worker.store.batch import Batch, RecordRow
from pdpp_worker.store.effects import GapReport, Row


class PendingBatch:
    """A batch that grows message by message, and its size."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.batch = Batch()
        self.size = 0
        """Bytes of encoded records."""
        self.rows = 0
        """Records."""

    def take(self) -> Batch:
        """Hand over the batch and begin a new one."""
        full, self.batch, self.size, self.rows = self.batch, Batch(), 0, 0
        return full

    def add_row(self, stream: str, row: RecordRow) -> Row:
        """Add a record; returns its position in the batch."""
        rows = self.batch.records.setdefault(stream, [])
        rows.append(row)
        self.size += len(row.text)
        self.rows += 1
        if row.version is not None:
            self.batch.seen[stream] = max(row.version, self.batch.seen.get(stream, row.version))
        return Row(stream, len(rows) - 1)

    def report_gap(
        self,
        stream: str,
        scope: Scope,
        reason: Reason,
        *,
        parent: str | None = None,
        error: str | None = None,
        retry_after: datetime | None = None,
        version_required: str | None = None,
        locator: dict[str, Any] | None = None,
        record_key: float | None = None,
    ) -> None:
        """Report something that was expected and not obtained; `error` is redacted here."""
        self.batch.tally(stream)
        if reason in PRESSURE and retry_after is not None:
            self.batch.cooldown_until = max(retry_after, self.batch.cooldown_until or retry_after)
        self.batch.effects.append(
            GapReport(
                stream=stream,
                scope=scope,
                reason=reason.value,
                recovery_kind=reason.kind.value,
                parent_stream=parent,
                retry_after=retry_after,
                connector_version_required=version_required,
                detail_locator=locator,
                record_key=record_key,
                last_error=None if error is None else self._redact(error),
                waits_for_owner=reason in NEEDS_OWNER,
            )
        )
