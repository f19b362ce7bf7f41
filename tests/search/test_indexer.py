"""Written records are found by their words, their time and their thread."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.connector import Record
from pdpp_worker.search import indexer
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from pdpp_worker.store.record_index import LONGEST_WAIT_S, QUIET_S, WORDS_CHARACTERS, moment_of
from pdpp_worker.store.views import month_views, search_views
from pdpp_worker.store.views.search_views import Wanted
from tests.support.indexing import age_queue, index_at_once
from tests.support.scripted import NOW, Scenario, manifest, record, state

READ = {"name": "items", "reading": {"title": "title", "time": "sent_at", "thread": "talk"}}


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, settings: Settings, db: Database, redis: Redis) -> Scenario:
    return Scenario(monkeypatch, settings, db, redis)


def take(scenario: Scenario, *records: Record) -> None:
    scenario.manifest = manifest(READ)
    scenario.send(*records, state(1))
    scenario.run()


def found(scenario: Scenario, words: str | None = None, **wanted: object) -> list[str]:
    with scenario.db.begin() as connection:
        rows = search_views.latest(connection, [scenario.connection_id], Wanted(words, **wanted))  # type: ignore[arg-type]
    return [row.key for row in rows]


def test_a_record_is_found_by_any_of_its_words_once_it_is_indexed(scenario: Scenario) -> None:
    take(scenario, record("a", title="The Green door"), record("b", parts=[{"text": "green tea"}]))

    before = found(scenario, "green")
    indexed = index_at_once(scenario.db)

    assert (before, indexed) == ([], 2)
    assert sorted(found(scenario, "green")) == ["a", "b"]
    assert found(scenario, "GREEN door") == ["a"]
    assert found(scenario, "green -tea") == ["a"]
    assert found(scenario, "blue") == []


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_words_of_the_latest_records_are_found_as_those_of_old_ones_are(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, reach: int
) -> None:
    take(scenario, *(record(key, title="same", sent_at=f"202{key}-01-01") for key in "3142"))
    index_at_once(scenario.db)
    monkeypatch.setattr(search_views, "REACH", reach)

    assert found(scenario, "same", limit=3) == ["4", "3", "2"]
    assert found(scenario, "same", limit=5) == ["4", "3", "2", "1"]


def test_what_changed_is_found_by_its_new_words_only(scenario: Scenario) -> None:
    take(scenario, record("a", title="old"))
    index_at_once(scenario.db)
    take(scenario, record("a", title="new"))
    index_at_once(scenario.db)

    assert (found(scenario, "old"), found(scenario, "new")) == ([], ["a"])


def test_the_latest_comes_first_by_the_records_own_time_page_by_page(scenario: Scenario) -> None:
    times = {"a": "2020-01-01T00:00:00Z", "b": "2022-01-01", "c": 1_609_459_200, "d": None}
    take(scenario, *(record(key, sent_at=at) for key, at in times.items()))
    index_at_once(scenario.db)

    first = found(scenario, limit=2)
    with scenario.db.begin() as connection:
        last = search_views.one(connection, scenario.connection_id, "items", first[-1])
    assert last is not None

    assert first == ["d", "b"]  # what has no time of its own has that at which it was sent
    assert found(scenario, after=search_views.place_of(last)) == ["c", "a"]


def test_a_thread_is_read_in_its_order(scenario: Scenario) -> None:
    take(
        scenario,
        record("b", talk="t", sent_at="2020-01-02T00:00:00Z"),
        record("a", talk="t", sent_at="2020-01-03T00:00:00Z"),
        record("c", talk="u", sent_at="2020-01-01T00:00:00Z"),
    )
    index_at_once(scenario.db)

    with scenario.db.begin() as connection:
        rows = search_views.in_threads(connection, scenario.connection_id, "items", ["t"], 10)

    assert [row.key for row in rows] == ["b", "a"]


def test_a_record_of_more_words_than_an_index_row_takes_is_found_by_its_first_ones(scenario: Scenario) -> None:
    words = " ".join(f"word{number}" for number in range(WORDS_CHARACTERS))
    take(scenario, record("a", title=words))

    index_at_once(scenario.db)

    assert found(scenario, "word7") == ["a"]


def test_a_removed_connection_is_forgotten(scenario: Scenario) -> None:
    take(scenario, record("a", title="x"))
    index_at_once(scenario.db)
    take(scenario, record("b", title="x"))

    with scenario.db.begin() as connection:
        connections.remove(connection, scenario.connection_id)

    assert scenario.rows("SELECT 1 FROM record_index") == scenario.rows("SELECT 1 FROM index_queue") == []


def test_one_indexer_works_at_a_time(scenario: Scenario) -> None:
    take(scenario, record("a"))
    with scenario.db.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": 0x70647070696478})

        assert index_at_once(scenario.db) == 0

    assert index_at_once(scenario.db) == 1


def test_a_tick_ends_with_its_budget(scenario: Scenario) -> None:
    take(scenario, record("a"))
    take(scenario, record("b"))
    age_queue(scenario.db, LONGEST_WAIT_S + 1)
    times = iter([0.0, 0.0, 99.0])

    assert indexer.index(scenario.db, budget_s=1.0, clock=lambda: next(times)) == 1


def test_a_load_under_way_is_left_alone_until_nothing_has_come_for_a_while(scenario: Scenario) -> None:
    take(scenario, record("a"))

    meanwhile = indexer.index(scenario.db)
    age_queue(scenario.db, QUIET_S + 1)

    assert (meanwhile, indexer.index(scenario.db)) == (0, 1)


def test_no_record_waits_long_for_a_load_that_goes_on(scenario: Scenario) -> None:
    take(scenario, record("a"))
    age_queue(scenario.db, LONGEST_WAIT_S + 1)
    take(scenario, record("b"))

    indexer.index(scenario.db)

    assert scenario.rows("SELECT key FROM record_index") == [{"key": "a"}]


def test_a_clock_that_was_put_back_lets_no_record_wait_for_it(scenario: Scenario) -> None:
    take(scenario, record("a"))
    age_queue(scenario.db, -3600)

    assert indexer.index(scenario.db) == 1


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2020-01-02T03:04:05+02:00", datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2020-01-02", datetime(2020, 1, 2, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("1e400", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_read_as_it_is_written(written: str | None, meant: datetime | None) -> None:
    assert moment_of(written) == meant


def test_the_time_at_which_it_was_sent_stands_in(scenario: Scenario) -> None:
    take(scenario, record("a"))
    index_at_once(scenario.db)

    assert scenario.one("SELECT at FROM record_index")["at"] == NOW


def test_months_are_counted_whatever_becomes_of_the_times(scenario: Scenario) -> None:
    for first in ("2024-01-05", "2024-02-05"):
        take(scenario, record("a", title=first, sent_at=first), record("b", title="calm", sent_at="2024-02-01"))
        index_at_once(scenario.db)

    with scenario.db.begin() as connection:
        counted = month_views.held(connection, scenario.connection_id)

    assert counted == {"items": {datetime(2024, 2, 1, tzinfo=UTC): 2}}
