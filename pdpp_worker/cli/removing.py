"""`pdpp-worker connection remove`, with the sentences that it prints."""

from __future__ import annotations

from collections.abc import Callable

from pdpp_worker.cli.output import note, say
from pdpp_worker.errors import NotFoundError
from pdpp_worker.owner import lookup, removal
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.removal import Cleaned
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import connection_views


def remove(name: str, *, confirm: Callable[[str], None]) -> None:
    """Remove a connection, and what an earlier removal could not reach; says what is left, and who removes it.

    Raises:
        NotFoundError: there is no such connection, and nothing was left of one.
    """
    with open_session() as session:
        try:
            row, gone = _remove_rows(session, name, confirm)
        except NotFoundError:
            if not _say_left(removal.clean(session.settings, session.db)):
                raise
            say("What was left of a removed connection is gone now.")
            return
        _say_left(removal.remove_files(session.settings, session.db, row))
        failure = removal.forget_rate(session.settings, row)
        if failure is not None:
            note(f"The pacing server cannot be reached ({failure}); it forgets the account's pace in a day.")
    say(f"Removed {name} and {gone:,} records.")


def _remove_rows(session: Session, name: str, confirm: Callable[[str], None]) -> tuple[ConnectionRow, int]:
    with session.db.begin() as connection:
        row = lookup.find(connection, name)
        held = connection_views.records_held(connection, row.id)
    confirm(f"Remove {name} and its {held:,} records for good?")
    return row, removal.remove_rows(session.db, row)


def _say_left(cleaned: Cleaned) -> int:
    """Say what could not be removed from this host; returns how many directories are gone."""
    for why in cleaned.left:
        note(f"Not removed yet: {why}. A worker of this host removes it once it can; or give the same command again.")
    return cleaned.gone
