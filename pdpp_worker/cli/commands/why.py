"""`pdpp-worker why`: is this one item here, and if not, why, and who retries it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer

from pdpp_worker.cli.output import PROSE_WIDTH, Json, print_json, print_pairs, prose, say
from pdpp_worker.cli.remarks import remarks
from pdpp_worker.coverage import all_streams, item
from pdpp_worker.coverage.item import Answer, Cost
from pdpp_worker.coverage.member_answer import about_member, with_member
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.phrases import asked_by, forgotten_tries, in_words, tried, tries, waiting
from pdpp_worker.coverage.source_parts import find
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.coverage.times import due, duration, local
from pdpp_worker.coverage.verdict import Resolver
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.looking import Look, open_look
from pdpp_worker.store.views import item_views, member_views
from pdpp_worker.store.views.attempt_views import GapAttempt

_RESOLVED_BY = {
    Resolver.TIME: "the fleet, in time",
    Resolver.UPGRADE: "a newer version of the connector",
    Resolver.OWNER: "you",
    Resolver.NOBODY: "nobody",
}


def why(
    name: Annotated[str, typer.Argument(metavar="CONNECTION|GAP", help="A connection, or the number of a gap.")],
    stream: Annotated[str | None, typer.Argument(help="One of its streams, or what its source has.")] = None,
    resource: Annotated[str | None, typer.Argument(help="The item's id at the provider; none: the stream.")] = None,
    json: Json = False,
) -> None:
    """Say whether one item is here; if not, since when, for what reason, who resolves it, when, and at what cost."""
    with open_look() as look:
        found = _about_gap(look, name) if stream is None else _about_item(look, name, stream, resource)
    if json:
        print_json(found)
    elif isinstance(found, Answer):
        print_pairs(_facts(found))
    else:
        say(*remarks([found]))


def _about_gap(look: Look, number: str) -> Answer:
    if not number.isdecimal():
        raise ConfigurationError(f"{number!r} is no gap's number; say: pdpp-worker why CONNECTION STREAM [ITEM]")
    gap = item_views.gap_by_id(look.connection, int(number))
    stream, outlook = _stream(look, gap.connection_id, gap.stream)
    return item.answer(item.about_gap(look.connection, stream, outlook, gap))


def _about_item(look: Look, name: str, stream: str, resource: str | None) -> Answer | StreamCoverage:
    settings, connection = look
    connection_id = lookup.find(connection, name).id
    member = find(member_views.read(connection, [connection_id])[connection_id], resource or stream)
    [outlook] = read(settings, connection, [connection_id])
    found = {one.stream: one for one in all_streams.read(connection, [outlook])}
    if not resource and member is not None and stream not in found:
        return about_member(member, outlook, None, stream)
    coverage = _one_of(found, stream, outlook)
    if not resource:
        return coverage
    return with_member(item.answer(item.about_resource(connection, coverage, outlook, resource)), member, outlook)


def _stream(look: Look, connection_id: int, name: str) -> tuple[StreamCoverage, Outlook]:
    [outlook] = read(look.settings, look.connection, [connection_id])
    found = {one.stream: one for one in all_streams.read(look.connection, [outlook])}
    return _one_of(found, name, outlook), outlook


def _one_of(found: Mapping[str, StreamCoverage], name: str, outlook: Outlook) -> StreamCoverage:
    if name not in found:
        known = ", ".join(found) or "none is known"
        raise NotFoundError(f"{outlook.view.name} has no stream {name!r}; known: {known}.")
    return found[name]


def _facts(answer: Answer) -> Sequence[tuple[str, str]]:
    """Facts about an item, one a line."""
    gap, record, rejection = answer.gap, answer.record, answer.rejection
    rows = [
        ("item", answer.resource_id or "not one resource"),
        ("of", f"{answer.connection} {answer.stream or ''}".rstrip()),
        ("state", in_words(answer.state)),
        ("because", answer.because),
        ("next", answer.next),
        ("resolved by", _RESOLVED_BY[answer.who_mends] if answer.who_mends else ""),
        ("found missing", f"{local(gap.opened_at)}, run {gap.first_run_id}" if gap else ""),
        ("last tried", f"{_moment(gap.last_tried_at)}run {gap.last_run_id}, {tries(gap.attempts)}" if gap else ""),
        *_tries(answer),
        ("reason", gap.reason if gap else ""),
        ("error", (gap.last_error if gap else None) or ""),
        ("closed", local(gap.closed_at) if gap and gap.closed_at else ""),
        ("waits", waiting(answer.waits_until, answer.wait_reason).removeprefix("waits ")),
        ("next try", due(answer.next_attempt_at) if answer.next_attempt_at else ""),
        ("cost", _cost(answer.cost) if answer.cost else ""),
        ("here since", f"{_moment(record.held_since)}run {record.first_run_id}" if record else ""),
        ("deleted", local(record.deleted_at) if record and record.deleted_at else ""),
        ("refused", f"{rejection.error}; {rejection.bytes:,} bytes are kept" if rejection else ""),
    ]
    return [(name, prose(value, width=PROSE_WIDTH - 16)) for name, value in rows if value]


def _tries(answer: Answer) -> Sequence[tuple[str, str]]:
    """The tries of the gap, one a line."""
    return [
        ("", forgotten_tries(answer.tries_not_kept)),
        *((f"try {one.number}", _try(one)) for one in answer.tries),
    ]


def _try(one: GapAttempt) -> str:
    words = f"{local(one.at)}, run {one.run_id} by {asked_by(one)}: {tried(one)}"
    words += f"; {one.error}" if one.error else ""
    return words + (f"; pause wanted until {local(one.retry_after)}" if one.retry_after else "")


def _moment(at: datetime | None) -> str:
    return f"{local(at)}, " if at is not None else ""


def _cost(cost: Cost) -> str:
    time = "a time that is not known yet" if cost.seconds is None else f"about {duration(max(1.0, cost.seconds))}"
    return f"{cost.requests} request, {time}"
