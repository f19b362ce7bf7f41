"""`pdpp-worker connector`: add one of the profile, check one against the rules, begin a new one."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pdpp_worker import registry
from pdpp_worker.cli import added_connector
from pdpp_worker.cli.commands import connectors
from pdpp_worker.cli.credential_options import FORMS, own_account
from pdpp_worker.cli.groups import Group
from pdpp_worker.cli.number_options import MAX_ID
from pdpp_worker.cli.output import Json, print_json, print_table, say
from pdpp_worker.command.connector_user import accounts
from pdpp_worker.coverage.documents import connector_document
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.session import open_session
from pdpp_worker.settings import get_settings

app = typer.Typer(
    cls=Group, help="Add a connector of the profile as it is; check one, begin a new one.", no_args_is_help=True
)

Command = Annotated[
    str | None, typer.Option("--command", help="Its program with arguments, run in the manifest's folder.")
]
Variables = Annotated[
    list[str] | None, typer.Option("--env", help="A variable that it reads and its manifest does not name.")
]

FleetUser = Annotated[
    bool,
    typer.Option("--as-fleet-user", help="Run it as you where no user of its own can: trust it with all you may do."),
]


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="The connector's folder, or its manifest.")],
    command: Command = None,
    env: Variables = None,
    name: Annotated[str, typer.Option(help="Its name here; default: as its manifest has it.")] = "",
) -> None:
    """Take a connector of the Collection Profile as it is: its manifest and its program."""
    from pdpp_worker.added import added_connectors

    asked = added_connectors.Asked(shlex.split(command or ""), env or [], name)
    added = added_connectors.add(path, asked, get_settings().own_connectors, list(registry.all_connectors()))
    say(f"Added the connector {added.manifest.name} {added.manifest.semver or added.manifest.version}.")
    added_connector.describe(added)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A connector; see: pdpp-worker connectors.")], json: Json = False
) -> None:
    """Show a connector: its settings, its credentials, and what it can supply."""
    manifest = registry.get(name).manifest
    if json:
        print_json(connector_document(manifest))
    else:
        connectors.print_one(manifest)


@app.command()
def update(
    name: Annotated[str, typer.Argument(help="A connector that was added.")],
    path: Annotated[Path | None, typer.Argument(help="Where it is now; default: where it was added from.")] = None,
    command: Command = None,
    env: Variables = None,
) -> None:
    """Take an added connector's manifest anew."""
    from pdpp_worker.added import added_connectors

    own = get_settings().own_connectors
    updated = added_connectors.update(name, path, shlex.split(command or ""), env or [], own)
    before = "" if updated.before is None else f" from {updated.before.version}"
    say(f"Updated the connector {name}{before} to {updated.manifest.version}.")
    added_connector.describe(updated)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A connector that was added.")]) -> None:
    """Remove an added connector that no connection uses; its program stays where it is."""
    from pdpp_worker.added import added_connectors

    with open_session() as session, session.db.begin() as connection:
        used = [row.name for row in lookup.list_all(connection, name)]
    if used:
        raise ConfigurationError(f"{name} is used by {', '.join(used)}; remove them first: connection remove NAME")
    added_connectors.remove(name, get_settings().own_connectors)
    say(f"Removed the connector {name}.")


@app.command()
def check(
    connector: Annotated[str, typer.Argument(help="An installed connector's name, or the directory of one.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of your own account.", metavar="KEY=VALUE")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option(help=f"A credential of your own account: {FORMS}.", metavar="KEY=SOURCE")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the adversary: a number of them, or FIRST-LAST.")] = "10",
    as_fleet_user: FleetUser = False,
    seed: Annotated[int | None, typer.Option(help="Only the adversary, with this one seed.", min=0, max=MAX_ID)] = None,
    json: Json = False,
) -> None:
    """Run a connector against its practice account, or your own files. Exit code 1 if a check fails."""
    from pdpp_worker.conformance.adversary.seeds import named
    from pdpp_worker.conformance.report import ADVERSARY, NAMES, Ending, examine  # needs what the runtime needs

    theirs = partial(own_account, settings=settings or [], secrets=secret or [], as_fleet_user=as_fleet_user)
    own = theirs if settings or secret else None
    chosen = named(seeds) if seed is None else range(seed, seed + 1)
    checks = NAMES if seed is None else [ADVERSARY]
    results = list(examine(connector, own, chosen, checks, as_fleet_user=as_fleet_user))
    if json:
        print_json([asdict(one) for one in results])
    else:
        marks = {Ending.PASSED: "passed", Ending.FAILED: "FAILED", Ending.NOT_CHECKED: "not checked"}
        print_table(("check", "", "found"), [(one.check, marks[one.ending], one.found) for one in results], whole=("",))
        numbers = [sum(one.ending is ending for one in results) for ending in Ending]
        say(f"{numbers[0]} passed, {numbers[1]} failed, {numbers[2]} not checked.")
    if any(one.ending is Ending.FAILED for one in results):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _.")],
    directory: Annotated[Path | None, typer.Option(help="Where to; a new one of that name if left out.")] = None,
    command: Annotated[bool, typer.Option("--command", help="A program of any language.")] = False,
) -> None:
    """Write the beginning of a connector that passes the check at once."""
    from pdpp_worker.conformance.new import COMMAND, PYTHON, write

    target = directory or Path(name)
    for path in write(name, target, COMMAND if command else PYTHON):
        say(str(path))
    trusted = " --as-fleet-user" if command and accounts(get_settings()) else ""
    say(f"Check it with: pdpp-worker connector check {target}{trusted}")


@app.command()
def singer(
    tap: Annotated[str, typer.Argument(help="The tap's program, such as ~/taps/github/bin/tap-github.")],
    config: Annotated[Path, typer.Option(help="Its configuration file; secrets in it are read and not kept.")],
    name: Annotated[str | None, typer.Option(help="The connector's name; default: the tap's.")] = None,
    secret: Annotated[list[str] | None, typer.Option(help="A key of the configuration that is a secret.")] = None,
    stream: Annotated[
        list[str] | None, typer.Option(help="A stream to collect; default: what the tap chooses.")
    ] = None,
    version: Annotated[str, typer.Option(help="The tap's version, a higher one than before after an upgrade.")] = "1.0",
    replace: Annotated[bool, typer.Option("--replace", help="Write over the connector of that name.")] = False,
    as_fleet_user: FleetUser = False,
) -> None:
    """Make a connector out of a Singer tap."""
    from pdpp_worker.singer.make import make

    made = make(
        tap,
        config,
        name=name,
        version=version,
        secrets=secret or [],
        streams=stream or [],
        replace=replace,
        as_fleet_user=as_fleet_user,
    )
    credentials = ", ".join(made.manifest.credentials) or "none"
    say(
        f"Made the connector {made.manifest.name} of {len(made.manifest.streams)} streams; credentials: {credentials}.",
        f"Add an account with: pdpp-worker connection add NAME --connector {made.manifest.name}",
    )
