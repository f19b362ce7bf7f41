"""The mails of a connection by the marks of their bytes, so that several sources lead to one record.

It stands beside the connection's files, and only where mail comes from files. An entry that was never committed does no
harm: a mail that is found here is told again unless the server is known to hold it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from connectors.gmail.local.identity import TOLERANCE, Seal
from pdpp_worker.connector import ConfigurationError

NAME = "identities.sqlite"
"""Among the connection's files."""

_TABLES = """
CREATE TABLE IF NOT EXISTS mails (
    key TEXT NOT NULL, of_server INTEGER NOT NULL, face BLOB NOT NULL, size INTEGER NOT NULL, content BLOB,
    PRIMARY KEY (key, of_server)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mails_by_face ON mails (face);
CREATE TABLE IF NOT EXISTS places (
    key TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (key, place)
) WITHOUT ROWID;
"""
# A mail that is read again by its parts keeps what was known of its bytes.
_NOTE = """
INSERT INTO mails (key, of_server, face, size, content) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key, of_server) DO UPDATE SET face = excluded.face, size = excluded.size,
    content = CASE WHEN excluded.content IS NULL AND face = excluded.face AND size = excluded.size
        THEN content ELSE excluded.content END
"""
# The server's own number comes first: under it the mail goes on to be kept in step.
_FIND = "SELECT key, content, of_server FROM mails WHERE face = ? AND abs(size - ?) <= ? ORDER BY of_server DESC, key"


class Known(NamedTuple):
    """A mail with the same bytes."""

    key: str
    of_server: bool


class Registry:
    """The mails that were read, in one file; all methods raise ConfigurationError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_new = not self._path.exists()
        """Whether nothing was noted before this slice."""
        with _usable(self._path):
            self._file = sqlite3.connect(self._path, isolation_level=None)
            self._file.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def find(self, seal: Seal) -> list[Known]:
        """The mails with these bytes: by header and body, or by header and size where a body was not read."""
        with _usable(self._path), closing(self._file.execute(_FIND, (seal.face, seal.size, TOLERANCE))) as rows:
            return [
                Known(key, bool(of_server))
                for key, content, of_server in rows
                if seal.content is None or content is None or content == seal.content
            ]

    def is_another(self, key: str, seal: Seal) -> bool:
        """Whether a file holds other bytes under this key."""
        query = "SELECT content FROM mails WHERE key = ? AND NOT of_server"
        with _usable(self._path):
            row = self._file.execute(query, (key,)).fetchone()
        return row is not None and row[0] != seal.content

    def note(self, key: str, seal: Seal, *, of_server: bool) -> None:
        """Keep the marks of a mail."""
        with _usable(self._path):
            self._file.execute(_NOTE, (key, of_server, seal.face, seal.size, seal.content))

    def put(self, key: str, place: str) -> list[str]:
        """Keep where in the files a mail lies; returns all such places of it."""
        with _usable(self._path):
            self._file.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (key, place))
            rows = self._file.execute("SELECT place FROM places WHERE key = ? ORDER BY place", (key,)).fetchall()
        return [place for (place,) in rows]

    def is_in_files(self, key: str) -> bool:
        """Whether a file holds the mail."""
        with _usable(self._path):
            return self._file.execute("SELECT 1 FROM places WHERE key = ?", (key,)).fetchone() is not None

    def share_places(self, before: str, now: str) -> None:
        """Let a mail that the server numbers too lie where it lay under its former key."""
        with _usable(self._path):
            self._file.execute("INSERT OR IGNORE INTO places SELECT ?, place FROM places WHERE key = ?", (now, before))

    def forget_places(self) -> None:
        """Begin anew with the files."""
        with _usable(self._path):
            self._file.execute("DELETE FROM places")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is noted within at once."""
        with _usable(self._path):
            self._file.execute("BEGIN")
        try:
            yield
        finally:
            with _usable(self._path):
                self._file.execute("COMMIT")

    def holds_any(self, seals: Sequence[Seal]) -> bool:
        """Whether one of these mails is known."""
        return any(self.find(one) for one in seals)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"The mails' identities cannot be kept in {path.name}: {error}.") from None
