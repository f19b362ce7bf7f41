"""The program: its commands, and how its failures end."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from pdpp_worker import privileges
from pdpp_worker.cli.commands import (
    audit,
    cancel,
    connection,
    connector,
    connectors,
    coverage,
    db,
    deletions,
    demo,
    doctor,
    events,
    export,
    gaps,
    notify,
    rate,
    recover,
    report,
    run,
    runs,
    secrets,
    status,
    up,
    version,
    web,
    why,
)
from pdpp_worker.cli.output import note, say
from pdpp_worker.errors import ConfigurationError, PdppError


class _Program(TyperGroup):
    """Expected failures end in one sentence: exit code 2 where the owner can correct the call, 1 otherwise."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PdppError as error:
            note(str(error))
            raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from None
        except OperationalError as error:
            note(f"PostgreSQL did not answer: {str(error.orig).strip()}. See: pdpp-worker doctor")
            raise typer.Exit(1) from None
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        say(version.told())
        raise typer.Exit


@app.callback()
def program(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    """Collects your own data from the platforms you use, says what is missing and why, and retries it."""


app.command()(up.up)
app.add_typer(connection.app, name="connection")
app.command()(connectors.connectors)
app.add_typer(connector.app, name="connector")
app.command()(run.run)
app.command()(cancel.cancel)
app.command()(recover.recover)
app.command()(status.status)
app.command()(coverage.coverage)
app.command()(report.report)
app.command()(why.why)
app.command()(rate.rate)
app.add_typer(runs.app, name="runs")
app.add_typer(gaps.app, name="gaps")
app.add_typer(deletions.app, name="deletions")
app.command()(events.events)
app.command()(audit.audit)
app.add_typer(secrets.app, name="secrets")
app.command()(export.export)
app.add_typer(db.app, name="db")
app.command()(doctor.doctor)
app.command()(notify.notify)
app.command()(web.web)
app.command()(demo.demo)
app.command()(version.version)


def main() -> None:
    """Run the program and end the process."""
    privileges.protect()
    for stream in (sys.stdout, sys.stderr):
        # Characters that this terminal's encoding lacks are shown as escapes, and are no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app(prog_name="pdpp-worker")
