"""Old events, rates and runs are dropped; nothing is that coverage, gaps or deletions need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.store import retention
from pdpp_worker.store.engine import Database
from tests.support.databases import Databases
from tests.support.desk import Desk, missed

OLD = 1_000
"""Days; longer than anything is kept."""
_RUNS = """
    INSERT INTO runs (connection_id, kind, trigger, mode, status, streams, connector_version, created_at, ended_at)
    SELECT :c, 'forward', 'schedule', 'incremental', 'failed', '[]', '1', moment, moment
    FROM (SELECT now() - :days * interval '1 day' AS moment FROM generate_series(1, :count)) AS moments RETURNING id
"""

_EVENTS = "INSERT INTO events (type, connection_id, at)"
_RATES = "INSERT INTO rate_history (interval_ms, connection_id, at)"
_MOMENTS = """
    SELECT 1, :c, now() - CASE WHEN n <= 25 THEN 91 ELSE 89 END * interval '1 day' FROM generate_series(1, 40) AS n
"""


@pytest.fixture
def store(databases: Databases) -> Iterator[Database]:
    """A database of the test's own, since old rows of others would be dropped too."""
    with databases.lent() as url:
        database = Database(url)
        yield database
        database.close()


def add_runs(desk: Desk, days: int, count: int = 1) -> list[int]:
    """Runs that ended so many days ago."""
    return [row["id"] for row in desk.rows(_RUNS, days=days, count=count)]


def prune(desk: Desk) -> dict[str, int]:
    return retention.prune(Settings(), desk.db)


def left(desk: Desk, runs: list[int]) -> list[int]:
    return [row["id"] for row in desk.rows("SELECT id FROM runs WHERE id = ANY(:runs) ORDER BY id", runs=runs)]


def test_old_events_and_rates_are_dropped_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 10)
    desk.execute("DELETE FROM events")
    for insert in _EVENTS, _RATES:
        desk.execute(f"{insert} {_MOMENTS}")

    dropped = prune(desk)

    assert (dropped["events"], dropped["rate_history"]) == (25, 25)
    assert len(desk.rows("SELECT 1 FROM events")) == len(desk.rows("SELECT 1 FROM rate_history")) == 15


def test_old_tries_and_versions_are_dropped_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 10)
    desk.miss(missed("a"))
    desk.execute("DELETE FROM gap_attempts")
    desk.execute("""
        INSERT INTO gap_attempts (gap_id, place, number, run_id, outcome, at)
        SELECT id, n, n, 1, 'open', now() - CASE WHEN n <= 25 THEN 91 ELSE 89 END * interval '1 day'
        FROM gaps, generate_series(1, 40) AS n
    """)
    desk.execute("""
        INSERT INTO record_versions (connection_id, stream, key, place, bytes, partial, emitted_at, run_id,
            replaced_by_run_id, replaced_at)
        SELECT :c, 'items', 'a', n, 1, false, now(), 1, 1,
            now() - CASE WHEN n <= 25 THEN 401 ELSE 399 END * interval '1 day' FROM generate_series(1, 40) AS n
    """)

    dropped = prune(desk)

    assert (dropped["gap_attempts"], dropped["record_versions"]) == (25, 25)
    for table in ("gap_attempts", "record_versions"):
        assert desk.one(f"SELECT min(place), count(*) FROM {table}") == {"min": 26, "count": 15}  # noqa: S608


def test_a_run_is_dropped_when_it_is_old_and_others_came_after_it(desk: Desk) -> None:
    old, young = add_runs(desk, OLD), add_runs(desk, 399, retention.LAST_RUNS)

    dropped = prune(desk)

    assert dropped["runs"] == 1
    assert left(desk, [*old, *young]) == young


def test_the_last_runs_of_a_connection_stay_however_old_they_are(desk: Desk) -> None:
    runs = add_runs(desk, OLD, retention.LAST_RUNS)

    prune(desk)

    assert left(desk, runs) == runs


@pytest.mark.parametrize(
    "needs",
    [
        "UPDATE gaps SET last_run_id = :run",
        "INSERT INTO coverage (connection_id, stream, last_walk_run_id) VALUES (:c, 'items', :run)",
        "INSERT INTO checkpoints (connection_id, stream, cursor, run_id) VALUES (:c, 'items', '{}', :run)",
        "INSERT INTO run_streams (run_id, stream) VALUES (:run, 'items')",
        "INSERT INTO deletion_doubts VALUES (:c, 'items', 'a', :run, :run, now())",
        """INSERT INTO source_members (connection_id, part, position, kind, name, disposition, streams, run_id, version)
            VALUES (:c, 'a', 1, 'list', 'a', 'collected', '{}', :run, '1')""",
        "UPDATE runs SET retry_hint = '{\"budget_s\": 1}' WHERE id = :run",
    ],
    ids=["gap", "coverage", "checkpoint", "last of its stream", "doubt", "inventory", "time needed"],
)
def test_a_run_stays_while_something_names_it(desk: Desk, needs: str) -> None:
    desk.miss(missed("a"))
    (named, other), _ = add_runs(desk, OLD, 2), add_runs(desk, 1, retention.LAST_RUNS)
    desk.execute(needs, run=named)

    prune(desk)

    assert left(desk, [named, other]) == [named]


def test_a_tick_ends_when_its_time_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 1)
    add_runs(desk, OLD, 3)
    add_runs(desk, 1, retention.LAST_RUNS)
    seconds = iter(range(100))

    dropped = retention.prune(Settings(), desk.db, budget_s=3.5, clock=lambda: float(next(seconds)))

    assert dropped["runs"] == 1
