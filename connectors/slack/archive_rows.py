"""Rows of slackdump's archive, as they are read."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from connectors.slack.fields import decoded
from connectors.slack.rows import Obj
from pdpp_worker.connector import UnreadableDatabaseError

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Row(NamedTuple):
    """A row of a table; `raw` is None when its JSON cannot be read."""

    chunk: int
    id: Any
    raw: Obj | None
    extra: Any = None
    has_other: bool = False


class MessageRow(NamedTuple):
    """The newest row of a message; `id` is a number, unless the row is damaged."""

    chunk: int
    id: Any
    channel: str
    ts: str
    raw: Obj | None
    earlier: list[Obj]
    """Earlier versions, newest first."""


class Crowd(NamedTuple):
    """The members of a channel, and those whom only earlier sessions saw there."""

    channel: str
    members: list[str]
    gone: list[str]
    is_short: bool
    """Whether the last session that came by named fewer than it counted, so that nobody is known to have left."""


def require(table: str, *values: tuple[Any, type]) -> None:
    """SQLite keeps in a column what it is given, whatever the column is declared to hold."""
    if not all(isinstance(value, kind) for value, kind in values):
        raise UnreadableDatabaseError(f"{table} has a row whose numbers or ids are of another type than its columns")


def day(loaded: Any) -> str | None:
    """The day of a time as the archive writes it."""
    found = _DAY.match(str(loaded))
    return found[0] if found else None


def decode(data: bytes | None) -> Obj | None:
    """A row's JSON object, or None when it is none."""
    if data is None:
        return None
    found = decoded(data)
    return found if isinstance(found, dict) else None
