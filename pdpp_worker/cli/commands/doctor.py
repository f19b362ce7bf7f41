"""`pdpp-worker doctor`: is everything there that the fleet needs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pdpp_worker import logs
from pdpp_worker.cli.output import Json, print_json, print_table
from pdpp_worker.local import endpoints
from pdpp_worker.settings import get_settings

if TYPE_CHECKING:
    from pdpp_worker.doctor.checks import Check


def doctor(json: Json = False) -> None:
    """Check servers, settings, connectors and credentials. Exit code 1 if something is wrong."""
    from pdpp_worker.doctor.checks import all_checks  # loads the clients of every server

    settings = get_settings()
    logs.configure(settings)
    try:
        found = list(all_checks(settings))
    finally:
        endpoints.release()
    if json:
        print_json(found)
    else:
        print_table(("what", "", "found"), [_cells(one) for one in found])
    if not all(one.ok for one in found):
        raise typer.Exit(1)


def _cells(check: Check) -> tuple[str, str, str]:
    return check.what, "ok" if check.ok else "WRONG", check.found
