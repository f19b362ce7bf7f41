"""The lease of a slice lives as long as its connector shows signs of life."""

from __future__ import annotations

from sqlalchemy import create_engine

from pdpp_worker.runtime.heartbeat import Heartbeat
from pdpp_worker.store import run_slices
from pdpp_worker.store.engine import Database
from tests.support.scripted import Scenario
from tests.support.waiting import until


def test_a_connector_that_speaks_again_after_a_long_silence_gets_its_lease_renewed(scenario: Scenario) -> None:
    scenario.send()
    with scenario.db.begin() as connection:
        claimed = run_slices.claim_slice(connection, scenario.queue(), "here", 0.3)
    assert claimed is not None

    with Heartbeat(scenario.db, claimed.claim, idle_timeout_s=0.2) as heartbeat:
        until(lambda: not is_held(scenario))

        until(lambda: is_held_by_a_talker(scenario, heartbeat))


def is_held_by_a_talker(scenario: Scenario, heartbeat: Heartbeat) -> bool:
    heartbeat.touch()
    return is_held(scenario)


def is_held(scenario: Scenario) -> bool:
    return bool(scenario.one("SELECT expires_at > clock_timestamp() AS held FROM leases")["held"])


def test_a_heartbeat_that_gets_no_connection_to_the_database_tries_again(scenario: Scenario) -> None:
    scenario.send()
    with scenario.db.begin() as connection:
        claimed = run_slices.claim_slice(connection, scenario.queue(), "here", 0.3)
    assert claimed is not None
    narrow = Database(scenario.db.engine.url.render_as_string(hide_password=False))
    narrow.engine = create_engine(narrow.engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)

    with Heartbeat(narrow, claimed.claim, idle_timeout_s=60):
        with narrow.begin():
            until(lambda: not is_held(scenario))

        until(lambda: is_held(scenario))

    narrow.close()
