"""The learned rate goes from slice to slice, and no further than it is true."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from pdpp_worker.runtime.rate_keeper import RateKeeper
from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.events import Event
from tests.support.scripted import Scenario, record

CEILING_MS, COLD_MS = 250.0, 1000.0


class Slices:
    """Makes the keeper of one slice after the other."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        scenario.send(record("a"))
        with scenario.db.begin() as connection:
            claim = leases.acquire(connection, scenario.connection_id, 1, "test", 600)
        assert claim is not None
        self.claim: Claim = claim
        self.events: list[Event] = []

    def keeper(self, ceiling_ms: float = CEILING_MS) -> RateKeeper:
        return RateKeeper(
            self.scenario.db,
            self.claim,
            ceiling_ms=ceiling_ms,
            cold_start_ms=COLD_MS,
            emit=self.events.append,
            now=lambda: datetime.now(UTC),
        )

    def interval(self, ceiling_ms: float = CEILING_MS) -> float:
        return self.keeper(ceiling_ms).lanes.interval_ms(time.monotonic())

    def let_pass(self, hours: float) -> None:
        with self.scenario.db.begin() as connection:
            connection.execute(
                text("UPDATE rate_states SET updated_at = updated_at - :h * interval '1 hour'"), {"h": hours}
            )

    def state(self) -> Any:
        return self.scenario.one("SELECT state FROM rate_states")["state"]


@pytest.fixture
def slices(scenario: Scenario) -> Slices:
    return Slices(scenario)


def learn(keeper: RateKeeper, successes: int) -> float:
    """Let a keeper's law see successes; returns the interval it comes to."""
    now = time.monotonic() - successes
    for _ in range(successes):
        keeper.lanes.on_send(now)
        keeper.lanes.on_success(now)
        now += 1.0
    keeper.save()
    return keeper.lanes.interval_ms(now)


def refuse(keeper: RateKeeper, retry_after_s: float | None = None) -> None:
    """Let a keeper's law see one request, and its refusal."""
    now = time.monotonic()
    keeper.lanes.on_send(now)
    keeper.lanes.on_throttle(now, retry_after_s)


def test_the_first_slice_starts_cold(slices: Slices) -> None:
    assert slices.interval() == COLD_MS


def test_the_next_slice_starts_at_the_rate_that_the_last_one_learned(slices: Slices) -> None:
    learned = learn(slices.keeper(), 40)

    assert learned < COLD_MS
    assert slices.interval() == pytest.approx(learned, rel=0.1)


def test_after_six_hours_what_was_learned_is_forgotten(slices: Slices) -> None:
    learn(slices.keeper(), 40)

    slices.let_pass(hours=6.1)

    assert slices.interval() == COLD_MS


def test_a_slice_that_ended_in_a_deep_back_off_does_not_slow_the_next_one_down(slices: Slices) -> None:
    learned = learn(slices.keeper(), 40)
    outage = slices.keeper()
    for _ in range(8):
        refuse(outage)
    outage.save()

    slices.let_pass(hours=1)

    assert slices.interval() == pytest.approx(learned, rel=0.1)


def test_what_is_restored_is_never_faster_than_the_ceiling(slices: Slices) -> None:
    learn(slices.keeper(), 400)

    assert slices.interval(ceiling_ms=700.0) == 700.0


def test_a_refusal_is_kept_and_told_at_once(slices: Slices) -> None:
    keeper = slices.keeper()
    refuse(keeper, 30.0)

    keeper("rate_limited", 30.0)

    assert slices.state()["back_off"]["why"] == "rate_limited"
    [(kind, stream, data)] = slices.events
    assert (kind, stream) == ("collection_rate", None)
    assert data["ceiling_ms"] == CEILING_MS
    assert data["back_off"]["retry_after_s"] == 30.0


def test_the_last_back_off_is_still_known_in_the_next_slice(slices: Slices) -> None:
    keeper = slices.keeper()
    refuse(keeper)
    keeper("rate_limited", None)

    learn(slices.keeper(), 1)

    assert slices.state()["back_off"]["why"] == "rate_limited"


def spoil(slices: Slices, path: str, value: str) -> None:
    """Write JSON into the notes, at a path of PostgreSQL's form."""
    with slices.scenario.db.begin() as connection:
        query = "UPDATE rate_states SET state = jsonb_set(state, CAST(:path AS text[]), CAST(:value AS jsonb))"
        connection.execute(text(query), {"path": path, "value": value})


@pytest.mark.parametrize("law", ["{}", '{"version": 1}', '{"version": 0}', "[]", "null", '"text"'])
def test_notes_that_cannot_be_read_are_forgotten(slices: Slices, law: str) -> None:
    learn(slices.keeper(), 40)

    spoil(slices, "{law}", law)

    assert slices.interval() == COLD_MS


@pytest.mark.parametrize("rate", ["-2", "0", "null", '"fast"'])
def test_a_kept_rate_that_cannot_be_is_forgotten(slices: Slices, rate: str) -> None:
    learn(slices.keeper(), 40)

    spoil(slices, '{law,lanes,"",model,bucket,rate}', rate)

    assert slices.interval() == COLD_MS


def test_notes_that_are_no_object_are_forgotten(slices: Slices) -> None:
    learn(slices.keeper(), 40)
    with slices.scenario.db.begin() as connection:
        connection.execute(text("UPDATE rate_states SET state = '[]'"))

    assert slices.interval() == COLD_MS
