"""Conversations read one by one, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.chatgpt.api import BATCH, Api
from connectors.chatgpt.errors import TreeCutError
from connectors.chatgpt.fields import millis, unit_of
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    AuthExpired,
    Challenged,
    Gone,
    NeedsOwner,
    ProviderError,
    Reason,
    Throttled,
    UpstreamError,
    reason_for,
)

MAX_FAILURES = 5
"""Failures in a row after which no further conversation is asked for."""
MAX_FAILED_GAPS = 25
"""The same while gaps are retried: each is known to fail, so that says little of the next. Not for refusals."""
UNPROVED = 2
"""Number of 403s, or of gaps that the platform says were deleted, that are taken to be about one conversation before
any could be read: the endpoint itself may be closed to this account."""
DELETED = frozenset({"conversation_not_found", "conversation_deleted"})
"""Codes by which the platform says that a conversation does not exist. A 404 without one says nothing of the kind."""
LATE_MS, COARSELY_LATE_MS = 2, 1000
"""A list and a detail may round the same time another way; the second where one of them gives whole seconds."""

FORBIDDEN = 403


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
        self._recovers = True

    def read(self, key: str, workspace: str | None = None) -> Conversation:
        """One conversation.

        Raises:
            Gone: the platform says that it was deleted.
            ProviderError: it could not be read.
        """
        if self._left is not None:
            self._left -= 1
        try:
            detail = self._ahead.pop(key, None) or self._api.within(workspace).conversation(key)
        except Challenged:
            raise
        except ProviderError as error:
            if self._is_about_the_account(error) or self._is_deleted(error):
                raise
            self._failures, self._error = self._failures + 1, _error_of(error)
            raise self._error from None
        self._failures, self._proved = 0, True
        return detail

    def read_ahead(self, keys: Sequence[str], workspace: str | None = None) -> None:
        """Ask for several conversations at once; those that are not given are asked for one by one.

        Raises:
            NeedsOwner: nothing further may be asked for.
        """
        if self.batch == 1 or not keys or self.why_stop is not None:
            return
        try:
            self._ahead = self._api.within(workspace).conversation_batch(keys[: self._left])
        except NeedsOwner:
            raise
        except ProviderError:
            self.batch, self._ahead = 1, {}

    def begin_walk(self) -> None:
        """Begin to count failures anew: the list was read, so the account is let in."""
        self._failures, self._recovers = 0, False

    @property
    def why_stop(self) -> Reason | None:
        """The reason not to ask for a further conversation now, if there is one."""
        if self._left is not None and self._left <= 0:
            return Reason.RUN_BUDGET_DEFERRED
        if self._error is None or self._failures < self._patience(self._error):
            return None
        return Reason.UPSTREAM_PRESSURE if isinstance(self._error, Throttled) else reason_for(self._error)

    @property
    def retry_after(self) -> datetime | None:
        """The time at which the platform last said to come back, if it refused for the rate."""
        return None if self._error is None else self._error.retry_after

    def _patience(self, error: ProviderError) -> int:
        return MAX_FAILED_GAPS if self._recovers and not isinstance(error, Throttled) else MAX_FAILURES

    def _is_about_the_account(self, error: ProviderError) -> bool:
        """A refusal of one conversation, where the list or others could be read, is about that one alone."""
        if not isinstance(error, AuthExpired) or error.status != FORBIDDEN:
            return isinstance(error, AuthExpired)
        self._forbidden += 1
        return not self._proved and self._forbidden > UNPROVED

    def _is_deleted(self, error: ProviderError) -> bool:
        if not isinstance(error, Gone) or error.code not in DELETED:
            return False
        self._gone += 1
        return self._proved or (self._recovers and self._gone <= UNPROVED)


def flaw_of(item: dict[str, Any], detail: Conversation) -> ProviderError | None:
    """The reason for which a conversation that was read is not whole, if it is not; `item` is what the list says."""
    listed, told = millis(item.get("update_time")), millis(detail.fields.get("update_time"))
    precision = COARSELY_LATE_MS if unit_of(listed) or unit_of(told) else LATE_MS
    if listed is not None and told is not None and told < listed - precision:
        return UpstreamError("what was read is older than the list says")
    if detail.repeated:
        return TreeCutError(f"{detail.repeated} nodes of the tree have the ids of others")
    if detail.absent_nodes:
        return TreeCutError(f"the tree names {len(detail.absent_nodes)} nodes that it does not hold")
    return None


def _error_of(error: ProviderError) -> ProviderError:
    if isinstance(error, Gone):
        return UpstreamError("answered as absent, without proof that it was deleted", status=error.status)
    if isinstance(error, AuthExpired):
        return UpstreamError("this conversation is refused, others are not", status=error.status)
    return error
