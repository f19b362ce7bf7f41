"""The walk over the lists of conversations, and over the messages of each that is new or changed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from connectors.chatgpt.api import Api
from connectors.chatgpt.details import Details, flaw_of
from connectors.chatgpt.errors import OtherAccountError, TreeCutError
from connectors.chatgpt.gaps import BACKLOG, NAMELESS, is_backlog
from connectors.chatgpt.known import ENTRY_CHARS, Item
from connectors.chatgpt.listing import Page, Seen, Step, Walk, pages
from connectors.chatgpt.reports import coverage, deleted, gap, listed, whole
from pdpp_worker.connector import (
    BatchScope,
    Context,
    DetailGapRecovered,
    Gone,
    Message,
    NeedsOwner,
    Progress,
    ProviderError,
    Reason,
    Start,
    State,
    skip,
    skip_for,
)
from pdpp_worker.connector.json_fields import table

ACTIVE, ARCHIVED = "active", "archived"
LISTS = (ACTIVE, ARCHIVED)
STATE_CHARS = 2048
"""A cursor that is longer is saved the more seldom: about so much is written for each conversation."""
SETTLES_MS = 2000
"""So long after a time in whole seconds an update may still come that the list dates alike."""
STREAM = "conversations"


class Conversations:
    """The forward walk of a slice."""

    def __init__(self, start: Start, context: Context, api: Api, details: Details) -> None:
        self._start = start
        self._context = context
        self._api = api
        self._details = details
        self._hydrates = start.wants("messages")
        self._cursor = table(start.cursor(STREAM))
        self._walks = {name: Walk(self._saved(name), context.now) for name in LISTS}
        self._saved_lists = self._lists()
        self._first_page: Page | None = None
        self._handled: set[tuple[bytes, bytes]] = set()
        self._since_state = 0
        self._counted = 0
        self.is_deferred = False

    def check_account(self) -> Iterator[Message]:
        """Look whether the list names anything that was read before; for an account that does not say who it is.

        Raises:
            OtherAccountError: it names others only.
        """
        yield from ()
        known = [walk.known for walk in self._walks.values()]
        if not any(map(len, known)):
            return
        seen = Seen()
        for page in pages(self._reader(ACTIVE), seen):
            self._first_page = self._first_page or page
            if any(one.names(item) for item in page.items for one in known):
                return
            seen.marks.update((item.key, item.mark) for item in page.items)
        if seen.marks:
            raise OtherAccountError(
                "The list names none of the conversations that were read before: is this another account? Use the "
                "first account's sign-in, or add another connection; if it is the same account, run once with --full."
            )

    def walk(self) -> Iterator[Message]:
        """Walk the lists from their saved state, and read what is new on them."""
        self._details.begin_walk()
        failed: ProviderError | None = None
        for name in LISTS:
            try:
                yield from self._walk(name)
            except NeedsOwner:
                yield from self._save()
                raise
            except ProviderError as error:
                failed = failed or (error if name == ACTIVE else None)
                if name != ACTIVE and failed is None:
                    yield skip_for(error, STREAM, BatchScope(partition={"list": name}))
            if self.is_deferred:
                return
        yield from self._save()
        if failed is not None:
            raise failed
        yield from self._close_backlogs()

    def walk_whole(self) -> Iterator[Message]:
        """Walk the lists to their ends, as a proof of what they hold."""
        for walk in self._walks.values():
            walk.distrust()
        yield from self.walk()

    def _walk(self, name: str) -> Iterator[Message]:
        walk = self._walks[name]
        step = Step(None, 0, None)
        for step in self._read_ahead(walk.steps(self._reader(name))):
            if step.item is not None and not self._is_handled(step.item, walk):
                if (reason := self._details.why_stop) is not None:
                    self.is_deferred = True
                    yield from self._save()
                    yield self._deferred(reason)
                    return
                yield from self._handle(step.item, walk)
                yield from self._save_now_and_then()
            yield from self._progress(step)
        self._counted += step.total or step.count
        yield from self._doubts(name, walk.last)

    def _saved(self, name: str) -> dict[str, Any]:
        # A walk that read no messages has not come anywhere for one that does.
        if self._hydrates and not self._cursor.get("hydrated", False):
            return {}
        if "list" in self._cursor and name == ACTIVE:
            return {"before": self._cursor["list"]}
        return table(table(self._cursor.get("lists")).get(name))

    def _lists(self) -> dict[str, Any]:
        return {name: walk.as_json() for name, walk in self._walks.items()}

    def _save(self) -> Iterator[Message]:
        """A STATE of all that was handled, if that is more than was saved."""
        lists, self._since_state = self._lists(), 0
        if lists != self._saved_lists:
            self._saved_lists = lists
            kept = {key: value for key, value in self._cursor.items() if key != "list"}
            yield State(stream=STREAM, cursor={**kept, "lists": lists, "hydrated": self._hydrates})

    def _save_now_and_then(self) -> Iterator[Message]:
        self._since_state += 1
        size = ENTRY_CHARS * sum(len(walk.known) for walk in self._walks.values())
        if self._since_state * STATE_CHARS >= size:
            yield from self._save()

    def _reader(self, name: str) -> Any:
        return partial(self._read, archived=name == ARCHIVED)

    def _read(self, offset: int, *, archived: bool) -> Page:
        if not offset and not archived and self._first_page is not None:
            page, self._first_page = self._first_page, None
            return page
        return self._api.conversations(offset, archived=archived)

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

    def _is_handled(self, item: Item, walk: Walk) -> bool:
        """Whether this walk has handled the item, or the other list named the very same."""
        if any(one.known.holds(item) for one in self._walks.values()):
            walk.known.add(item)
            return True
        return (item.key, item.mark) in self._handled

    def _handle(self, item: Item, walk: Walk) -> Iterator[Message]:
        self._handled.add((item.key, item.mark))
        settled = True
        if not self._hydrates:
            yield listed(item.id, item.raw, self._context.now)
        else:
            settled = yield from self._hydrate(item, is_new=not walk.known.names(item))
        walk.known.add(item, settled=settled and self._is_settled(item))

    def _hydrate(self, item: Item, *, is_new: bool) -> Any:
        """Read a conversation; returns whether it need not be asked for again while the list says the same of it."""
        try:
            detail = self._details.read(item.id)
        except NeedsOwner:
            raise
        except Gone:
            yield deleted(item.id, self._context.now)
            return False
        except ProviderError as error:
            yield from self._missed(item, error)
            return True
        flaw = flaw_of(item.raw, detail)
        # What is older than the list says is better than nothing, and worse than what is held.
        if flaw is None or isinstance(flaw, TreeCutError) or is_new:
            yield from whole(item.id, item.raw, detail, self._context.now)
        if flaw is not None:
            yield from self._missed(item, flaw)
        else:
            yield coverage(item.id, is_read=True)
        return True

    def _missed(self, item: Item, error: ProviderError) -> Iterator[Message]:
        yield listed(item.id, item.raw, self._context.now)
        yield gap(item.id, item.raw, error)
        yield coverage(item.id, is_read=False)

    def _is_settled(self, item: Item) -> bool:
        now_ms = self._context.now().timestamp() * 1000
        return item.time is None or item.time % 1000 != 0 or item.time + SETTLES_MS < now_ms

    def _progress(self, step: Step) -> Iterator[Message]:
        if step.total is not None:
            total = self._counted + step.total
            yield Progress(stream=STREAM, count=min(self._counted + step.count, total), total=total)

    def _doubts(self, name: str, seen: Seen) -> Iterator[Message]:
        """Say what the list itself leaves open."""
        if seen.unusable:
            text = f"{len(seen.unusable)} list items have no usable id"
            yield skip(STREAM, Reason.SHAPE_CHANGED, BatchScope(partition=dict(NAMELESS)), text)
        if not seen.is_short_cut and not seen.is_whole:
            text = f"The list of {name} conversations names {seen.count} of {seen.total}, or its pages do not join."
            yield skip(STREAM, Reason.UPSTREAM_ERROR, BatchScope(partition={"list": name}), text)
        if seen.admits_missing:
            text = f"The platform says that its list of {name} conversations misses some."
            yield skip(STREAM, Reason.UPSTREAM_ERROR, BatchScope(partition={"list": name, "missing": True}), text)

    def _deferred(self, reason: Reason) -> Message:
        message = "The walk stopped here; the next one goes on from this position."
        scope = BatchScope(partition=dict(BACKLOG))
        return skip(STREAM, reason, scope, message, retry_after=self._details.retry_after)

    def _close_backlogs(self) -> Iterator[Message]:
        """The lists were walked to their ends, so nothing that was put off is left."""
        for known in filter(is_backlog, self._start.detail_gaps):
            yield DetailGapRecovered(gap_id=known.gap_id, stream=STREAM, record_key=STREAM, absent=True)
