"""The notifier: looks what waits for the owner, and tells what was not told yet."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from pdpp_worker.coverage import all_streams, cards
from pdpp_worker.coverage.cards import Need
from pdpp_worker.coverage.outlook import read
from pdpp_worker.logs import get_logger
from pdpp_worker.notices import sending
from pdpp_worker.notices.causes import causes
from pdpp_worker.settings import Settings
from pdpp_worker.store import notices
from pdpp_worker.store.engine import Database

Send = Callable[[SecretStr, str], bool]


def tell(settings: Settings, db: Database, send: Send = sending.send) -> int:
    """Tell the owner each new cause, and each one that is over; returns how many sentences were taken.

    A sentence that no service takes is tried again at a later look. Does nothing without `PDPP_NOTIFY_URL`.

    Raises:
        ConfigurationError: the setting cannot be used.
    """
    if settings.notify_url is None:
        return 0
    with db.begin() as connection:
        notices.note(connection, causes(_needs(settings, db)))
        due = notices.claim(connection)
    done = 0
    for one in due:
        if not send(settings.notify_url, f"Over: {one.sentence}" if one.over else one.sentence):
            get_logger().warning("A notice was not taken; it is tried again.", sentence=one.sentence)
            continue
        with db.begin() as connection:
            notices.told(connection, one)
        done += 1
    return done


def _needs(settings: Settings, db: Database) -> list[Need]:
    with db.begin() as connection:
        outlooks = read(settings, connection)
        streams = all_streams.read(connection, outlooks)
    return [
        need
        for one in outlooks
        for need in cards.needs(one, [each for each in streams if each.connection == one.view.name])
    ]
