"""`pdpp-worker coverage`: is anything missing?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Annotated

import typer

from pdpp_worker.cli.output import Json, number, print_json, print_table, say, wrap
from pdpp_worker.cli.times import clock, due, duration, local
from pdpp_worker.coverage import model
from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.coverage.outlook import read as read_outlooks
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Supply, Verdict
from pdpp_worker.coverage.when import UNKNOWN
from pdpp_worker.coverage.words import overall
from pdpp_worker.owner import accounts
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views.rows import take_snapshot

NOTHING_YET = "There is no connection yet; add one with: pdpp-worker connection add NAME --connector CONNECTOR"


def coverage(
    name: Annotated[str | None, typer.Argument(help="Only this connection, or those of this connector.")] = None,
    json: Json = False,
) -> None:
    """Say of each stream whether anything is missing, why, and what happens next."""
    with open_session() as session:
        found = read(session, name)
    if json:
        print_json(found)
    elif found:
        _print(found)
    else:
        say(NOTHING_YET)


def read(session: Session, name: str | None) -> list[StreamCoverage]:
    """The coverage of all connections, or of those that the name means."""
    with session.db.begin() as connection:
        take_snapshot(connection)
        ids = None if name is None else [row.id for row in accounts.targets(connection, name)]
        return model.streams(connection, read_outlooks(session.settings, connection, ids))


def tries(count: int) -> str:
    """How often something was tried."""
    return "1 try" if count == 1 else f"{count:,} tries"


def in_words(one: StrEnum) -> str:
    """A verdict or a state as people read it."""
    return one.replace("_", " ")


def when(one: StreamCoverage) -> str:
    """Until when the connection waits, when the next try comes, and when all that time mends will be here."""
    words = [waiting(one.waits_until, one.wait_reason)] if one.waits_until else []
    if one.next_attempt_at is not None:
        words += [f"next try {due(one.next_attempt_at)}", end(one.done_at, one.done_give_or_take_s)]
    return ", ".join(words)


def waiting(until: datetime | None, reason: str | None) -> str:
    """Until when a connection waits, and why; empty: it does not."""
    return f"waits until {clock(until)}: {reason}" if until is not None else ""


def progress(outlook: Outlook) -> list[str]:
    """What keeps a connection, in sentences without their full stop; empty: nothing does."""
    wait, run, still = outlook.wait, outlook.waits.run, outlook.still
    found = [waiting(wait.until, wait.reason)] if wait else []
    if run is not None and outlook.is_fruitless:
        reason = f" ({run.wait_reason or UNKNOWN})" if wait is None else ""
        found.append(f"no progress in {run.still_slices:,} slices{reason}")
    if still is not None:
        found.append(f"stands still since {local(still.since, outlook.now)}: {still.because}")
    return found


def end(done_at: datetime | None, give_or_take_s: float | None) -> str:
    """When all that time mends will be here."""
    if done_at is None:
        return "end unknown"
    return f"done {due(done_at)} ± {duration(max(1.0, give_or_take_s or 0))}"


def print_remarks(found: Iterable[StreamCoverage]) -> None:
    """The verdict on each stream with its reason and what happens next."""
    for one in found:
        time = when(one)
        say("", f"{one.connection} {one.stream}: {in_words(one.verdict)}{f', {time}' if time else ''}")
        say(*wrap(f"{one.because} {one.next}", indent=2))


def _counts(one: StreamCoverage) -> tuple[str, str]:
    never = one.supply is Supply.NEVER and one.records is None
    return ("-", "-") if never else (number(one.records), number(one.missing))


def _print(found: Sequence[StreamCoverage]) -> None:
    columns = ("connection", "stream", "held", "missing", "verdict")
    rows = [
        ("" if place else connection, one.stream, *_counts(one), in_words(one.verdict))
        for connection, streams in groupby(found, key=lambda one: one.connection)
        for place, one in enumerate(streams)
    ]
    print_table(columns, rows, right=("held", "missing"), whole=("verdict",))
    print_remarks(one for one in found if one.verdict is not Verdict.COMPLETE)
    say("", *wrap(overall(one.verdict for one in found)))
