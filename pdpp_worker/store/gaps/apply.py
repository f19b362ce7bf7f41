"""The effects of a batch on gaps, applied in its order."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from pdpp_worker.store.batch import Claim
from pdpp_worker.store.effects import Effect, GapReport, last_words
from pdpp_worker.store.gaps.close import close
from pdpp_worker.store.gaps.report import report
from pdpp_worker.store.gaps.retry_policy import RetryPolicy


def apply(
    connection: Connection, claim: Claim, version: str, policy: RetryPolicy, effects: Iterable[Effect]
) -> tuple[list[GapReport], list[str]]:
    """Apply what a batch says of gaps, in its order; returns the misses that are newly open, and the streams of gaps
    that were closed.
    """
    words = last_words(effects)
    opened: list[GapReport] = []
    misses = {place: word.reports for place, word in words.items() if word.reports}
    while misses:
        opened += report(connection, claim, version, policy, {place: left[0] for place, left in misses.items()})
        misses = {place: left[1:] for place, left in misses.items() if left[1:]}
    closes = {place: word.closes for place, word in words.items() if word.closes}
    closed: list[str] = []
    while closes:
        closed += close(connection, claim, {place: left[0] for place, left in closes.items()})
        closes = {place: left[1:] for place, left in closes.items() if left[1:]}
    return opened, closed
