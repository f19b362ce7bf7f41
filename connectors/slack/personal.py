"""The owner's own lists by the Web API: user groups, saved items, reminders, and how far conversations were read.

Many tokens may not ask for them: a scope or method that is missing is said in the inventory, and holds nothing up.
The cursor of a list is {"run": run} and what `absence` keeps; that of read positions {"run": run, "read":
conversations, the longest ago first}; each may have "declared", why it may not be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from connectors.slack import personal_rows
from connectors.slack.absence import absence
from connectors.slack.api import Api, refuse_nameless
from connectors.slack.errors import NotOffered, ScopeMissing
from connectors.slack.fields import strings, text
from connectors.slack.rows import Obj
from connectors.slack.streams import READ_STATES, REMINDERS, STARS, USER_GROUPS, RecordFactory
from pdpp_worker.connector import Message, NeedsOwner, ProviderError, SourceMember, Start, State
from pdpp_worker.connector.json_fields import table

_NOT_ALLOWED = (ScopeMissing, NotOffered)
READ_A_RUN = 50
"""Conversations a run of which it is asked how far they were read."""


class List(NamedTuple):
    """A list of the Web API."""

    stream: str
    method: str
    name: str
    """The field of the answer that holds it."""
    row: Callable[[Obj], Obj | None]


LISTS = (
    List(USER_GROUPS, "usergroups.list", "usergroups", personal_rows.user_group),
    List(STARS, "stars.list", "items", personal_rows.star),
    List(REMINDERS, "reminders.list", "reminders", personal_rows.reminder),
)


class Personal:
    """Reads the owner's own lists for one slice."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start) -> None:
        self._api = api
        self._factory = factory
        self._start = start
        self._cursors: dict[str, Obj] = {}

    def whole(self, of: List) -> Iterator[Message]:
        """One list; what was on it in the walks before and is not in two runs is said to be gone."""
        cursor = table(self._start.cursor(of.stream))
        if cursor.get("run") == self._start.run_id:
            return
        try:
            met, nameless = yield from self._items(of)
        except _NOT_ALLOWED as error:
            yield from self._declared(of.stream, error, cursor)
            return
        refuse_nameless(of.method, nameless)
        run = self._start.run_id
        gone, kept = absence(cursor, met, run)
        yield from self._factory.deleted(of.stream, gone, ground="absent")
        yield self._state(of.stream, {"run": run, **kept})

    def _items(self, of: List) -> Generator[Message, None, tuple[dict[str, None], int]]:
        met: dict[str, None] = {}
        nameless = 0
        for page in self._api.list_of(of.method, of.name):
            nameless += page.nameless
            for raw in page.items:
                row = of.row(raw)
                nameless += row is None
                if row is not None:
                    met[row["id"]] = None
                    yield self._factory.row(of.stream, row)
        return met, nameless

    def read_states(self, talks: list[str]) -> Iterator[Message]:
        """How far some conversations were read: those never asked for, then the longest ago."""
        cursor = table(self._start.cursor(READ_STATES))
        if cursor.get("run") == self._start.run_id:
            return
        read = [one for one in strings(cursor.get("read")) if one in set(talks)]
        due = [*(one for one in talks if one not in set(read)), *read][:READ_A_RUN]
        for channel in due:
            try:
                raw = self._api.info("conversations.info", "channel", channel=channel)
            except _NOT_ALLOWED as error:
                yield from self._declared(READ_STATES, error, cursor)
                return
            except NeedsOwner:
                raise
            except ProviderError:
                continue  # It is asked for again in its turn.
            if (row := personal_rows.read_state(raw)) is not None:
                yield self._factory.row(READ_STATES, row)
        order = [*(one for one in read if one not in set(due)), *due]
        yield self._state(READ_STATES, {"run": self._start.run_id, "read": order})

    def members(self) -> Iterator[SourceMember]:
        """The lists as the inventory names them, from this slice and those before it."""
        for stream, name in [*((of.stream, of.method) for of in LISTS), (READ_STATES, "read positions")]:
            cursor = self._cursors.get(stream) or table(self._start.cursor(stream))
            if stream not in self._factory.wanted or "run" not in cursor:
                continue
            if why := text(cursor.get("declared")):
                yield SourceMember(kind="list", name=name, disposition="declared", reason=why)
                continue
            count = len(strings(cursor.get("ids")) or strings(cursor.get("read")))
            yield SourceMember(kind="list", name=name, disposition="collected", streams=[stream], count=count)

    def _declared(self, stream: str, error: ProviderError, cursor: Obj) -> Iterator[State]:
        yield self._state(stream, {**cursor, "run": self._start.run_id, "declared": str(error)})

    def _state(self, stream: str, cursor: Obj) -> State:
        self._cursors[stream] = cursor
        return State(stream=stream, cursor=cursor)
