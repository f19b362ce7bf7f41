"""`python -m bench stress`."""

from __future__ import annotations

from typing import Annotated
from unittest.mock import patch

import typer
from pydantic import SecretStr
from rich.console import Console

from bench.stress.connector import NAME
from bench.stress.connector import stress as make_connector
from bench.stress.play import Outcome, Play
from pdpp_worker import logs, registry
from pdpp_worker.local.embedded import acquire
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.servers import temporary_data_dir

_console = Console(width=120, soft_wrap=True)


def stress(
    seconds: Annotated[float, typer.Option(min=1, help="For how long.")] = 600.0,
    seed: Annotated[int, typer.Option(help="What the chances begin with; the order of threads is the machine's.")] = 1,
) -> None:
    """Four workers, two dispatchers, two sweeps and an owner at once: nobody deadlocks, nothing is lost or stuck."""
    with temporary_data_dir() as data_dir, acquire(Settings(data_dir=data_dir)) as servers:
        db = Database(servers.database_url)
        migrate.upgrade(db)
        settings = Settings(data_dir=data_dir, database_url=SecretStr(servers.database_url), log_level="CRITICAL")
        logs.configure(settings)
        redis = connect(servers.redis_url, settings.broker_timeout_s)
        with patch.object(registry, "all_connectors", lambda: {NAME: make_connector(seed)}):
            outcome = Play(settings, db, redis, seed).run(seconds=seconds)
        db.close()
    _print(outcome)
    raise typer.Exit(0 if outcome.holds else 1)


def _print(outcome: Outcome) -> None:
    counts = ", ".join(f"{name} {count:,}" for name, count in outcome.operations.most_common())
    _console.print(f"{outcome.operations.total():,} operations in {outcome.seconds:,.0f} s: {counts}", highlight=False)
    for name in ("deadlocks", "errors", "lost_updates", "lost_items", "stuck_runs"):
        found = getattr(outcome, name)
        _console.print(f"{name.replace('_', ' ')}: {found or 'none'}", highlight=False)
