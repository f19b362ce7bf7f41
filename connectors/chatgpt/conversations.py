"""The forward walk over conversations and their messages, and the recovery of single conversations by id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from connectors.chatgpt.api import Api
from connectors.chatgpt.details import Details, coverage, deleted, gap, listed, whole
from connectors.chatgpt.fields import identity, iso
from connectors.chatgpt.gaps import BACKLOG, absent, by_conversation, closed, is_backlog
from connectors.chatgpt.listing import Item, Page, Position, Step, walk
from pdpp_worker.connector import (
    BatchScope,
    Context,
    Gone,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Reason,
    Start,
    State,
    TimeRange,
    skip,
)
from pdpp_worker.connector.json_fields import table


def recover(start: Start, context: Context, details: Details) -> Iterator[Message]:
    """Read exactly the conversations that are known to be missing."""
    missing = {key: gaps for key, gaps in by_conversation(start.detail_gaps).items() if identity(key) is not None}
    for number, (key, gaps) in enumerate(missing.items()):
        if details.why_stop is not None:
            return
        if number % details.batch == 0:
            details.read_ahead(list(islice(missing, number, number + details.batch)))
        item = table(table(gaps[0].detail_locator).get("item"))
        try:
            detail = details.read(key)
        except NeedsOwner:
            raise
        except Gone:
            yield deleted(key, context.now)
            yield from absent(key, gaps)
        except ProviderError as error:
            for missed in gaps:
                yield gap(key, item, error, gap_id=missed.gap_id)
        else:
            yield from whole(key, item, detail, context.now)
            yield from closed(key, gaps, detail.message_ids)


def forward(start: Start, context: Context, api: Api, details: Details) -> Iterator[Message]:
    """Walk the list from the saved position, and read what is new on it."""
    details.forgive()
    yield from _Walker(start, context, api, details).walk()


class _Walker:
    def __init__(self, start: Start, context: Context, api: Api, details: Details) -> None:
        self._start = start
        self._context = context
        self._api = api
        self._details = details
        self._hydrates = start.wants("messages")
        self._cursor = table(start.cursor("conversations"))
        self._newest: Item | None = None
        self._unusable = 0

    def walk(self) -> Iterator[Message]:
        position = self._saved_position()
        for step in self._read_ahead(walk(self._read, position)):
            if step.item is not None and (reason := self._details.why_stop) is not None:
                yield self._deferred(reason, position)
                return
            yield from self._report_unusable()
            if step.item is not None:
                yield from self._handle(step.item)
            position = step.position
            yield State(stream="conversations", cursor=self._cursor_at(position))
            yield from self._progress(step)
        yield from self._close_backlogs()

    def _read_ahead(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The same steps, the conversations of several asked for at once where that is possible."""
        held: list[Step] = []
        for step in steps:
            held.append(step)
            keys = [one.item.id for one in held if one.item is not None]
            if step.item is None or len(keys) >= self._details.batch:
                if self._hydrates:
                    self._details.read_ahead(keys)
                yield from held
                held.clear()

    def _saved_position(self) -> Position:
        # A walk that read no messages has not come anywhere for one that does.
        usable = self._cursor.get("hydrated", False) or not self._hydrates
        return Position.from_json(self._cursor.get("list") if usable else None)

    def _cursor_at(self, position: Position) -> dict[str, Any]:
        return {**self._cursor, "list": position.as_json(), "hydrated": self._hydrates}

    def _read(self, offset: int) -> Page:
        page = self._api.conversations(offset)
        self._unusable += page.unusable
        if offset == 0 and page.items:
            self._newest = page.items[0]
        return page

    def _report_unusable(self) -> Iterator[Message]:
        if self._unusable:
            scope = BatchScope(partition={"list_items": "without a usable id"})
            yield skip("conversations", Reason.SHAPE_CHANGED, scope, f"{self._unusable} list items have no usable id")
            self._unusable = 0

    def _progress(self, step: Step) -> Iterator[Message]:
        # On the way down to a low watermark nobody knows how many items are still to come.
        is_through = step.item is None
        if step.total is not None and (is_through or step.position.low_watermark is None):
            count = step.total if is_through else min(step.position.index, step.total)
            yield Progress(stream="conversations", count=count, total=step.total)

    def _handle(self, item: Item) -> Iterator[Message]:
        if not self._hydrates:
            yield listed(item, self._context.now)
            return
        try:
            detail = self._details.read(item.id)
        except NeedsOwner:
            raise
        except Gone:
            yield deleted(item.id, self._context.now)
        except ProviderError as error:
            yield listed(item, self._context.now)
            yield gap(item.id, item.raw, error)
            yield coverage(item.id, is_read=False)
        else:
            yield from whole(item.id, item.raw, detail, self._context.now)
            yield coverage(item.id, is_read=True)

    def _deferred(self, reason: Reason, position: Position) -> Message:
        since = _time(position.low_watermark.time) if position.low_watermark else None
        until = _time(position.boundary.time) if position.boundary else None
        scope = BatchScope(partition=dict(BACKLOG), range=TimeRange(since=since, until=until))
        message = "The walk stopped here; the next one goes on from this position."
        return skip("conversations", reason, scope, message, retry_after=self._details.retry_after)

    def _close_backlogs(self) -> Iterator[Message]:
        """The list was walked to its end, so nothing that was put off is left; its newest row is the proof."""
        backlogs = [known for known in self._start.detail_gaps if is_backlog(known)]
        if self._newest is None or not backlogs:
            return
        yield listed(self._newest, self._context.now)
        yield from closed(self._newest.id, backlogs, [])


def _time(millis: int) -> str | None:
    return iso(datetime.fromtimestamp(millis / 1000, UTC).isoformat())
