"""Workers with two versions of a connector: a run belongs to the version that can work it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection

from pdpp_worker.connector import Context, DetailGap, Message, Start
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.recovery.upgrade import CANARY, sweep_upgrade
from pdpp_worker.store.gaps import structural_gaps, upgrades
from tests.support.backlog import TARGETED, failing, missing
from tests.support.scripted import Scenario, manifest, record
from tests.support.waiting import PATIENCE_S

UPGRADES = {**TARGETED, "supports_version_bumped_retry": True}
pytestmark = pytest.mark.usefixtures("no_haste")


def of(version: str, *streams: str) -> Manifest:
    """The manifest of a version."""
    return manifest(*streams or ("items",), version=version, recovery=UPGRADES)


def one_record(_start: Start, _context: Context) -> Iterator[Message]:
    yield record("a")


def unreadable(start: Start, _: Context) -> Iterator[Message]:
    """Nothing that is asked for can be read."""
    for gap in start.detail_gaps:
        key = gap.scope.resource_id  # type: ignore[union-attr]
        yield DetailGap(stream="items", record_key=key, reason="template_unknown", gap_id=gap.gap_id)


def many_are_unreadable(scenario: Scenario, count: int) -> None:
    """Version 1.0.0 could not read so many items."""
    scenario.manifest = of("1.0.0")
    scenario.send(record("a"), *missing(*(f"d{n:03}" for n in range(count)), reason="template_unknown"))
    scenario.run()


def test_an_older_worker_leaves_the_run_to_a_newer_one_and_says_so(scenario: Scenario) -> None:
    scenario.install(one_record, of("2.0.0"))
    run_id = scenario.queue()

    scenario.install(one_record, of("1.0.0"))
    scenario.slice(run_id)

    row = scenario.row(run_id)
    assert (row["connector_version"], row["wait_reason"], scenario.starts) == (
        "2.0.0",
        "it waits for a worker with version 2.0.0 of the connector",
        [],
    )


def test_what_the_working_version_does_not_know_is_not_walked_and_not_complete(scenario: Scenario) -> None:
    new = of("2.0.0", "items", "extra")
    scenario.install(one_record, new)
    run_id = scenario.queue()

    scenario.install(one_record, of("1.0.0"))
    run = scenario.finish(run_id)

    assert (run["status"], scenario.stream(run_id, "extra")["error"]) == (
        "partially_completed",
        "version 1.0.0 does not know it",
    )
    scenario.install(one_record, new)
    with scenario.db.begin() as connection:
        streams = all_streams.read(connection, outlook.read(scenario.settings, connection))
    assert {one.stream: one.verdict for one in streams} == {"items": "complete", "extra": "unknown"}


def test_an_older_worker_takes_no_canary_of_a_newer_version(scenario: Scenario) -> None:
    many_are_unreadable(scenario, CANARY + 5)

    for _ in range(3):
        scenario.install(unreadable, of("2.0.0"))
        sweep_upgrade(scenario.settings, scenario.db)
        scenario.install(unreadable, of("1.0.0"))
        scenario.work()

    assert sum(len(start.detail_gaps) for start in scenario.starts) == 0
    assert {gap["attempts"] for gap in scenario.gaps()} == {1}


def test_canaries_that_are_refused_for_the_rate_are_still_the_canary(scenario: Scenario) -> None:
    many_are_unreadable(scenario, 3 * CANARY)
    scenario.install(failing, of("2.0.0"))

    for _ in range(3):
        sweep_upgrade(scenario.settings, scenario.db)
        scenario.work()

    tried = [gap for gap in scenario.gaps() if gap["attempts"] > 1]
    assert len(tried) == CANARY
    assert {(gap["reason"], gap["recovery_kind"]) for gap in tried} == {
        ("template_unknown", "retry_on_connector_upgrade")
    }


def test_sweeps_of_several_workers_open_one_canary(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    many_are_unreadable(scenario, 3 * CANARY)
    scenario.install(failing, of("2.0.0"))
    workers = 3
    barrier, look = Barrier(workers, timeout=PATIENCE_S), upgrades.trial

    def together(connection: Connection, *asked: Any) -> tuple[int, bool]:
        found = look(connection, *asked)
        barrier.wait()
        return found

    monkeypatch.setattr(upgrades, "trial", together)
    with ThreadPoolExecutor(workers) as threads:
        for one in [threads.submit(sweep_upgrade, scenario.settings, scenario.db) for _ in range(workers)]:
            one.result()

    due = scenario.rows("SELECT 1 FROM gaps WHERE status = 'open' AND next_attempt_at IS NOT NULL")
    assert len(due) == CANARY


def walking(said: Sequence[Message]) -> Callable[[Start, Context], Iterator[Message]]:
    """A connector that says this whenever it walks, and nothing of gaps."""
    return lambda start, _: iter(() if start.recovery_only else said)


def test_a_versions_own_trouble_is_no_proof_for_it(scenario: Scenario) -> None:
    many_are_unreadable(scenario, 3 * CANARY)
    for said in (missing("fresh", reason="parse_failed"), [record("fresh")]):
        scenario.install(walking(said), of("2.0.0"))
        scenario.run()

    sweep_upgrade(scenario.settings, scenario.db)

    due = scenario.rows("SELECT 1 FROM gaps WHERE status = 'open' AND next_attempt_at IS NOT NULL")
    assert len(due) == CANARY


def test_a_version_between_takes_no_canary_of_a_newer_one(scenario: Scenario) -> None:
    many_are_unreadable(scenario, CANARY + 5)
    opened = []

    for _ in range(3):
        scenario.install(one_record, of("2.0.0"))
        opened += sweep_upgrade(scenario.settings, scenario.db)
        scenario.install(unreadable, of("1.5.0"))
        scenario.execute("UPDATE runs SET status = 'failed', ended_at = now() WHERE ended_at IS NULL")
        sweep_transient(scenario.settings, scenario.db)
        scenario.work()
        sweep_upgrade(scenario.settings, scenario.db)
        scenario.work()

    tried = {gap.scope.resource_id for start in scenario.starts for gap in start.detail_gaps}  # type: ignore[union-attr]
    canaries = {gap["scope"]["resource_id"] for gap in scenario.gaps() if gap["opened_for_version"] == "2.0.0"}
    assert len(opened) == 3
    assert len(canaries) == CANARY
    assert tried.isdisjoint(canaries)


def test_a_later_version_takes_over_what_an_earlier_one_was_to_try(scenario: Scenario) -> None:
    many_are_unreadable(scenario, 3)
    scenario.install(one_record, of("2.0.0"))
    sweep_upgrade(scenario.settings, scenario.db)

    scenario.install(unreadable, of("3.0.0"))
    scenario.work()

    assert {gap["connector_version_seen"] for gap in scenario.gaps()} == {"3.0.0"}


def test_gaps_of_a_stream_that_the_working_version_does_not_know_are_left_to_one_that_does(scenario: Scenario) -> None:
    """Neither a recovery nor a walk counts an attempt at them, or says that it met them."""
    scenario.manifest = of("2.0.0", "items", "extra")
    scenario.send(record("a"), DetailGap(stream="extra", record_key="e", reason="timed_out"), *missing("b"))
    scenario.run()
    for kind in (sweep_transient, lambda *_: scenario.queue()):
        scenario.elapse()
        scenario.install(one_record, scenario.manifest)
        kind(scenario.settings, scenario.db)
        scenario.install(failing, of("1.0.0"))
        scenario.work()
        scenario.manifest = of("2.0.0", "items", "extra")

    [extra] = [gap for gap in scenario.gaps() if gap["stream"] == "extra"]
    assert (extra["attempts"], extra["connector_version_seen"], extra["status"]) == (1, "2.0.0", "open")


def test_gaps_of_a_stream_that_no_version_knows_any_more_start_no_run(scenario: Scenario) -> None:
    scenario.manifest = of("1.0.0", "items", "old")
    scenario.send(record("a"), DetailGap(stream="old", record_key="o", reason="timed_out"))
    scenario.run()
    scenario.elapse()

    scenario.install(one_record, of("2.0.0"))

    assert sweep_transient(scenario.settings, scenario.db) == []


def test_a_canary_is_made_of_streams_that_the_version_knows(scenario: Scenario) -> None:
    scenario.manifest = of("1.0.0", "items", "old")
    old = [DetailGap(stream="old", record_key=f"o{n}", reason="template_unknown") for n in range(CANARY)]
    scenario.send(record("a"), *old, *missing("b", reason="template_unknown"))
    scenario.run()

    scenario.install(one_record, of("2.0.0"))
    sweep_upgrade(scenario.settings, scenario.db)

    due = scenario.rows("SELECT stream FROM gaps WHERE status = 'open' AND next_attempt_at IS NOT NULL")
    assert due == [{"stream": "items"}]


def saying(said: Sequence[Message]) -> Callable[[Start, Context], Iterator[Message]]:
    """A connector that says this whatever it is asked."""
    return lambda _start, _context: iter(said)


class TestWhoHealed:
    """A run may be worked by several versions; each is credited with what it did itself."""

    def healed(self, scenario: Scenario, version: str) -> bool:
        with scenario.db.begin() as connection:
            return upgrades.trial(connection, scenario.connection_id, version, CANARY, ["items"])[1]

    def work(self, scenario: Scenario, *slices: tuple[str, Sequence[Message]]) -> None:
        """A run whose slices are worked by these versions, and which say this."""
        scenario.settings = scenario.settings.model_copy(update={"slice_messages": 1, "batch_records": 1})
        run_id = scenario.queue()
        for version, said in slices:
            scenario.install(saying(said), of(version))
            scenario.execute("UPDATE runs SET not_before = now(), connector_version = '0.1' WHERE ended_at IS NULL")
            scenario.slice(run_id, stopping=(version, said) != slices[-1])

    def test_the_opener_is_the_version_that_missed_it(self, scenario: Scenario) -> None:
        lost = missing("b", reason="template_unknown")
        scenario.install(one_record, of("1.0.0"))
        self.work(scenario, ("1.0.0", lost), ("2.0.0", [record("a")]))
        assert len(scenario.gaps()) == 1
        self.work(scenario, ("2.0.0", [record("b")]))

        assert self.healed(scenario, "2.0.0")

    def test_an_own_miss_is_not_an_older_versions_since_that_one_worked_on(self, scenario: Scenario) -> None:
        lost = missing("b", reason="template_unknown")
        scenario.install(one_record, of("2.0.0"))
        self.work(scenario, ("2.0.0", lost), ("1.0.0", [record("a")]))
        self.work(scenario, ("2.0.0", [record("b")]))

        assert not self.healed(scenario, "2.0.0")

    def test_the_closer_is_the_version_that_brought_the_record(self, scenario: Scenario) -> None:
        lost = missing("b", reason="template_unknown")
        scenario.install(one_record, of("1.0.0"))
        self.work(scenario, ("1.0.0", lost))
        self.work(scenario, ("1.0.0", [record("b"), record("c")]), ("2.0.0", [record("a")]))

        assert not self.healed(scenario, "2.0.0")

    def test_what_a_setting_rules_out_was_not_healed(self, scenario: Scenario) -> None:
        many_are_unreadable(scenario, 1)
        scenario.install(unreadable, of("2.0.0"))
        sweep_upgrade(scenario.settings, scenario.db)
        scenario.work()

        with scenario.db.begin() as connection:
            structural_gaps.close(connection, scenario.connection_id, "items")

        assert not self.healed(scenario, "2.0.0")
