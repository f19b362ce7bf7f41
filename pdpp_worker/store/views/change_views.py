"""Changes as they are committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.store.engine import Database

CHANNEL = "pdpp_changed"
"""Triggers of all tables that a page shows tell here that something was committed; a word that is lost harms nobody."""
_LOOK_S = 1.0


def listen(db: Database, stopping: Callable[[], bool]) -> Iterator[None]:
    """Yield after each time that a change was told, until `stopping`, which is asked each second.

    Raises:
        ConnectionError: the database is out of reach.
    """
    try:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute(f"LISTEN {CHANNEL}")
            connection.detach()  # no other user of the pool is to get these notifications
            while not stopping():
                if list(driver.notifies(timeout=_LOOK_S, stop_after=1)):
                    yield None
    except (psycopg.Error, SQLAlchemyError) as error:
        raise ConnectionError(type(error).__name__) from None
