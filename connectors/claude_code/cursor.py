"""The cursor: for each transcript one short text that says how far it was read and what it gave its sessions.

    {"version": 3, "reading": "2 4000000", "streams": "attachments messages sessions",
     "files": {"h3Kd92_q": "2d093 0 1917e3f0c7b Zk92mPq1 4e.1917e3e0000.1917e3effff", …},
     "results": {"h3Kd92_q": "1f 17ee35f2a1b4c3d2 9f3c0a1b2c3d"}, "unlisted": {"<project>": 1},
     "broken": {"h3Kd92_q": "2d093 2f000"}}

About 75 bytes a transcript. `broken` names the places of stretches that could not be read; a version that reads more
(`reading`) reads their files anew. A file's key is a digest of its session (8 characters) and, beside the main
transcript, of its name (8 more): no path and no project, and files of one session share their beginning. Numbers are
hexadecimal.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, unquote

from connectors.claude_code.results import mark_of_old_keys
from connectors.claude_code.shapes import OldKeys
from connectors.claude_code.tree import Found

VERSION = 3
_OLD_VERSIONS = (1, 2)
"""Gave lines keys that changed with their project, the first one also with their place; their transcripts are read
anew, and these keys go."""

MAX_BROKEN = 1000
"""Most broken places that are kept of one transcript; the gaps of others wait for a newer version."""

_ANEW = "-"
GROUP_CHARS = 8
_KEY_BYTES = 6
_UNREAD = "-"


def group_key(found: Found) -> str:
    """The key that the files of one session share."""
    return _digest(found.session)


def file_key(found: Found) -> str:
    """The key of a transcript."""
    if found.is_copy:
        return group_key(found) + _digest(found.name)
    return group_key(found) if found.is_main else group_key(found) + _digest(found.identity)


@dataclass(slots=True)
class Share:
    """The part of one session that one file holds."""

    messages: int = 0
    first_ms: int | None = None
    """The earliest message, ms since 1970."""
    last_ms: int | None = None
    """The latest line of any kind."""
    rank: int = 0
    """How good the best title is."""
    models: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        parts = [f"{self.messages:x}", _hex(self.first_ms), _hex(self.last_ms)]
        if self.rank or self.models:
            parts += [f"{self.rank:x}", *(_escape(model).replace(".", "%2E") for model in sorted(self.models))]
        return ".".join(parts)

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read the text form. Raises ValueError when it is none."""
        messages, first, last, *more = text.split(".")
        models = {_unescape(model) for model in more[1:]}
        return cls(int(messages, 16), _number(first), _number(last), int(more[0], 16) if more else 0, models)


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
    old_end: int = 0
    """The lines before this byte are held under `old_keys`."""
    old_keys: OldKeys = OldKeys.NONE

    def covers(self, found: Found) -> bool:
        """Whether the file looks as it did when it was read to its end."""
        return (self.size, self.mtime_ms) == (found.size, found.mtime_ms)

    @property
    def position(self) -> int:
        """The byte from which on the file is read, if it was not rewritten."""
        return 0 if self.check == _ANEW else self.offset

    @property
    def is_unfinished(self) -> bool:
        """Whether the file was left at a last line without its end."""
        return self.size > self.offset

    def encode(self, own: str) -> str:
        """The text form; `own` is the session that needs no name."""
        shares = [str(share) if name == own else f"{_escape(name)}={share}" for name, share in self.shares.items()]
        pending = self.size - self.offset
        check = self.check + (f"{self.old_keys}{self.old_end:x}" if self.old_end else "")
        return " ".join((f"{self.offset:x}", f"{pending:x}", _hex(self.mtime_ms), check, *shares))

    @classmethod
    def decode(cls, text: Any, own: str | None) -> TranscriptProgress | None:
        """Read the text form; None when it is none, and then the file is simply read again."""
        try:
            offset, pending, mtime, check, *shares = text.split(" ")
            start = int(offset, 16)
            check, old_keys, old_end = _old_keys_of(check)
            entry = cls(start, start + int(pending, 16), _number(mtime), check, {}, int(old_end or "0", 16), old_keys)
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
    def load(cls, raw: Any, streams: Iterable[str], reading: str, found: Iterable[Found]) -> Cursor:
        """Read a committed cursor; one of an unknown version counts for nothing.

        `reading` says what can be read now: files with broken places are read anew when it has changed, and all files
        when the cursor was made for other streams or by an earlier version. `found`: the files that are there.
        """
        version = raw.get("version") if isinstance(raw, dict) else None
        if version not in (VERSION, *_OLD_VERSIONS):
            return cls(reading=reading)
        parts = [raw.get(name) for name in ("files", "results", "unlisted", "broken")]
        files, done, unlisted, broken = (dict(part) if isinstance(part, dict) else {} for part in parts)
        cursor = cls(files, done, unlisted, broken, reading)
        if version != VERSION:
            _bring_along(cursor, found, OldKeys.OF_PLACES if version == _OLD_VERSIONS[0] else OldKeys.OF_CONTENTS)
        elif raw.get("streams") != _names(streams):
            cursor.files = {key: _read_anew(text) for key, text in files.items()}
            cursor.results = {}
        elif raw.get("reading") != reading:
            cursor.files |= {key: _read_anew(files[key]) for key in broken.keys() & files}
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


def _bring_along(cursor: Cursor, files: Iterable[Found], old_keys: OldKeys) -> None:
    """Give the entries of an earlier version the keys of this one; everything is read anew."""
    names: dict[str, str] = {}
    for found in files:
        group = _digest(f"{found.project}/{found.session}")
        names[group] = group_key(found)
        names[group if found.is_main else group + _digest(found.name)] = file_key(found)
    cursor.files = {_renamed(key, names): _read_anew(text, old_keys) for key, text in cursor.files.items()}
    cursor.results = {_renamed(key, names): mark_of_old_keys(str(mark)) for key, mark in cursor.results.items()}
    cursor.broken = {_renamed(key, names): places for key, places in cursor.broken.items()}


def _renamed(key: str, names: dict[str, str]) -> str:
    group = key[:GROUP_CHARS]
    return names.get(key) or names.get(group, group) + key[GROUP_CHARS:]


def _read_anew(text: Any, old_keys: OldKeys = OldKeys.NONE) -> str:
    """The text form of an entry whose file is read anew, though nothing of it has changed."""
    offset, pending, _, check, *shares = f"{text}    ".split(" ")
    _, before, end = _old_keys_of(check)
    if old_keys:
        before, end = OldKeys.OF_EITHER if before else old_keys, offset
    return " ".join([offset, pending, _UNREAD, f"{_ANEW}{before}{end}", *filter(None, shares)])


def _old_keys_of(check: str) -> tuple[str, OldKeys, str]:
    """The check of an entry, the kind of old keys that it is marked with, and the byte up to which they hold."""
    for old_keys in (OldKeys.OF_PLACES, OldKeys.OF_CONTENTS, OldKeys.OF_EITHER):
        own, mark, end = check.partition(old_keys)
        if mark:
            return own, old_keys, end
    return check, OldKeys.NONE, ""


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
