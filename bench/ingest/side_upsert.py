"""Code as written by hand: SQLAlchemy, INSERT ... ON CONFLICT DO UPDATE, 1,000 rows a batch and transaction."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, MetaData, Table, Text, create_engine
from sqlalchemy.dialects.postgresql import JSONB, insert

from bench.ingest import data

TABLE = "upserted"

_BATCH = 1000
_table = Table(
    TABLE,
    MetaData(),
    Column("stream", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("data", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)
_new = insert(_table)
_UPSERT = _new.on_conflict_do_update(
    index_elements=[_table.c.stream, _table.c.key],
    set_={"data": _new.excluded.data, "updated_at": _new.excluded.updated_at},
)


def load(database_url: str, _redis_url: str, folder: str) -> None:
    """Load all records."""
    engine = create_engine(database_url)
    _table.create(engine, checkfirst=True)
    rows = map(_row, data.read(Path(folder)))
    while batch := list(islice(rows, _BATCH)):
        with engine.begin() as connection:
            connection.execute(_UPSERT, batch)
    engine.dispose()


def _row(read: tuple[data.Item, int]) -> dict[str, Any]:
    item, _ = read
    updated_at = datetime.fromisoformat(item[data.CURSOR_FIELD])
    return {"stream": data.STREAM, "key": item["id"], "data": item, "updated_at": updated_at}
