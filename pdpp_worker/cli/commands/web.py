"""`pdpp-worker web`: the console in a browser."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pdpp_worker.cli.number_options import MOST
from pdpp_worker.cli.output import say
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.fleet import WEB_MODULES, is_installed
from pdpp_worker.owner.session import open_session
from pdpp_worker.settings import get_settings


def web(
    address: Annotated[str | None, typer.Option(help="Listen on this address; PDPP_WEB_ADDRESS otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="And on this port; 0 for a free one.", min=0, max=65535)] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Let nothing be changed there.")] = False,
    descriptor: Annotated[
        int | None, typer.Option("--socket", hidden=True, help="A socket that listens.", min=0, max=MOST)
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Print a link to the console that runs, and end.")] = False,
) -> None:
    """Show the console, where everything can be looked at and changed, in a browser."""
    if not is_installed(*WEB_MODULES):
        raise ConfigurationError("The console is not installed; add it with: pip install 'pdpp-worker[web]'")
    from pdpp_worker.web.web_server import Server, running_link  # needs what only the console does

    settings = get_settings()
    if link:
        say(running_link(settings))
        return
    with open_session() as session:
        given = session.settings.model_copy(update={"web_read_only": read_only or session.settings.web_read_only})
        server = Server(
            given,
            session.db,
            address=given.web_address if address is None else address,
            port=given.web_port if port is None else port,
            descriptor=descriptor,
        )
        _say_where(server.url, server.link if sys.stdout.isatty() else None)
        # The server stops by itself and then raises the signal again, for whoever had it before.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run()


def _say_where(url: str, new_link: Callable[[], str] | None) -> None:
    """Say how to get in; where no terminal reads it, it goes to a log, and a key is not for a log."""
    say(f"The console listens at {url}.")
    if new_link is not None:
        say(f"Open it once with: {new_link()}")
    say("A link that lets in: pdpp-worker web --link")
