"""Notices that the owner gets outside the fleet: each cause once, and once more when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

SETTLES_S = 600
"""A cause that is gone for less is the same one when it comes back."""
TRY_AGAIN_S = 30
"""A sender that was killed, or whose service did not answer, is followed by the next one after this: by the next look,
which comes after a minute."""

_SEEN = text("""
    INSERT INTO notices (connection_id, cause, sentence)
    SELECT * FROM unnest(CAST(:connections AS bigint[]), CAST(:causes AS text[]), CAST(:sentences AS text[]))
    ON CONFLICT (connection_id, cause) DO UPDATE SET gone_at = NULL, sentence = excluded.sentence
""")
_GONE = text("""
    UPDATE notices SET gone_at = clock_timestamp()
    WHERE gone_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM unnest(CAST(:connections AS bigint[]), CAST(:causes AS text[])) AS seen (connection_id, cause)
        WHERE seen.connection_id = notices.connection_id AND seen.cause = notices.cause
    )
""")
# What went before anybody was told of it needs no word.
_FORGET = text("DELETE FROM notices WHERE told_at IS NULL AND gone_at IS NOT NULL")
_CLAIM = text("""
    UPDATE notices SET tried_at = clock_timestamp()
    WHERE id IN (
        SELECT id FROM notices
        WHERE (told_at IS NULL OR gone_at < clock_timestamp() - :settles * interval '1 second')
          AND (tried_at IS NULL OR tried_at < clock_timestamp() - :again * interval '1 second')
        ORDER BY id FOR UPDATE SKIP LOCKED
    )
    RETURNING id, sentence, told_at IS NOT NULL AS over
""")
_TOLD = text("UPDATE notices SET told_at = clock_timestamp(), tried_at = NULL WHERE id = :id AND told_at IS NULL")
_OVER = text("DELETE FROM notices WHERE id = :id AND gone_at IS NOT NULL")


class Notice(NamedTuple):
    """A sentence that the owner is to be told; `over`: that what it says is no longer so."""

    id: int
    sentence: str
    over: bool


class Seen(NamedTuple):
    """A cause that is there now."""

    connection_id: int
    cause: str
    sentence: str


def note(connection: Connection, seen: Sequence[Seen]) -> None:
    """Note which causes are there now; those that were and are not count as gone."""
    values = {"connections": [one.connection_id for one in seen], "causes": [one.cause for one in seen]}
    connection.execute(_SEEN, {**values, "sentences": [one.sentence for one in seen]})
    connection.execute(_GONE, values)
    connection.execute(_FORGET)


def claim(connection: Connection) -> list[Notice]:
    """Take what is to be told now. Of two senders one has it; commit before it is sent."""
    claimed = connection.execute(_CLAIM, {"settles": SETTLES_S, "again": TRY_AGAIN_S})
    return sorted(Notice(row.id, row.sentence, row.over) for row in claimed)


def told(connection: Connection, notice: Notice) -> None:
    """Note that the owner was told."""
    connection.execute(_OVER if notice.over else _TOLD, {"id": notice.id})
