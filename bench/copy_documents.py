"""The load that one would write by hand for a file: orjson, and one COPY of (key, document) into a table with a key."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg


def copy(database_url: str, rows: Iterable[tuple[str, bytes]]) -> None:
    """Copy rows in one transaction; of rows with one key the last ones are left out."""
    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE documents (key text PRIMARY KEY, data jsonb NOT NULL)")
        seen: set[str] = set()
        with cursor.copy("COPY documents FROM STDIN") as writer:
            for key, document in rows:
                if key not in seen:
                    seen.add(key)
                    writer.write(key.encode() + b"\t" + document.replace(b"\\", b"\\\\") + b"\n")
