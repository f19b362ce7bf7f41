"""Exports of a period, and what to do when the site gives less than was asked for.

The widest period is asked for first, then ever shorter ones that end today. An answer that begins later than asked may
be whole or cut short without a word, so the part before it is asked for by itself: with rows the walk goes on;
the word that there are none, or a balance that begins with zero, proves that nothing is missing; anything else leaves
exactly that part as missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from connectors.usaa.documents.reading import Read
from connectors.usaa.ledger import DAY, Span
from connectors.usaa.site.pages import NotWiredError
from pdpp_worker.connector import NeedsOwner, ProviderError, Reason, Throttled, UpstreamError

OVERLAP = timedelta(days=5)
"""A transaction may show up so many days after its date."""
_RANGES = tuple(timedelta(days=days) for days in (5 * 365, 2 * 365, 365, 90))
_STEPS_BACK = 24
"""Most answers in a row that may each begin later than asked."""

Ask = Callable[[date, date], Read]
"""The export of a period, both days included; raises ProviderError."""


class SilentAnswerError(UpstreamError):
    """An export without rows, and without a word that there are none: it proves nothing."""


@dataclass(slots=True)
class Exported:
    """The exports of one account, and the period that they cover."""

    reads: list[Read] = field(default_factory=list)
    span: Span | None = None
    why_shorter: str | None = None
    stopped: ProviderError | None = None
    """The failure after which nothing further should be asked, where it came after the first answer."""

    @property
    def earliest(self) -> date | None:
        """The first day of which there is a row."""
        return min((entry.day for read in self.reads for entry in read.entries), default=None)


def candidate_ranges(since: date, today: date) -> list[date]:
    """The days from which on to ask, the longest period first."""
    return [since, *(first for length in _RANGES if (first := today - length) > since)]


def request_longest(ask: Ask, since: date, today: date, known_until: date) -> Exported:
    """Export an account from a day on, or from as early as the site allows.

    `known_until`: up to this day it is held already, so an answer need not reach further back.

    Raises:
        ProviderError: not even the shortest period was given.
    """
    done = Exported()
    last: ProviderError | None = None
    for first in candidate_ranges(since, today):
        try:
            read = ask(first, today)
        except ProviderError as error:
            if not _may_be_the_period(error):
                raise
            last, done.why_shorter = error, str(error)
            continue
        if _is_silent(read):
            last = SilentAnswerError("the export has no rows, and nothing says that there are none")
            done.why_shorter = str(last)
            continue
        done.reads.append(read)
        covered = _walk_back(ask, done, first, known_until)
        done.span = Span(covered, _end(read, today))
        return done
    raise last if last is not None else ProviderError("no period to export")


def fill(ask: Ask, since: date, until: date) -> Exported:
    """Export a missing period, `until` excluded, as far back as the site allows.

    Raises:
        ProviderError: it gave nothing.
    """
    done = Exported([ask(since, until - DAY)])
    if _is_silent(done.reads[0]):
        raise SilentAnswerError("the export has no rows, and nothing says that there are none")
    done.span = Span(_walk_back(ask, done, since, since), until)
    return done


def _walk_back(ask: Ask, done: Exported, since: date, known_until: date) -> date:
    """Ask for what lies before the first row; returns the day from which on nothing is missing."""
    for _ in range(_STEPS_BACK):
        earliest = done.earliest
        if earliest is None or earliest <= max(since, known_until):
            return since
        try:
            if _is_all(ask, done, since, earliest):
                return since
        except ProviderError as error:
            done.why_shorter = str(error)
            done.stopped = None if _may_be_the_period(error) else error
            return earliest
        if done.earliest == earliest:
            done.why_shorter = "rows begin later than asked, and nothing says that there are none before"
            return earliest
    done.why_shorter = "answer after answer begins later than asked"
    return done.earliest or since


def _is_all(ask: Ask, done: Exported, since: date, earliest: date) -> bool:
    """Whether the site says, or the balances show, that nothing was before; rows that it gives instead are kept.

    The first day is asked for once more: a limit on the rows may have cut it in two.
    """
    for until in (earliest, earliest - DAY):
        done.reads.append(ask(since, until))
        if done.reads[-1].is_affirmed:
            return True
        if done.earliest != earliest:
            return False
    return any(read.span is not None and read.span[:1] == (earliest,) and read.span.opening == 0 for read in done.reads)


def _is_silent(read: Read) -> bool:
    return not (read.entries or read.pending or read.broken or read.is_affirmed)


def _may_be_the_period(error: ProviderError) -> bool:
    """Whether a shorter period may fare better."""
    if isinstance(error, NeedsOwner | Throttled | NotWiredError):
        return False
    return error.reason != Reason.NETWORK_ERROR.value


def _end(read: Read, today: date) -> date:
    """Days with rows that are not posted yet are not over."""
    if read.pending and read.span is not None:
        return min(read.span.until, today + DAY)
    return today if read.pending else today + DAY
