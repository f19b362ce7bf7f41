"""All streams over the Web API."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

from connectors.slack.api import Api, refuse_nameless
from connectors.slack.conversations import (
    MAX_FAILURES,
    Conversations,
    TooManyFailuresError,
    is_its_own,
    miss_reason,
    stopped,
)
from connectors.slack.errors import NamelessError
from connectors.slack.fields import integer, strings, text
from connectors.slack.rows import Obj
from connectors.slack.streams import (
    ATTACHMENTS,
    CANVASES,
    CHANNEL_STATS,
    CHANNELS,
    FILES,
    MEMBERSHIPS,
    MESSAGES,
    REACTIONS,
    USERS,
    WORKSPACE,
    RecordFactory,
)
from pdpp_worker.connector import (
    Context,
    Message,
    NeedsOwner,
    Phase,
    Progress,
    ProviderError,
    ShapeError,
    Start,
    State,
    detail_coverage,
    gap_for,
)
from pdpp_worker.connector.json_fields import flag, table, tables


class Web:
    """Reads a workspace over the Web API for one slice."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start, context: Context) -> None:
        self._api = api
        self._factory = factory
        self._start = start
        self._context = context
        self.conversations = Conversations(api, factory, context)

    def phases(self) -> list[Phase]:
        """The forward walk, in order; each reads one stream and what rides on it."""
        all_phases = [
            Phase((WORKSPACE,), self._workspace),
            Phase((USERS,), self._users),
            Phase((CHANNELS, CHANNEL_STATS), self._channels),
            Phase((MEMBERSHIPS,), self._memberships),
            Phase((FILES, CANVASES), self._files),
            Phase((MESSAGES, ATTACHMENTS, REACTIONS), self._messages),
        ]
        wanted = self._factory.wanted
        asked = [Phase(tuple(one for one in streams if one in wanted), go) for streams, go in all_phases]
        return [Phase(streams, self._guarded(streams, go)) for streams, go in asked if streams]

    def _guarded(
        self, streams: tuple[str, ...], go: Callable[[], Iterator[Message]]
    ) -> Callable[[], Iterator[Message]]:
        """The same, with its streams skipped after too many failures in a row."""

        def messages() -> Iterator[Message]:
            try:
                yield from go()
            except TooManyFailuresError as error:
                if isinstance(error.__cause__, ProviderError):
                    yield from stopped(streams, error.__cause__)

        return messages

    def _is_done(self, stream: str) -> bool:
        """Whether an earlier slice of this run has read the stream."""
        return table(self._start.cursor(stream)).get("run") == self._start.run_id

    def _workspace(self) -> Iterator[Message]:
        if self._is_done(WORKSPACE):
            return
        records = list(self._factory.workspace(self._api.identity()))
        if not records:
            raise ShapeError("auth.test names no workspace")
        yield from records
        yield State(stream=WORKSPACE, cursor={"run": self._start.run_id})

    def _users(self) -> Iterator[Message]:
        if self._is_done(USERS):
            return
        for number, raw in enumerate(self._api.users(), start=1):
            yield from self._factory.user(table(raw))
            if number % 1000 == 0:
                yield Progress(stream=USERS, count=number)
        yield State(stream=USERS, cursor={"run": self._start.run_id})

    def _channels(self) -> Iterator[Message]:
        if self._is_done(CHANNELS):
            return
        day = self._context.now().date().isoformat()
        ids: dict[str, int] = {}
        try:
            for raw in self._api.channels():
                if self._is_ours(raw):
                    ids[raw["id"]] = integer(raw.get("num_members")) or 0
                    yield from self._factory.channel(raw, day)
        except NamelessError as error:
            self._nameless = error
        self._listed = ids
        self._refuse_nameless()
        if CHANNELS in self._factory.wanted:
            yield State(stream=CHANNELS, cursor={"run": self._start.run_id, "ids": ids})

    def _is_ours(self, raw: Obj) -> bool:
        if not self._context.settings.get("member_only", True):
            return True
        return raw.get("is_im") is True or raw.get("is_mpim") is True or flag(raw.get("is_member")) is not False

    def _refuse_nameless(self) -> None:
        """Report channels of the list that cannot be named, now that the others are taken."""
        if self._nameless is not None:
            raise self._nameless

    _listed: dict[str, int] | None = None
    _nameless: NamelessError | None = None

    def _known_channels(self) -> dict[str, int]:
        """Channel to member count, from the list that this run has read."""
        if self._listed is None:
            if self._is_done(CHANNELS):
                return table(table(self._start.cursor(CHANNELS)).get("ids"))
            with suppress(NamelessError):
                deque(self._channels(), maxlen=0)
        return self._listed or {}

    def _memberships(self) -> Iterator[Message]:
        cursor = table(self._start.cursor(MEMBERSHIPS))
        counts, failed = dict(table(cursor.get("counts"))), set(strings(cursor.get("failed")))
        known, failures = self._known_channels(), 0
        # A direct message has no count, and its members never change. Failed ones come last.
        due = [channel for channel, count in known.items() if counts.get(channel) != count]
        for channel in sorted(due, key=failed.__contains__):
            error = yield from self._members_or_gap(channel)
            if error is None:
                failures, counts[channel] = 0, known[channel]
                failed.discard(channel)
            else:
                failures += not is_its_own(error)
                failed.add(channel)
            yield State(stream=MEMBERSHIPS, cursor={"counts": counts, "failed": sorted(failed)})
            if failures >= MAX_FAILURES:
                raise TooManyFailuresError from error
        yield State(stream=MEMBERSHIPS, cursor={"counts": counts, "failed": sorted(failed)})

    def _members_or_gap(self, channel: str) -> Generator[Message, None, ProviderError | None]:
        """The memberships of one conversation, or the gap that they are; returns why there is one."""
        try:
            yield from self.members(channel)
        except NeedsOwner:
            raise
        except ProviderError as error:
            locator = {"members_of": channel}
            yield gap_for(error, MEMBERSHIPS, channel, detail_locator=locator, reason=miss_reason(error))
            return error
        yield detail_coverage(MEMBERSHIPS, MEMBERSHIPS, channel, is_read=True)
        return None

    def members(self, channel: str) -> Iterator[Message]:
        """The memberships of one conversation."""
        yield from (self._factory.membership(channel, user) for user in self._api.members(channel) if text(user))

    def _files(self) -> Iterator[Message]:
        if self._is_done(FILES):
            return
        page, pages, nameless = integer(table(self._start.cursor(FILES)).get("page")) or 1, 1, 0
        while page <= max(pages, 1):
            found, pages = self._api.files(page)
            if page < pages and not found:
                raise ShapeError(f"files.list speaks of {pages} pages, and page {page} is empty")
            named = [raw for raw in tables(found) if text(raw.get("id"))]
            nameless += len(found) - len(named)
            for raw in named:
                yield from self._factory.file(raw)
            page += 1
            if FILES in self._factory.wanted:
                yield State(stream=FILES, cursor={"page": page})
        refuse_nameless("files.list", nameless)
        if FILES in self._factory.wanted:
            yield State(stream=FILES, cursor={"run": self._start.run_id})

    def _messages(self) -> Iterator[Message]:
        yield from self.conversations.walk(self._start, list(self._known_channels()))
        self._refuse_nameless()
