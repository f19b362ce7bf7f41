"""Phrases that commands and pages say alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.status_rows import StatusRow
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.times import clock, due, duration, local, relative
from pdpp_worker.coverage.waits import UNKNOWN, Wait
from pdpp_worker.cron_lines import CronLine
from pdpp_worker.store.views.attempt_views import GapAttempt
from pdpp_worker.store.views.connection_views import ConnectionView

NOTHING_YET = "There is no connection yet; add one with: pdpp-worker connection add NAME --connector CONNECTOR"


def tries(count: int) -> str:
    """The number of tries."""
    return "1 try" if count == 1 else f"{count:,} tries"


def forgotten_tries(count: int) -> str:
    """That earlier tries are told as a number only; empty: there are none."""
    return f"{tries(count).replace(' ', ' earlier ', 1)} {'was' if count == 1 else 'were'} not kept." if count else ""


def tried(one: GapAttempt) -> str:
    """The outcome of a try of a gap."""
    ends = {"recovered": "read after all", "absent_upstream": "the provider says that it does not exist"}
    if one.outcome in ends:
        return ends[one.outcome]
    words = one.reason.replace("_", " ") if one.reason else "its run ended without a word of it"
    return f"{words}; given up" if one.outcome == "exhausted" else words


def asked_by(one: GapAttempt) -> str:
    """The trigger of a try: who or what started its run."""
    return {"manual": "you", None: "unknown"}.get(one.asked_by, one.asked_by or "")


def titled(stream: StreamCoverage | StatusRow) -> str:
    """The name of a stream, and whether it is optional."""
    return f"{stream.stream} (optional)" if stream.optional else stream.stream


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


def counts(by_name: Mapping[str, int]) -> str:
    """A histogram in one line."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(by_name.items()))


def number(value: int | None) -> str:
    """A count, or the word for not knowing it."""
    return "unknown" if value is None else f"{value:,}"


def schedule(every_s: float | None, cron: str | None, paused: bool | None) -> str:
    """A schedule in words."""
    if every_s is None and cron is None:
        return "none"
    words = f"every {duration(every_s)}" if every_s is not None else _times(CronLine.of(cron or ""))
    return f"{words}, paused" if paused else words


def _times(line: CronLine) -> str:
    return f"cron {line.fields} ({line.zone})"


def next_run(view: ConnectionView, wait: Wait | None = None) -> str:
    """The next time of the schedule; `wait` is the one that is in force at the connection."""
    if view.paused or view.next_run_at is None:
        return "paused" if view.paused else "none"
    if wait is not None and view.next_run_at <= wait.until:
        return "after the wait"
    return due(view.next_run_at)


def last_run(view: ConnectionView) -> str:
    """The end of the last run, or the time since which it works or waits."""
    if view.last_run_status is None or view.last_run_at is None:
        return "none yet"
    if view.last_run_status == "running" and not view.last_run_leased:
        return f"waiting, begun {relative(view.last_run_at)}"
    refused = view.last_run_messages_refused
    told = f" ({refused:,} messages refused)" if refused else ""
    return f"{view.last_run_status.replace('_', ' ')}, {relative(view.last_run_at)}{told}"
