"""A SQLite database that a stranger made is read in a child, row by row."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdpp_worker.confined.databases import (
    LONGEST_SEARCH_S,
    LONGEST_VALUE,
    ForeignDatabase,
    UnreadableDatabaseError,
    open_database,
)
from pdpp_worker.confined.requests import AT_REST, MOST_ROWS, Rows
from pdpp_worker.confined.table_reader import TableReader

pytestmark = pytest.mark.process  # starts processes itself

_BROKEN = "SELECT n, CASE n WHEN 1300 THEN json('no') END FROM long ORDER BY n"
EVERY_KIND = (1, -(2**63), 1.5, float("inf"), "text", b"\xff\x00", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a table of values of every kind, and a long one."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as made, made:
        made.execute("CREATE TABLE kinds (a, b, c, d, e, f, g)")
        made.execute("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?)", EVERY_KIND)
        made.execute("CREATE TABLE long (n INTEGER PRIMARY KEY, t TEXT)")
        made.executemany("INSERT INTO long VALUES (?, ?)", ((n, "x" * 1_000) for n in range(2_000)))
    return tmp_path / "a.db"


@pytest.fixture
def database(path: Path) -> Iterator[ForeignDatabase]:
    """It, opened."""
    with open_database(path) as opened:
        yield opened


def test_values_come_as_they_are(database: ForeignDatabase) -> None:
    assert database.execute("SELECT * FROM kinds").fetchall() == [EVERY_KIND]


def test_several_queries_go_on_beside_each_other(database: ForeignDatabase) -> None:
    outer = (n for (n,) in database.execute("SELECT n FROM long ORDER BY n"))

    assert [(n, database.execute("SELECT ?", (n,)).fetchone()) for n in outer] == [(n, (n,)) for n in range(2_000)]


def test_a_query_that_is_left_is_closed_with_the_next_question(database: ForeignDatabase) -> None:
    for _ in range(50):
        assert next(iter(database.execute("SELECT t FROM long"))) == ("x" * 1_000,)

    assert database._reader._dropped == [49]


def reading_on(path: Path) -> TableReader:
    """A reader that has given the first rows of query 1, and has read the next ones ahead."""
    reader = TableReader()
    reader.database(str(path), "mode=ro", LONGEST_VALUE, LONGEST_SEARCH_S)
    reader.query(1, "SELECT n FROM long ORDER BY n", [])
    reader.more(1)
    reader.read_ahead()
    return reader


def test_the_next_rows_of_a_query_that_is_walked_are_read_before_they_are_asked_for(path: Path) -> None:
    reader = reading_on(path)

    reader.parts[1].close()

    assert reader.more(1).rows[0] == (2 * MOST_ROWS,)
    reader.close()


def test_what_was_read_ahead_of_a_query_goes_with_it(path: Path) -> None:
    reader = reading_on(path)

    reader.drop(1)

    with pytest.raises(ValueError, match="is lost"):
        reader.more(1)
    reader.close()


def test_a_failure_in_rows_that_were_read_ahead_comes_after_all_rows_before_them(database: ForeignDatabase) -> None:
    given: list[int] = []

    with pytest.raises(UnreadableDatabaseError, match="malformed JSON"):
        given.extend(n for n, _ in database.execute(_BROKEN))

    assert given == list(range(2 * MOST_ROWS))


def test_nothing_is_written(database: ForeignDatabase) -> None:
    with pytest.raises(UnreadableDatabaseError, match="readonly"):
        database.execute("DELETE FROM long")


def test_what_is_read_while_another_program_writes_is_not_given(path: Path) -> None:
    with open_database(path) as database, closing(sqlite3.connect(path)) as writer:
        rows = iter(database.execute("SELECT n FROM long ORDER BY n"))
        next(rows)
        with writer:
            writer.execute("UPDATE long SET t = ''")

        with pytest.raises(UnreadableDatabaseError, match="written to while it was read"):
            list(rows)


def test_a_reader_forgets_how_the_file_before_was_opened(path: Path) -> None:
    reader = TableReader()
    reader.database(str(path), AT_REST, LONGEST_VALUE, LONGEST_SEARCH_S)
    reader.close()

    reader.database(str(path), "mode=ro", LONGEST_VALUE, LONGEST_SEARCH_S)

    assert reader.query(1, "SELECT count(*) FROM long", []).rows == [(2_000,)]
    reader.close()


def test_a_killed_reader_costs_the_query_and_the_next_one_is_answered(database: ForeignDatabase) -> None:
    rows = iter(database.execute("SELECT t FROM long"))
    next(rows)
    child = database._reader._child
    assert child is not None
    os.kill(child._process.pid, signal.SIGKILL)

    with pytest.raises(UnreadableDatabaseError, match="sudden end"):
        list(rows)
    assert database.execute("SELECT count(*) FROM long").fetchone() == (2_000,)


@pytest.mark.parametrize("rows", [[[]] * (MOST_ROWS + 1), [[[]] * 10], [[{}]], "text", None])
def test_an_answer_is_believed_as_far_as_memory_can_hold_it(rows: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode((rows, True)), type=Rows)
