"""The forward walk over the messages of every conversation, by the Web API; each keeps its own position."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from connectors.slack import rows
from connectors.slack.api import PAGE, Api
from connectors.slack.errors import DisorderError, NamelessError
from connectors.slack.fields import integer
from connectors.slack.gaps import MAX_FAILURES, is_its_own, part_gap
from connectors.slack.history import downward
from connectors.slack.position import Position
from connectors.slack.rows import Obj, message_id
from connectors.slack.streams import ATTACHMENTS, MESSAGES, REACTIONS, RecordFactory
from connectors.slack.threads import Threads
from pdpp_worker.connector import (
    Context,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Start,
    State,
    Throttled,
    TimeRange,
)
from pdpp_worker.connector.json_fields import array, table

SEEN_IN_ALL = 10_000
SEEN_AT_LEAST = 20
"""Messages in the window, of all conversations and of each, of which a deletion is noticed: the cursor names each."""
BYTES_OF_ITEM = 500
"""An item's weight against the cursor's: a STATE is due when it weighs no more than what it covers."""
MORE_THAN_SEEN = 20
"""Messages that are asked for beyond those that were seen: new ones, and one older to see the lower end by."""

_DAY = 86_400 * 1_000_000


class TooManyFailuresError(Exception):
    """The walk stops here; the cause is the last failure."""


class Conversations:
    """Reads conversations for one slice, and keeps count of failures."""

    def __init__(self, api: Api, factory: RecordFactory, context: Context) -> None:
        self._api = api
        self._factory = factory
        self._window = max(0, int(context.settings.get("lookback_days", 7))) * _DAY
        self._now = context.now
        self._failures = 0
        self._most_seen = SEEN_IN_ALL
        self.threads = Threads(api, factory)
        self._cursor: Obj = {}
        self._unsaved = 0

    def walk(self, start: Start, channels: list[str]) -> Iterator[Message]:
        """Every conversation from its position; one that fails is a gap, and the others go on."""
        began = self._now().isoformat()
        self._cursor = self._begin(table(start.cursor(MESSAGES)))
        positions = self._cursor["channels"]
        self._most_seen = max(SEEN_AT_LEAST, SEEN_IN_ALL // max(1, len(channels)))
        # Failed ones come last, so that they never keep the others from being read.
        in_order = sorted(channels, key=lambda channel: "failed" in positions.get(channel, {}))
        for number, channel in enumerate(in_order, start=1):
            kept = positions.setdefault(channel, {})
            if kept.get("run") != start.run_id:
                yield from self._conversation(start.run_id, channel, kept)
            yield Progress(stream=MESSAGES, message="conversations", count=number, total=len(channels))
        yield State(stream=MESSAGES, cursor=self._cursor, covered=TimeRange(until=began))

    def _begin(self, cursor: Obj) -> Obj:
        """The cursor to go on from; a stream that rides on messages and was not asked for before begins it anew."""
        riders = sorted({ATTACHMENTS, REACTIONS} & self._factory.wanted)
        before = cursor.get("with", riders)  # The version before did not say.
        kept = set(riders) <= set(array(before))
        positions = {channel: table(one) for channel, one in table(cursor.get("channels")).items()} if kept else {}
        return {"channels": positions, "with": riders}

    def _checkpoint(self, items: int) -> Iterator[Message]:
        self._unsaved += (items + 1) * BYTES_OF_ITEM
        if self._unsaved >= len(json.dumps(self._cursor)):
            self._unsaved = 0
            yield State(stream=MESSAGES, cursor=self._cursor)

    def _conversation(self, run: str, channel: str, kept: Obj) -> Iterator[Message]:
        is_own = False
        while not is_own:
            position = Position(
                kept, window=self._window, now=int(self._now().timestamp() * 1e6), most_seen=self._most_seen
            )
            is_own = position.begin(run)
            try:
                yield from self._pass(run, channel, position)
            except NeedsOwner:
                raise
            except ProviderError as error:
                is_open = isinstance(error, NamelessError | DisorderError)
                yield part_gap({"channel_id": channel}, error, position.give_up(is_open=is_open))
                kept["failed"] = run
                yield from self._checkpoint(1)
                self._count(error)
                if isinstance(error, Throttled):
                    return
            else:
                self._failures = 0
                if is_own:
                    kept["run"] = run
                    kept.pop("failed", None)
                yield from self._checkpoint(1)

    def _pass(self, run: str, channel: str, position: Position) -> Iterator[Message]:
        """Walk from the newest message, or from where an earlier slice left off, down to what was walked before."""
        hides = has_floor = False
        limit = PAGE if position.mark or not position.low else len(table(position.kept.get("seen"))) + MORE_THAN_SEEN
        for section in downward(self._api, channel, position.mark, position.low, limit):
            hides, has_floor = section.hides, section.has_floor
            for raw in section.messages:
                yield from self._listed(channel, position, raw)
            yield from self.threads.changed(channel, position.kept, section.messages, self._checkpoint)
            if section.mark is not None:
                position.kept["mark"] = section.mark
            yield from self._checkpoint(len(section.messages))
        absent = position.finish(run, has_floor=has_floor, hides=hides)
        yield from self._factory.deleted(MESSAGES, (message_id(channel, ts) for ts in absent), ground="absent")

    def _listed(self, channel: str, position: Position, raw: Obj) -> Iterator[Message]:
        """A message of the list, compared with how it was seen before."""
        ts, riders = raw["ts"], _riders(channel, raw["ts"], raw)
        yield from self._factory.message(channel, ts, raw)
        if (before := position.before(ts)) is not None:
            key, cut = message_id(channel, ts), rows.cut_emoji(raw)
            unlisted = [one for one in before[1:] if one not in riders]
            out_of_sight = [one for one in unlisted if str(one).rpartition(":")[0] in cut]
            attached = range(riders[0], integer(before[0]) or 0)
            yield from self._factory.deleted(ATTACHMENTS, (f"{key}:att:{index}" for index in attached))
            yield from self._factory.deleted(REACTIONS, (f"{key}:{one}" for one in unlisted if one not in out_of_sight))
            riders += out_of_sight
        position.meet(ts, riders)

    def _count(self, error: ProviderError) -> None:
        if is_its_own(error):
            return
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise TooManyFailuresError from error


def _riders(channel: str, ts: str, raw: Obj) -> list[Any]:
    """The number of a message's attachments, then its reactions."""
    count = len(list(rows.attachments(channel, ts, raw)))
    return [count, *(f"{one['emoji']}:{one['user_id']}" for one in rows.reactions(channel, ts, raw))]
