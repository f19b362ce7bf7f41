"""Runs the demonstration: a real fleet collects practice accounts, lacks some records of one, says so, and retries."""

from __future__ import annotations

import os
import sys
import time

from pdpp_worker import logs
from pdpp_worker.cli.output import note, say
from pdpp_worker.demo.display import Watch, show_result
from pdpp_worker.demo.setup import FLEET, Demo, demo_settings, open_demo
from pdpp_worker.local import endpoints
from pdpp_worker.local.fleet import plan_fleet
from pdpp_worker.local.supervisor import Supervisor
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database

LONGEST_S = 300.0
"""The demonstration gives up on a fleet that has not collected by then."""


def main() -> int:
    """Run the demonstration; returns the exit code.

    On a terminal the fleet stays up until Ctrl-C, so that one can look around; elsewhere it ends by itself.

    Raises:
        ConfigurationError: it runs already, or the embedded servers cannot be used.
    """
    settings = demo_settings(get_settings())
    logs.configure(settings)
    say("Starting PostgreSQL, Valkey and practice accounts ...")
    try:
        db = Database(endpoints.resolve(settings).database_url.get_secret_value())
        try:
            migrate.upgrade(db)
            return _perform(settings, db)
        finally:
            db.close()
    finally:
        endpoints.release()


def _perform(settings: Settings, db: Database) -> int:
    with open_demo(settings, db) as demo:
        plan = plan_fleet(settings, _environment())
        fleet = Supervisor(plan.specs, settings.data_dir, plan.environment)
        run = _DemoRun(fleet, db, demo)
        try:
            fleet.run(run)
        finally:
            run.close()
    say("", "Stopped; nothing is left running. The records stay, and `make demo` goes on from there.")
    return run.exit_code


def _environment() -> dict[str, str]:
    """The fleet's settings; servers of the owner's own have no part in this, so their variables are emptied."""
    return {**FLEET, "PDPP_DATABASE_URL": "", "PDPP_REDIS_URL": "", "PDPP_BROKER_URL": ""}


class _DemoRun:
    """Called after each look at the fleet: watches until all is collected, then shows what came of it."""

    def __init__(self, fleet: Supervisor, db: Database, demo: Demo) -> None:
        self._fleet = fleet
        self._db = db
        self._demo = demo
        self._began = time.monotonic()
        self._watch: Watch | None = Watch(db, expected=len(demo.connections))
        self.exit_code = 1
        _introduce(demo)

    def __call__(self) -> None:
        if self._watch is None:
            return
        runs = self._watch.look()
        seconds = time.monotonic() - self._began
        if runs is None and seconds < LONGEST_S:
            return
        self.close()
        if runs is None:
            note(f"Nothing was collected within {LONGEST_S:.0f} s; the fleet's logs say why: {self._logs}")
        else:
            show_result(self._db, self._demo, runs, seconds)
            _say_where(self._demo)
            self.exit_code = 0
        if not sys.stdout.isatty() or runs is None:
            self._fleet.end()

    @property
    def _logs(self) -> str:
        return str(self._fleet.log_path("collect").parent)

    def close(self) -> None:
        """Take the progress away."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _introduce(demo: Demo) -> None:
    say(
        *(f"{one.name}: {one.account.introduction}" for one in demo.connections),
        "Beat dispatches them; the workers collect. This takes about a minute."
        if demo.is_first
        else "A day has passed for the made-up account: only what changed is fetched, and what was missing.",
    )


def _say_where(demo: Demo) -> None:
    say("")
    first = demo.connections[0]
    program = os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("pdpp-worker") else "pdpp-worker"
    say(
        "Next, in another terminal:" if sys.stdout.isatty() else "Next:",
        f"  export PDPP_DATA_DIR={demo.settings.data_dir}",
        f"  {program} status",
        f"  {program} gaps {first.name}",
        f"  {program} export {first.name} {first.manifest.supplied[0].name}",
        f"  {program} run {first.name}",
    )
    if sys.stdout.isatty():
        say("", "The fleet goes on, and retries what is missing. Ctrl-C stops everything.")
