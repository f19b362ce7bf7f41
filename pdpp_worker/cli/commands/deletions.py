"""`pdpp-worker deletions`: what walks did not find, and your word on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from pdpp_worker.cli.groups import ListsByName
from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import Json, print_json_line, print_table, say
from pdpp_worker.coverage.times import local
from pdpp_worker.owner import deletions, lookup
from pdpp_worker.owner.session import Database, open_session
from pdpp_worker.store.views import doubt_views
from pdpp_worker.store.views.doubt_views import DoubtView

Target = Annotated[str, typer.Argument(help="A connection, or a connector for all of its connections.")]
Name = Annotated[str, typer.Argument(help="The connection's name.")]
Stream = Annotated[str | None, typer.Option(help="Only records of this stream.")]


app = typer.Typer(
    cls=ListsByName,
    help="Records that walks did not find, and your word on them; `deletions NAME` lists them.",
    no_args_is_help=True,
)


@app.command("list")
def list_(
    name: Target,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1, max=MOST)] = None,
    json: Json = False,
) -> None:
    """List what walks did not find and what is held all the same. --json prints JSON lines."""
    with open_session() as session, session.db.begin() as connection:
        ids = [row.id for row in lookup.targets(connection, name)]
        found = doubt_views.of_connections(connection, ids, limit)
        if json:
            for doubt in found:
                print_json_line(doubt)
        else:
            _print(list(found), name)


@app.command()
def confirm(name: Name, stream: Stream = None) -> None:
    """The source has deleted what waits for your word: delete it here too. Its last version is kept."""
    _decide(name, stream, deletions.confirm, "deleted")


@app.command()
def keep(name: Name, stream: Stream = None) -> None:
    """Keep what waits for your word; nothing asks again until a walk meets it."""
    _decide(name, stream, deletions.keep, "kept")


def _decide(name: str, stream: str | None, decision: Callable[[Database, str, str | None], int], outcome: str) -> None:
    with open_session() as session:
        count = decision(session.db, name, stream)
    say(f"Records of {name} that are {outcome}: {count:,}.")


def _print(found: Iterable[DoubtView], name: str) -> None:
    states = {"doubted": "another walk has to agree", "waiting": "waits for your word", "kept": "kept by your word"}
    rows = [(one.connection, one.stream, one.key, states[one.state], local(one.said_at)) for one in found]
    if not rows:
        say(f"Walks have found everything that is held of {name}, as far as it is not deleted.")
        return
    print_table(("connection", "stream", "record", "state", "not found"), rows, whole=("state", "not found"))
    if any(row[3] == states["waiting"] for row in rows):
        say(f"Decide with: pdpp-worker deletions confirm {name}, or: pdpp-worker deletions keep {name}")
