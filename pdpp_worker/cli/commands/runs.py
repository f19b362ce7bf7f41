"""`pdpp-worker runs`: what was attempted, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pdpp_worker.cli import run_tables
from pdpp_worker.cli.groups import Group
from pdpp_worker.cli.number_options import MAX_ID, MOST
from pdpp_worker.cli.output import Json, print_json, say
from pdpp_worker.coverage.documents import run_document
from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.durations import parse_moment
from pdpp_worker.owner.gap_filters import check_reason
from pdpp_worker.owner.looking import Look, open_look
from pdpp_worker.store.views import run_views
from pdpp_worker.store.views.run_views import RunFilter, RunView


class _ListByDefault(Group):
    """A group whose command `list` need not be written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "--help", "-h"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ListByDefault, help="List the latest runs: runs [NAME]; or show one: runs show ID.")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Only the runs of this connection.")] = None,
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(run_views.STATUSES)}.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those that skipped something for this reason.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those queued since then: 2026-01-31, 1h, 7d.", metavar="WHEN")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only those queued before then: 2026-01-31, 1h, 7d.", metavar="WHEN")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=MOST)] = 20,
    json: Json = False,
) -> None:
    """List the latest runs, newest first. The word `list` may be left out."""
    chosen = _filter(status, reason, since, until, limit)
    with open_look() as look:
        if name is not None:
            chosen = chosen._replace(connection_id=lookup.find(look.connection, name).id)
        found = run_views.found(look.connection, chosen)
        outlooks = _outlooks(look, found)
    if json:
        print_json([run_document(one, outlooks[one.connection]) for one in found])
    elif found:
        run_tables.print_list(found, outlooks)
    elif chosen != RunFilter(connection_id=chosen.connection_id, limit=limit):
        say("There is no such run.")
    else:
        say("There is no run yet; start one with: pdpp-worker run NAME")


def _filter(status: str | None, reason: str | None, since: str | None, until: str | None, limit: int) -> RunFilter:
    if status not in (None, *run_views.STATUSES):
        raise ConfigurationError(f"{status!r} is no status; known: {', '.join(run_views.STATUSES)}.")
    check_reason(reason)
    now = datetime.now(UTC)
    begin, end = (None if text is None else parse_moment(text, now) for text in (since, until))
    return RunFilter(status=status, reason=reason, since=begin, until=end, limit=limit)


@app.command()
def show(
    run_id: Annotated[int, typer.Argument(metavar="ID", help="The run's number.", min=1, max=MAX_ID)],
    json: Json = False,
) -> None:
    """Show a run with the counts of its streams."""
    with open_look() as look:
        view = run_views.one(look.connection, run_id)
        streams = run_views.streams(look.connection, run_id)
        outlook = _outlooks(look, [view])[view.connection]
    if json:
        print_json({**run_document(view, outlook), "streams": [asdict(one) for one in streams]})
    else:
        run_tables.print_one(view, streams, outlook)


def _outlooks(look: Look, found: Sequence[RunView]) -> dict[str, Outlook]:
    """Connection to outlook, of the connections of these runs."""
    ids = sorted({one.connection_id for one in found})
    return {one.view.name: one for one in read(look.settings, look.connection, ids)}
