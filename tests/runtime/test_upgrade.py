"""An item that a version cannot read waits for a newer one, which proves itself before it goes back for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.connector import (
    Context,
    DetailGap,
    DetailGapRecovered,
    Message,
    Reason,
    ResourceScope,
    Start,
    UpstreamError,
    skip,
)
from pdpp_worker.recovery.policy import satisfies
from pdpp_worker.recovery.sweep import sweep_transient
from pdpp_worker.recovery.upgrade import CANARY, sweep_upgrade
from pdpp_worker.store.gaps.by_owner import waive
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.scripted import Scenario, manifest, record

RECOVERY = {"supports_targeted_resource_fetch": True, "supports_version_bumped_retry": True}
MANY = CANARY + 15


def unreadable(count: int) -> list[Message]:
    """Documents that the connector's version does not know."""
    return [
        DetailGap(stream="items", record_key=f"d{n:03}", reason=Reason.TEMPLATE_UNKNOWN.value) for n in range(count)
    ]


def install(scenario: Scenario, version: str, *, readable: bool) -> None:
    """Install a version that reads the gaps it is handed, or fails on each of them again."""

    def collect(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            key = gap.scope.resource_id  # type: ignore[union-attr]
            if readable:
                yield record(key)
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key=key)
            else:
                yield DetailGap(stream="items", record_key=key, reason="template_unknown", gap_id=gap.gap_id)

    scenario.install(collect, manifest(version=version, recovery=RECOVERY))


def open_gaps(scenario: Scenario) -> int:
    return sum(gap["status"] == "open" for gap in scenario.gaps())


def work(scenario: Scenario) -> None:
    """Work every run that is queued to its end."""
    for row in scenario.rows("SELECT id FROM runs WHERE ended_at IS NULL"):
        while (result := scenario.slice(row["id"])) is not None and result.status is None:
            pass


@pytest.fixture
def backlog(scenario: Scenario) -> Scenario:
    """A connection with many gaps that version 1.0.0 could not mend."""
    scenario.manifest = manifest(recovery=RECOVERY)
    scenario.send(record("a"), *unreadable(MANY))
    scenario.run()
    return scenario


def test_transient_sweeps_leave_it_alone(backlog: Scenario) -> None:
    install(backlog, "1.0.0", readable=True)

    for _ in range(10):
        assert sweep_transient(backlog.settings, backlog.db) == []
        assert sweep_upgrade(backlog.settings, backlog.db) == []

    assert open_gaps(backlog) == MANY


def test_a_newer_version_tries_a_canary_first(backlog: Scenario) -> None:
    install(backlog, "1.1.0", readable=True)

    [ring] = sweep_upgrade(backlog.settings, backlog.db)
    work(backlog)

    assert backlog.row(ring.run_id)["trigger"] == "upgrade"
    assert open_gaps(backlog) == MANY - CANARY


def test_a_canary_that_healed_lets_it_go_back_for_the_rest(backlog: Scenario) -> None:
    install(backlog, "1.1.0", readable=True)

    for _ in range(2):
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    assert open_gaps(backlog) == 0


def test_a_canary_that_healed_nothing_leaves_the_rest_to_the_next_version(backlog: Scenario) -> None:
    install(backlog, "1.1.0", readable=False)
    for _ in range(5):
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    tried = [gap["attempts"] for gap in backlog.gaps()]

    assert (tried.count(2), tried.count(1)) == (CANARY, MANY - CANARY)

    install(backlog, "1.2.0", readable=True)
    for _ in range(2):
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    assert open_gaps(backlog) == 0


def test_what_the_owner_waived_was_not_healed(backlog: Scenario) -> None:
    install(backlog, "1.1.0", readable=False)
    sweep_upgrade(backlog.settings, backlog.db)
    work(backlog)
    with backlog.db.begin() as connection:
        waive(connection, [backlog.connection_id], GapFilter(ids=[backlog.gaps()[0]["id"]]))

    for _ in range(3):
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    assert [gap["attempts"] for gap in backlog.gaps()].count(2) == CANARY + 1


def test_a_walk_that_meets_one_of_them_again_first_leaves_the_others_their_try(backlog: Scenario) -> None:
    install(backlog, "1.1.0", readable=True)
    backlog.send(*unreadable(1))
    backlog.run()
    install(backlog, "1.1.0", readable=True)

    for _ in range(2):
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    assert open_gaps(backlog) == 1


def unknown(key: str, required: str) -> Message:
    """A document that a version is known to read."""
    unread = skip("items", Reason.TEMPLATE_UNKNOWN, ResourceScope(resource_id=key))
    return unread.model_copy(update={"connector_version_required": required})


def test_one_that_waits_for_a_later_version_does_not_go_with_the_others(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery=RECOVERY)
    scenario.send(record("a"), *unreadable(3), unknown("later", "3.0"))
    scenario.run()
    install(scenario, "2.0", readable=True)

    for _ in range(2):
        sweep_upgrade(scenario.settings, scenario.db)
        work(scenario)

    assert [gap["attempts"] for gap in scenario.gaps()] == [1, 1, 1, 1]
    assert open_gaps(scenario) == 1


def test_a_provider_that_is_down_says_nothing_about_the_version(backlog: Scenario) -> None:
    def down(_start: Start, _context: Context) -> Iterator[Message]:
        raise UpstreamError("no connection", reason="network_error")
        yield

    backlog.install(down, manifest(version="2.0.0", recovery=RECOVERY))
    sweep_upgrade(backlog.settings, backlog.db)
    work(backlog)
    install(backlog, "2.0.0", readable=True)
    backlog.elapse()

    for _ in range(2):
        sweep_transient(backlog.settings, backlog.db)
        sweep_upgrade(backlog.settings, backlog.db)
        work(backlog)

    assert open_gaps(backlog) == 0


def test_what_a_run_could_not_read_is_told_of_the_version_that_worked_it(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    scenario.install(lambda _start, _context: iter(unreadable(1)), manifest(version="2.0.0", recovery=RECOVERY))

    run = scenario.finish(run_id)

    assert (run["connector_version"], scenario.gaps()[0]["connector_version_seen"]) == ("2.0.0", "2.0.0")


def test_what_the_named_version_cannot_read_either_waits_for_the_next(scenario: Scenario) -> None:
    scenario.manifest = manifest(recovery=RECOVERY)
    scenario.send(record("a"), unknown("d0", "2.0"), unknown("d1", "2.0"))
    scenario.run()

    def only_one(start: Start, _: Context) -> Iterator[Message]:
        for gap in start.detail_gaps:
            if gap.scope == ResourceScope(resource_id="d0"):
                yield record("d0")
                yield DetailGapRecovered(gap_id=gap.gap_id, stream="items", record_key="d0")

    scenario.install(only_one, manifest(version="2.0", recovery=RECOVERY))
    for _ in range(4):
        sweep_upgrade(scenario.settings, scenario.db)
        work(scenario)

    assert [(gap["status"], gap["attempts"]) for gap in scenario.gaps()] == [("recovered", 1), ("open", 2)]


def test_a_gap_that_names_its_version_waits_for_that_one() -> None:
    assert not satisfies("1.1.0", seen="1.0.0", required="2.0")
    assert satisfies("2.0.0", seen="1.0.0", required="2.0")
    assert not satisfies("2.0.0", seen="2.0.0", required="2.0")


@given(st.integers(0, 9), st.integers(0, 9))
def test_without_a_named_version_any_newer_one_may_try(installed: int, seen: int) -> None:
    assert satisfies(f"1.{installed}", f"1.{seen}", None) == (installed > seen)


def test_a_version_that_is_none_satisfies_nothing() -> None:
    assert not satisfies("1.1.0", seen="unknown", required=None)
