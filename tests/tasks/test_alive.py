"""A worker whose loop turns leaves a mark in PostgreSQL; without one for two minutes it is taken for dead."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from pdpp_worker.store import process_marks
from pdpp_worker.store.engine import Database
from pdpp_worker.tasks.alive import why_dead

NODE = "collect@here"


def mark(db: Database, *, age_s: float = 0.0, stuck: int = 0) -> None:
    with db.begin() as connection:
        process_marks.set_mark(connection, NODE, stuck)
        connection.execute(text("UPDATE fleet_processes SET seen_at = now() - :s * interval '1 second'"), {"s": age_s})


@pytest.mark.parametrize(
    ("age_s", "stuck", "why"),
    [
        (0, 0, None),
        (110, 0, None),
        (130, 0, "collect@here has given no sign of life for 130 s."),
        (0, 2, "collect@here: 2 threads do not come back."),
    ],
)
def test_a_worker_is_alive_while_its_mark_is_young(db: Database, age_s: float, stuck: int, why: str | None) -> None:
    mark(db, age_s=age_s, stuck=stuck)

    assert why_dead(db, NODE) == why


def test_a_worker_without_a_mark_is_dead(db: Database) -> None:
    assert why_dead(db, NODE) == "collect@here has given no sign of life."


def test_a_database_that_is_away_is_no_reason_to_start_a_worker_again() -> None:
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    assert why_dead(nowhere, NODE) is None


def test_marks_of_processes_that_are_long_gone_are_dropped(db: Database) -> None:
    mark(db, age_s=2 * 86_400)

    with db.begin() as connection:
        process_marks.forget_old(connection)
        assert process_marks.read(connection, NODE) is None
