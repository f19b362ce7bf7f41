"""Prometheus is told of the whole fleet what the views of the database say, whoever is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy.exc import OperationalError

from pdpp_worker.fleet_metrics import FRESH_S, FleetCollector
from pdpp_worker.store import connector_queues
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import due
from pdpp_worker.store.gaps.selection import GapFilter
from pdpp_worker.store.views import fleet_views
from tests.support.databases import Databases
from tests.support.desk import Desk, missed


@pytest.fixture
def store(databases: Databases) -> Iterator[Database]:
    with databases.lent() as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def desk(store: Database) -> Desk:
    """A connection of the queue `local` at work, one whose run waits, and one whose worker died."""
    waiting, died, desk = Desk(store), Desk(store), Desk(store)
    desk.execute("UPDATE connections SET connector = 'files' WHERE id = :c")
    waiting.execute("UPDATE leases SET expires_at = now() WHERE connection_id = :c")
    waiting.execute(
        "UPDATE runs SET not_before = now() + interval '1 hour', wait_reason = 'answered 503' WHERE connection_id = :c"
    )
    died.execute("UPDATE leases SET expires_at = now() - interval '1 minute' WHERE connection_id = :c")
    died.execute("UPDATE runs SET died_slices = 1, not_before = now() - interval '1 minute' WHERE connection_id = :c")
    died.execute("UPDATE connections SET still_cause = 'no_worker' WHERE id = :c")
    with store.begin() as connection:
        connector_queues.keep(connection, {"files": "local", "scripted": "collect"})
    return desk


def read(db: Database) -> dict[str, dict[tuple[str, ...], float]]:
    with db.begin() as connection:
        return {number.metric: dict(samples) for number, samples in fleet_views.read(connection)}


def scrape(collector: FleetCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def test_runs_are_counted_by_queue_and_state_and_none_is_a_number_too(desk: Desk) -> None:
    runs = read(desk.db)["pdpp_runs"]

    assert {key: count for key, count in runs.items() if count} == {
        ("collect", "due"): 1,
        ("collect", "waiting"): 1,
        ("local", "working"): 1,
    }
    assert len(runs) == 6


def test_waits_leases_and_standstills_are_counted(desk: Desk) -> None:
    found = read(desk.db)

    assert found["pdpp_waiting_runs"] == {("answered 503",): 1}
    assert found["pdpp_leases"] == {("live",): 1, ("expired",): 1}
    assert found["pdpp_standstills"] == {("no_worker",): 1}
    assert 59 < found["pdpp_oldest_run_seconds"]["collect", "due"] < 100


@pytest.mark.parametrize("cooldown", [None, "1 hour"])
def test_due_gaps_are_those_that_the_sweep_sees(desk: Desk, cooldown: str | None) -> None:
    desk.miss(missed("a"), missed("b", reason="timed_out"), missed("c"))
    desk.execute("UPDATE gaps SET next_attempt_at = now() - interval '1 minute' WHERE connection_id = :c")
    desk.execute("UPDATE connections SET cooldown_until = now() + CAST(:at AS interval) WHERE id = :c", at=cooldown)
    (named,) = desk.rows("SELECT name FROM connections WHERE id = :c")

    counted = read(desk.db)["pdpp_due_gaps"][named["name"],]

    with desk.db.begin() as connection:
        assert counted == due.count_due(connection, desk.connection_id, GapFilter()).items == (1 if cooldown else 3)


def test_a_scrape_says_what_the_views_say(desk: Desk) -> None:
    told = scrape(FleetCollector(lambda: desk.db))

    for number in fleet_views.NUMBERS:
        assert f"# TYPE {number.metric} gauge" in told
    assert 'pdpp_runs{queue="local",state="working"} 1.0' in told
    assert "pdpp_database_up 1.0" in told


def test_every_number_is_documented_with_its_sql() -> None:
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()

    for number in fleet_views.NUMBERS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{number.metric}`")]
        assert f"FROM {number.view}`" in row
        assert all(f"`{label}`" in row for label in number.labels)
        assert number.value in row


def test_two_that_ask_within_some_seconds_cost_one_look(desk: Desk) -> None:
    looks, now = [], 0.0

    def open_database() -> Database:
        looks.append(now)
        return desk.db

    collector = FleetCollector(open_database, clock=lambda: now)
    scrape(collector)
    scrape(collector)
    now = FRESH_S + 1
    scrape(collector)

    assert looks == [0.0, FRESH_S + 1]


def test_without_the_database_a_scrape_says_so_and_has_the_rest() -> None:
    def away() -> Database:
        raise OperationalError("", {}, Exception("away"))

    told = scrape(FleetCollector(away))

    assert "pdpp_database_up 0.0" in told
    assert "pdpp_runs" not in told


def test_a_database_that_does_not_answer_holds_up_no_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdpp_worker.fleet_metrics.PATIENCE_S", 0.01)
    silent, looks = threading.Event(), []

    def frozen() -> Database:
        looks.append(1)
        silent.wait()
        raise OSError

    collector = FleetCollector(frozen)
    told = [scrape(collector) for _ in range(3)]
    silent.set()

    assert all("pdpp_database_up 0.0" in one for one in told)
    assert looks == [1]
