"""The forward walk over the messages of every conversation, by the Web API.

Each conversation keeps its own position in the cursor:

    last    the newest message when it was last walked to its end; the next walk goes down to some days before it
    top     the newest message when the walk under way began; mark: how far down it has come; began: in which run
    threads parent to what it said of its replies when they were read ("count latest"), within the window
    seen    message to what rode on it when last walked (attachments, then "emoji:user"), within the window; met: the
            same for the walk under way. A message seen and not met again was deleted, and so were its riders.
    run     the run that has walked it to its end
    failed  the run in which it last failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from connectors.slack import rows
from connectors.slack.api import Api
from connectors.slack.errors import Refused, ScopeMissing
from connectors.slack.fields import integer, micros, text, ts_of
from connectors.slack.rows import Obj, message_id
from connectors.slack.streams import ATTACHMENTS, MESSAGES, REACTIONS, RecordFactory
from pdpp_worker.connector import (
    BatchScope,
    Context,
    Gone,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Reason,
    ShapeError,
    SkipResult,
    Start,
    State,
    Throttled,
    TimeRange,
    reason_for,
    skip_for,
)
from pdpp_worker.connector.json_fields import table, tables

MAX_FAILURES = 3
"""Conversations or threads in a row that may fail before the walk stops: then it is not they that are at fault."""
BEGINNING = "0"

_DAY = 86_400 * 1_000_000
_NEVER = 10**18


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

    def walk(self, start: Start, channels: list[str]) -> Iterator[Message]:
        """Every conversation from its position; one that fails is a gap, and the others go on."""
        began = self._now().isoformat()
        cursor = table(start.cursor(MESSAGES))
        positions = {channel: table(position) for channel, position in table(cursor.get("channels")).items()}
        # Failed ones come last, so that they never keep the others from being read.
        in_order = sorted(channels, key=lambda channel: "failed" in positions.get(channel, {}))
        for number, channel in enumerate(in_order, start=1):
            position = positions.setdefault(channel, {})
            if position.get("run") != start.run_id:
                yield from self._conversation(start, channel, position, lambda: {"channels": positions})
            yield Progress(stream=MESSAGES, message="conversations", count=number, total=len(channels))
        yield State(stream=MESSAGES, cursor={"channels": positions}, covered=TimeRange(until=began))

    def whole(self, channel: str, oldest: str = BEGINNING, latest: str | None = None) -> Iterator[Message]:
        """All of a conversation between two `ts`, with its threads; raises when any part of it fails."""
        for page in self._api.history(channel, oldest, latest):
            for raw in tables(page):
                yield from self._message(channel, raw, ())
                if rows.thread_mark(raw) is not None:
                    yield from self.thread(channel, str(raw["ts"]))

    def thread(self, channel: str, parent: str) -> Iterator[Message]:
        """All of a thread, with its parent."""
        pages = 0
        for page in self._api.replies(channel, parent):
            pages += bool(page)
            for raw in tables(page):
                yield from self._message(channel, raw, ())
        if not pages:
            raise ShapeError("conversations.replies answered without even the parent")

    def one(self, channel: str, ts: str) -> Iterator[Message]:
        """One message."""
        raw = self._api.message(channel, ts)
        if raw is None:
            raise Gone(f"no message at {ts}")
        yield from self._message(channel, raw, ())

    def _conversation(self, start: Start, channel: str, position: Obj, cursor: Callable[[], Obj]) -> Iterator[Message]:
        try:
            while position.get("run") != start.run_id:
                yield from self._pass(start, channel, position, cursor)
        except NeedsOwner:
            raise
        except ProviderError as error:
            latest = {"latest": position["mark"]} if "mark" in position else {}
            yield _gap({"channel_id": channel}, error, {"oldest": ts_of(self._low_watermark(position)), **latest})
            position["failed"] = start.run_id
            yield State(stream=MESSAGES, cursor=cursor())
            self._count(error)
        else:
            self._failures = 0
            position.pop("failed", None)
            yield State(stream=MESSAGES, cursor=cursor())

    def _pass(self, start: Start, channel: str, position: Obj, cursor: Callable[[], Obj]) -> Iterator[Message]:
        """From the newest message, or from where an earlier slice left off, down to what was walked before."""
        began = position.setdefault("began", start.run_id)
        low = self._low_watermark(position)
        hides = False
        for page in self._api.history(channel, ts_of(low) if low else BEGINNING, text(position.get("mark"))):
            hides = self._api.hides
            messages = [raw for raw in tables(page) if micros(raw.get("ts")) is not None]
            for raw in messages:
                position.setdefault("top", raw["ts"])
                yield from self._listed(channel, position, raw)
            yield from self._threads(channel, position, messages)
            if messages:
                position["mark"] = messages[-1]["ts"]
            yield State(stream=MESSAGES, cursor=cursor())
        yield from self._finish(channel, position, low, hides=hides)
        if began == start.run_id:
            position["run"] = start.run_id

    def _low_watermark(self, position: Obj) -> int:
        """Down to where a walk goes, microseconds; 0 is all the way."""
        last = micros(position.get("last"))
        return 0 if last is None else max(0, last - self._window)

    def _listed(self, channel: str, position: Obj, raw: Obj) -> Iterator[Message]:
        """A message of the list, compared with how it was seen before."""
        ts = raw["ts"]
        before = table(position.get("seen")).get(ts)
        yield from self._message(channel, raw, before or ())
        if before is not None or self._is_young(position, ts):
            position.setdefault("met", {})[ts] = _riders(channel, ts, raw)

    def _message(self, channel: str, raw: Obj, before: Any) -> Iterator[Message]:
        ts = raw.get("ts")
        if not isinstance(ts, str) or micros(ts) is None:
            return
        yield from self._factory.message(channel, ts, raw)
        if before:
            yield from self._taken_away(channel, ts, before, _riders(channel, ts, raw))

    def _taken_away(self, channel: str, ts: str, before: list[Any], now: list[Any]) -> Iterator[Message]:
        key = message_id(channel, ts)
        count, had = integer(before[0]) or 0, before[1:]
        yield from self._factory.deleted(ATTACHMENTS, (f"{key}:att:{index}" for index in range(now[0], count)))
        yield from self._factory.deleted(REACTIONS, (f"{key}:{one}" for one in had if one not in now[1:]))

    def _threads(self, channel: str, position: Obj, messages: list[Obj]) -> Iterator[Message]:
        """The threads of a page that have changed since they were read."""
        known = position.setdefault("threads", {})
        for raw in messages:
            mark = rows.thread_mark(raw)
            if mark is None or known.get(raw["ts"]) == mark:
                continue
            try:
                yield from self.thread(channel, raw["ts"])
            except NeedsOwner:
                raise
            except Gone:
                known[raw["ts"]] = mark
            except ProviderError as error:
                yield _gap({"channel_id": channel, "thread_ts": raw["ts"]}, error)
                self._count(error)
            else:
                self._failures = 0
                known[raw["ts"]] = mark

    def _finish(self, channel: str, position: Obj, low: int, *, hides: bool) -> Iterator[Message]:
        """The end of a pass: what was seen within it and not met again is deleted, and the position moves up.

        `hides`: what lies below the last message that was met is only out of sight.
        """
        met = position.pop("met", {})
        if hides:
            low = max(low, min((micros(ts) or 0 for ts in met), default=_NEVER))
        for ts, riders in table(position.get("seen")).items():
            if (micros(ts) or 0) > low and ts not in met:
                yield from self._taken_away(channel, ts, riders, [0])
                yield from self._factory.deleted(MESSAGES, [message_id(channel, ts)])
        top = position.pop("top", None) or position.get("last")
        position.pop("mark", None)
        position.pop("began", None)
        if top is not None:
            position["last"] = max(top, text(position.get("last")) or "", key=lambda ts: micros(ts) or 0)
            position["seen"] = {ts: riders for ts, riders in met.items() if self._is_young(position, ts)}
            position["threads"] = {ts: mark for ts, mark in position["threads"].items() if self._is_young(position, ts)}

    def _is_young(self, position: Obj, ts: str) -> bool:
        """Whether the next walk will come by the message."""
        newest = max(micros(position.get("top")) or 0, micros(position.get("last")) or 0)
        return (micros(ts) or 0) > newest - self._window

    def _count(self, error: ProviderError) -> None:
        if is_its_own(error):
            return
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            raise TooManyFailuresError from error


def is_its_own(error: ProviderError) -> bool:
    """Whether a failure is that of one conversation, or of its kind, and says nothing of the others."""
    return isinstance(error, Gone | Refused | ScopeMissing)


def stopped(streams: Iterable[str], error: ProviderError) -> Iterator[Message]:
    """The walk could not go on; the next one does from its position."""
    reason = Reason.UPSTREAM_PRESSURE if isinstance(error, Throttled) else None
    return (skip_for(error, stream, reason=reason) for stream in streams)


def _gap(partition: dict[str, Any], error: ProviderError, detail: Obj | None = None) -> SkipResult:
    """A conversation or thread that could not be read to its end."""
    return skip_for(error, MESSAGES, BatchScope(partition=partition), reason=miss_reason(error), detail=detail)


def miss_reason(error: ProviderError) -> Reason:
    """The reason why a part is missing; one that is listed and is said not to exist may only be out of sight."""
    return Reason.SOURCE_PARTITION_FAILED if isinstance(error, Gone) else reason_for(error)


def _riders(channel: str, ts: str, raw: Obj) -> list[Any]:
    """The number of a message's attachments, then its reactions."""
    count = len(list(rows.attachments(channel, ts, raw)))
    return [count, *(f"{one['emoji']}:{one['user_id']}" for one in rows.reactions(channel, ts, raw))]
