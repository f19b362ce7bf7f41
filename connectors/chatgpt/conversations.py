"""The walk over the lists of conversations, and over the messages of each that is new or changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from connectors.chatgpt.account_inventory import Found
from connectors.chatgpt.api import Api
from connectors.chatgpt.details import Details, flaw_of
from connectors.chatgpt.errors import OtherAccountError, TreeCutError
from connectors.chatgpt.fields import unit_of
from connectors.chatgpt.gaps import BACKLOG, NAMELESS, is_backlog
from connectors.chatgpt.kept_files import held_of
from connectors.chatgpt.known import Item
from connectors.chatgpt.listing import Page, Read, Seen, Step, pages
from connectors.chatgpt.reports import children_in, coverage, deleted, gap, listed, vanished, whole
from connectors.chatgpt.sources import ACTIVE, WORKSPACE_LIST, WORKSPACES, Source, Unlisted, sources
from connectors.chatgpt.told_trees import ToldTrees
from connectors.chatgpt.tree import Conversation
from connectors.chatgpt.walks import STREAM, Walks
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
    skip,
    skip_for,
)
from pdpp_worker.connector.json_fields import table

SETTLES_MS = 300_000
"""So long beyond the unit of a list's time, such as its second, an update may still come that is dated alike: the
platform's clock may be behind."""


class Handled(NamedTuple):
    """An item as this walk handled it: on which list, with which time (ms, 0 if unknown), in which version.

    One that is not settled is read again by the next walk.
    """

    source: str
    time: int
    mark: bytes
    is_settled: bool


class Conversations:
    """The forward walk of a slice."""

    def __init__(self, start: Start, context: Context, api: Api, details: Details) -> None:
        self._start = start
        self._context = context
        self._api = api
        self._details = details
        self._told = ToldTrees(context.stored, start.run_id)
        self._hydrates = start.wants("messages")
        self._children = children_in([one.name for one in start.scope.streams])
        self._held = held_of(start, context)
        takes = {"hydrated": self._hydrates, "files": start.wants("files")}
        self._walks = Walks(table(start.cursor(STREAM)), context.now, takes)
        self._first_page: Page | None = None
        self._handled: dict[bytes, Handled] = {}
        self._counted = 0
        self._distrusts = self._is_in_doubt = False
        self.is_deferred = False

    def check_account(self) -> Iterator[Message]:
        """Look whether the list names anything that was read before; for an account that does not say who it is.

        Raises:
            OtherAccountError: it names others only.
        """
        yield from ()
        if not len(self._walks.of(ACTIVE).known):
            return
        self._is_in_doubt = True
        seen = Seen()
        for page in pages(partial(self._api.conversations, archived=False), seen):
            self._first_page = self._first_page or page
            if any(map(self._walks.name, page.items)):
                break
            seen.marks.update((item.key, item.mark) for item in page.items)
        else:
            if seen.marks:
                raise OtherAccountError(
                    "The list names none of the conversations that were read before: is this another account? Use the "
                    "first account's sign-in, or add another one; if it is the same account, run once with --full."
                )
        self._is_in_doubt = False

    def walk(self) -> Iterator[Message]:
        """Walk the lists from their saved state, and read what is new on them.

        Nothing is read where `check_account` failed, for which reason ever: it has been said.
        """
        if self._is_in_doubt:
            return
        self._details.begin_walk()
        failed: ProviderError | None = None
        found = Found()
        for one in sources(self._api):
            found.add(one)
            if isinstance(one, Unlisted):
                yield from self._unlisted(one)
            if not isinstance(one, Source):
                continue
            try:
                yield from self._walk(one)
                found.counts[one.name] = self._walks.of(one.name).count
            except NeedsOwner:
                yield from self._walks.save()
                raise
            except ProviderError as error:
                failed = error if one.name == ACTIVE else failed
                if one.name != ACTIVE:
                    yield skip_for(error, STREAM, BatchScope(partition={"list": one.name}))
            if self.is_deferred:
                return
        yield from self._end(found)
        if failed is not None:
            raise failed
        yield from self._close_backlogs()

    def walk_whole(self) -> Iterator[Message]:
        """Walk the lists to their ends, as a proof of what they hold."""
        self._distrusts = True
        yield from self.walk()

    def _end(self, found: Found) -> Iterator[Message]:
        """Save what was handled, forget lists that are no longer there, and say which there are."""
        if not found.unlisted:
            self._walks.keep({one.name for one in found.lists})
        yield from self._walks.save()
        if not self._start.recovery_only:
            yield found.inventory()

    def _unlisted(self, one: Unlisted) -> Iterator[Message]:
        """A feature that the account does not have, and of which nothing is known, is no miss."""
        of_them = WORKSPACE_LIST if one.name == WORKSPACES else re.compile(re.escape(one.name.removesuffix("s")) + ":")
        if any(map(of_them.match, self._walks.names())) or not one.is_no_feature:
            yield skip_for(one.error, STREAM, BatchScope(partition={"list": one.name}))

    def _walk(self, source: Source) -> Iterator[Message]:
        walk = self._walks.of(source.name)
        if self._distrusts:
            walk.distrust()
        step = Step(None, 0, None)
        for step in self._read_ahead(walk.steps(self._reader(source)), source.workspace):
            if step.item is not None and not self._is_handled(step.item, source):
                if (reason := self._details.why_stop) is not None:
                    self.is_deferred = True
                    yield from self._walks.save()
                    yield self._deferred(reason)
                    return
                yield from self._handle(step.item, source)
                yield from self._walks.save_now_and_then()
            yield from self._progress(step)
        self._counted += step.total or step.count
        yield from self._doubts(source.name, walk.last)

    def _reader(self, source: Source) -> Read:
        return self._read_first if source.name == ACTIVE else source.read

    def _read_first(self, offset: int) -> Page:
        page, self._first_page = self._first_page, None
        return page if page is not None and not offset else self._api.conversations(offset, archived=False)

    def _read_ahead(self, steps: Iterator[Step], workspace: str | None) -> Iterator[Step]:
        """The same steps, the conversations of several asked for at once where that is possible."""
        held: list[Step] = []
        for step in steps:
            held.append(step)
            keys = [one.item.id for one in held if one.item is not None]
            if step.item is None or len(keys) >= self._details.batch:
                if self._hydrates:
                    self._details.read_ahead(keys, workspace)
                yield from held
                held.clear()

    def _is_handled(self, item: Item, source: Source) -> bool:
        """Whether this walk has handled the item, or another list named the same or a newer version."""
        last, known = self._handled.get(item.key), self._walks.of(source.name).known
        if last is None or (last.source == source.name and last.mark != item.mark) or last.time < (item.time or 0):
            if not self._walks.hold(item):
                return False
            known.add(item)
        elif last.source != source.name:
            known.add(item, settled=last.is_settled)
        return True

    def _handle(self, item: Item, source: Source) -> Iterator[Message]:
        known = self._walks.of(source.name).known
        settled = self._is_settled(item)
        if not self._hydrates:
            yield listed(item.id, item.raw, self._context.now)
        else:
            settled &= yield from self._hydrate(item, source.workspace, is_new=not known.names(item))
        self._handled[item.key] = Handled(source.name, item.time or 0, item.mark, settled)
        known.add(item, settled=settled)

    def _hydrate(self, item: Item, workspace: str | None, *, is_new: bool) -> Any:
        """Read a conversation; returns whether it need not be asked for again while the list says the same of it."""
        try:
            detail = self._details.read(item.id, workspace)
        except NeedsOwner:
            raise
        except Gone:
            yield deleted(item.id, self._context.now)
            return False
        except ProviderError as error:
            yield from self._missed(item, error, workspace)
            return True
        flaw = flaw_of(item.raw, detail)
        # A detail that is older than the list says is better than nothing, and worse than a newer one that is held.
        if flaw is None or isinstance(flaw, TreeCutError) or is_new:
            self._told.add(item.id, detail.message_ids if flaw is not None else ())
            yield from whole(item.id, item.filled, detail, self._context.now, self._held)
        if flaw is not None:
            yield from self._missed(item, flaw, workspace)
            return True
        yield from coverage(item.id, self._children, is_read=True)
        return (yield from self._compare(item.id, detail))

    def _compare(self, key: str, detail: Conversation) -> Any:
        """Say what vanished from the tree; returns whether two runs agree on it."""
        told = self._told.compare(key, detail.message_ids)
        yield from vanished(key, told.vanished, self._context.now)
        return told.is_settled and (told.is_same or not detail.begins_in_the_middle)

    def _missed(self, item: Item, error: ProviderError, workspace: str | None) -> Iterator[Message]:
        yield listed(item.id, item.raw, self._context.now)
        yield from gap(item.id, item.filled, error, self._children, workspace)
        yield from coverage(item.id, self._children, is_read=False)

    def _is_settled(self, item: Item) -> bool:
        """Whether a later update of the item has a time of its own."""
        now_ms, unit = self._context.now().timestamp() * 1000, unit_of(item.time)
        return item.time is None or not unit or item.time + unit + SETTLES_MS < now_ms

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
