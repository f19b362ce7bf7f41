"""A connection of a scripted connector, on the real store."""

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.backlog import TARGETED, missing
from tests.support.scripted import Scenario, manifest, record, state


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    """One connection, ready to run."""
    return Scenario(monkeypatch, settings, db, redis)


@pytest.fixture
def no_haste(scenario: Scenario) -> None:
    """A back-off so long that nothing is due again while a test looks, however slow the machine."""
    scenario.settings = scenario.settings.model_copy(update={"gap_backoff_s": 600.0})


@pytest.fixture
def backlog(scenario: Scenario, no_haste: None) -> Scenario:
    """Ten items are missing and due."""
    scenario.manifest = manifest(recovery=TARGETED)
    scenario.send(record("a"), *missing(*(f"m{n}" for n in range(10))), state(1))
    scenario.run()
    scenario.elapse()
    scenario.starts.clear()
    return scenario
