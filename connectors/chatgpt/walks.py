"""The walks over all lists of an account, and the cursor that keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.chatgpt.known import ENTRY_CHARS, Item
from connectors.chatgpt.listing import Walk
from connectors.chatgpt.sources import ACTIVE
from pdpp_worker.connector import State
from pdpp_worker.connector.json_fields import table

STREAM = "conversations"
STATE_CHARS = 2048
"""A cursor that is longer is saved the more seldom: about so much is written for each conversation."""


class Walks:
    """The walks by the names of their lists."""

    def __init__(self, cursor: dict[str, Any], now: Callable[[], datetime], takes: Mapping[str, bool]) -> None:
        """`takes`: for each of the flags of the cursor, whether this walk reads that part of a conversation."""
        self._cursor, self._now, self._takes = cursor, now, dict(takes)
        self._walks: dict[str, Walk] = {}
        for name in self._kept():
            self.of(name)
        self._saved_lists = self._lists()
        self._since_state = 0

    def of(self, name: str) -> Walk:
        """The walk over the list of that name."""
        return self._walks.setdefault(name, Walk(table(self._kept().get(name)), self._now))

    def names(self) -> Collection[str]:
        """The lists that were walked before."""
        return self._walks.keys()

    def keep(self, names: Collection[str]) -> None:
        """Forget the lists that are no longer there."""
        self._walks = {name: walk for name, walk in self._walks.items() if name in names}

    def distrust(self) -> None:
        """Let every walk go down to the end of its list."""
        for walk in self._walks.values():
            walk.distrust()

    def hold(self, item: Item) -> bool:
        """Whether the item was handled in this very version, on whichever list."""
        return any(walk.known.holds(item) for walk in self._walks.values())

    def name(self, item: Item) -> bool:
        """Whether the item was handled in any version, on whichever list."""
        return any(walk.known.names(item) for walk in self._walks.values())

    def count(self) -> int:
        """The items that were handled."""
        return sum(len(walk.known) for walk in self._walks.values())

    def save(self) -> Iterator[State]:
        """A STATE of all that was handled, if that is more than was saved."""
        lists, self._since_state = self._lists(), 0
        if lists != self._saved_lists:
            self._saved_lists = lists
            kept = {key: value for key, value in self._cursor.items() if key != "list"}
            yield State(stream=STREAM, cursor={**kept, "lists": lists, **self._takes})

    def save_now_and_then(self) -> Iterator[State]:
        """Likewise, the more seldom the longer it is."""
        self._since_state += 1
        if self._since_state * STATE_CHARS >= ENTRY_CHARS * self.count():
            yield from self.save()

    def _kept(self) -> dict[str, Any]:
        # A walk that did not read messages has not come anywhere for one that does; likewise for what came later.
        if any(takes and not self._cursor.get(flag, False) for flag, takes in self._takes.items()):
            return {}
        if "list" in self._cursor:
            return {ACTIVE: {"before": self._cursor["list"]}}
        return table(self._cursor.get("lists"))

    def _lists(self) -> dict[str, Any]:
        return {name: saved for name, walk in self._walks.items() if (saved := walk.as_json())}
