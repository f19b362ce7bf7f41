"""`pdpp-worker db`: the schema."""

from __future__ import annotations

import typer

from pdpp_worker.cli.output import Json, print_json, say
from pdpp_worker.owner import schema
from pdpp_worker.owner.session import connected, open_session

app = typer.Typer(help="Bring the database schema up to date, or show its revision.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the schema to the version that this program needs."""
    with open_session(migrating=True) as session:
        have, _ = schema.revisions(session.db)
    say(f"The database schema is at revision {have}.")


@app.command()
def revision(json: Json = False) -> None:
    """Show the schema's revision and the one that this program needs."""
    with connected() as session:
        session.db.check()
        have, need = schema.revisions(session.db)
    if json:
        print_json({"revision": have, "needed": need})
    else:
        say(f"The database is at revision {have or 'none'}; this version needs {need}.")
