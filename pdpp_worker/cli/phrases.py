"""Phrases that several commands say alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum

from pdpp_worker.cli.output import wrap
from pdpp_worker.cli.times import clock, due, duration, local
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.waits import UNKNOWN

NOTHING_YET = "There is no connection yet; add one with: pdpp-worker connection add NAME --connector CONNECTOR"


def tries(count: int) -> str:
    """The number of tries."""
    return "1 try" if count == 1 else f"{count:,} tries"


def in_words(one: StrEnum) -> str:
    """A verdict or a state as people read it."""
    return one.replace("_", " ")


def when(one: StreamCoverage) -> str:
    """The wait of a connection, the next retry, and the time at which all that is retried will be here."""
    words = [waiting(one.waits_until, one.wait_reason)] if one.waits_until else []
    if one.next_attempt_at is not None:
        words += [f"next try {due(one.next_attempt_at)}", end(one.done_at, one.done_give_or_take_s)]
    return ", ".join(words)


def waiting(until: datetime | None, reason: str | None) -> str:
    """The wait of a connection and its reason; empty: it does not wait."""
    return f"waits until {clock(until)}: {reason}" if until is not None else ""


def obstacles(outlook: Outlook) -> list[str]:
    """Reasons why a connection does not go on; empty: there is none."""
    wait, run, still = outlook.wait, outlook.waits.run, outlook.still
    found = [f"asks you: {message}" for message in outlook.view.asked_of_owner]
    found += [] if outlook.manifest is not None else [outlook.why_without]
    found += [waiting(wait.until, wait.reason)] if wait else []
    if run is not None and outlook.is_fruitless:
        reason = f" ({run.wait_reason or UNKNOWN})" if wait is None else ""
        found.append(f"no progress in {run.still_slices:,} slices{reason}")
    if still is not None:
        found.append(f"stands still since {local(still.since, outlook.now)}: {still.because}")
    return found


def end(done_at: datetime | None, give_or_take_s: float | None) -> str:
    """The time at which all that is retried will be here."""
    if done_at is None:
        return "end unknown"
    return f"done {due(done_at)} ± {duration(max(1.0, give_or_take_s or 0))}"


def remarks(found: Iterable[StreamCoverage]) -> Iterator[str]:
    """The verdict on each stream with its reason and what happens next, as lines."""
    for one in found:
        time = when(one)
        yield from ("", f"{one.connection} {one.stream}: {in_words(one.verdict)}{f', {time}' if time else ''}")
        yield from wrap(f"{one.because} {one.next}", indent=2)
