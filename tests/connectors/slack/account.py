"""A made-up workspace, and archives of it as slackdump (version 4) writes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

TEAM = "T0WORKSPACE"
OWNER = "U0OWNER"

MESSAGES, THREAD, FILES, USERS, CHANNELS, CHANNEL_INFO, WORKSPACE, CHANNEL_USERS = range(8)
"""Kinds of chunks."""

_TABLES = """
CREATE TABLE SESSION (ID INTEGER PRIMARY KEY, CREATED_AT TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UPDATED_AT TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, PAR_SESSION_ID INTEGER, FROM_TS TIMESTAMP, TO_TS TIMESTAMP,
    FINISHED SMALLINT NOT NULL DEFAULT FALSE, FILES_ENABLED SMALLINT NOT NULL DEFAULT FALSE,
    AVATARS_ENABLED SMALLINT NOT NULL DEFAULT FALSE, MODE TEXT NOT NULL, ARGS TEXT);
CREATE TABLE CHUNK (ID INTEGER PRIMARY KEY, CREATED_AT TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIX_TS INTEGER NOT NULL, SESSION_ID INTEGER NOT NULL, TYPE_ID SMALLINT NOT NULL,
    NUM_REC INTEGER NOT NULL DEFAULT 0,
    FINAL SMALLINT NOT NULL DEFAULT FALSE, CHANNEL_ID TEXT, SEARCH_QUERY TEXT, THREAD_ONLY BOOLEAN);
CREATE TABLE MESSAGE (ID INTEGER NOT NULL, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, CHANNEL_ID TEXT NOT NULL, TS TEXT NOT NULL,
    PARENT_ID INTEGER, THREAD_TS TEXT, LATEST_REPLY TEXT, IS_PARENT SMALLINT NOT NULL DEFAULT FALSE,
    IDX INTEGER NOT NULL, NUM_FILES INTEGER NOT NULL DEFAULT 0, TXT TEXT, DATA BLOB NOT NULL,
    PRIMARY KEY (ID, CHUNK_ID));
CREATE INDEX MESSAGE_CHUNK_ID_IDX ON MESSAGE (CHUNK_ID);
CREATE INDEX MESSAGE_I1 ON MESSAGE (CHANNEL_ID, CHUNK_ID, IS_PARENT);
CREATE INDEX MESSAGE_I2 ON MESSAGE (CHANNEL_ID, PARENT_ID);
CREATE TABLE CHANNEL (ID TEXT NOT NULL, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, NAME TEXT, IDX INTEGER NOT NULL, DATA BLOB NOT NULL,
    PRIMARY KEY (ID, CHUNK_ID));
CREATE TABLE CHANNEL_USER (CHANNEL_ID TEXT NOT NULL, USER_ID TEXT NOT NULL, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, IDX INTEGER NOT NULL,
    PRIMARY KEY (CHANNEL_ID, USER_ID, CHUNK_ID));
CREATE TABLE S_USER (ID TEXT NOT NULL, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, IDX INTEGER NOT NULL, USERNAME TEXT NOT NULL,
    DATA BLOB NOT NULL, PRIMARY KEY (ID, CHUNK_ID));
CREATE TABLE FILE (ID TEXT NOT NULL, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, CHANNEL_ID TEXT NOT NULL, MESSAGE_ID INTEGER,
    THREAD_ID INTEGER, IDX INTEGER NOT NULL, MODE TEXT NOT NULL, FILENAME TEXT, URL TEXT, DATA BLOB NOT NULL,
    SIZE INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (ID, CHUNK_ID));
CREATE TABLE WORKSPACE (ID INTEGER PRIMARY KEY, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, TEAM TEXT NOT NULL, USERNAME TEXT, TEAM_ID TEXT NOT NULL,
    USER_ID TEXT NOT NULL, ENTERPRISE_ID TEXT, URL TEXT NOT NULL, DATA BLOB NOT NULL);
"""

LATER_TABLES = """
CREATE TABLE SEARCH_MESSAGE (ID INTEGER PRIMARY KEY, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, CHANNEL_ID TEXT NOT NULL, CHANNEL_NAME TEXT,
    TS TEXT NOT NULL, TXT TEXT, IDX INTEGER NOT NULL, DATA BLOB NOT NULL);
CREATE TABLE SEARCH_FILE (ID INTEGER PRIMARY KEY, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, FILE_ID TEXT NOT NULL, IDX INTEGER NOT NULL,
    DATA BLOB NOT NULL);
CREATE TABLE SAVED_ITEM (ID INTEGER PRIMARY KEY, CHUNK_ID INTEGER NOT NULL,
    LOAD_DTTM TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ITEM_ID TEXT NOT NULL, ITEM_TYPE TEXT NOT NULL, TS TEXT,
    STATE TEXT, TODO_STATE TEXT, IDX INTEGER NOT NULL, DATA BLOB NOT NULL);
"""
"""Tables that only some archives have."""

_INSERT_MESSAGE = """
    INSERT INTO MESSAGE (ID, CHUNK_ID, CHANNEL_ID, TS, PARENT_ID, THREAD_TS, LATEST_REPLY, IS_PARENT, IDX, TXT, DATA)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def stamp(second: int, micro: int = 0) -> str:
    """The `ts` of a message so many seconds after the beginning of the made-up year."""
    return f"{1_767_225_600 + second}.{micro:06}"


def said(ts: str, text: str = "hello", user: str = OWNER, **more: Any) -> Obj:
    """A message."""
    return {"type": "message", "ts": ts, "user": user, "text": text, **more}


def thread(parent: str, *replies: str) -> list[Obj]:
    """A thread: its parent, then its replies."""
    head = said(parent, "who is in?", thread_ts=parent, reply_count=len(replies), latest_reply=replies[-1])
    return [head, *(said(ts, f"reply {ts}", thread_ts=parent, parent_user_id=OWNER) for ts in replies)]


def channel(key: str, **more: Any) -> Obj:
    """A channel."""
    return {"id": key, "name": key.lower(), "is_channel": True, "is_member": True, "created": 1_767_000_000, **more}


def user(key: str, **more: Any) -> Obj:
    """A person."""
    return {"id": key, "team_id": TEAM, "name": key.lower(), "deleted": False, "profile": {"real_name": key}, **more}


def file(key: str, **more: Any) -> Obj:
    """A file."""
    return {"id": key, "name": f"{key}.txt", "mode": "hosted", "size": 12, "created": 1_767_225_700, **more}


class ArchiveMaker:
    """Writes an archive, session by session and chunk by chunk."""

    def __init__(self, directory: Path, *, wal: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "slackdump.sqlite"
        is_new = not self.path.exists()
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        if wal:
            self._connection.execute("PRAGMA journal_mode=WAL")
        if is_new:
            self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Leave the archive."""
        self._connection.close()

    def begin(self, mode: str = "archive", arguments: str | None = None) -> int:
        """Begin a session."""
        arguments = mode if arguments is None else arguments
        cursor = self.execute("INSERT INTO SESSION (MODE, ARGS) VALUES (?, ?)", mode, arguments)
        assert cursor.lastrowid is not None
        self.session = cursor.lastrowid
        return self.session

    def finish(self) -> None:
        """End the session well."""
        self.execute("UPDATE SESSION SET FINISHED = TRUE WHERE ID = ?", self.session)

    def workspace(self, team: str = TEAM) -> None:
        """The signed-in user, and the workspace."""
        chunk = self._chunk(WORKSPACE, 1)
        values = (chunk, "Work", "owner", team, OWNER, "https://work.example/", json.dumps({"ok": True}))
        self.execute(
            "INSERT INTO WORKSPACE (CHUNK_ID, TEAM, USERNAME, TEAM_ID, USER_ID, URL, DATA) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            *values,
        )

    def users(self, *people: Obj) -> None:
        """A chunk of people."""
        chunk = self._chunk(USERS, len(people))
        for index, one in enumerate(people):
            row = (one["id"], chunk, index, one["name"], _blob(one))
            self.execute("INSERT INTO S_USER (ID, CHUNK_ID, IDX, USERNAME, DATA) VALUES (?, ?, ?, ?, ?)", *row)

    def channels(self, *channels: Obj, kind: int = CHANNELS, day: str = "2026-01-02") -> None:
        """A chunk of the list of channels, or (`CHANNEL_INFO`) what was asked of one."""
        chunk = self._chunk(kind, len(channels))
        for index, one in enumerate(channels):
            row = (one["id"], chunk, f"{day} 10:00:00", one.get("name"), index, _blob(one))
            self.execute(
                "INSERT INTO CHANNEL (ID, CHUNK_ID, LOAD_DTTM, NAME, IDX, DATA) VALUES (?, ?, ?, ?, ?, ?)", *row
            )

    def members(self, key: str, *users: str) -> None:
        """A chunk of a channel's members."""
        chunk = self._chunk(CHANNEL_USERS, len(users), key)
        for index, one in enumerate(users):
            self.execute(
                "INSERT INTO CHANNEL_USER (CHANNEL_ID, USER_ID, CHUNK_ID, IDX) VALUES (?, ?, ?, ?)",
                *(key, one, chunk, index),
            )

    def messages(self, key: str, messages: Sequence[Obj], *, final: bool = True, kind: int = MESSAGES) -> int:
        """A chunk of a channel's messages, or (`THREAD`) of a thread's; returns its number."""
        chunk = self._chunk(kind, len(messages), key, final=final)
        self._connection.executemany(
            _INSERT_MESSAGE,
            [message_row(chunk, key, index, one) for index, one in enumerate(messages)],
        )
        return chunk

    def files(self, key: str, *files: Obj) -> None:
        """A chunk of files of a channel."""
        chunk = self._chunk(FILES, len(files), key)
        for index, one in enumerate(files):
            row = (one["id"], chunk, key, index, one.get("mode", "hosted"), _blob(one))
            self.execute("INSERT INTO FILE (ID, CHUNK_ID, CHANNEL_ID, IDX, MODE, DATA) VALUES (?, ?, ?, ?, ?, ?)", *row)

    def later_tables(self) -> None:
        """The tables that only some archives have."""
        self._connection.executescript(LATER_TABLES)

    def search(self, channel: str, *messages: Obj, files: Sequence[Obj] = ()) -> None:
        """Results of a search."""
        chunk = self._chunk(10, len(messages))
        for index, one in enumerate(messages):
            row = (chunk, channel, one["ts"], index, _blob(one))
            self.execute(
                "INSERT INTO SEARCH_MESSAGE (CHUNK_ID, CHANNEL_ID, TS, IDX, DATA) VALUES (?, ?, ?, ?, ?)", *row
            )
        for index, one in enumerate(files):
            found = (chunk, one["id"], index, _blob(one))
            self.execute("INSERT INTO SEARCH_FILE (CHUNK_ID, FILE_ID, IDX, DATA) VALUES (?, ?, ?, ?)", *found)

    def saved(self, *items: Obj) -> None:
        """The list of saved items, fetched once more."""
        chunk = self._chunk(12, len(items))
        self.execute("DELETE FROM SAVED_ITEM")
        for index, one in enumerate(items):
            row = (chunk, one["item_id"], one["item_type"], one.get("ts"), index, _blob(one))
            self.execute(
                "INSERT INTO SAVED_ITEM (CHUNK_ID, ITEM_ID, ITEM_TYPE, TS, IDX, DATA) VALUES (?, ?, ?, ?, ?, ?)", *row
            )

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Any statement."""
        return self._connection.execute(statement, values)

    def _chunk(self, kind: int, count: int, key: str | None = None, *, final: bool = False) -> int:
        cursor = self.execute(
            "INSERT INTO CHUNK (UNIX_TS, SESSION_ID, TYPE_ID, NUM_REC, FINAL, CHANNEL_ID) VALUES (0, ?, ?, ?, ?, ?)",
            *(self.session, kind, count, final, key),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid


def message_row(chunk: int, key: str, index: int, raw: Obj) -> tuple[Any, ...]:
    """A row of MESSAGE."""
    parent = raw.get("thread_ts")
    return (
        number(raw["ts"]),
        chunk,
        key,
        raw["ts"],
        number(parent) if parent else None,
        parent,
        raw.get("latest_reply"),
        parent == raw["ts"],
        index,
        raw.get("text"),
        _blob(raw),
    )


def number(ts: str) -> int:
    """A `ts` without its dot."""
    return int(ts.replace(".", ""))


def archived(directory: Path, channels: dict[str, Iterable[Obj]], *, finished: bool = True) -> ArchiveMaker:
    """An archive of one session: the list of channels, then each to its end with all its threads."""
    maker = ArchiveMaker(directory)
    maker.begin()
    maker.workspace()
    maker.users(user(OWNER), user("U0OTHER"))
    maker.channels(*(channel(key) for key in channels))
    for key, messages in channels.items():
        whole_channel(maker, key, list(messages))
    if finished:
        maker.finish()
    return maker


def whole_channel(maker: ArchiveMaker, key: str, messages: list[Obj]) -> None:
    """A channel with its threads: replies come in chunks of their own."""
    top = [one for one in messages if one.get("thread_ts") in (None, one["ts"])]
    maker.messages(key, top[::-1])
    for parent in top:
        if parent.get("reply_count"):
            maker.messages(key, [one for one in messages if one.get("thread_ts") == parent["ts"]], kind=THREAD)


def _blob(raw: Obj) -> bytes:
    return json.dumps(raw).encode()
