"""Frequent questions read no more after a long history than after a short one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.year import history
from bench.year.history import Size
from bench.year.questions import QUESTIONS, ask
from pdpp_worker.store.engine import Database
from tests.support.databases import Databases

SIZE = Size(connections=5, runs_a_day=4, records=50)
SHORT, LONG = 15, 120
"""Days."""


@pytest.fixture(scope="module")
def both(databases: Databases) -> Iterator[tuple[Database, Database]]:
    """A short history, and one that is eight times as long."""
    with databases.lent() as short, databases.lent() as long:
        found = Database(short), Database(long)
        for db, days in zip(found, (SHORT, LONG), strict=True):
            history.fill(db, days, SIZE)
        yield found
        for db in found:
            db.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reads_no_more_when_the_history_is_long(both: tuple[Database, Database], question: str) -> None:
    short, long = (ask(db, question, 0).pages for db in both)

    assert long <= 1.5 * short + 150
