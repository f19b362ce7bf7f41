"""Questions of a backup to the database, and the one change that it makes."""

from __future__ import annotations

from sqlalchemy import Connection, text

from pdpp_worker.store.process_names import APPLICATION
from pdpp_worker.store.tables import metadata
from pdpp_worker.tabular.view_sql import SCHEMA

_OTHERS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, :name) AND pid <> pg_backend_pid()
""")
_HOLDS_CONNECTIONS = text("SELECT EXISTS (SELECT 1 FROM connections)")
_TABLES = ", ".join(f'"{name}"' for name in [*metadata.tables, "alembic_version"])
_DROP = text(f"DROP TABLE IF EXISTS {_TABLES} CASCADE")
_DROP_VIEWS = text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def others_at_work(connection: Connection) -> bool:
    """Whether other processes of this program are connected to the database."""
    return bool(connection.execute(_OTHERS, {"name": APPLICATION}).scalar_one())


def holds_connections(connection: Connection) -> bool:
    """Whether an owner has connected any account."""
    return bool(connection.execute(_HOLDS_CONNECTIONS).scalar_one())


def drop_tables(connection: Connection) -> None:
    """Drop all tables and the views on them: those of a newer version are in no older backup."""
    connection.execute(_DROP_VIEWS)
    connection.execute(_DROP)
