"""A run that no worker can bring to an end is ended, and says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pdpp_worker import registry
from pdpp_worker.connector import Context, Message, Start
from pdpp_worker.errors import NotFoundError
from pdpp_worker.store import leases, runs
from tests.support.scripted import Scenario, record


def test_a_run_whose_workers_keep_dying_is_given_up(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    for _ in range(scenario.settings.run_attempts):
        with scenario.db.begin() as connection:
            died = runs.claim_slice(connection, run_id, "died", 60)
            assert died is not None
            leases.release(connection, died.claim)

    result = scenario.slice(run_id)

    assert result is not None
    assert result.status == "failed"
    assert "slices in a row died" in scenario.row(run_id)["error"]


def test_a_run_whose_workers_die_after_records_that_are_known_already_is_given_up(scenario: Scenario) -> None:
    class Killed(BaseException):
        """Stands for a worker that is gone from one line to the next."""

    def dies(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        raise Killed

    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
    scenario.install(dies)
    run_id = scenario.queue()
    for _ in range(scenario.settings.run_attempts + 1):
        with pytest.raises(Killed):
            scenario.slice(run_id)
        scenario.expire_lease()

    scenario.slice(run_id)

    assert scenario.row(run_id)["status"] == "partially_completed"
    assert "slices in a row died" in scenario.row(run_id)["error"]


def test_a_run_of_a_connector_that_no_worker_has_is_given_up(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    monkeypatch.setattr(registry, "all_connectors", dict)
    for _ in range(scenario.settings.run_attempts):
        with pytest.raises(NotFoundError):
            scenario.slice(run_id)
        scenario.expire_lease()

    scenario.slice(run_id)

    assert scenario.row(run_id)["status"] == "failed"
    assert "There is no connector named 'scripted'" in scenario.row(run_id)["error"]
