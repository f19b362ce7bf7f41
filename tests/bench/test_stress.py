"""Everybody at once on one database, for a while."""

from __future__ import annotations

import pytest
from redis import Redis

from bench.stress.connector import NAME, stress
from bench.stress.play import Play
from pdpp_worker import registry
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database

OPERATIONS = 400


def test_nobody_deadlocks_and_nothing_is_lost_or_stuck(
    settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = stress(1)
    monkeypatch.setattr(registry, "all_connectors", lambda: {NAME: connector})

    outcome = Play(settings, db, redis, seed=1).run(operations=OPERATIONS)

    assert outcome.operations.total() >= OPERATIONS
    assert (outcome.deadlocks, outcome.errors) == (0, [])
    assert (outcome.lost_updates, outcome.lost_items, outcome.stuck_runs) == ([], [], [])
