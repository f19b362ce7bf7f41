"""Removal of a connection with everything that is held of it, wherever it is."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from pdpp_worker import trees
from pdpp_worker.browser import profile
from pdpp_worker.local import endpoints
from pdpp_worker.owner import audit
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.runtime import removed_files
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database


class Cleaned(NamedTuple):
    """Directories of removed connections on this host: how many are gone, and why others are left."""

    gone: int
    left: list[str]


def remove_rows(db: Database, row: ConnectionRow) -> int:
    """Remove all rows of a connection under its lease; returns how many records went with it."""

    def apply(connection: Connection) -> int:
        records = connections.remove(connection, row.id)
        audit.note(connection, "connection.remove", row, connector=row.connector, records=records)
        return records

    return db.transact(apply)


def remove_files(settings: Settings, db: Database, row: ConnectionRow) -> Cleaned:
    """Remove the files and the browser profile that this host keeps of a removed connection."""
    with suppress(OSError):  # `clean` finds and names a profile that is left
        profile.remove(settings, row)
    return clean(settings, db)


def clean(settings: Settings, db: Database, *, within_s: float = trees.REMOVE_S) -> Cleaned:
    """Remove the files that this host keeps of any removed connection."""
    return Cleaned(*removed_files.remove(settings, db, within_s=within_s))


def forget_rate(settings: Settings, row: ConnectionRow) -> str | None:
    """Drop the connection's bucket; returns the kind of the failure where the pacing server cannot be reached."""
    from redis.exceptions import RedisError

    from pdpp_worker.pacing.bucket import Bucket, connect  # needs the client, which other commands do without

    url = endpoints.resolve(settings).redis_url.get_secret_value()
    try:
        Bucket(connect(url, settings.broker_timeout_s), row.id).forget()
    except RedisError as error:
        return type(error).__name__
    return None
