"""Threads by the Web API: each is asked for by itself, and is a gap of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from connectors.slack import rows
from connectors.slack.api import Api, refuse_nameless, resumed
from connectors.slack.errors import Refused, ShortError
from connectors.slack.fields import integer
from connectors.slack.gaps import MAX_FAILURES, is_its_own, part_gap
from connectors.slack.rows import Obj
from connectors.slack.streams import RecordFactory
from pdpp_worker.connector import Message, NeedsOwner, ProviderError
from pdpp_worker.connector.json_fields import table

Checkpoint = Callable[[int], Iterator[Message]]
"""From the number of items since the last call to a STATE, where one is due."""


def no_checkpoint(_: int) -> Iterator[Message]:
    """Write no STATE: a recovery run keeps no place."""
    return iter(())


class Threads:
    """Reads threads for one slice; when one after the other fails, those that follow become gaps without a request."""

    def __init__(self, api: Api, factory: RecordFactory) -> None:
        self._api = api
        self._factory = factory
        self._failures = 0
        self._failure: ProviderError | None = None

    def whole(self, channel: str, parent: str, place: Obj, checkpoint: Checkpoint = no_checkpoint) -> Iterator[Message]:
        """All of a thread with its parent, from `place` on.

        Raises:
            ShortError: its parent counts more replies than there are, or they are another thread's.
        """
        hides = False
        for page in resumed(lambda cursor: self._api.replies(channel, parent, cursor), place):
            hides = page.hides
            if any(raw.get("thread_ts") not in (None, parent) for raw in page.items if raw["ts"] != parent):
                raise ShortError("conversations.replies answered with another thread")
            for raw in page.items:
                if raw["ts"] == parent:
                    place["counted"] = integer(raw.get("reply_count")) or 0
                else:
                    place["replies"] = (integer(place.get("replies")) or 0) + 1
                yield from self._factory.message(channel, raw["ts"], raw)
            yield from checkpoint(len(page.items))
        if not place.get("read"):
            raise ShortError("conversations.replies answered without even the parent")
        refuse_nameless("conversations.replies", integer(place.get("nameless")) or 0)
        had, counted = integer(place.get("replies")) or 0, integer(place.get("counted")) or 0
        if had < counted:
            kind, why = (Refused, "the plan's limit hides the rest") if hides else (ShortError, "and says no more")
            raise kind(f"conversations.replies answered {had} of {counted} replies, {why}")

    def changed(self, channel: str, kept: Obj, messages: list[Obj], checkpoint: Checkpoint) -> Iterator[Message]:
        """The threads of a page that have changed since they were read; `kept` is the conversation's position."""
        known = kept.setdefault("threads", {})
        for raw in messages:
            mark = rows.thread_mark(raw)
            if mark is None or known.get(raw["ts"]) == mark:
                continue
            of = f"{raw['ts']} {mark}"
            if table(kept.get("thread")).get("of") != of:
                kept["thread"] = {"of": of, "at": {}}
            if (yield from self._is_read(channel, raw["ts"], kept["thread"]["at"], checkpoint)):
                known[raw["ts"]] = mark
            kept.pop("thread", None)

    def _is_read(self, channel: str, parent: str, place: Obj, checkpoint: Checkpoint) -> Generator[Message, None, bool]:
        error = self._failure if self._failures >= MAX_FAILURES else None
        try:
            if error is None:
                yield from self.whole(channel, parent, place, checkpoint)
                self._failures = 0
        except NeedsOwner:
            raise
        except ProviderError as now:
            error = self._failure = now
            self._failures += not is_its_own(now)
        if error is not None:
            yield part_gap({"channel_id": channel, "thread_ts": parent}, error)
        return error is None
