"""`pdpp-worker status`: what is held, what is missing, what comes next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from pdpp_worker.cli.output import Json, console, make_table, print_json, print_json_line, print_table, say
from pdpp_worker.coverage import all_streams, status_rows
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.phrases import NOTHING_YET, counts, in_words, last_run, next_run, obstacles, titled
from pdpp_worker.coverage.status_rows import StatusRow
from pdpp_worker.coverage.times import due
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.inert import one_line
from pdpp_worker.owner.looking import Look, open_look
from pdpp_worker.store.views.reading import take_snapshot

if TYPE_CHECKING:  # what goes to a pipe is written without it
    from rich.console import Group, RenderableType


WATCH_EVERY_S = 2.0
COLUMNS = ("stream", "records", "missing", "verdict", "next retry")


class _Read(NamedTuple):
    """The rows by connection, and what is true of each whole connection."""

    rows: list[StatusRow]
    outlooks: Mapping[str, Outlook]

    def state(self) -> object:
        """All of it that changes by itself only when something happens."""
        whole = {name: (one.view.last_run_status, obstacles(one)) for name, one in self.outlooks.items()}
        return self.rows, whole


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C; in a pipe at each change.")] = False,
    json: Json = False,
) -> None:
    """Show what is held and missing of each stream, and when work goes on."""
    if watch:
        _watch(json=json)
    with open_look() as look:
        found = _read(look)
    if json:
        print_json(found.rows)
    else:
        _print(found)


def _read(look: Look) -> _Read:
    settings, connection = look
    outlooks = {one.view.name: one for one in read(settings, connection)}
    return _Read(status_rows.read(outlooks, all_streams.read(connection, list(outlooks.values()))), outlooks)


def _watch(*, json: bool) -> NoReturn:
    """Show it until the owner stops it: in place on a terminal, else anew at each change."""
    from rich.live import Live

    from pdpp_worker.owner.session import open_session

    terminal, before = console(), None
    is_live = terminal.is_terminal and not json
    with open_session() as session, Live(console=terminal) if is_live else nullcontext() as live:
        while True:
            with session.db.begin() as connection:
                take_snapshot(connection)
                found = _read(Look(session.settings, connection))
            if live is not None:
                live.update(_renderable(found))
            elif (now := found.state()) != before:
                print_json_line(found.rows) if json else _print(found)
                before = now
            time.sleep(WATCH_EVERY_S)


def _print(found: _Read) -> None:
    """A paragraph for each connection: what is true of the whole, then its streams."""
    if not found.outlooks:
        say(NOTHING_YET)
    for headline, cells in _paragraphs(found):
        say(headline)
        if cells:
            print_table(COLUMNS, cells, right=("records",), whole=("stream", "next retry"))
        say("")


def _renderable(found: _Read) -> Group:
    from rich.console import Group

    parts: list[RenderableType] = [] if found.outlooks else [NOTHING_YET]
    for headline, cells in _paragraphs(found):
        table = make_table(COLUMNS, cells, right=("records",), whole=("stream", "next retry"))
        parts += [one_line(headline), *([table] if cells else []), ""]
    return Group(*parts)


def _paragraphs(found: _Read) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    streams = {name: list(rows) for name, rows in groupby(found.rows, key=lambda row: row.connection)}
    for name, outlook in found.outlooks.items():
        view, wait = outlook.view, outlook.wait
        facts = [f"{name}: last run {last_run(view)}", f"next run {next_run(view, wait)}", *obstacles(outlook)]
        yield "; ".join(facts), [_of_stream(row) for row in streams.get(name, [])]


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
