"""A database that tests lend each other shows nothing of the test before."""

from __future__ import annotations

import psycopg

from tests.support.databases import Databases

EVENT = "INSERT INTO events (type) VALUES ('said') RETURNING id"


def connected(url: str) -> psycopg.Connection:
    """A connection to a lent database."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def number_of_an_event(url: str) -> int:
    """Add an event; return its number."""
    with connected(url) as connection:
        row = connection.execute(EVENT).fetchone()
    assert row is not None
    return int(row[0])


def test_rows_numbers_and_open_transactions_end_with_the_loan(databases: Databases) -> None:
    with databases.lent() as url:
        forgotten = connected(url)
        forgotten.execute("BEGIN")
        forgotten.execute(EVENT)
        number_of_an_event(url)
    with databases.lent() as again:
        first = number_of_an_event(again)
        with connected(again) as connection:
            held = connection.execute("SELECT count(*) FROM events").fetchone()

    assert again == url
    assert (first, held) == (1, (1,))


def test_a_database_whose_schema_was_changed_is_not_lent_again(databases: Databases) -> None:
    with databases.lent() as url, connected(url) as connection:
        connection.execute("ALTER TABLE events ADD COLUMN left_behind text")
    with databases.lent() as other:
        pass

    assert other != url
