"""`pdpp-worker report`: the owner's statement of what is held, what is missing, why, and what happens next."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import PROSE_WIDTH, Json, say, wrap
from pdpp_worker.cli.source_tables import left_out
from pdpp_worker.coverage import all_streams
from pdpp_worker.coverage.documents import plain
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.phrases import (
    NOTHING_YET,
    counts,
    in_words,
    last_run,
    next_run,
    schedule,
    titled,
    tries,
    waiting,
    when,
)
from pdpp_worker.coverage.sentences import overall, sentence
from pdpp_worker.coverage.stream import Interval, StreamCoverage
from pdpp_worker.coverage.times import due, local
from pdpp_worker.coverage.verdict import Availability
from pdpp_worker.inert import escaped
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import open_session
from pdpp_worker.store.views import gap_views, member_views
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.member_views import MemberView
from pdpp_worker.store.views.reading import take_snapshot

PERIODS = 3
"""Walked periods that the text names of a stream."""
_LONGEST_NAME = 40
_LABEL = 13
"""Columns before what a line says."""


@dataclass(frozen=True)
class _Part:
    """A connection's part of the report."""

    outlook: Outlook
    streams: list[StreamCoverage]
    inventory: list[MemberView]


def report(
    name: Annotated[str | None, typer.Argument(help="Only this connection, or those of this connector.")] = None,
    limit: Annotated[
        int, typer.Option(help="Name at most so many gaps of a stream; JSON has all.", min=0, max=MOST)
    ] = 10,
    json: Json = False,
) -> None:
    """Write a statement of what is held, what is missing, why, and what happens next."""
    with open_session() as session, session.db.begin() as connection:
        take_snapshot(connection)
        ids = None if name is None else [row.id for row in lookup.targets(connection, name)]
        parts = _parts(connection, read(session.settings, connection, ids))
        if json:
            sys.stdout.writelines(_document(connection, parts))
        elif parts:
            _print(connection, parts, limit)
        else:
            say(NOTHING_YET)


def _parts(connection: Connection, outlooks: list[Outlook]) -> list[_Part]:
    found = all_streams.read(connection, outlooks)
    members = member_views.read(connection, [each.view.id for each in outlooks])
    return [
        _Part(each, [one for one in found if one.connection == each.view.name], members[each.view.id])
        for each in outlooks
    ]


def _answer(parts: Iterable[_Part]) -> str:
    return overall(one.verdict for part in parts for one in part.streams)


def _document(connection: Connection, parts: list[_Part]) -> Iterator[str]:
    """One JSON document, piece by piece: a million gaps need no more memory than one."""
    head = {"made_at": datetime.now(UTC), "answer": _answer(parts)}
    yield from _object(head, "connections", (_connection(connection, part) for part in parts))
    yield "\n"


def _connection(connection: Connection, part: _Part) -> Iterator[str]:
    view, manifest, wait = part.outlook.view, part.outlook.manifest, part.outlook.wait
    head = {
        "connection": view.name,
        "connector": view.connector,
        "version": manifest.version if manifest else None,
        "schedule": schedule(view.every_s, view.cron, view.paused),
        "paused": view.paused,
        "next_run_at": view.next_run_at,
        "last_run_id": view.last_run_id,
        "last_run_status": view.last_run_status,
        "last_run_at": view.last_run_at,
        "waits_until": wait.until if wait else None,
        "wait_reason": wait.reason if wait else None,
        "inventory": part.inventory,
    }
    return _object(head, "streams", (_stream(connection, part, one) for one in part.streams))


def _stream(connection: Connection, part: _Part, one: StreamCoverage) -> Iterator[str]:
    found = gap_views.unclosed_of_stream(connection, part.outlook.view.id, one.stream, None)
    gaps = (iter([_json(_gap(gap, part.outlook))]) for gap in found)
    return _object(asdict(one), "gaps", gaps)


def _gap(gap: GapView, outlook: Outlook) -> dict[str, Any]:
    return {
        **vars(gap),
        "next_attempt_at": outlook.next_try(gap),
        "sentence": sentence(gap.reason),
        "who_mends": outlook.who_mends(gap),
    }


def _object(head: dict[str, Any], name: str, items: Iterable[Iterator[str]]) -> Iterator[str]:
    """A JSON object whose last member is a list that is read as it is written."""
    yield f"{_json(head)[:-1]}, {_json(name)}: ["
    for index, item in enumerate(items):
        yield ",\n" if index else "\n"
        yield from item
    yield "]}"


def _json(value: Any) -> str:
    return escaped(json_text.dumps(value, default=plain))


def _print(connection: Connection, parts: list[_Part], limit: int) -> None:
    say(f"What is held of your data, and what is missing, {datetime.now().astimezone():%Y-%m-%d %H:%M}", "")
    say(*wrap(_answer(parts)))
    for part in parts:
        view, manifest, wait = part.outlook.view, part.outlook.manifest, part.outlook.wait
        lacking = "broken" if part.outlook.why_refused else "not installed"
        version = f" {manifest.version}" if manifest else f", {lacking}"
        say("", f"{view.name} ({view.connector}{version})")
        regularly = schedule(view.every_s, view.cron, view.paused)
        now = f" It {waiting(wait.until, wait.reason)}." if wait else ""
        said = f"Collected {regularly}; next run: {next_run(view, wait)}; last run: {last_run(view)}.{now}"
        say(*wrap(said, indent=2))
        if lines := list(left_out(part.inventory, indent=4)):
            say("", "  At the source and not collected:", *lines)
        for one in part.streams:
            _print_stream(one)
            _print_gaps(gap_views.unclosed_of_stream(connection, view.id, one.stream, limit), part.outlook, one, limit)


def _print_stream(one: StreamCoverage) -> None:
    say("", f"  {titled(one)}: {in_words(one.verdict)}")
    for label, words in _facts(one):
        text = wrap(words, width=PROSE_WIDTH - _LABEL)
        say(*(f"    {label if not line else '':<{_LABEL - 4}}{words}" for line, words in enumerate(text)))


def _facts(one: StreamCoverage) -> Iterator[tuple[str, str]]:
    if one.records is not None:
        latest = f", the latest of {local(one.max_seen)}" if one.max_seen else ""
        yield "held", f"{one.records:,} records{latest}"
    if one.last_complete_walk is not None:
        run = f"by run {one.last_complete_walk.run_id}, " if one.last_complete_walk.run_id else ""
        yield "walked", f"to its end {run}{local(one.last_complete_walk.at)}"
    if one.intervals:
        more = len(one.intervals) - PERIODS
        periods = [_period(interval) for interval in one.intervals[:PERIODS]]
        yield "covered", "; ".join([*periods, f"and {more:,} more"] if more > 0 else periods)
    if one.gaps_by_reason or (one.missing is None and one.supply is not Availability.NEVER):
        by_reason = f" ({counts(one.gaps_by_reason)})" if one.gaps_by_reason else ""
        yield "missing", f"{'nobody knows how many' if one.missing is None else f'{one.missing:,}'}{by_reason}"
    if one.waived or one.absent_upstream:
        yield "closed", f"{one.waived:,} waived by you, {one.absent_upstream:,} gone at the provider"
    if one.in_doubt or one.deletions_waiting:
        yield "not found", f"{one.in_doubt:,} until another walk agrees, {one.deletions_waiting:,} until you decide"
    yield "because", one.because
    time = when(one)
    yield "next", f"{one.next}{f' {time[0].upper()}{time[1:]}.' if time else ''}"


def _period(interval: Interval) -> str:
    since = f"from {_day(interval.since)}" if interval.since else ""
    until = f"until {_day(interval.until)}" if interval.until else ""
    return " ".join(part for part in (since, until) if part) or "all time"


def _day(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _print_gaps(gaps: Iterable[GapView], outlook: Outlook, one: StreamCoverage, limit: int) -> None:
    for gap in gaps:
        next_try = outlook.next_try(gap)
        time = f", next try {due(next_try)}" if next_try else ""
        given_up = ", given up" if gap.exhausted else ""
        words = f"gap {gap.id} {_name(gap)}: {gap.reason}, {tries(gap.attempts)}{given_up}{time}"
        say(*wrap(words, indent=6))
    more = sum(one.gaps_by_reason.values()) - limit
    if more > 0:
        say(f"      and {more:,} more; see: pdpp-worker gaps {one.connection}")


def _name(gap: GapView) -> str:
    if gap.scope == {"partition": {}}:
        return "the whole stream"
    name = str(gap.scope.get("resource_id") or json_text.dumps(gap.scope, ensure_ascii=False))
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
