"""A database that tests lend each other shows nothing of the test before."""

from __future__ import annotations

import psycopg

from tests.support.databases import Databases

CONNECTION = "INSERT INTO connections (name, connector) VALUES ('me', 'notes') RETURNING id"


def connected(url: str) -> psycopg.Connection:
    """A client of a lent database."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def number_of_a_connection(url: str) -> int:
    """Add a connection; return its number."""
    with connected(url) as connection:
        row = connection.execute(CONNECTION).fetchone()
    assert row is not None
    return int(row[0])


def test_rows_numbers_and_open_transactions_end_with_the_loan(databases: Databases) -> None:
    with databases.lent() as url:
        forgotten = connected(url)
        number_of_a_connection(url)
        forgotten.execute("BEGIN")
        forgotten.execute("LOCK TABLE connections")
    forgotten.close()  # the server has ended it already
    with databases.lent() as again:
        first = number_of_a_connection(again)
        with connected(again) as connection:
            held = connection.execute("SELECT count(*) FROM connections").fetchone()

    assert again == url
    assert (first, held) == (1, (1,))


def test_a_database_whose_schema_was_changed_is_not_lent_again(databases: Databases) -> None:
    with databases.lent() as url, connected(url) as connection:
        connection.execute("ALTER TABLE events ADD COLUMN left_behind text")
    with databases.lent() as other:
        pass

    assert other != url
