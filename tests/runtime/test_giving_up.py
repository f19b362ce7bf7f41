"""A run that no worker can bring to an end is ended, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from pdpp_worker import registry
from pdpp_worker.connector import Context, DetailGap, Message, Start
from pdpp_worker.errors import NotFoundError
from pdpp_worker.runtime import open_slice
from pdpp_worker.store import leases, run_slices
from tests.support.scripted import Scenario, manifest, record, state


def test_a_run_whose_workers_keep_dying_is_given_up(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    for _ in range(scenario.settings.run_attempts):
        with scenario.db.begin() as connection:
            died = run_slices.claim_slice(connection, run_id, "died", 60)
            assert died is not None
            leases.release(connection, died.claim)

    result = scenario.slice(run_id)

    assert result is not None
    assert result.status == "failed"
    assert "slices in a row died" in scenario.row(run_id)["error"]


class Killed(BaseException):
    """Stands for a worker that is gone from one line to the next."""


def work_until_given_up(scenario: Scenario, run_id: int, most: int = 30) -> dict[str, Any]:
    """Let one worker after the other take up the run, whatever becomes of it; returns its row."""
    for _ in range(most):
        scenario.expire_lease()
        with suppress(Killed, Exception):
            scenario.slice(run_id)
        if scenario.row(run_id)["ended_at"] is not None:
            break
    return scenario.row(run_id)


def test_a_run_whose_workers_die_after_records_that_are_known_already_is_given_up(scenario: Scenario) -> None:
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


def test_a_run_whose_workers_die_behind_the_same_cursor_is_given_up(scenario: Scenario) -> None:
    def dies(_: Start, __: Context) -> Iterator[Message]:
        yield state(1)
        raise Killed

    scenario.settings = scenario.settings.model_copy(update={"batch_s": 1e-6})
    scenario.install(dies)

    row = work_until_given_up(scenario, scenario.queue())

    assert row["status"] == "partially_completed"
    assert row["slices"] == scenario.settings.run_attempts + 2


@pytest.mark.parametrize("changing", ["field", "key", "cursor", "gap"])
def test_a_run_whose_workers_die_behind_something_new_is_given_up(scenario: Scenario, changing: str) -> None:
    """A record that says when it was read looks like progress each time."""
    numbers = count()

    def dies(_: Start, __: Context) -> Iterator[Message]:
        now = next(numbers)
        said: dict[str, Message] = {
            "field": record("a", read_at=now),
            "key": record(f"a {now}"),
            "cursor": state(now),
            "gap": DetailGap(stream="items", record_key=str(now), reason="timed_out"),
        }
        yield said[changing]
        raise Killed

    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1, "batch_s": 1e-6})
    scenario.install(dies)

    row = work_until_given_up(scenario, scenario.queue())

    assert row["ended_at"] is not None
    assert "20 slices in a row died" in row["error"]


def test_a_slice_that_ends_in_good_order_begins_the_count_anew(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    scenario.execute("UPDATE runs SET died_slices = 19, idle_slices = 0")

    scenario.slice(run_id, stopping=True)

    assert scenario.row(run_id)["died_slices"] == 0


def test_a_run_with_nothing_in_its_scope_ends_and_says_so(scenario: Scenario) -> None:
    elsewhere = {"supplied": False, "with": "archive", "reason": "no"}
    settings = {"archive": {"title": "Archive"}}
    scenario.manifest = manifest({"name": "items", "availability": elsewhere}, settings=settings)
    scenario.execute("""UPDATE connections SET settings = '{"archive": "x"}'""")
    scenario.send(record("a"))

    row = scenario.run()

    assert row["status"] == "failed"
    assert "nothing to collect" in row["error"]


def test_a_run_whose_slices_cannot_be_set_up_is_given_up(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("/home/owner/secret")

    scenario.send(record("a"))
    monkeypatch.setattr(open_slice, "make_context", fails)

    row = work_until_given_up(scenario, scenario.queue())

    assert row["status"] == "failed"
    assert row["error"] == "OSError"
