"""`pdpp-worker connection`: the accounts that are collected."""

from __future__ import annotations

from typing import Annotated

import typer

from pdpp_worker.cli import connection_tables as views
from pdpp_worker.cli.groups import LooksFirst
from pdpp_worker.cli.output import Json, print_json, say
from pdpp_worker.cli.source_tables import print_inventory
from pdpp_worker.coverage import outlook
from pdpp_worker.coverage.documents import connection_document
from pdpp_worker.owner import lookup
from pdpp_worker.owner.looking import open_look
from pdpp_worker.store.views import connection_views, member_views


class _Accounts(LooksFirst):
    changes = "pdpp_worker.cli.account_commands"


app = typer.Typer(cls=_Accounts, help="Add, change and remove the accounts that are collected.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The connection's name.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the connections."""
    with open_look() as look:
        found = connection_views.read(look.connection)
    if json:
        print_json(found)
    elif found:
        views.print_list(found)
    else:
        say("There is no connection yet; add one with: pdpp-worker connection add NAME --connector CONNECTOR")


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a connection: settings, where its credentials are kept, schedule, rate ceiling, last run, its source."""
    with open_look() as (settings, connection):
        [found] = outlook.read(settings, connection, [lookup.find(connection, name).id])
        inventory = member_views.read(connection, [found.view.id])[found.view.id]
    if json:
        print_json({**connection_document(found), "inventory": inventory})
        return
    views.print_one(found.view, found.ceiling)
    if inventory:
        say("")
        print_inventory(inventory)
