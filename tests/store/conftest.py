"""One database for all tests of the store: everything in it is keyed by a connection, and each test has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pdpp_worker.store.engine import Database
from tests.support.databases import Databases
from tests.support.desk import Desk


@pytest.fixture(scope="package")
def store(databases: Databases) -> Iterator[Database]:
    """The database that the tests of the store share."""
    with databases.lent() as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def desk(store: Database) -> Desk:
    """A connection with a run under way."""
    return Desk(store)
