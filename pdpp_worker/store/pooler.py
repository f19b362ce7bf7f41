"""Connections that may lead through a pooler, such as PgBouncer.

A pooler may hand each transaction to another session of the server. The bounds that were named at the start of a
session are then lost, so each transaction names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event

from pdpp_worker.store.silence import WatchedConnection

_UNSUPPORTED = "unsupported startup parameter"
_OWN_PID = "SELECT pg_backend_pid()"


class Sessions:
    """Opens connections for an engine, each with the same settings of its session."""

    def __init__(self, engine: Engine, session: Mapping[str, str | int]) -> None:
        """`session`: settings by name; neither names nor values need quoting."""
        self._for_a_session = " ".join(f"-c {name}={value}" for name, value in session.items())
        self._for_a_transaction = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in session.items())
        event.listen(engine, "begin", self._begin)

    def open(self, parameters: Mapping[str, Any]) -> WatchedConnection:
        """A connection whose session, or each of whose transactions, has the settings."""
        try:
            connection = WatchedConnection.open({**parameters, "options": self._for_a_session})
        except psycopg.OperationalError as error:
            if _UNSUPPORTED not in str(error):
                raise
            connection = WatchedConnection.open(dict(parameters))
        connection.is_pooled = _is_pooled(connection)
        return connection

    def _begin(self, connection: Connection) -> None:
        given = connection.connection.dbapi_connection
        if isinstance(given, WatchedConnection) and given.is_pooled:
            # A SELECT would have to come after what a transaction says of itself, such as that it is read only.
            connection.exec_driver_sql(self._for_a_transaction)


def _is_pooled(connection: WatchedConnection) -> bool:
    """Whether a pooler answers: the process that it names is not the one that does the work."""
    row = connection.execute(_OWN_PID).fetchone()
    connection.rollback()
    return row != (connection.pgconn.backend_pid,)
