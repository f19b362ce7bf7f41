"""The cursor: for each transcript one short text that says how far it was read and what it gave its sessions.

    {"version": 2, "reading": "2 4000000", "streams": "attachments messages sessions",
     "files": {"h3Kd92_q": "2d093 0 1917e3f0c7b Zk92mPq1 4e.1917e3e0000.1917e3effff", …},
     "results": {"h3Kd92_q": "1f 17ee35f2a1b4c3d2 9f3c0a1b2c3d"}, "unlisted": {"<project>": 1},
     "broken": {"h3Kd92_q": "2d093 2f000"}}

About 75 bytes a transcript. `broken` names the places of stretches that could not be read; a version that reads more
(`reading`) reads their files anew. A file's key is a digest of its project and session (8 characters) and, beside the
main transcript, of its name (8 more): no path, and files of one session share their beginning. Numbers are hexadecimal.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, unquote

from connectors.claude_code.tree import Found

VERSION = 2
_OLD_VERSION = 1
"""Gave lines without a uuid a key that changed with their place; its transcripts are read anew, and these keys go."""

MAX_BROKEN = 1000
"""Most broken places that are kept of one transcript; the gaps of others wait for a newer version."""

_ANEW = "-"
_OLD_KEYS = "*"
GROUP_CHARS = 8
_KEY_BYTES = 6
_UNREAD = "-"


def group_key(found: Found) -> str:
    """The key that the files of one session share."""
    return _digest(found.group)


def file_key(found: Found) -> str:
    """The key of a transcript."""
    is_main = found.name == f"{found.group}.jsonl"
    return group_key(found) if is_main else group_key(found) + _digest(found.name)


@dataclass(slots=True)
class Share:
    """The part of one session that one file holds."""

    messages: int = 0
    first_ms: int | None = None
    """The earliest message, ms since 1970."""
    last_ms: int | None = None
    """The latest line of any kind."""

    def __str__(self) -> str:
        return f"{self.messages:x}.{_hex(self.first_ms)}.{_hex(self.last_ms)}"

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read the text form. Raises ValueError when it is none."""
        messages, first, last = text.split(".")
        return cls(int(messages, 16), _number(first), _number(last))


@dataclass(slots=True)
class TranscriptProgress:
    """The progress through one transcript."""

    offset: int
    """The byte after the last line that was delivered."""
    size: int
    mtime_ms: int | None
    """The file's time when it was read to its end; None while there is more to read."""
    check: str
    shares: dict[str, Share] = field(default_factory=dict)
    has_old_keys: bool = False
    """Whether lines without a uuid are held under the keys of the version before."""

    def covers(self, found: Found) -> bool:
        """Whether the file looks as it did when it was read to its end."""
        return (self.size, self.mtime_ms) == (found.size, found.mtime_ms)

    @property
    def is_unfinished(self) -> bool:
        """Whether the file was left at a last line without its end."""
        return self.size > self.offset

    def encode(self, own: str) -> str:
        """The text form; `own` is the session that needs no name."""
        shares = [str(share) if name == own else f"{_escape(name)}={share}" for name, share in self.shares.items()]
        pending = self.size - self.offset
        check = self.check + (_OLD_KEYS if self.has_old_keys else "")
        return " ".join((f"{self.offset:x}", f"{pending:x}", _hex(self.mtime_ms), check, *shares))

    @classmethod
    def decode(cls, text: Any, own: str | None) -> TranscriptProgress | None:
        """Read the text form; None when it is none, and then the file is simply read again."""
        try:
            offset, pending, mtime, check, *shares = text.split(" ")
            start = int(offset, 16)
            entry = cls(start, start + int(pending, 16), _number(mtime), check.removesuffix(_OLD_KEYS))
            entry.has_old_keys = check.endswith(_OLD_KEYS)
            for share in shares:
                name, _, numbers = share.rpartition("=")
                session = _unescape(name) if name else own
                if session is not None:
                    entry.shares[session] = Share.parse(numbers)
        except (AttributeError, ValueError):
            return None
        return entry if start >= 0 else None


@dataclass(slots=True)
class Cursor:
    """The position of the walk. `files` and `results` hold texts, so that a STATE costs one copy of a flat map."""

    files: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)
    """Directories that could not be listed and stand in an open gap."""
    broken: dict[str, str] = field(default_factory=dict)
    reading: str = ""

    @classmethod
    def load(cls, raw: Any, streams: Iterable[str], reading: str) -> Cursor:
        """Read a committed cursor. One made for other streams or by an unknown version counts for nothing.

        `reading` says what can be read now: files with broken places are read anew when it has changed.
        """
        if not isinstance(raw, dict) or raw.get("streams") != _names(streams):
            return cls(reading=reading)
        parts = [raw.get(name) for name in ("files", "results", "unlisted", "broken")]
        files, done, unlisted, broken = (dict(part) if isinstance(part, dict) else {} for part in parts)
        cursor = cls(files, done, unlisted, broken, reading)
        if raw.get("version") == _OLD_VERSION:
            cursor.files = {key: _read_anew(text, _ANEW + _OLD_KEYS) for key, text in cursor.files.items()}
            cursor.results = {}
            return cursor
        if raw.get("version") != VERSION:
            return cls(reading=reading)
        if raw.get("reading") != reading:
            cursor.files |= {key: _read_anew(cursor.files[key], _ANEW) for key in cursor.broken.keys() & cursor.files}
        return cursor

    def broken_in(self, key: str) -> set[int]:
        """The places in a transcript that could not be read."""
        try:
            return {int(part, 16) for part in self.broken.get(key, "").split()}
        except (AttributeError, ValueError):
            return set()

    def note_broken(self, key: str, places: set[int]) -> None:
        """Keep the places in a transcript that could not be read."""
        self.broken.pop(key, None)
        if places:
            self.broken[key] = " ".join(f"{place:x}" for place in sorted(places)[-MAX_BROKEN:])

    def dump(self, streams: Iterable[str]) -> dict[str, Any]:
        """The cursor as it is committed."""
        return {
            "version": VERSION,
            "reading": self.reading,
            "streams": _names(streams),
            "files": dict(self.files),
            "results": dict(self.results),
            "unlisted": dict(self.unlisted),
            "broken": dict(self.broken),
        }


def _read_anew(text: Any, check: str) -> str:
    """The text form of an entry whose file is read anew, though nothing of it has changed."""
    parts = str(text).split(" ")
    return " ".join([*parts[:2], _UNREAD, check, *parts[4:]])


def _names(streams: Iterable[str]) -> str:
    return " ".join(sorted(streams))


def _digest(text: str) -> str:
    return urlsafe_b64encode(blake2b(text.encode(), digest_size=_KEY_BYTES).digest()).decode()


def _hex(number: int | None) -> str:
    return _UNREAD if number is None else f"{number:x}"


def _number(text: str) -> int | None:
    return None if text == _UNREAD else int(text, 16)


def _escape(session: str) -> str:
    return quote(session, safe="", errors="surrogatepass")


def _unescape(name: str) -> str:
    return unquote(name, errors="surrogatepass")
