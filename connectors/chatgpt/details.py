"""Conversations read one by one, and the messages that tell the runtime how that went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from connectors.chatgpt import rows
from connectors.chatgpt.api import BATCH, Api
from connectors.chatgpt.listing import Item
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    AuthExpired,
    Challenged,
    DetailCoverage,
    DetailGap,
    Gone,
    NeedsOwner,
    ProviderError,
    Reason,
    Record,
    Throttled,
    UpstreamError,
    detail_coverage,
    gap_for,
    reason_for,
)

MAX_FAILURES = 5
"""Failures in a row after which no further conversation is asked for."""
UNPROVED = 2
"""Number of 404s, or 403s, taken to be about one conversation before any could be read: the endpoint itself may be
gone, or closed to this account."""

FORBIDDEN = 403

Now = Callable[[], datetime]


class Details:
    """Reads conversations and keeps count; `left` is how many may still be asked for, None without a limit."""

    def __init__(self, api: Api, left: int | None, *, in_batches: bool = False) -> None:
        self._api = api
        self._left = left
        self._ahead: dict[str, Conversation] = {}
        self.batch = BATCH if in_batches else 1
        """Most conversations that are asked for at once; a batch that fails makes it one."""
        self._failures = 0
        self._error: ProviderError | None = None
        self._gone = self._forbidden = 0
        self._proved = False

    def read(self, key: str) -> Conversation:
        """One conversation.

        Raises:
            Gone: it does not exist at the platform.
            ProviderError: it could not be read.
        """
        if self._left is not None:
            self._left -= 1
        try:
            detail = self._ahead.pop(key, None) or self._api.conversation(key)
        except Challenged:
            raise
        except ProviderError as error:
            if self._is_about_the_account(error) or (isinstance(error, Gone) and self._believe()):
                raise
            self._failures, self._error = self._failures + 1, self._error_of(error)
            raise self._error from None
        self._failures, self._proved = 0, True
        return detail

    def read_ahead(self, keys: Sequence[str]) -> None:
        """Ask for several conversations at once; those that are not given are asked for one by one.

        Raises:
            NeedsOwner: nothing further may be asked for.
        """
        if self.batch == 1 or not keys or self.why_stop is not None:
            return
        try:
            self._ahead = self._api.conversation_batch(keys[: self._left])
        except NeedsOwner:
            raise
        except ProviderError:
            self.batch, self._ahead = 1, {}

    def forgive(self) -> None:
        """Begin to count failures anew; the list was read, so the account is let in."""
        self._failures = 0

    @property
    def why_stop(self) -> Reason | None:
        """The reason not to ask for a further conversation now, if there is one."""
        if self._left is not None and self._left <= 0:
            return Reason.RUN_BUDGET_DEFERRED
        if self._error is None or self._failures < MAX_FAILURES:
            return None
        return Reason.UPSTREAM_PRESSURE if isinstance(self._error, Throttled) else reason_for(self._error)

    @property
    def retry_after(self) -> datetime | None:
        """The time at which the platform last said to come back, if it refused for the rate."""
        return None if self._error is None else self._error.retry_after

    def _is_about_the_account(self, error: ProviderError) -> bool:
        """A refusal of one conversation, where the list or others could be read, is about that one alone."""
        if not isinstance(error, AuthExpired) or error.status != FORBIDDEN:
            return isinstance(error, AuthExpired)
        self._forbidden += 1
        return not self._proved and self._forbidden > UNPROVED

    def _believe(self) -> bool:
        self._gone += 1
        return self._proved or self._gone <= UNPROVED

    def _error_of(self, error: ProviderError) -> ProviderError:
        if isinstance(error, Gone):
            return UpstreamError("one conversation after the other is answered as absent", status=error.status)
        if isinstance(error, AuthExpired):
            return UpstreamError("this conversation is refused, others are not", status=error.status)
        return error


def whole(key: str, item: dict[str, Any], detail: Conversation, now: Now) -> Iterator[Record]:
    """The records of a conversation that was read: its own row, then its messages."""
    row = rows.conversation(key, item, detail)
    yield Record(stream="conversations", key=key, data=row, emitted_at=now())
    for message in rows.messages(key, detail):
        yield Record(stream="messages", key=[key, message["id"]], data=message, emitted_at=now())


def listed(item: Item, now: Now) -> Record:
    """The list's fields of a conversation, to be merged over the record held."""
    data = rows.listed_conversation(item.id, item.raw)
    return Record(stream="conversations", key=item.id, data=data, emitted_at=now(), partial=True)


def deleted(key: str, now: Now) -> Record:
    """The platform affirmed that a conversation does not exist."""
    return Record(stream="conversations", key=key, data={"id": key}, emitted_at=now(), op="delete")


def gap(key: str, item: dict[str, Any], error: ProviderError, *, gap_id: str | None = None) -> DetailGap:
    """A conversation whose messages could not be read, with all that is needed to ask for it again."""
    locator = {"kind": "chatgpt.conversation", "conversation_id": key, "item": rows.listed_fields(item)}
    return gap_for(error, "messages", key, parent_stream="conversations", detail_locator=locator, gap_id=gap_id)


def coverage(key: str, *, is_read: bool) -> DetailCoverage:
    """Accounts for the messages of a listed conversation: they were read, or are a gap."""
    return detail_coverage("messages", "conversations", key, is_read=is_read)
