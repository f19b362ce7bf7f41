"""`pdpp-worker up`: the whole fleet in the foreground."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

from rich.status import Status
from sqlalchemy.exc import SQLAlchemyError

from pdpp_worker.cli.output import console, say
from pdpp_worker.coverage.times import due
from pdpp_worker.local.fleet import Fleet
from pdpp_worker.owner.session import Session, open_session
from pdpp_worker.settings import Settings
from pdpp_worker.store.views import overview
from pdpp_worker.store.views.overview import Overview

_LOOK_EVERY_S = 2.0


def up() -> None:
    """Start everything and stay in the foreground; Ctrl-C stops everything."""
    with open_session(migrating=True) as session:
        fleet = Fleet(session.settings)
        terminal = console()
        with Status("starting", console=terminal) if terminal.is_terminal else nullcontext() as line:
            fleet.run(_Look(session, fleet, line.update if line else None))
    say("Stopped.")


class _Look:
    """Called after each look at the processes: says once where things are, and keeps the line up to date from then."""

    def __init__(self, session: Session, fleet: Fleet, update: Callable[[str], None] | None) -> None:
        self._settings = session.settings
        self._db = session.db
        self._fleet = fleet
        self._update = update
        self._looker: threading.Thread | None = None

    def __call__(self) -> None:
        if self._looker is None:
            self._say_where()
            self._looker = threading.Thread(target=self._keep_up_to_date, name="status-line", daemon=True)
            self._looker.start()

    def _keep_up_to_date(self) -> None:
        """Look in a thread of its own: a database that does not answer keeps nobody else waiting."""
        while self._update is not None:
            self._update(self._line())
            time.sleep(_LOOK_EVERY_S)

    def _say_where(self) -> None:
        names = [state.name for state in self._fleet.states]
        say(f"The fleet is running: {', '.join(names)}.")
        if self._fleet.web_url is not None:
            say(f"  console  {_first_link(self._fleet.web_url, self._settings)}    (works once)")
        if self._fleet.flower_url is not None:
            say(f"  Flower   {self._fleet.flower_url}")
        say(
            f"  logs     {self._fleet.log_path('beat').parent}",
            "  next     pdpp-worker connection add NAME --connector CONNECTOR    (see: pdpp-worker connectors)",
            "           pdpp-worker status",
            "  stop     Ctrl-C",
        )

    def _line(self) -> str:
        down = [state.name for state in self._fleet.states if state.pid is None]
        if down:
            return f"starting again: {', '.join(down)}"
        try:
            with self._db.begin() as connection:
                return _in_words(overview.read(connection))
        except SQLAlchemyError:
            return "the database does not answer"


def _first_link(url: str, settings: Settings) -> str:
    from pdpp_worker.web.access import Access  # no other command needs what the console does
    from pdpp_worker.web.web_server import link_to

    return link_to(url, Access(settings))


def _in_words(overview: Overview) -> str:
    taken = f" ({overview.records_in_work:,} records)" if overview.runs_working else ""
    words = [
        f"connections: {overview.connections}",
        f"runs at work: {overview.runs_working}{taken}",
        f"waiting: {overview.runs_waiting}",
        f"missing: {overview.gaps:,}",
        *([f"standing still: {overview.still} (see: pdpp-worker doctor)"] if overview.still else []),
    ]
    if overview.next_run_at is not None:
        words.append(f"next run {due(overview.next_run_at)}")
    return ", ".join(words)
