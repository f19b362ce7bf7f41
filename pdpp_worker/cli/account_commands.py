"""The commands of `pdpp-worker connection` that change an account, or try one."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from pdpp_worker import registry
from pdpp_worker.cli.account_checks import print_check, require_reached
from pdpp_worker.cli.commands import login
from pdpp_worker.cli.credential_options import FORMS, check_name, read_credentials, read_source
from pdpp_worker.cli.output import Json, say
from pdpp_worker.cli.removing import remove as remove_account
from pdpp_worker.cli.schedule_options import Cron, Every, Zone
from pdpp_worker.coverage import outlook, rate_costs, rate_rows
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import checking, connection_changes, lookup, schedule_rules
from pdpp_worker.owner.schedule_rules import Schedule, Written
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import positive_ms
from pdpp_worker.store.views import connection_views

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="The connection's name.")]
MinInterval = Annotated[
    str | None, typer.Option(help="Rate ceiling: least time between two requests, ms.", metavar="MS")
]
TriedFirst = Annotated[bool, typer.Option(help="Try the account first, and save it only if that works.")]

_FLEET_USER = "Let its program run as the fleet's user, and read all that this one may, where another cannot run it."


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name of your choice for the account.")],
    connector: Annotated[str, typer.Option(help="Which platform; see: pdpp-worker connectors.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="A setting.", metavar="KEY=VALUE")] = None,
    secret: Annotated[list[str] | None, typer.Option(help=f"A credential: {FORMS}.", metavar="KEY=SOURCE")] = None,
    every: Every = None,
    cron: Cron = None,
    timezone: Zone = None,
    min_interval_ms: MinInterval = None,
    paused: Annotated[bool, typer.Option("--paused", help="Do not collect on schedule yet.")] = False,
    check: TriedFirst = True,
    as_fleet_user: Annotated[bool, typer.Option("--as-fleet-user", help=_FLEET_USER)] = False,
) -> None:
    """Add an account that works; it is collected at once and then on schedule."""
    connection_changes.check_name(name)  # before it asks for credentials
    manifest = registry.get(connector).manifest
    values = read_settings(manifest, settings or [])
    schedule = schedule_rules.read(every, cron, timezone, manifest.schedule_every_s)
    by_hand = not manifest.is_scheduled and every is None and cron is None
    interval = None if min_interval_ms is None else positive_ms("--min-interval-ms", min_interval_ms)
    with open_session() as session:
        connection_changes.check_new_name(session.db, name)
        credentials = read_credentials(Vault(session.settings), manifest, secret or [], connection=name)
        if check:
            given = (name, connector, values, credentials, interval)
            require_reached(session, checking.draft(*given, as_fleet_user=as_fleet_user))
        connection_changes.add(
            session.db,
            name,
            connector,
            settings=values,
            credentials=credentials,
            schedule=schedule,
            min_interval_ms=interval,
            paused=paused or by_hand,
            as_fleet_user=as_fleet_user,
        )
    say(f"Added {name}. {_what_next(name, manifest, paused=paused, by_hand=by_hand)}")


def _what_next(name: str, manifest: Manifest, *, paused: bool, by_hand: bool) -> str:
    if paused:
        return "It is paused."
    if by_hand:
        why = "may ask for you" if manifest.asks_owner else "is to be started by hand"
        run = f"pdpp-worker run {name}{' --interactive' if manifest.asks_owner else ''}"
        return (
            f"Its connector {why}, so it is paused: collect it with `{run}`, "
            f"or by itself after `pdpp-worker connection resume {name}`."
        )
    return "It is collected by the fleet from now on: pdpp-worker up"


@app.command("check")
def check_(
    name: Name,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Check with this setting, which is not saved.", metavar="KEY=VALUE"),
    ] = None,
    json: Json = False,
) -> None:
    """Try a connection's credentials and settings. Exit code: 0 they work, 1 they do not, 3 it cannot be tried yet."""
    with open_session() as session:
        with session.db.begin() as connection:
            row = lookup.find(connection, name)
        values = read_settings(registry.get(row.connector).manifest, settings or [], row.settings)
        found = checking.check(session.settings, session.db, checking.changed(row, values, {}))
    print_check(found, json=json)


@app.command("set")
def set_(
    name: Name,
    settings: Annotated[list[str] | None, typer.Argument(help="Settings; KEY= for the default.")] = None,
    named: Annotated[list[str] | None, typer.Option("--set", help="A setting, as above.", metavar="KEY=VALUE")] = None,
    every: Every = None,
    cron: Cron = None,
    timezone: Zone = None,
    as_fleet_user: Annotated[
        bool | None, typer.Option("--as-fleet-user/--own-user", help=_FLEET_USER, show_default=False)
    ] = None,
    check: TriedFirst = True,
) -> None:
    """Change settings that the account works with, the schedule, or as whom its program may run.

    A time zone alone moves the times that are set.
    """
    given = [*(settings or []), *(named or [])]
    with open_session() as session:
        schedule = _schedule(session, name, Written(every or "", cron or "", timezone or ""))
        if check and given:
            _require_works_with(session, name, given, as_fleet_user)
        connection_changes.change(session.db, name, given, schedule, as_fleet_user=as_fleet_user)
    say(f"Changed {name}; its next run works with it.")


def _schedule(session: Session, name: str, asked: Written) -> Schedule | None:
    with session.db.begin() as connection:
        held = connection_views.schedule_of(connection, lookup.find(connection, name).id)
    return schedule_rules.changed(schedule_rules.written(*held), asked)


def _require_works_with(session: Session, name: str, settings: list[str], as_fleet_user: bool | None) -> None:
    with session.db.begin() as connection:
        row = lookup.find(connection, name)
    values = read_settings(registry.get(row.connector).manifest, settings, row.settings)
    given = row if as_fleet_user is None else replace(row, as_fleet_user=as_fleet_user)
    require_reached(session, checking.changed(given, values, {}))


@app.command("set-rate")
def set_rate(
    name: Name,
    min_interval_ms: Annotated[str, typer.Argument(help="Least ms between two requests, or 'default'.")],
) -> None:
    """Set the connection's own rate ceiling: no request follows another sooner."""
    interval = None if min_interval_ms == "default" else positive_ms("The rate ceiling", min_interval_ms)
    with open_session() as session:
        [before], [rate] = _rate(session, name)
        connection_changes.set_rate(session.db, name, interval)
        [after], _ = _rate(session, name)
    cost = rate_costs.told(before, rate, after.ceiling.min_interval_ms)
    say(f"Changed the rate ceiling of {name}; its next slice keeps to it. {cost} See: pdpp-worker rate {name}")


def _rate(session: Session, name: str) -> tuple[list[outlook.Outlook], list[rate_rows.RateView]]:
    with session.db.begin() as connection:
        found = outlook.read(session.settings, connection, [lookup.find(connection, name).id])
        return found, rate_rows.read(connection, found)


@app.command()
def secret(
    name: Name,
    key: Annotated[str, typer.Argument(help="Which credential.")],
    source: Annotated[str, typer.Argument(help=f"{FORMS}.")] = "-",
    check: TriedFirst = True,
) -> None:
    """Replace a credential by one that works; gaps that waited for it are retried."""
    with open_session() as session:
        with session.db.begin() as connection:
            row = lookup.find(connection, name)
        manifest = registry.get(row.connector).manifest
        place = Place(row.connector, row.name, check_name(manifest, key))
        stored = read_source(Vault(session.settings), manifest, place, source)
        if check:
            require_reached(session, checking.changed(row, row.settings, {key: stored}))
        connection_changes.set_credentials(session.db, row, {key: stored})
    say(f"Replaced {key} of {name}; gaps that waited for it are due now.")


app.command()(login.login)


@app.command("accept-account")
def accept_account(name: Name) -> None:
    """Take the other account that the source is signed in to for the connection's own."""
    with open_session() as session:
        account = connection_changes.accept_account(session.db, name)
    say(f"{name} reads {account} from now on; what waited for your word is due now.")


@app.command()
def pause(name: Name) -> None:
    """Stop scheduled runs; an active run goes on."""
    _pause(name, True)
    say(f"{name} is paused; go on with: pdpp-worker connection resume {name}")


@app.command()
def resume(name: Name) -> None:
    """Let scheduled runs start again."""
    _pause(name, False)
    say(f"{name} is collected on schedule again.")


@app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a connection with all records and files that are held of it; it can be repeated."""
    remove_account(name, confirm=(lambda _: None) if yes else _confirm)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Nobody is there to answer; say --yes.")
    typer.confirm(question, abort=True, err=True)


def _pause(name: str, paused: bool) -> None:
    with open_session() as session:
        connection_changes.pause(session.db, name, paused)
