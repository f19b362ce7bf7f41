"""A full batch is written while the connector makes the next one; what is kept is the same as if it had waited."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pdpp_worker.connector import Context, DetailGapRecovered, Message, Reason, ResourceScope, Start, skip
from pdpp_worker.errors import LeaseLostError
from pdpp_worker.runtime import collector, committer
from pdpp_worker.store.batch import Batch
from pdpp_worker.store.commit import Committed, commit_batch
from tests.support.scripted import Scenario, manifest, record, state
from tests.support.waiting import PATIENCE_S

BATCH = 4
TOO_LONG_FOR_AN_INDEX = skip("items", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id="x")).model_copy(
    update={"connector_version_required": "1." + "".join(str(n * n) for n in range(3000))}
)


@pytest.fixture
def scenario(scenario: Scenario) -> Scenario:
    """Small batches, which are full before they have waited."""
    scenario.settings = scenario.settings.model_copy(update={"batch_records": BATCH, "batch_s": 600.0})
    return scenario


def records(first: int, count: int = BATCH) -> Iterator[Message]:
    """Records of consecutive numbers."""
    return (record(f"r{number:02}") for number in range(first, first + count))


def watch(monkeypatch: pytest.MonkeyPatch, before: Callable[[Batch], None]) -> None:
    """Let something happen before each batch is written."""

    def watched(db: Any, claim: Any, batch: Batch, **more: Any) -> Committed:
        before(batch)
        return commit_batch(db, claim, batch, **more)

    monkeypatch.setattr(committer, "commit_batch", watched)


def test_the_connector_goes_on_while_a_full_batch_is_written(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_gone_on = threading.Event()
    waited: list[bool] = []
    watch(monkeypatch, lambda _: waited.append(has_gone_on.wait(PATIENCE_S)))

    def collect(_: Start, __: Context) -> Iterator[Message]:
        yield from records(0)
        has_gone_on.set()
        yield from records(BATCH)
        yield state(1)

    scenario.install(collect)

    run = scenario.run()

    assert (run["status"], len(scenario.held()), scenario.cursors()) == ("succeeded", 2 * BATCH, {"items": "1"})
    assert all(waited)


def test_the_connector_goes_on_while_a_long_batch_that_has_waited_is_written(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "LONG_BATCH", 1)
    scenario.settings = scenario.settings.model_copy(update={"batch_s": 0.0})
    has_gone_on = threading.Event()
    waited: list[bool] = []
    watch(monkeypatch, lambda _: waited.append(has_gone_on.wait(PATIENCE_S)))

    def collect(_: Start, __: Context) -> Iterator[Message]:
        yield record("a")
        has_gone_on.set()
        yield state(1)

    scenario.install(collect)

    run = scenario.run()

    assert (run["status"], len(scenario.held())) == ("succeeded", 1)
    assert all(waited)


def test_batches_are_written_in_their_order_and_one_at_a_time(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[int] = []
    alone = threading.Lock()

    def before(batch: Batch) -> None:
        with alone:
            order.extend(int(row.key[1:]) for row in batch.records.get("items", ()))

    watch(monkeypatch, before)
    scenario.send(*records(0, 5 * BATCH + 1), state(1))

    scenario.run()

    assert order == sorted(order)
    assert len(scenario.held()) == 5 * BATCH + 1


def test_no_cursor_passes_what_was_lost_with_a_batch_that_could_not_be_stored(scenario: Scenario) -> None:
    scenario.send(TOO_LONG_FOR_AN_INDEX, *records(0), *records(BATCH, 3), state(7))

    run = scenario.run()

    assert "cannot be stored" in run["error"]
    assert scenario.cursors() == {}
    assert [f"r{number:02}" for number in range(BATCH)] == sorted(scenario.held())[:BATCH]
    assert {gap["stream"] for gap in scenario.gaps() if gap["closed_at"] is None} == {"items"}


def test_nothing_is_written_after_the_lease_is_lost(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def lose(batch: Batch) -> None:
        if written:
            raise LeaseLostError("lost")
        written.append(len(batch.records))

    watch(monkeypatch, lose)
    scenario.send(*records(0, 3 * BATCH), state(1))

    assert scenario.slice(scenario.queue()) is None

    assert (len(scenario.held()), scenario.cursors()) == (BATCH, {})


def test_an_error_of_the_database_ends_the_slice_as_it_does_at_once(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Batch) -> None:
        raise ZeroDivisionError

    watch(monkeypatch, fails)
    scenario.send(*records(0, 2 * BATCH))

    with pytest.raises(ZeroDivisionError):
        scenario.slice(scenario.queue())

    assert scenario.held() == {}


def test_a_slice_that_dies_waits_for_the_batch_that_is_being_written(scenario: Scenario) -> None:
    class Killed(BaseException):
        """The worker is told to end in the midst of it."""

    def collect(_: Start, __: Context) -> Iterator[Message]:
        yield from records(0)
        raise Killed

    scenario.install(collect)

    with pytest.raises(Killed):
        scenario.slice(scenario.queue())

    assert len(scenario.held()) == BATCH


def test_a_claim_may_rest_on_a_record_that_is_being_written(scenario: Scenario) -> None:
    scenario.install(
        lambda _start, _context: iter([skip("items", Reason.TIMED_OUT, ResourceScope(resource_id="r00"))]),
        manifest(recovery={"supports_targeted_resource_fetch": True, "scopes": ["resource"]}),
    )
    scenario.run()
    scenario.elapse()

    def recover(start: Start, _: Context) -> Iterator[Message]:
        yield from records(0)
        for gap in start.detail_gaps:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="r00")

    scenario.install(recover)

    scenario.run()

    assert [gap["status"] for gap in scenario.gaps()] == ["recovered"]
