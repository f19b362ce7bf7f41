"""Workers whose clocks disagree do not take old for new: all of them go by the database's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdpp_worker import clock
from pdpp_worker.clock import going_on_from
from pdpp_worker.connector import Context, Message, Record, Start
from pdpp_worker.runtime.time_limits import SliceEnded
from pdpp_worker.store import run_slices
from tests.support.scripted import Scenario

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def test_a_connector_is_told_the_time_of_the_database(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def stamps(_: Start, context: Context) -> Iterator[Message]:
        yield Record(stream="items", key="a", data={}, emitted_at=context.now())

    def as_if_long_ago(*arguments: Any, **named: Any) -> run_slices.Slice | None:
        claimed = claim(*arguments, **named)
        return None if claimed is None else replace(claimed, now=LONG_AGO)

    claim = run_slices.claim_slice
    monkeypatch.setattr(run_slices, "claim_slice", as_if_long_ago)
    scenario.install(stamps)

    scenario.run()

    emitted_at = scenario.one("SELECT emitted_at FROM records")["emitted_at"]
    assert LONG_AGO <= emitted_at < LONG_AGO + timedelta(minutes=1)


def test_a_clock_never_goes_back() -> None:
    now = going_on_from(LONG_AGO)

    told = [now() for _ in range(100)]

    assert told == sorted(told)
    assert told[0] >= LONG_AGO


def test_a_worker_whose_own_clock_is_wrong_makes_no_wrong_instant(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_day_ahead = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: a_day_ahead)
    scenario.send()

    scenario.run()

    assert abs((clock.now() - scenario.one("SELECT clock_timestamp() AS now")["now"]).total_seconds()) < 60


def test_the_end_of_a_pause_is_made_by_the_databases_clock(scenario: Scenario) -> None:
    def pauses(_: Start, context: Context) -> Iterator[Message]:
        raise SliceEnded(3600.0, "asked to pause")
        yield

    scenario.install(pauses)
    run_id = scenario.queue()
    clock.set_by(LONG_AGO)

    scenario.slice(run_id)

    query = "SELECT round(extract(epoch FROM not_before - clock_timestamp()) / 60) AS minutes FROM runs"
    assert scenario.one(query) == {"minutes": 60}
