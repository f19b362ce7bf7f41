"""Memberships of people in conversations, by the Web API.

The cursor is {"counts": conversation to its number of members when they were read, the longest ago first; "failed":
those that could not be read; "run", with how many were read in it ("fresh"), and how many of these though their number
was the same ("again"); "place": the conversation that is being read, and how far}.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any

from connectors.slack.api import Api, refuse_nameless, resumed
from connectors.slack.conversations import TooManyFailuresError
from connectors.slack.errors import ShortError
from connectors.slack.fields import integer, strings
from connectors.slack.gaps import MAX_FAILURES, is_its_own, miss_reason
from connectors.slack.rows import Obj
from connectors.slack.streams import MEMBERSHIPS, RecordFactory
from pdpp_worker.connector import Message, NeedsOwner, ProviderError, Start, State, detail_coverage, gap_for
from pdpp_worker.connector.json_fields import table

READ_AGAIN = 50
"""Conversations a run that are read though their number of members is the same: one may have left as another came."""
_BYTES_OF_MEMBER = 100


class Memberships:
    """Reads the members of conversations for one slice."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start) -> None:
        self._api = api
        self._factory = factory
        self._run = start.run_id
        cursor = table(start.cursor(MEMBERSHIPS))
        self._counts = dict(table(cursor.get("counts")))
        self._failed = set(strings(cursor.get("failed")))
        is_same = cursor.get("run") == self._run
        self._again = (integer(cursor.get("again")) or 0) if is_same else 0
        self._fresh = (integer(cursor.get("fresh")) or 0) if is_same else 0
        self._place: Obj = dict(table(cursor.get("place"))) if is_same else {}
        self._unsaved = 0

    def walk(self, known: dict[str, int]) -> Iterator[Message]:
        """The members of conversations (id to number of members) that have changed, and of some that may have."""
        # A direct message has no count, and its members never change. Failed ones come last.
        changed = [channel for channel, count in known.items() if self._counts.get(channel) != count]
        old = list(self._counts)[: max(0, len(self._counts) - self._fresh)]
        again = [one for one in old if known.get(one) and self._counts[one] == known[one]]
        again = again[: max(0, READ_AGAIN - self._again)]
        failures = 0
        for channel in [*sorted(changed, key=self._failed.__contains__), *again]:
            error = yield from self._members_or_gap(channel, known[channel])
            self._again += self._counts.pop(channel, None) == known[channel]
            if error is None:
                failures, self._counts[channel] = 0, known[channel]
                self._fresh += 1
                self._failed.discard(channel)
            else:
                failures += not is_its_own(error)
                self._failed.add(channel)
            yield from self._checkpoint(1)
            if failures >= MAX_FAILURES:
                raise TooManyFailuresError from error
        yield self._state()

    def _members_or_gap(self, channel: str, count: int) -> Generator[Message, None, ProviderError | None]:
        """The memberships of one conversation, or the gap that they are; returns why there is one."""
        try:
            yield from self._members(channel, count)
        except NeedsOwner:
            raise
        except ProviderError as error:
            locator = {"members_of": channel, "counted": count}
            yield gap_for(error, MEMBERSHIPS, channel, detail_locator=locator, reason=miss_reason(error))
            return error
        yield detail_coverage(MEMBERSHIPS, MEMBERSHIPS, channel, is_read=True)
        return None

    def _members(self, channel: str, count: int) -> Iterator[Message]:
        if self._place.get("of") != channel:
            self._place = {"of": channel, "at": {}}
        at = self._place["at"]
        for page in resumed(lambda cursor: self._api.members(channel, cursor), at):
            yield from (self._factory.membership(channel, user) for user in page.items)
            yield from self._checkpoint(len(page.items))
        self._place = {}
        refuse_nameless("conversations.members", integer(at.get("nameless")) or 0)
        if (read := integer(at.get("read")) or 0) < count:
            raise ShortError(f"conversations.members named {read} of {count} members, and says no more")

    def _checkpoint(self, items: int) -> Iterator[Message]:
        """A STATE, where it weighs no more than what it covers."""
        self._unsaved += (items + 1) * _BYTES_OF_MEMBER
        if self._unsaved >= len(json.dumps(self._cursor)):
            self._unsaved = 0
            yield self._state()

    @property
    def _cursor(self) -> dict[str, Any]:
        read = {"run": self._run, "again": self._again, "fresh": self._fresh, "place": self._place}
        return {"counts": self._counts, "failed": sorted(self._failed), **read}

    def _state(self) -> State:
        return State(stream=MEMBERSHIPS, cursor=self._cursor)
