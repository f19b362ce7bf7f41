"""`pdpp-worker status`: what is held, what is missing, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from pdpp_worker.cli.output import Json, print_json, print_table, say
from pdpp_worker.coverage import all_streams, status_rows
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.phrases import NOTHING_YET, counts, in_words, last_run, next_run, obstacles, titled
from pdpp_worker.coverage.status_rows import StatusRow
from pdpp_worker.coverage.times import due
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.owner.looking import open_look


def status(json: Json = False) -> None:
    """Show what is held and missing of each stream, and when work goes on."""
    with open_look() as (settings, connection):
        outlooks = {one.view.name: one for one in read(settings, connection)}
        rows = status_rows.read(outlooks, all_streams.read(connection, list(outlooks.values())))
    if json:
        print_json(rows)
    elif outlooks:
        _print(rows, outlooks)
    else:
        say(NOTHING_YET)


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
    besides = {"deletions to decide on": row.deletions_waiting, "unknown parts": row.unknown_parts}
    waiting = {words: count for words, count in besides.items() if count}
    missing = counts({**(row.gaps_by_reason or {}), **waiting}).replace(", ", "\n")
    return (
        titled(row),
        "never run" if row.records is None else f"{row.records:,}",
        missing or ("nothing known" if known else "unknown"),
        in_words(row.verdict),
        due(row.next_retry_at) if row.next_retry_at else "",
    )
