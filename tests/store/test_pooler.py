"""Behind a pooler in transaction mode every transaction has the bounds that a session has elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pdpp_worker.store.engine import Database
from pdpp_worker.store.views.reading import take_snapshot
from tests.chaos.servers import PostgresProcess
from tests.matrix.others import pgbouncer
from tests.support.servers import temporary_data_dir

pytestmark = pytest.mark.process  # starts servers itself

WAYS = {"refuses options": {}, "ignores options": {"ignore_startup_parameters": "options"}}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def pooled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database through PgBouncer, which refuses or ignores what a session asks for at its start."""
    with temporary_data_dir() as home:
        postgres = PostgresProcess(home)
        postgres.start()
        try:
            with pgbouncer(postgres, tmp_path, **request.param) as url:
                db = Database(url)
                yield db
                db.close()
        finally:
            postgres.kill()


def test_each_transaction_names_its_bounds_and_may_be_a_snapshot(pooled: Database) -> None:
    for _ in range(3):
        with pooled.begin() as connection:
            take_snapshot(connection)
            found = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in ("lock_timeout", "TimeZone")]
        assert found == ["30s", "UTC"]
