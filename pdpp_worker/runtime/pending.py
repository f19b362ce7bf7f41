"""The batch that the next commit writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import Inventory
from pdpp_worker.protocol.reasons import NEEDS_OWNER, PRESSURE, Reason
from pdpp_worker.protocol.scope import Scope
from pdpp_worker.store.batch import Batch, RecordRow
from pdpp_worker.store.effects import GapReport

MOST_PARTS = 100
"""Parts of a source that one slice may name."""


class PendingBatch:
    """A batch that grows message by message, and its size."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.batch = Batch()
        self._parts: set[str] = set()
        self.size = 0
        """Bytes of encoded records."""
        self.rows = 0
        """Records."""

    @property
    def is_empty(self) -> bool:
        """Whether a commit would write nothing."""
        return self.batch == Batch()

    def take(self) -> Batch:
        """Hand over the batch and begin a new one."""
        full, self.batch, self.size, self.rows = self.batch, Batch(), 0, 0
        for stream, rows in full.records.items():
            times = [row.version for row in rows if row.version is not None]
            if times:
                full.seen[stream] = max(times)
        return full

    def add_row(self, stream: str, row: RecordRow) -> int:
        """Add a record; returns its position among those of the stream in the batch."""
        rows = self.batch.records.setdefault(stream, [])
        rows.append(row)
        self.size += len(row.text)
        self.rows += 1
        return len(rows) - 1

    def add_inventory(self, inventory: Inventory) -> None:
        """Add the members of a part of the source; their names and reasons are redacted here.

        Raises:
            ProtocolViolation: it is one part too many.
        """
        self._parts.add(inventory.part)
        if len(self._parts) > MOST_PARTS:
            raise ProtocolViolation(f"INVENTORY names more than {MOST_PARTS} parts of the source", field="part")
        self.batch.inventories[self._redact(inventory.part)] = [
            one.model_copy(
                update={
                    "name": self._redact(one.name),
                    "reason": None if one.reason is None else self._redact(one.reason),
                }
            )
            for one in inventory.members
        ]

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
