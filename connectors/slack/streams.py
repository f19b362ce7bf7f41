"""The streams' names, and their records out of Slack's objects: only those that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from connectors.slack import rows, small_rows
from connectors.slack.fields import text
from connectors.slack.rows import Obj
from pdpp_worker.connector import Record
from pdpp_worker.connector.json_fields import tables

WORKSPACE, USERS, CHANNELS, CHANNEL_STATS = "workspace", "users", "channels", "channel_stats"
MEMBERSHIPS, MESSAGES, ATTACHMENTS, REACTIONS = "channel_memberships", "messages", "message_attachments", "reactions"
FILES, CANVASES = "files", "canvases"
USER_GROUPS, STARS, REMINDERS, READ_STATES = "user_groups", "stars", "reminders", "dm_read_states"

Ground = Literal["stated", "absent"]

PARENT = {CHANNEL_STATS: CHANNELS, ATTACHMENTS: MESSAGES, REACTIONS: MESSAGES, CANVASES: FILES}
"""Streams that keep no position of their own."""

_RIDERS = ((ATTACHMENTS, "attachments", rows.attachments), (REACTIONS, "reactions", rows.reactions))
"""Streams of what rides on a message, and the name under which it does."""


@dataclass(frozen=True, slots=True)
class RecordFactory:
    """Makes the records of one slice."""

    wanted: frozenset[str]
    now: Callable[[], datetime]

    def message(self, channel: str, ts: str, raw: Obj, before: Sequence[Obj] = ()) -> Iterator[Record]:
        """A message with all that rides on it; what rode on earlier versions and is gone is deleted."""
        if MESSAGES in self.wanted:
            yield self._record(MESSAGES, rows.message(channel, ts, raw, before))
        if raw.get("files") or raw.get("attachments"):
            yield from self._nested_files(raw)
        for stream, name, riders in _RIDERS:
            now = raw.get(name)
            other = [one for one in before if one.get(name) and one[name] != now] if before else []
            if stream in self.wanted and (now or other):
                yield from self._riders(stream, riders, channel, ts, (raw, *other))

    def _riders(
        self, stream: str, riders: Callable[..., Iterator[Obj]], channel: str, ts: str, versions: Sequence[Obj]
    ) -> Iterator[Record]:
        """The riders of the first version; those of the others that are gone are deleted."""
        current = {one["id"]: one for one in riders(channel, ts, versions[0])}
        for one in current.values():
            yield self._record(stream, one)
        if len(versions) == 1:
            return
        earlier = {one["id"]: one for version in versions[1:] for one in riders(channel, ts, version)}
        cut = rows.cut_emoji(versions[0]) if earlier else frozenset()
        gone = (key for key, one in earlier.items() if key not in current and one.get("emoji") not in cut)
        yield from self.deleted(stream, gone)

    def found(self, channel: str, ts: str, raw: Obj) -> Iterator[Record]:
        """A message as a search shows it: of one that is held, that says less."""
        if MESSAGES in self.wanted:
            said = rows.message(channel, ts, raw)
            yield self._partial(MESSAGES, {name: value for name, value in said.items() if value})

    def found_file(self, raw: Obj) -> Iterator[Record]:
        """A file or canvas as another list shows it: of one that is held, that may say less."""
        stream, shape = _shape_of(raw)
        if text(raw.get("id")) is not None and stream in self.wanted:
            yield self._partial(stream, {name: value for name, value in shape(raw).items() if value})

    def row(self, stream: str, data: Obj) -> Record:
        """A record that was made already."""
        return self._record(stream, data)

    def deleted(self, stream: str, keys: Iterable[str], ground: Ground = "stated") -> Iterator[Record]:
        """Deletions of records that the platform no longer holds."""
        if stream in self.wanted:
            for key in keys:
                now = self.now()
                yield Record(stream=stream, key=key, data={"id": key}, emitted_at=now, op="delete", ground=ground)

    def channel(self, raw: Obj, day: str) -> Iterator[Record]:
        """A channel, and how many members it had on the day (YYYY-MM-DD) on which it was seen so."""
        if text(raw.get("id")) is None:
            return
        if CHANNELS in self.wanted:
            yield self._record(CHANNELS, small_rows.channel(raw))
        stat = small_rows.channel_stat(raw, day)
        if stat is not None and CHANNEL_STATS in self.wanted:
            yield self._record(CHANNEL_STATS, stat)

    def membership(self, channel: str, user: str) -> Record:
        """The membership of a user in a channel."""
        return self._record(MEMBERSHIPS, small_rows.membership(channel, user))

    def user(self, raw: Obj) -> Iterator[Record]:
        """A person or bot."""
        if text(raw.get("id")) is not None:
            yield self._record(USERS, small_rows.user(raw))

    def workspace(self, raw: Obj) -> Iterator[Record]:
        """The workspace."""
        if (row := small_rows.workspace(raw)) is not None:
            yield self._record(WORKSPACE, row)

    def file(self, raw: Obj, known: Obj | None = None) -> Iterator[Record]:
        """A file or canvas. Of one that is gone only that is said, over what was `known` before."""
        key = text(raw.get("id"))
        stream, shape = _shape_of(known or raw)
        if key is None or stream not in self.wanted:
            return
        if not small_rows.is_gone(raw):
            yield self._record(stream, shape(raw))
            return
        if known is not None:
            yield self._record(stream, shape(known))
        yield self._partial(stream, {"id": key, "mode": raw["mode"]})

    def _nested_files(self, raw: Obj) -> Iterator[Record]:
        """The word of a message that a file of its own is gone, and what it says of files that it shares."""
        for one in tables(raw.get("files")):
            if small_rows.is_gone(one):
                yield from self.file(one)
        for one in rows.shared_files(raw):
            yield from self.found_file(one)

    def _partial(self, stream: str, data: Obj) -> Record:
        return Record(stream=stream, key=data["id"], data=data, emitted_at=self.now(), partial=True)

    def _record(self, stream: str, data: Obj) -> Record:
        return Record(stream=stream, key=data["id"], data=data, emitted_at=self.now())


def _shape_of(raw: Obj) -> tuple[str, Callable[[Obj], Obj]]:
    """The stream of a file, and how its record is made."""
    return (CANVASES, small_rows.canvas) if small_rows.is_canvas(raw) else (FILES, small_rows.file)
