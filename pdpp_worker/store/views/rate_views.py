"""Learned rates, as they were last stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text


class RateRow(NamedTuple):
    """A connection's rate as it was last known."""

    state: dict[str, Any]
    updated_at: datetime


_ROWS = text("""
    SELECT connection_id, state, updated_at FROM rate_states WHERE connection_id = ANY(:ids)
""")


def read(connection: Connection, ids: Sequence[int]) -> dict[int, RateRow]:
    """Connection to its rate; one that has sent nothing yet is left out."""
    found = connection.execute(_ROWS, {"ids": list(ids)})
    return {row.connection_id: RateRow(row.state, row.updated_at) for row in found}
