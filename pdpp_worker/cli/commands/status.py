"""`pdpp-worker status`: what is held, what is missing, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pdpp_worker.cli.connection_tables import last_run, next_run
from pdpp_worker.cli.output import Json, counts, print_json, print_table, say
from pdpp_worker.cli.phrases import NOTHING_YET, in_words, obstacles
from pdpp_worker.cli.times import due
from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.verdict import Availability, Verdict
from pdpp_worker.owner.session import open_session
from pdpp_worker.store.views.reading import take_snapshot


@dataclass(frozen=True)
class StatusRow:
    """One stream of one connection; `records` and `gaps_by_reason` are None as long as no run has touched it."""

    connection: str
    stream: str
    verdict: Verdict
    records: int | None
    gaps_by_reason: dict[str, int] | None
    deletions_waiting: int
    """Held records that walks did not find, and that are deleted only by the owner's word."""
    last_walk_at: datetime | None
    last_run_id: int | None
    last_run_status: str | None
    last_run_at: datetime | None
    paused: bool | None
    next_run_at: datetime | None
    next_retry_at: datetime | None
    done_at: datetime | None
    waits_until: datetime | None
    """End of the wait in which nothing is asked for at the connection."""
    wait_reason: str | None
    still_slices: int
    """The last slices in a row of its active run that made no progress."""
    still_since: datetime | None
    """Time since which work that may go on has not been touched; None: it does not stand still."""
    still_because: str | None


def status(json: Json = False) -> None:
    """Show what is held and missing of each stream, and when work goes on."""
    with open_session() as session, session.db.begin() as connection:
        take_snapshot(connection)
        outlooks = {one.view.name: one for one in read(session.settings, connection)}
        found = all_streams.read(connection, list(outlooks.values()))
    rows = [_row(outlooks[one.connection], one) for one in found if _is_shown(one)]
    if json:
        print_json(rows)
    elif outlooks:
        _print(rows, outlooks)
    else:
        say(NOTHING_YET)


def _is_shown(one: StreamCoverage) -> bool:
    """Whether the stream is shown; one that is never supplied, and of which nothing is held, is not."""
    return one.supply is not Availability.NEVER or bool(one.records)


def _row(outlook: Outlook, one: StreamCoverage) -> StatusRow:
    view, run, still = outlook.view, outlook.waits.run, outlook.still
    return StatusRow(
        connection=view.name,
        stream=one.stream,
        verdict=one.verdict,
        records=one.records,
        gaps_by_reason=one.gaps_by_reason if one.records is not None else None,
        deletions_waiting=one.deletions_waiting,
        last_walk_at=one.last_complete_walk.at if one.last_complete_walk else None,
        last_run_id=view.last_run_id,
        last_run_status=view.last_run_status,
        last_run_at=view.last_run_at,
        paused=view.paused,
        next_run_at=view.next_run_at,
        next_retry_at=one.next_attempt_at,
        done_at=one.done_at,
        waits_until=one.waits_until,
        wait_reason=one.wait_reason,
        still_slices=run.still_slices if run else 0,
        still_since=still.since if still else None,
        still_because=still.because if still else None,
    )


def _print(rows: list[StatusRow], outlooks: Mapping[str, Outlook]) -> None:
    """A paragraph for each connection: what is true of the whole, then its streams."""
    columns = ("stream", "records", "missing", "verdict", "next retry")
    streams = {name: list(found) for name, found in groupby(rows, key=lambda row: row.connection)}
    for name, outlook in outlooks.items():
        view, wait = outlook.view, outlook.wait
        say("; ".join([f"{name}: last run {last_run(view)}", f"next run {next_run(view, wait)}", *obstacles(outlook)]))
        if name in streams:
            print_table(columns, map(_of_stream, streams[name]), right=("records",), whole=("stream", "next retry"))
        say("")


def _of_stream(row: StatusRow) -> tuple[str, str, str, str, str]:
    known = row.gaps_by_reason is not None and row.verdict is not Verdict.UNKNOWN
    waiting = {"deletions to decide on": row.deletions_waiting} if row.deletions_waiting else {}
    missing = counts({**(row.gaps_by_reason or {}), **waiting}).replace(", ", "\n")
    return (
        row.stream,
        "never run" if row.records is None else f"{row.records:,}",
        missing or ("nothing known" if known else "unknown"),
        in_words(row.verdict),
        due(row.next_retry_at) if row.next_retry_at else "",
    )
