"""The audit log: who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from pdpp_worker.store.views.reading import build


@dataclass(frozen=True)
class AuditView:
    """One change."""

    id: int
    at: datetime
    who: str
    action: str
    connection_id: int | None
    connection: str | None
    """Its name then; None: the change is of no single connection."""
    data: dict[str, Any]


_LATEST = text("""
    SELECT * FROM audit
    WHERE (CAST(:connection AS text) IS NULL OR connection = :connection)
        AND (CAST(:action AS text) IS NULL OR action = :action OR starts_with(action, :action || '.'))
        AND (CAST(:who AS text) IS NULL OR starts_with(who, :who))
        AND (CAST(:seconds AS double precision) IS NULL OR at >= clock_timestamp() - :seconds * interval '1 second')
    ORDER BY id DESC LIMIT :limit
""")


def latest(
    connection: Connection,
    *,
    name: str | None,
    action: str | None,
    who: str | None,
    within_s: float | None,
    limit: int,
) -> list[AuditView]:
    """The latest changes, oldest first: of a connection by its name, of an action or a group of them, by somebody."""
    values = {"connection": name, "action": action, "who": who, "seconds": within_s, "limit": limit}
    rows = connection.execute(_LATEST, values).mappings().all()
    return [build(AuditView, row) for row in reversed(rows)]
