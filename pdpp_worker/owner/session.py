"""The settings and the database that a command works with, at the schema that this version needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pdpp_worker import logs, registry
from pdpp_worker.data_dirs import other_data_dirs
from pdpp_worker.local import endpoints
from pdpp_worker.logs import get_logger
from pdpp_worker.owner import schema
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store.engine import Database

__all__ = ["Database", "Session", "connected", "open_session"]


@dataclass(frozen=True)
class Session:
    """Open for the time of one command."""

    settings: Settings
    db: Database


@contextmanager
def open_session(*, migrating: bool = False) -> Iterator[Session]:
    """Open the database at the schema that this version needs.

    The embedded server's schema is brought up to date; on the owner's own server that is left to the owner, unless
    `migrating`.

    Raises:
        ConfigurationError: a setting is wrong, the database is out of reach, or its schema is of another version.
    """
    registry.check_ceilings(get_settings())
    with connected() as session:
        session.db.check()
        if migrating or session.settings.database_url is None:
            upgraded = schema.upgrade(session.db)
            if migrating or upgraded:
                from pdpp_worker.owner import record_tables  # few commands have anything to bring in step

                record_tables.keep_in_step(session.db)
                schema.hide_credentials(session.db)
        schema.require_current(session.db)
        yield session


@contextmanager
def connected() -> Iterator[Session]:
    """Open the database whatever its schema is, and release it and the embedded servers afterwards.

    Raises:
        ConfigurationError: a setting is wrong, or the database is out of reach.
    """
    settings = get_settings()
    logs.configure(settings)
    if not settings.data_dir.exists() and (others := other_data_dirs(settings.data_dir)):
        found = ", ".join(map(str, others))
        get_logger().warning(
            f"{settings.data_dir} is new. Data is in: {found}. To go on with it, set PDPP_DATA_DIR to its directory."
        )
    try:
        db = Database(endpoints.resolve(settings).database_url.get_secret_value())
        try:
            yield Session(settings, db)
        finally:
            db.close()
    finally:
        endpoints.release()
