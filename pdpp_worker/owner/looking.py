"""A look of a command at the database; what only looks need not wait for what could change something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pdpp_worker import logs, registry
from pdpp_worker.local import endpoints
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store.look import look, why_unanswered
from pdpp_worker.store.views.reading import take_snapshot

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Look", "open_look", "why_unanswered"]


class Look(NamedTuple):
    """Open for the time of one command; the connection sees one state of the database, and changes nothing."""

    settings: Settings
    connection: Connection


@contextmanager
def open_look() -> Iterator[Look]:
    """Open the database at the schema that this version needs; where it has another one, as `open_session` does.

    Raises:
        ConfigurationError: a setting is wrong, the database is out of reach, or its schema is of another version.
    """
    settings = get_settings()
    registry.check_ceilings(settings)
    with ExitStack() as opened:
        connection = _at_once(settings, opened) or _by_session(opened)
        take_snapshot(connection)
        yield Look(settings, connection)


def _at_once(settings: Settings, opened: ExitStack) -> Connection | None:
    """A connection; None: there is something to be told, or to be done, before."""
    if not settings.data_dir.exists():
        return None
    logs.configure(settings)
    opened.callback(endpoints.release)
    return opened.enter_context(look(endpoints.resolve(settings).database_url.get_secret_value()))


def _by_session(opened: ExitStack) -> Connection:
    from pdpp_worker.owner.session import open_session

    session = opened.enter_context(open_session())
    return opened.enter_context(session.db.begin())
