"""Divides a tap's one state into a cursor for each stream, and joins it again.

A tap keeps one object for all of its streams. An entry under `bookmarks` belongs to the stream it is named after;
the rest is shared: nobody can say which streams it speaks for. A cursor holds its stream's bookmark, the shared part
and the number of the walk that wrote it. The tap is handed the shared part of the oldest, and none while a stream has
no cursor at all: so it never claims more than every stream has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class SettingsMark(NamedTuple):
    """Short texts that stand for the tap's settings without its credentials: for all of them, and for each."""

    whole: str
    each: dict[str, str]


_FLEETING = "currently_syncing"
"""Where an interrupted tap was; a tap that finds it leaves out the streams before it."""


class Bookmarks:
    """The state of one walk."""

    def __init__(self, streams: Mapping[str, str], cursors: Mapping[str, Any], settings: SettingsMark) -> None:
        """`streams`: our name to the tap's id, of all that are walked; `cursors`: what was committed of them.

        With other settings than before a stream is walked from its start.
        """
        self.tables: dict[str, Any] | None = None
        """Tables that the source has got since the catalog was made, as a cursor holds them."""
        self._streams = streams
        self._settings = settings
        known = {name: cursor for name, cursor in cursors.items() if name in streams and cursor is not None}
        self._walk = 1 + max((int(cursor["walk"]) for cursor in known.values()), default=0)
        self._known = known
        self._held = {
            name: cursor for name, cursor in known.items() if cursor.get("settings", settings.whole) == settings.whole
        }
        self._latest = self._given()

    @property
    def given(self) -> dict[str, Any] | None:
        """The state that the tap is given; None: it begins from the start."""
        return self._given() or None

    def changed_settings(self) -> str | None:
        """A sentence that names the settings that are others than before; None when all are the same."""
        if len(self._held) == len(self._known):
            return None
        changed: set[str] = set()
        for name in self._known.keys() - self._held.keys():
            before = self._known[name].get("each_setting") or {}
            keys = before.keys() | self._settings.each.keys()
            changed |= {key for key in keys if before and before.get(key) != self._settings.each.get(key)}
        named = f": {', '.join(sorted(changed))}" if changed else ""
        return f"other settings of the tap than before{named}; it walks from its start"

    def update(self, state: dict[str, Any]) -> None:
        """Keep the tap's latest state."""
        self._latest = state

    def mentions(self, stream: str) -> bool:
        """Whether the latest state has another bookmark of a stream, by our name, than the tap was handed.

        One that is only repeated does not say that the stream was looked at.
        """
        name = self._streams[stream]
        told = _bookmarks(self._latest)
        return name in told and told[name] != _bookmarks(self._given()).get(name)

    def keys_before(self, stream: str) -> list[str] | None:
        """The key properties under which a stream's rows are held; None when nobody wrote them down."""
        cursor = self._known.get(stream, {})
        keys = cursor.get("former_keys") or cursor.get("keys")
        return None if keys is None else list(keys)

    def is_whole_table(self, stream: str) -> bool:
        """Whether the tap was handed no bookmark of a stream, and so sends all of its rows."""
        return self._held.get(stream, {}).get("bookmark") is None

    def is_past(self, stream: str, before: str | None) -> bool:
        """Whether the tap says that it was at this stream and has gone on to another."""
        return before == self._streams[stream] and self.syncing != before

    @property
    def syncing(self) -> str | None:
        """The stream that the tap says it is at, by its own id."""
        at = self._latest.get(_FLEETING)
        return at if isinstance(at, str) else None

    def cursor(self, stream: str, keys: list[str] | None, *, whole_walk: bool) -> dict[str, Any]:
        """The cursor of a stream that was walked to its end; the shared part moves with a whole walk only.

        When the key properties have changed and not all rows came, all are asked for again, to move to their new keys.
        """
        before = self.keys_before(stream)
        moves = keys is not None and before is not None and keys != before and not self.is_whole_table(stream)
        shared = _shared(self._latest) if whole_walk else _shared(self._given())
        oldest = min((int(cursor["walk"]) for cursor in self._held.values()), default=0)
        return {
            "bookmark": None if moves else _bookmarks(self._latest).get(self._streams[stream]),
            "shared": shared,
            "settings": self._settings.whole,
            "each_setting": self._settings.each,
            **({"tables": self.tables} if self.tables is not None else {}),
            "keys": before if keys is None else keys,
            **({"former_keys": before} if moves else {}),
            "walk": self._walk if whole_walk else oldest,
        }

    def _given(self) -> dict[str, Any]:
        bookmarks = {
            self._streams[name]: cursor["bookmark"]
            for name, cursor in self._held.items()
            if cursor.get("bookmark") is not None
        }
        shared: dict[str, Any] = {}
        if self._held and self._held.keys() == self._streams.keys():
            shared = min(self._held.values(), key=lambda cursor: int(cursor["walk"]))["shared"]
        return {**shared, "bookmarks": bookmarks} if bookmarks else dict(shared)


def _bookmarks(state: Mapping[str, Any]) -> dict[str, Any]:
    found = state.get("bookmarks")
    return found if isinstance(found, dict) else {}


def _shared(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key not in ("bookmarks", _FLEETING)}
