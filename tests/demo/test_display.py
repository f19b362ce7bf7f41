"""Runs that the demonstration waits for."""

from __future__ import annotations

import pytest
from redis import Redis

from pdpp_worker.demo.display import Watch
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario, record, state


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    return Scenario(monkeypatch, settings, db, redis)


def test_a_run_that_an_earlier_demonstration_left_is_waited_for_and_one_that_had_ended_is_not(
    scenario: Scenario,
) -> None:
    scenario.send(record("a"), state(1))
    scenario.run()
    left = scenario.queue()
    watch = Watch(scenario.db, expected=1)

    before = watch.look()
    scenario.finish(left)
    after = watch.look()
    watch.close()

    assert before is None
    assert after is not None
    assert [run.id for run in after] == [left]
