"""Due and missing items are looked up, not searched for, however many gaps there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.planning import backlog
from bench.planning.command import measure
from bench.planning.questions import QUESTIONS, ask, paths
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.store.engine import Database
from tests.support.databases import Databases

OPEN, CONNECTIONS = 4_000, 20


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[Database]:
    """A backlog with as many closed gaps behind it."""
    with databases.lent() as url:
        db = Database(url)
        backlog.fill(db, connections=CONNECTIONS, open_gaps=OPEN, records=1_000)
        yield db
        db.close()


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("which connections are due", "ix_gaps_due"),
        ("which connections stand still", "ix_gaps_due"),
        ("a run's page of 1,000 gaps", "ix_gaps_due"),
    ],
)
def test_sweep_watchdog_and_run_find_their_gaps_by_the_index_of_what_is_due(
    filled: Database, question: str, index: str
) -> None:
    found = list(paths(filled, QUESTIONS[question]))

    assert any(index in path for path in found)
    assert not any("Seq Scan" in path for path in found)


def test_the_coverage_of_one_connection_reads_no_gap_of_another(filled: Database) -> None:
    found = list(paths(filled, QUESTIONS["coverage of one connection"]))

    assert any("ix_gaps_alike" in path for path in found)
    assert not any("Seq Scan" in path for path in found)


def test_asking_changes_nothing(filled: Database) -> None:
    first = ask(filled, "a run's page of 1,000 gaps", times=2)

    assert first.ms > 0
    with filled.begin() as connection:
        leased = connection.exec_driver_sql("SELECT count(*) FROM gaps WHERE leased_by_run_id IS NOT NULL")
        assert leased.scalar_one() == 0


def test_every_question_is_measured(servers: EmbeddedServers) -> None:
    sized = measure(servers, size=200, times=1, records=100)

    assert [one.question for one in sized.answered] == list(QUESTIONS)
    assert sized.report.size > 200
    assert sized.report.peak_rss > 0
