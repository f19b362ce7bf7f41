"""Checks of accounts on the command line."""

from __future__ import annotations

from dataclasses import asdict
from typing import NoReturn

import typer

from pdpp_worker.cli.output import note, print_json, say
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import checking
from pdpp_worker.owner.checking import Checked, Finding
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.session import Session

EXIT_CODES = {"reached": 0, "refused": 1, "untried": 3}


def require_reached(session: Session, row: ConnectionRow) -> None:
    """Say what an account reaches that is not saved so yet; one that cannot be tried passes with a note.

    Raises:
        ConfigurationError: it does not work.
    """
    found = checking.check(session.settings, session.db, row)
    if found.finding is Finding.REFUSED:
        raise ConfigurationError(f"{found.said} Nothing was saved; to save it all the same, say --no-check.")
    (say if found.finding is Finding.REACHED else note)(found.said)


def print_check(found: Checked, *, json: bool) -> NoReturn:
    """Print the outcome of a check, and end with its exit code."""
    if json:
        print_json(asdict(found))
    else:
        say(found.said)
    raise typer.Exit(EXIT_CODES[found.finding.value])
