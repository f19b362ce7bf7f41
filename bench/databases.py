"""Databases for single measures, made by the superuser and owned by the program's role, as the fleet's own is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, make_url, text

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.local.embedded.database_roles import ROLE, SUPERUSER
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database


@contextmanager
def database(servers: EmbeddedServers, name: str) -> Iterator[str]:
    """A migrated database that lasts for the block; its URL."""
    url = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    with superuser(servers) as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" OWNER {ROLE}'))
    db = Database(url)
    migrate.upgrade(db)
    db.close()
    yield url
    with superuser(servers) as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    checkpoint(servers)


def checkpoint(servers: EmbeddedServers) -> None:
    """Let the server write out what it holds: what one measure leaves to be written would be paid for by the next."""
    with superuser(servers) as connection:
        connection.execute(text("CHECKPOINT"))


@contextmanager
def superuser(servers: EmbeddedServers) -> Iterator[Connection]:
    """A connection of the server's superuser, without transactions."""
    _ = servers.database_url  # which starts the server
    engine = create_engine(servers._postgres.url_of(SUPERUSER), isolation_level="AUTOCOMMIT")  # noqa: SLF001
    with engine.connect() as connection:
        yield connection
    engine.dispose()
