"""`pdpp-worker events`: what happened, as it happens."""

from __future__ import annotations

import json as json_text
import time
from typing import Annotated

import typer

from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import Json, print_json_line, say
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.store.views import event_views
from pdpp_worker.store.views.event_views import EventView

_POLL_S = 1.0
_LATE = 1_000
"""Events read again at each look: ids are given out before their transactions commit, so one can appear late."""


def events(
    name: Annotated[str | None, typer.Argument(help="Only the events of this connection.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(help="How many to begin with.", min=1, max=MOST)] = 50,
    json: Json = False,
) -> None:
    """List what happened, oldest first. --json prints JSON lines."""
    with open_session() as session:
        connection_id = _connection_id(session, name)
        seen = _print_new(session, connection_id, frozenset(), limit, json)
        while follow:
            time.sleep(_POLL_S)
            seen = _print_new(session, connection_id, seen, _LATE, json)


def _print_new(
    session: Session, connection_id: int | None, seen: frozenset[int], limit: int, json: bool
) -> frozenset[int]:
    """Print events that were not seen, and return the ids that the next look may meet again."""
    first = min(seen, default=0)
    with session.db.begin() as connection:
        found = event_views.latest(connection, connection_id, after=first - 1, limit=limit)
    for event in found:
        if event.id not in seen:
            print_json_line(event) if json else _print(event)
    return frozenset(sorted(seen.union(event.id for event in found))[-_LATE:])


def _print(event: EventView) -> None:
    where = ".".join(part for part in (event.connection, event.stream) if part)
    run = f" run {event.run_id}" if event.run_id is not None else ""
    data = f" {json_text.dumps(event.data, ensure_ascii=False)}" if event.data else ""
    say(f"{event.at.astimezone():%Y-%m-%d %H:%M:%S} {where}{run} {event.type}{data}")


def _connection_id(session: Session, name: str | None) -> int | None:
    if name is None:
        return None
    with session.db.begin() as connection:
        return lookup.find(connection, name).id
