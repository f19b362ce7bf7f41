"""`pdpp-worker connection remove`: an account goes with everything that is held of it, wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pdpp_worker import endpoints
from pdpp_worker.browser import profile
from pdpp_worker.cli.output import note, say
from pdpp_worker.cli.session import Session, open_session
from pdpp_worker.errors import NotFoundError
from pdpp_worker.runtime import removed_files
from pdpp_worker.store import connections, readmodels
from pdpp_worker.store.connections import ConnectionRow


def remove(name: str, *, confirm: Callable[[str], None]) -> None:
    """Remove a connection, and what an earlier removal could not reach; says what is left, and who removes it.

    Raises:
        NotFoundError: there is no such connection, and nothing was left of one.
    """
    with open_session() as session:
        try:
            row, gone = _remove_rows(session, name, confirm)
        except NotFoundError:
            if not _clean(session):
                raise
            say("What was left of a removed connection is gone now.")
            return
        with suppress(OSError):  # what it leaves is said next
            profile.remove(session.settings, row)
        _clean(session)
        _forget_pace(session, row.id)
    say(f"Removed {name} and {gone:,} records.")


def _remove_rows(session: Session, name: str, confirm: Callable[[str], None]) -> tuple[ConnectionRow, int]:
    with session.db.begin() as connection:
        row = connections.get(connection, name)
        held = readmodels.records_held(connection, row.id)
    confirm(f"Remove {name} and its {held:,} records for good?")
    return row, session.db.transact(partial(connections.remove, connection_id=row.id))


def _clean(session: Session) -> int:
    """Remove what this host keeps; returns how many directories are gone."""
    gone, left = removed_files.remove(session.settings, session.db)
    for why in left:
        note(f"Not removed yet: {why}. A worker of this host removes it once it can; or give the same command again.")
    return gone


def _forget_pace(session: Session, connection_id: int) -> None:
    from redis.exceptions import RedisError

    from pdpp_worker.pacing.bucket import Bucket, connect  # needs the client, which other commands do without

    url = endpoints.resolve(session.settings).redis_url.get_secret_value()
    try:
        Bucket(connect(url, session.settings.broker_timeout_s), connection_id).forget()
    except RedisError as error:
        note(f"The pacing server cannot be reached ({type(error).__name__}); it forgets the account's pace in a day.")
