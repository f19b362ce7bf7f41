"""Earlier versions of a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdpp_worker.store.sql import text
from pdpp_worker.store.views.reading import build

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class RecordVersion:
    """The content of a record that another one took the place of."""

    place: int
    """Its place among the versions of the record, from one on."""
    emitted_at: datetime
    deleted_at: datetime | None
    """When the source deleted it; it came back as another one."""
    partial: bool
    run_id: int
    """The run that wrote it last."""
    connector_version: str | None
    replaced_at: datetime
    replaced_by_run_id: int
    bytes: int
    data: dict[str, Any] | None
    """Null: it was too large to keep."""


_OF_RECORD = text("""
    SELECT * FROM record_versions WHERE connection_id = :id AND stream = :stream AND key = :key ORDER BY place DESC
""")


def of_record(connection: Connection, connection_id: int, stream: str, key: str) -> list[RecordVersion]:
    """The earlier versions of a record that are kept, the latest first."""
    rows = connection.execute(_OF_RECORD, {"id": connection_id, "stream": stream, "key": key}).mappings()
    return [build(RecordVersion, row) for row in rows]
