"""Questions about many messages at once: the one that spoils the answer of all is found, and losses are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from connectors.gmail.client import Answer, Fetches, sequence_set
from connectors.gmail.errors import HungUpError, OutageError, RefusedError
from pdpp_worker.connector import ProviderError, ShapeError

T = TypeVar("T")
Found = tuple[dict[int, Answer], dict[int, ProviderError]]
"""Answers and failures, by UID."""

MOST_LOSSES = 8
"""Times in a row that the server may hang up or tell of an outage before the rest of a page is left for another day; a
single message that makes it do so is found by seven halvings of a page."""


class Asks(Protocol):
    """A session with a server, or with mails of a file."""

    def ask(self, label: str, command: Callable[[Fetches], T]) -> T:
        """The answer to a command that is told by a name."""
        ...

    def ahead(self, label: str, messages: str, items: Sequence[str]) -> Callable[[], dict[int, Answer]]:
        """Ask for what is wanted later; returns what then gives the answers, or raises what `ask` would have raised."""
        ...


class Questions:
    """Asks a session about messages."""

    def __init__(self, session: Asks) -> None:
        self._session = session
        self._losses = 0
        self._failure: HungUpError | OutageError | None = None
        self._ahead: tuple[tuple[str, tuple[str, ...]], Callable[[], dict[int, Answer]]] | None = None

    def begin(self) -> None:
        """A new page begins: what was lost before does not count any more."""
        self._losses = 0

    def ahead(self, label: str, uids: Sequence[int], items: Sequence[str]) -> None:
        """Send the question now that will be asked next by `fetch`."""
        messages = sequence_set(uids)
        self._ahead = (messages, tuple(items)), self._session.ahead(label, messages, items)

    def fetch(self, label: str, uids: Sequence[int], items: Sequence[str]) -> Found:
        """Answers by UID; a message that spoils the answer of all is found by halving."""
        messages = sequence_set(uids)
        later = self._sent_ahead(messages, items)
        try:
            if later is not None:
                return self._counted(later), {}
            return self.ask(label, lambda client: client.fetch_by_uid(messages, items)), {}
        except (RefusedError, ShapeError, HungUpError) as error:
            if len(uids) == 1 or self._losses >= MOST_LOSSES:
                return {}, dict.fromkeys(uids, error)
        middle = len(uids) // 2
        found, errors = self.fetch(label, uids[:middle], items)
        more, more_errors = self.fetch(label, uids[middle:], items)
        return {**found, **more}, {**errors, **more_errors}

    def ask(self, label: str, command: Callable[[Fetches], dict[int, Answer]]) -> dict[int, Answer]:
        """Send a command; after too many losses in a row it is taken for lost as well."""
        if self._failure is not None and self._losses >= MOST_LOSSES:
            raise self._failure
        return self._counted(lambda: self._session.ask(label, command))

    def existing(self, uids: Sequence[int]) -> list[int]:
        """The messages among these that are there."""
        messages = sequence_set(uids)
        return self._session.ask("FETCH of UIDs", lambda client: client.existing(messages)) if messages else []

    def _sent_ahead(self, messages: str, items: Sequence[str]) -> Callable[[], dict[int, Answer]] | None:
        sent, self._ahead = self._ahead, None
        return sent[1] if sent is not None and sent[0] == (messages, tuple(items)) else None

    def _counted(self, asked: Callable[[], dict[int, Answer]]) -> dict[int, Answer]:
        try:
            answers = asked()
        except (HungUpError, OutageError) as error:
            self._losses, self._failure = self._losses + 1, error
            raise
        self._losses = 0
        return answers
