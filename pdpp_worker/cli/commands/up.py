"""`pdpp-worker up`: the whole fleet in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pdpp_worker.cli.output import say
from pdpp_worker.local import endpoints
from pdpp_worker.local.fleet import Fleet, plan_fleet
from pdpp_worker.local.fleet_supervisor import become
from pdpp_worker.local.supervisor import hold_fleet
from pdpp_worker.owner.session import open_session
from pdpp_worker.settings import Settings


def up(
    flower: Annotated[bool, typer.Option("--flower", help="Show queues and tasks in Flower as well.")] = False,
) -> None:
    """Start everything and stay in the foreground; Ctrl-C stops everything."""
    with open_session(migrating=True) as session:
        settings = session.settings
        lock = hold_fleet(settings.data_dir)
        fleet = plan_fleet(settings, flower=flower)
        _say_where(fleet, settings)
        session.db.close()
        endpoints.outlive_exec(settings)
        become(fleet.specs, settings.data_dir, fleet.environment, lock)


def _say_where(fleet: Fleet, settings: Settings) -> None:
    say("The fleet is running.")
    if fleet.web_url is not None:
        say(f"  console  {_first_link(fleet.web_url, settings)}    (works once)")
    if fleet.flower_url is not None:
        say(f"  Flower   {fleet.flower_url}")
    say(
        f"  logs     {settings.data_dir / 'logs'}",
        "  next     pdpp-worker connection add NAME --connector CONNECTOR    (see: pdpp-worker connectors)",
        "           pdpp-worker status",
        "  stop     Ctrl-C",
    )


def _first_link(url: str, settings: Settings) -> str:
    from pdpp_worker.web.access import Access, link_to  # no other command needs what the console does

    access = Access(settings)
    # This process becomes the fleet's supervisor; its console starts when somebody comes, and can be asked for before.
    os.set_inheritable(access.note_url(url), True)
    return link_to(url, access)
