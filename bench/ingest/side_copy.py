"""The limit: rows that are ready go through COPY, in one transaction, into a table like `records` with its key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import psycopg
from psycopg.copy import Copy, FileWriter
from psycopg.types.json import set_json_dumps

from bench.ingest import data

TABLE = "copied"

_ROWS_FILE = "records.copy"
_BLOCK_BYTES = 128 * 1024
_TYPES = (
    *("int8", "text", "text", "jsonb", "bytea", "bytea", "float8", "bool", "timestamptz", "timestamptz"),
    *("int8", "int8", "text", "text"),
)
_CREATE = f"CREATE TABLE {TABLE} (LIKE records INCLUDING ALL)"
_COPY = f"COPY {TABLE} FROM STDIN (FORMAT BINARY)"
_COLLECTED = datetime(2026, 1, 1, tzinfo=UTC)


def prepare(database_url: str, folder: Path) -> None:
    """Write the rows to the folder, in the form that COPY takes."""
    with _connect(database_url) as connection, connection.cursor() as cursor, (folder / _ROWS_FILE).open("wb") as file:
        set_json_dumps(str.encode, cursor)
        with Copy(cursor, binary=True, writer=FileWriter(file)) as copy:
            copy.set_types(_TYPES)
            for item, _ in data.read(folder):
                copy.write_row(_row(item))


def load(database_url: str, _redis_url: str, folder: str) -> None:
    """Load all records."""
    with _connect(database_url) as connection, (Path(folder) / _ROWS_FILE).open("rb") as file:
        connection.execute(_CREATE)
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            while block := file.read(_BLOCK_BYTES):
                copy.write(block)


def _connect(database_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(database_url.replace("+psycopg", "", 1))


def _row(item: data.Item) -> tuple[Any, ...]:
    text = json.dumps(item, ensure_ascii=False)
    digest = blake2b(text.encode(), digest_size=16).digest()
    version = datetime.fromisoformat(item[data.CURSOR_FIELD]).timestamp()
    return 1, data.STREAM, item["id"], text, None, digest, version, False, _COLLECTED, None, 1, 1, None, None
