"""Tells that something was committed that a page may show: a notification of PostgreSQL, which is lost without harm."""

from __future__ import annotations

from sqlalchemy import Connection, text

CHANNEL = "pdpp_changed"
_TELL = text(f"SELECT pg_notify('{CHANNEL}', '')")


def tell(connection: Connection) -> None:
    """Tell it once this transaction is committed."""
    connection.execute(_TELL)
