"""`pdpp-worker audit`: who changed what."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import Json, print_json_line, print_table, say
from pdpp_worker.owner.durations import parse_duration
from pdpp_worker.owner.session import open_session
from pdpp_worker.store.views import audit_views
from pdpp_worker.store.views.audit_views import AuditView


def audit(
    name: Annotated[str | None, typer.Argument(help="Only of this connection; it may be removed since.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as credentials.set, or group, such as credentials.")
    ] = None,
    who: Annotated[str | None, typer.Option(help="Only by those whose name begins so: ada@, web, task.")] = None,
    since: Annotated[str | None, typer.Option(help="Only of the last 1h, 7d, 4w.", metavar="DURATION")] = None,
    limit: Annotated[int, typer.Option(help="How many of the latest.", min=1, max=MOST)] = 50,
    json: Json = False,
) -> None:
    """List who changed what, oldest first: credentials (never their values), settings, gaps, deletions, connections.

    --json prints JSON lines.
    """
    within_s = None if since is None else parse_duration(since)
    with open_session() as session, session.db.begin() as connection:
        found = audit_views.latest(connection, name=name, action=action, who=who, within_s=within_s, limit=limit)
    if json:
        for change in found:
            print_json_line(change)
    elif found:
        print_table(("at", "who", "action", "connection", "what"), map(_cells, found), whole=("at", "action"))
    else:
        say("Nothing was changed.")


def _cells(change: AuditView) -> tuple[str, ...]:
    told = {name: value for name, value in change.data.items() if value is not None}
    what = json_text.dumps(told, ensure_ascii=False) if told else ""
    return f"{change.at.astimezone():%Y-%m-%d %H:%M:%S}", change.who, change.action, change.connection or "", what
