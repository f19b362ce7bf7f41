"""`pdpp-worker status`: what is held, what is missing, what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pdpp_worker import registry
from pdpp_worker.cli.connection_views import last_run, next_run
from pdpp_worker.cli.output import Json, counts, print_json, print_table, say
from pdpp_worker.cli.session import open_session
from pdpp_worker.cli.times import due
from pdpp_worker.store import readmodels
from pdpp_worker.store.readmodels import ConnectionView, StreamStatus


@dataclass(frozen=True)
class StatusRow:
    """One stream of one connection; `records` and `gaps_by_reason` are None as long as no run has touched it."""

    connection: str
    stream: str
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
        views = readmodels.connection_views(connection)
        touched = readmodels.stream_statuses(connection)
    found = {(one.connection, one.stream): one for one in touched}
    rows = [(view, row) for view in views for row in _rows(view, found)]
    if json:
        print_json([row for _, row in rows])
    elif rows:
        _print(rows)
    else:
        say("There is no connection yet; add one with: pdpp-worker connection add NAME --connector CONNECTOR")


def _rows(view: ConnectionView, found: dict[tuple[str, str], StreamStatus]) -> Iterator[StatusRow]:
    for stream in _streams(view, found):
        one = found.get((view.name, stream))
        yield StatusRow(
            connection=view.name,
            stream=stream,
            records=one.records if one else None,
            gaps_by_reason=one.gaps_by_reason if one else None,
            last_walk_at=one.last_walk_at if one else None,
            last_run_id=view.last_run_id,
            last_run_status=view.last_run_status,
            last_run_at=view.last_run_at,
            paused=view.paused,
            next_run_at=view.next_run_at,
            next_retry_at=one.next_retry_at if one else None,
        )


def _streams(view: ConnectionView, found: dict[tuple[str, str], StreamStatus]) -> list[str]:
    """The streams that the connector supplies to the connection, then others of which something is held."""
    connector = registry.all_connectors().get(view.connector)
    supplied = [stream.name for stream in connector.manifest.supplied_to(view.settings)] if connector else []
    return supplied + [stream for name, stream in found if name == view.name and stream not in supplied]


def _print(rows: list[tuple[ConnectionView, StatusRow]]) -> None:
    """What is true of a connection stands in the first line of its streams."""
    columns = ("connection", "stream", "records", "missing", "next retry", "last run", "next run")
    cells, before = [], None
    for view, row in rows:
        whole = _of_connection(view) if view is not before else ("", "", "")
        cells.append((whole[0], *_of_stream(row), *whole[1:]))
        before = view
    print_table(columns, cells, right=("records",), whole=("stream", "missing", "next retry", "next run"))


def _of_connection(view: ConnectionView) -> tuple[str, str, str]:
    return view.name, last_run(view), next_run(view)


def _of_stream(row: StatusRow) -> tuple[str, str, str, str]:
    missing = "unknown" if row.gaps_by_reason is None else counts(row.gaps_by_reason).replace(", ", "\n")
    return (
        row.stream,
        "never run" if row.records is None else f"{row.records:,}",
        missing or "nothing known",
        due(row.next_retry_at) if row.next_retry_at else "",
    )
