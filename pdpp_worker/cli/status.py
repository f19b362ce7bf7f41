"""`pdpp-worker status`: what is held, what is missing, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from pdpp_worker.cli.connection_views import last_run, next_run
from pdpp_worker.cli.coverage import NOTHING_YET, in_words
from pdpp_worker.cli.output import Json, counts, print_json, print_table, say
from pdpp_worker.cli.session import open_session
from pdpp_worker.cli.times import due
from pdpp_worker.coverage import model
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.recovery.verdict import Supply, Verdict
from pdpp_worker.store import coverage as store
from pdpp_worker.store import readmodels
from pdpp_worker.store.readmodels import ConnectionView


@dataclass(frozen=True)
class StatusRow:
    """One stream of one connection; `records` and `gaps_by_reason` are None as long as no run has touched it."""

    connection: str
    stream: str
    verdict: Verdict
    records: int | None
    gaps_by_reason: dict[str, int] | None
    last_walk_at: datetime | None
    last_run_id: int | None
    last_run_status: str | None
    last_run_at: datetime | None
    paused: bool | None
    next_run_at: datetime | None
    next_retry_at: datetime | None


def status(json: Json = False) -> None:
    """Show what is held and missing of each stream, and when work goes on."""
    with open_session() as session, session.db.begin() as connection:
        store.take_snapshot(connection)
        views = {view.name: view for view in readmodels.connection_views(connection)}
        found = model.streams(connection, list(views.values()), datetime.now(UTC))
    rows = [(views[one.connection], _row(views[one.connection], one)) for one in found if _is_shown(one)]
    if json:
        print_json([row for _, row in rows])
    elif rows:
        _print(rows)
    else:
        say(NOTHING_YET)


def _is_shown(one: StreamCoverage) -> bool:
    """What is never supplied and of which nothing is held belongs into the coverage only."""
    return one.supply is not Supply.NEVER or bool(one.records)


def _row(view: ConnectionView, one: StreamCoverage) -> StatusRow:
    return StatusRow(
        connection=view.name,
        stream=one.stream,
        verdict=one.verdict,
        records=one.records,
        gaps_by_reason=one.gaps_by_reason if one.records is not None else None,
        last_walk_at=one.last_complete_walk.at if one.last_complete_walk else None,
        last_run_id=view.last_run_id,
        last_run_status=view.last_run_status,
        last_run_at=view.last_run_at,
        paused=view.paused,
        next_run_at=view.next_run_at,
        next_retry_at=one.next_attempt_at,
    )


def _print(rows: list[tuple[ConnectionView, StatusRow]]) -> None:
    """A paragraph for each connection: what is true of the whole, then its streams."""
    columns = ("stream", "records", "missing", "verdict", "next retry")
    for name, of_connection in groupby(rows, key=lambda row: row[1].connection):
        views, streams = zip(*of_connection, strict=True)
        say(f"{name}: last run {last_run(views[0])}; next run {next_run(views[0])}")
        print_table(columns, map(_of_stream, streams), right=("records",), whole=("stream", "next retry"))
        say("")


def _of_stream(row: StatusRow) -> tuple[str, str, str, str, str]:
    known = row.gaps_by_reason is not None and row.verdict is not Verdict.UNKNOWN
    missing = counts(row.gaps_by_reason or {}).replace(", ", "\n")
    return (
        row.stream,
        "never run" if row.records is None else f"{row.records:,}",
        missing or ("nothing known" if known else "unknown"),
        in_words(row.verdict),
        due(row.next_retry_at) if row.next_retry_at else "",
    )
