"""`pdpp-worker db`: the schema."""

from __future__ import annotations

import typer

from pdpp_worker import logs
from pdpp_worker.cli.output import Json, print_json, say
from pdpp_worker.local import endpoints
from pdpp_worker.owner.session import open_session
from pdpp_worker.settings import get_settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database

app = typer.Typer(help="Bring the database schema up to date, or show its revision.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the schema to the version that this program needs."""
    with open_session(migrating=True) as session:
        have, _ = migrate.revisions(session.db)
    say(f"The database schema is at revision {have}.")


@app.command()
def revision(json: Json = False) -> None:
    """Show the schema's revision and the one that this program needs."""
    settings = get_settings()
    logs.configure(settings)
    try:
        db = Database(endpoints.resolve(settings).database_url.get_secret_value())
        db.check()
        have, need = migrate.revisions(db)
        db.close()
    finally:
        endpoints.release()
    if json:
        print_json({"revision": have, "needed": need})
    else:
        say(f"The database is at revision {have or 'none'}; this version needs {need}.")
