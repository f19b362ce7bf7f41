"""`pdpp-worker files`: attachments and other files of a connection, which records name by their `path`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from pdpp_worker.cli.groups import Group
from pdpp_worker.cli.output import Json, note, print_json, print_table, say
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import file_reading
from pdpp_worker.owner.session import open_session

app = typer.Typer(cls=Group, help="The stored files of a connection.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection.")]


@app.command("list")
def list_files(name: Name, json: Json = False) -> None:
    """List the files of a connection on this host, with the sizes of their content."""
    with open_session() as session:
        found = list(file_reading.found_in(file_reading.files_of(session, name)))
    if json:
        print_json([one._asdict() for one in found])
        return
    rows = [(one.path, f"{one.size_bytes:,}", "yes" if one.encrypted else "no") for one in found]
    print_table(("path", "bytes", "encrypted"), rows, right=("bytes",), whole=("path",))


@app.command()
def get(
    name: Name,
    path: Annotated[str, typer.Argument(metavar="PATH", help="As a record tells it.")],
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to standard output.")] = None,
) -> None:
    """Write the content of a file, in the clear, to another file or to standard output."""
    with open_session() as session:
        store = file_reading.files_of(session, name)
        if output is not None:
            file_reading.copy(store, path, output)
            return
        with file_reading.opened(store, path) as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


@app.command()
def export(
    name: Name, directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="It is made if it is missing.")]
) -> None:
    """Write the content of all files of a connection, in the clear, below a directory, under the same paths."""
    count, left = 0, []
    with open_session() as session:
        store = file_reading.files_of(session, name)
        for one in file_reading.found_in(store):
            try:
                file_reading.copy(store, one.path, directory / one.path)
            except ConfigurationError as error:
                left.append(str(error))
            else:
                count += 1
    for sentence in left:
        note(sentence)
    say(f"Wrote {count:,} files to {directory}.")
    if left:
        raise typer.Exit(1)
