"""A run ends in the transaction of its last batch where nothing is missing, and as any other run in all else."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pdpp_worker.runtime import run_ending
from tests.support.scripted import Scenario, record, state


def test_an_end_that_cannot_be_stored_costs_no_batch(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("refused")

    monkeypatch.setattr(run_ending, "write_end", refuse)
    scenario.send(record("a"), state(1))

    run = scenario.run()

    assert (run["status"], run["error"]) == ("succeeded", None)
    assert (set(scenario.held()), scenario.cursors()) == ({"a"}, {"items": "1"})


def test_a_message_whose_run_ended_while_it_waited_for_a_permit_touches_no_lease(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"), state(1))
    run_id = scenario.queue()

    @contextmanager
    def awaited(**_: Any) -> Any:
        scenario.execute("UPDATE runs SET status = 'succeeded', ended_at = clock_timestamp() WHERE id = :id", id=run_id)
        yield SimpleNamespace(was_awaited=True)

    monkeypatch.setattr("pdpp_worker.runtime.slice.permit", awaited)
    before = scenario.one("SELECT token FROM leases")

    assert scenario.slice(run_id) is None

    assert scenario.one("SELECT token FROM leases") == before
