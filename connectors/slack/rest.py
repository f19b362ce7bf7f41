"""The rest of a gap that takes more than one slice to read: it becomes a gap of its own, and the first one is closed.

A recovery moves no cursor, so that what is left has to stand in a gap. A slice ends after a minute; a conversation of
many thousand messages, or one of which Slack shows 15 a minute, would else begin anew each time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from connectors.slack.errors import DisorderError, NamelessError, Refused, ShortError
from connectors.slack.gaps import miss_reason
from connectors.slack.rows import Obj
from connectors.slack.streams import MESSAGES
from pdpp_worker.connector import BatchScope, ProviderError, Reason, SkipResult, skip

AT_ONCE = timedelta(seconds=20)
"""How long one slice reads gaps before it leaves the rest to the next."""
LIMITED_PAGE = 15
"""Items of a page with more to come for apps that Slack holds to one request a minute; it is all a slice can read."""


class PausedError(Refused):
    """A rest: more is left to read than fits into the slice."""


class Rest:
    """Keeps the place in the conversation or thread that is being read."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._until = now() + AT_ONCE
        self._left: tuple[Obj, Obj] | None = None

    def begin(self) -> None:
        """Begin anew: nothing is read yet."""
        self._left = None

    def note(self, partition: Obj, locator: Obj, page: int) -> None:
        """Note the rest after a page of so many items.

        Raises:
            PausedError: it is left to another slice.
        """
        self._left = partition, locator
        if page == LIMITED_PAGE or self._now() > self._until:
            raise PausedError("the rest is read in another slice")

    def gap(self, error: ProviderError) -> SkipResult | None:
        """The gap that is left after a failure; None: the failure is about all of it, or nothing was read."""
        if self._left is None or isinstance(error, NamelessError | DisorderError | ShortError):
            return None
        partition, locator = self._left
        reason = Reason.SOURCE_PARTITION_FAILED if isinstance(error, PausedError) else miss_reason(error)
        scope = BatchScope(partition=partition)
        return skip(MESSAGES, reason, scope, str(error), retry_after=error.retry_after, detail=locator)
