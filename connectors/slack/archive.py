"""slackdump's archive: a SQLite database (schema of version 4), opened to be read only.

The same message, channel, person or file lies in many chunks, once for each time it was fetched; the row of the
highest chunk is the newest. Chunks are only ever added, so a position in the archive is a chunk and an id within it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from connectors.slack.archive_rows import Crowd, MessageRow, Row, day, decode, require
from connectors.slack.archive_schema import Schema
from connectors.slack.errors import ArchiveError
from connectors.slack.fields import integer, micros, text, ts_of
from connectors.slack.rows import Obj
from connectors.slack.small_rows import GONE_MODES
from pdpp_worker.connector import ForeignDatabase, Reason, UnreadableDatabaseError, open_database

FILE_NAME = "slackdump.sqlite"
TABLES = ("SESSION", "CHUNK", "MESSAGE", "CHANNEL")
"""Tables by which an archive is known; one that is missing costs what it would say, and nothing else."""

UNREADABLE = (UnreadableDatabaseError, OSError)
"""Failures of a damaged archive."""

LARGEST_DATA = 4 * 1024 * 1024
"""Bytes of an object that is read; SQLite would refuse a larger value, and with it all that comes after."""
_BEGINNING = (0, "")


def _data(table: str) -> str:
    """The object in a row of the table; null where it is too large."""
    return f"CASE WHEN length({table}.DATA) <= {LARGEST_DATA} THEN CAST({table}.DATA AS BLOB) END"


# The plus keeps SQLite from the index by channel, which would lead through all messages of a channel for each of them.
# A message comes once for each of its earlier versions, since a question for them would cost more than the message.
_MESSAGES = f"""
    SELECT m.CHUNK_ID, m.ID, m.CHANNEL_ID, m.TS, {_data("m")}, {_data("o")}
    FROM MESSAGE m LEFT JOIN MESSAGE o ON o.ID = m.ID AND o.CHUNK_ID < m.CHUNK_ID AND +o.CHANNEL_ID = m.CHANNEL_ID
    WHERE {{where}} AND NOT EXISTS (
        SELECT 1 FROM MESSAGE n WHERE n.ID = m.ID AND n.CHUNK_ID > m.CHUNK_ID AND +n.CHANNEL_ID = m.CHANNEL_ID)
    ORDER BY m.CHUNK_ID, m.ID, o.CHUNK_ID DESC
"""  # noqa: S608 - a constant
MESSAGES_AFTER = _MESSAGES.format(where="(m.CHUNK_ID, m.ID) > (?, ?)")
_NEWEST = f"""
    SELECT t.CHUNK_ID, t.ID, {_data("t")}, {{columns}}, EXISTS (
        SELECT 1 FROM {{table}} o WHERE o.ID = t.ID AND o.CHUNK_ID < t.CHUNK_ID)
    FROM {{table}} t WHERE (t.CHUNK_ID, t.ID) > (?, ?)
        AND NOT EXISTS (SELECT 1 FROM {{table}} n WHERE n.ID = t.ID AND n.CHUNK_ID > t.CHUNK_ID)
    ORDER BY t.CHUNK_ID, t.ID
"""  # noqa: S608 - a constant
_CHANNELS = f"""
    SELECT t.CHUNK_ID, t.ID, {_data("t")}, {{columns}}, EXISTS (
        SELECT 1 FROM CHANNEL n WHERE n.ID = t.ID AND n.CHUNK_ID > t.CHUNK_ID)
    FROM CHANNEL t WHERE (t.CHUNK_ID, t.ID) > (?, ?)
    ORDER BY t.CHUNK_ID, t.ID
"""  # noqa: S608 - a constant
_KNOWN_FILE = """
    SELECT {columns}, CAST(DATA AS BLOB) FROM FILE WHERE ID = ? AND CHUNK_ID < ? ORDER BY CHUNK_ID DESC
"""
_CROWDS = """
    SELECT u.CHANNEL_ID, max(c.SESSION_ID), max(u.CHUNK_ID) FROM CHANNEL_USER u JOIN CHUNK c ON c.ID = u.CHUNK_ID
    WHERE u.CHANNEL_ID > ? GROUP BY u.CHANNEL_ID
    HAVING max(u.CHUNK_ID) > ? OR u.CHANNEL_ID IN (SELECT value FROM json_each(?)) ORDER BY u.CHANNEL_ID
"""
_BROUGHT: dict[Any, tuple[str, str]] = {
    **dict.fromkeys((0, 1), ("MESSAGE", "ID, CHANNEL_ID")),
    2: ("FILE", "ID, CHANNEL_ID"),
    3: ("S_USER", "ID, USERNAME"),
    **dict.fromkeys((4, 5), ("CHANNEL", "ID, NAME")),
    6: ("WORKSPACE", "TEAM_ID, USER_ID"),
    7: ("CHANNEL_USER", "CHANNEL_ID, USER_ID"),
}
"""Kind of chunk to the table that holds what it brought, and columns that tell its rows apart."""
_CROWD = """
    SELECT u.USER_ID, max(c.SESSION_ID = ?) FROM CHANNEL_USER u JOIN CHUNK c ON c.ID = u.CHUNK_ID
    WHERE u.CHANNEL_ID = ? GROUP BY u.USER_ID ORDER BY u.USER_ID
"""


def database_of(setting: str) -> Path:
    """The database that the setting names, by its directory or by its own path."""
    path = Path(setting)
    return path if path.suffix in (".sqlite", ".db") else path / FILE_NAME


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive to read it.

    Raises:
        ArchiveError: it is not there, cannot be read, or has another schema.
    """
    if not path.is_file():
        raise ArchiveError(f"there is no {path.name} in the directory that `archive` names")
    try:
        with open_database(path) as database:
            yield Archive(database)
    except UNREADABLE as error:
        raise ArchiveError(as_sentence(error)) from error


def as_sentence(error: Exception) -> str:
    """A failure of the archive as a sentence for the owner."""
    return f"the archive cannot be read: {error}"


def reason_of(text: str) -> Reason:
    """The reason for what cannot be read, by SQLite's words: a table or column that is not there, or a damage."""
    return Reason.SHAPE_CHANGED if "no such" in text else Reason.SOURCE_PARTITION_FAILED


class Archive:
    """An open archive; every method raises one of `UNREADABLE` when it cannot be read."""

    def __init__(self, database: ForeignDatabase) -> None:
        self.database = database
        self.schema = Schema(database)
        if self.schema.tables.isdisjoint(TABLES):
            text = f"the archive has no table {', '.join(TABLES)}; slackdump's of version 4 has"
            raise ArchiveError(text, Reason.SHAPE_CHANGED)
        first = self._sessions("ID", "CREATED_AT")[:1] or [("", "")]
        self.identity = f"{first[0][0]} {first[0][1]}"
        """Names the archive: a position with another identity is none in this one."""

    @property
    def is_finished(self) -> bool:
        """Whether slackdump says of its last session that it came to its end."""
        last = self._sessions("FINISHED")[-1:]
        return bool(last and last[0][0])

    def _sessions(self, *columns: str) -> list[tuple[Any, ...]]:
        """The sessions, oldest first; none where the archive kept none."""
        if "SESSION" not in self.schema.tables:
            return []
        query = f"SELECT {self.schema.pick('SESSION', *columns)} FROM SESSION ORDER BY rowid"  # noqa: S608
        return self.database.execute(query).fetchall()

    def holds(self, table: str) -> bool:
        """Whether a table is there and has any row."""
        query = f"SELECT 1 FROM {table} LIMIT 1"  # noqa: S608
        return table in self.schema.tables and self.database.execute(query).fetchone() is not None

    def lists_file(self, key: str) -> bool:
        """Whether a file has a row of its own."""
        query = "SELECT 1 FROM FILE WHERE ID = ? LIMIT 1"
        return "FILE" in self.schema.tables and self.database.execute(query, (key,)).fetchone() is not None

    def message_count(self, after: tuple[int, int] = (0, 0)) -> int:
        """The number of rows of messages after a position; superseded ones are counted too."""
        query = "SELECT count(*) FROM MESSAGE WHERE CHUNK_ID >= ?"
        return int(self.database.execute(query, after[:1]).fetchone()[0])

    def newest_message(self) -> int | None:
        """The time at which the newest message was sent, microseconds since 1970."""
        found = self.database.execute("SELECT max(ID) FROM MESSAGE").fetchone()[0]
        return found if isinstance(found, int) else None

    def messages(self, after: tuple[int, int] = (0, -1)) -> Iterator[MessageRow]:
        """The newest version of every message, in the order of chunks."""
        return self._messages(MESSAGES_AFTER, after)

    def messages_of(self, channel: str, thread: str | None = None) -> Iterator[MessageRow]:
        """The newest version of the messages of a channel, or of one thread with its parent."""
        if thread is None:
            return self._messages(_MESSAGES.format(where="m.CHANNEL_ID = ?"), (channel,))
        parent = micros(thread)
        where = "m.CHANNEL_ID = ? AND (m.PARENT_ID = ? OR m.ID = ?)"
        return self._messages(_MESSAGES.format(where=where), (channel, parent, parent))

    def message(self, channel: str, ts: str) -> Iterator[MessageRow]:
        """The newest version of one message."""
        return self._messages(_MESSAGES.format(where="m.ID = ? AND m.CHANNEL_ID = ?"), (micros(ts), channel))

    def users(self, after: tuple[int, str] = _BEGINNING) -> Iterator[Row]:
        """The newest row of every person."""
        return self._rows(_NEWEST.format(table="S_USER", columns="NULL"), after)

    def files(self, after: tuple[int, str] = _BEGINNING) -> Iterator[Row]:
        """The newest row of every file; `extra` is its mode, and `has_other` says whether there is an older one."""
        return self._rows(_NEWEST.format(table="FILE", columns=self.schema.pick("FILE", "MODE")), after)

    def newest(self, table: str, key: str) -> Row | None:
        """The newest row of one channel, person or file; `extra` is when it was loaded."""
        loaded = self.schema.pick(table, "LOAD_DTTM")
        query = f"SELECT CHUNK_ID, ID, CAST(DATA AS BLOB), {loaded} FROM {table} WHERE ID = ? ORDER BY CHUNK_ID DESC"  # noqa: S608
        row = self.database.execute(f"{query} LIMIT 1", (key,)).fetchone()
        return Row(row[0], row[1], decode(row[2]), day(row[3])) if row else None

    def known_file(self, row: Row) -> Obj | None:
        """The last object of a file before it was gone."""
        if not row.has_other:
            return None
        query = _KNOWN_FILE.format(columns=self.schema.pick("FILE", "MODE"))
        for mode, data in self.database.execute(query, (row.id, row.chunk)):
            raw = decode(data)
            if raw is not None and (text(mode) or text(raw.get("mode"))) not in GONE_MODES:
                return raw
        return None

    def channels(self, after: tuple[int, str] = _BEGINNING) -> Iterator[Row]:
        """Every row of every channel, oldest first; `extra` is the day (YYYY-MM-DD) on which it was seen so, and
        `has_other` says whether there is a newer one."""
        for row in self._rows(_CHANNELS.format(columns=self.schema.pick("CHANNEL", "LOAD_DTTM")), after):
            yield row._replace(extra=day(row.extra))

    def workspaces(self, chunk: int) -> Iterator[Obj]:
        """The workspace as auth.test described it in chunks above `chunk`, newest last."""
        columns = {"TEAM_ID": "team_id", "TEAM": "team", "URL": "url", "USER_ID": "user_id", "USERNAME": "user"}
        picked = self.schema.pick("WORKSPACE", *columns, "ENTERPRISE_ID")
        query = f"SELECT {picked} FROM WORKSPACE WHERE CHUNK_ID > ? ORDER BY rowid"  # noqa: S608
        for row in self.database.execute(query, (chunk,)):
            yield dict(zip((*columns.values(), "enterprise_id"), row, strict=True))

    def newest_workspace(self) -> Iterator[Obj]:
        """The workspace as it was described last, where the archive says of which it is."""
        if self.holds("WORKSPACE"):
            yield from list(self.workspaces(0))[-1:]

    def mark(self, chunk: int) -> str:
        """A short text that tells a chunk from another one of the same number in another copy of the archive."""
        query = f"SELECT {self.schema.pick('CHUNK', 'SESSION_ID', 'TYPE_ID', 'CHANNEL_ID')} FROM CHUNK WHERE ID = ?"  # noqa: S608
        row = self.database.execute(query, (chunk,)).fetchone() if "CHUNK" in self.schema.tables else None
        table, columns = _BROUGHT.get(row[1] if row is not None else None, ("", ""))
        found = [row]
        if table in self.schema.tables:
            picked = self.schema.pick(table, *columns.split(", "), "LOAD_DTTM")
            found += self.database.execute(f"SELECT {picked} FROM {table} WHERE CHUNK_ID = ?", (chunk,))  # noqa: S608
        return hashlib.sha256(repr(sorted(map(repr, found))).encode()).hexdigest()[:16]

    def crowds(self, chunk: int, after: str, also: Iterable[str] = ()) -> Iterator[Crowd]:
        """The members of each channel, after `after`, that is among `also` or in a chunk above `chunk`."""
        finished = {session for session, is_finished in self._sessions("ID", "FINISHED") if is_finished}
        for channel, session, _ in self.database.execute(_CROWDS, (after, chunk, json.dumps(sorted(also)))):
            seen = self.database.execute(_CROWD, (session, channel)).fetchall()
            gone = [user for user, is_current in seen if not is_current]
            is_short = len(seen) - len(gone) < self._counted(channel)
            # A session that died may have read only the first page of the members.
            has_left = gone if session in finished and not is_short else []
            yield Crowd(channel, [user for user, _ in seen if user not in set(has_left)], has_left, is_short)

    def _counted(self, channel: str) -> int:
        """The number of a channel's members as its newest row says; 0 where it says none."""
        row = self.newest("CHANNEL", channel)
        return integer((row.raw or {}).get("num_members")) or 0 if row is not None else 0

    def last_chunk(self) -> int:
        """The highest chunk."""
        if "CHUNK" not in self.schema.tables:
            return 0
        return int(self.database.execute("SELECT coalesce(max(ID), 0) FROM CHUNK").fetchone()[0])

    def _messages(self, query: str, values: Sequence[Any]) -> Iterator[MessageRow]:
        rows = self.database.execute(query, values)
        for (chunk, key, channel, ts, data), alike in groupby(rows, itemgetter(slice(5))):
            require("MESSAGE", (chunk, int))
            earlier = [raw for row in alike if (raw := decode(row[5])) is not None]
            if isinstance(key, int):
                known_ts = ts if micros(ts) is not None else ts_of(key)
                yield MessageRow(chunk, key, channel, known_ts, decode(data), earlier)
            else:
                # SQLite keeps in a column what it is given: such a row costs no other.
                raw = decode(data) if micros(ts) is not None else None
                yield MessageRow(chunk, str(key), str(channel), str(ts), raw, [])

    def _rows(self, query: str, after: tuple[int, str]) -> Iterator[Row]:
        for chunk, key, data, extra, has_other in self.database.execute(query, after):
            require("a table", (chunk, int), (key, str))
            yield Row(chunk, key, decode(data), extra, bool(has_other))
