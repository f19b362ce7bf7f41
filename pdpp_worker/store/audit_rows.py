"""The audit log: rows are added in the transaction of the change that they tell of, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from pdpp_worker.store.tables import audit
from pdpp_worker.store.values import storable


def append(
    connection: Connection,
    who: str,
    action: str,
    connection_id: int | None,
    connection_name: str | None,
    data: Mapping[str, Any],
) -> None:
    """Add a row. `data` holds no secret."""
    values = {
        "who": storable(who),
        "action": action,
        "connection_id": connection_id,
        "connection": connection_name,
        "data": storable(dict(data)),
    }
    connection.execute(insert(audit).values(values))
