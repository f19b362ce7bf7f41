"""`pdpp-worker db`: the schema, backups, and a newer server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdpp_worker.cli.commands.db_stats import stats
from pdpp_worker.cli.groups import Group
from pdpp_worker.cli.output import Json, note, print_json, say
from pdpp_worker.local.embedded import major_upgrade
from pdpp_worker.owner import backup, schema
from pdpp_worker.owner.session import connected, open_session
from pdpp_worker.settings import get_settings

app = typer.Typer(cls=Group, help="The database: its schema, backups, and a newer server.", no_args_is_help=True)

app.command()(stats)

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, a tar archive.")]


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


@app.command()
def address() -> None:
    """Show where the database is, for other programs; without the password. The embedded one listens while it runs."""
    with connected() as session:
        say(session.db.engine.url.set(drivername="postgresql", password=None).render_as_string())


@app.command()
def roles() -> None:
    """Print the SQL that makes roles with few rights, for a server of your own."""
    with connected() as session:
        say(*schema.roles_of(session.db))


@app.command()
def dump(
    file: BackupFile,
    files: Annotated[bool, typer.Option("--files", help="Keep attachments, archives and sessions too.")] = False,
    key: Annotated[bool, typer.Option("--key", help="Keep the key for stored credentials too.")] = False,
) -> None:
    """Keep everything in one file. The fleet may run meanwhile."""
    with connected() as session:
        session.db.check()
        about = backup.dump(session, file.expanduser(), files=files, key=key)
    say(f"{file} holds the database at revision {about.revision}{''.join(f', {part}' for part in about.parts)}.")
    if not key:
        kept = "Stored credentials and encrypted files" if get_settings().encrypt_files else "Stored credentials"
        note(f"{kept} open under the key of the data directory alone; keep that too, or give --key.")


@app.command()
def restore(
    file: BackupFile,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of what is here.")] = False,
) -> None:
    """Bring back what a backup holds, at the schema that this version needs."""
    with connected() as session:
        session.db.check()
        about, kept = backup.restore(session, file.expanduser(), replace=replace)
    say(f"Restored what was there at {about.made_at}{''.join(f', {part}' for part in about.parts)}.")
    if kept is not None:
        say(f"What was here before is in {kept}; bring it back with: pdpp-worker db restore --replace {kept}")


@app.command("upgrade-server")
def upgrade_server(
    old_programs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the old version's programs are; else Debian's.")
    ] = None,
) -> None:
    """Bring the embedded server's data to the PostgreSQL that this version carries. Stop the fleet before."""
    settings = get_settings()
    done = major_upgrade.upgrade(settings.data_dir, old_programs)
    say(f"The data is of PostgreSQL {done.new} now; that of {done.old} was not changed and is kept:")
    say(f"  {done.old_data}", f"  {done.dump}")
    say(f"The way back: stop the fleet, put the first in the place of {settings.data_dir}/embedded/postgres/data,")
    say("and install the version of pdpp-worker that you had. Remove both when you need it no more.")
