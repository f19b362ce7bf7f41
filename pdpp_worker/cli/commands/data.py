"""`pdpp-worker data`: the directories in which everything is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pdpp_worker.cli.groups import Group
from pdpp_worker.cli.output import Json, print_json, print_table, say
from pdpp_worker.data_dirs import data_dirs
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import data_removal
from pdpp_worker.settings import get_settings

app = typer.Typer(cls=Group, help="The directories in which everything is kept.", no_args_is_help=True)


@app.command("list")
def list_directories(json: Json = False) -> None:
    """List the data directories of this account: this program's, and those of others, such as moved checkouts."""
    found = [data_removal.look(one) for one in data_dirs(get_settings().data_dir)]
    if json:
        print_json(found)
        return
    rows = [(one.directory, f"{one.bytes / 1e6:,.0f} MB", "yes" if one.used else "no") for one in found]
    print_table(("directory", "size", "in use"), rows, right=("size",), whole=("directory",))


@app.command()
def remove(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="As `data list` names it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a data directory for good. Nothing may run in it."""
    folder = directory.expanduser().absolute()
    question = data_removal.question(folder)
    if not yes and not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Nobody is there to answer; say --yes.")
    if not yes:
        typer.confirm(question, abort=True, err=True)
    data_removal.remove(folder)
    say(f"Removed {folder}.")
