"""A run that finds nothing asks the database little, however many streams it walks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from pdpp_worker.runtime import calling
from tests.support.scripted import Scenario, manifest, record, state


@contextmanager
def asked(scenario: Scenario) -> Iterator[list[str]]:
    """The statements that are sent inside the block, each as often as it is executed."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, values: Any, ___: object, many: bool) -> None:
        sent.extend([statement] * (len(values) if many else 1))

    event.listen(scenario.db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(scenario.db.engine, "before_cursor_execute", note)


def statements_of_an_idle_run(scenario: Scenario, streams: list[str]) -> list[str]:
    """The statements of a second run, which brings every stream once more as it was."""
    scenario.reset()
    scenario.manifest = manifest(*streams)
    scenario.send(*(message for one in streams for message in (record("a", one), state(1, one))))
    assert scenario.run()["status"] == "succeeded"
    run_id = scenario.queue()
    with asked(scenario) as sent:
        scenario.slice(run_id)
    assert scenario.row(run_id)["status"] == "succeeded"
    return sent


def test_a_run_asks_per_stream_only_about_its_records_its_cursor_and_its_counts(scenario: Scenario) -> None:
    one = statements_of_an_idle_run(scenario, ["items"])

    four = statements_of_an_idle_run(scenario, ["items", "files", "notes", "people"])

    # What is held of its records, its cursor, and its counts.
    assert len(four) - len(one) <= 3 * 3
    assert len(one) <= 55


def test_what_is_loaded_when_a_connector_is_first_called_is_searched_for_garbage_no_more(scenario: Scenario) -> None:
    gc.unfreeze()
    calling._search_rarely.cache_clear()
    scenario.send(record("a"), state(1))

    scenario.run()

    assert gc.get_freeze_count() > 10_000
    gc.unfreeze()
