"""Divides a tap's one state into a cursor for each stream, and joins it again.

A tap keeps one object for all of its streams. An entry under `bookmarks` belongs to the stream it is named after;
the rest is shared: nobody can say which streams it speaks for. A cursor holds its stream's bookmark, the shared part
and the number of the walk that wrote it. The tap is handed the shared part of the oldest, and none while a stream has
no cursor at all: so it never claims more than every stream has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FLEETING = "currently_syncing"
"""Where an interrupted tap was; a tap that finds it leaves out the streams before it."""


class Bookmarks:
    """The state of one walk."""

    def __init__(self, streams: Mapping[str, str], cursors: Mapping[str, Any]) -> None:
        """`streams`: our name to the tap's id, of all that are walked; `cursors`: what was committed of them."""
        self._streams = streams
        self._held = {name: cursor for name, cursor in cursors.items() if name in streams and cursor is not None}
        self._latest = self._given()
        self._walk = 1 + max((int(cursor["walk"]) for cursor in self._held.values()), default=0)

    @property
    def given(self) -> dict[str, Any] | None:
        """The state that the tap is given; None: it begins from the start."""
        return self._given() or None

    def update(self, state: dict[str, Any]) -> None:
        """Keep the tap's latest state."""
        self._latest = state

    def mentions(self, stream: str) -> bool:
        """Whether the latest state has a bookmark of a stream, by our name."""
        return self._streams[stream] in _bookmarks(self._latest)

    def is_past(self, stream: str, before: str | None) -> bool:
        """Whether the tap says that it was at this stream and has gone on to another."""
        return before == self._streams[stream] and self.syncing != before

    @property
    def syncing(self) -> str | None:
        """The stream that the tap says it is at, by its own id."""
        at = self._latest.get(_FLEETING)
        return at if isinstance(at, str) else None

    def cursor(self, stream: str, *, whole_walk: bool) -> dict[str, Any]:
        """The cursor of a stream that was walked to its end; the shared part moves with a whole walk only."""
        shared = _shared(self._latest) if whole_walk else _shared(self._given())
        oldest = min((int(cursor["walk"]) for cursor in self._held.values()), default=0)
        return {
            "bookmark": _bookmarks(self._latest).get(self._streams[stream]),
            "shared": shared,
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
