"""A connection of a scripted connector, on the real store."""

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """One connection, ready to run."""
    return Scenario(monkeypatch, settings, db, redis)
