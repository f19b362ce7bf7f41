"""`pdpp-worker connection login`: sign in to a provider in a browser of the connection's own."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urljoin

import typer

from pdpp_worker import registry
from pdpp_worker.browser.sign_in import program_with_window, sign_in
from pdpp_worker.cli.output import note, say
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import connection_changes, lookup
from pdpp_worker.owner.session import open_session
from pdpp_worker.runtime.connection_values import with_defaults


def login(name: Annotated[str, typer.Argument(help="The connection's name.")]) -> None:
    """Open the connection's browser; sign in there and close it. Gaps that waited for that are retried."""
    with open_session() as session:
        with session.db.begin() as connection:
            row = lookup.find(connection, name)
        manifest = registry.get(row.connector).manifest
        if "browser_profile" not in manifest.bindings:
            raise ConfigurationError(f"{row.connector} does not go through a browser.")
        values = with_defaults(manifest.settings, row.settings)
        page = urljoin(str(values.get("base_url") or ""), manifest.sign_in)
        program = program_with_window(session.settings)
        note(f"Opening {page}; sign in there, then close the browser.")
        sign_in(program, session.settings, row, page)
        connection_changes.set_credentials(session.db, row, {})
    say(f"The browser of {name} is signed in as you left it; gaps that waited for that are due now.")
    if values["reach"] != "browser":
        say(f"It is used from now on if you say: pdpp-worker connection set {name} reach=browser")
