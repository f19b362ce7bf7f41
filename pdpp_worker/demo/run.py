"""The demonstration: a real fleet collects two accounts, misses some of one, says so, and goes back for it."""

from __future__ import annotations

import os
import sys
import time

from pdpp_worker import logs
from pdpp_worker.cli.output import note, say
from pdpp_worker.demo.screen import Watch, show_result
from pdpp_worker.demo.stage import CHATGPT, CLAUDE_CODE, FLEET, Stage, demo_settings, make_provider, set_stage
from pdpp_worker.local import endpoints
from pdpp_worker.local.fleet import Fleet
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
    say("Starting PostgreSQL, Valkey and a practice provider ...")
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
    with make_provider(settings) as provider:
        fleet = Fleet(settings, _environment())
        play = _Play(fleet, db, set_stage(settings, db, provider))
        try:
            fleet.run(play)
        finally:
            play.close()
    say("", "Stopped; nothing is left running. What was collected stays, and `make demo` goes on from there.")
    return play.exit_code


def _environment() -> dict[str, str]:
    """The fleet's settings; servers of the owner's own have no part in this, so their variables are emptied."""
    return {**FLEET, "PDPP_DATABASE_URL": "", "PDPP_REDIS_URL": "", "PDPP_BROKER_URL": ""}


class _Play:
    """Called after each look at the fleet: watches until all is collected, then shows what came of it."""

    def __init__(self, fleet: Fleet, db: Database, stage: Stage) -> None:
        self._fleet = fleet
        self._db = db
        self._stage = stage
        self._began = time.monotonic()
        self._watch: Watch | None = Watch(db, expected=2)
        self.exit_code = 1
        _introduce(stage)

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
            show_result(self._db, self._stage, runs, seconds)
            _say_where(self._stage, self._fleet)
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


def _introduce(stage: Stage) -> None:
    whose = "your own logs" if stage.logs_are_the_users else "sample logs"
    say(
        f"{CHATGPT}: a made-up account behind a quota, some of it failing, on {stage.provider.url}",
        f"{CLAUDE_CODE}: {whose} in {stage.logs}",
        "Beat dispatches both; the workers collect. This takes about a minute."
        if stage.is_first
        else "A day has passed for the made-up account: only what changed is fetched, and what was missing.",
    )


def _say_where(stage: Stage, fleet: Fleet) -> None:
    say("")
    if fleet.flower_url is not None and sys.stdout.isatty():
        say(f"Flower   {fleet.flower_url}")
    program = os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("pdpp-worker") else "pdpp-worker"
    say(
        "Next, in another terminal:" if sys.stdout.isatty() else "Next:",
        f"  export PDPP_DATA_DIR={stage.settings.data_dir}",
        f"  {program} status",
        f"  {program} gaps {CHATGPT}",
        f"  {program} export {CHATGPT} conversations",
        f"  {program} run {CHATGPT}",
    )
    if sys.stdout.isatty():
        say("", "The fleet goes on, and goes back for what is missing. Ctrl-C stops everything.")
