"""A connection to the database that is lost in the middle of a tick is no fault of the account that was looked at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pdpp_worker.dispatch import dispatch
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database

# Ends the session that queues the run, as a restart of the server does.
CUT = """
    CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
    CREATE TRIGGER cut BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION cut();
"""


def test_its_schedule_stays_due(settings: Settings, db: Database) -> None:
    due = datetime(2026, 1, 1, tzinfo=UTC)
    with db.begin() as connection:
        one = connections.add(connection, "logs", "claude_code", {}, {})
        connections.schedule(connection, one, every_s=3600, cron=None, jitter_s=0, next_run_at=due)
        connection.execute(text(CUT))

    with pytest.raises(OperationalError):
        dispatch(settings, db)

    with db.begin() as connection:
        assert connection.execute(text("SELECT next_run_at, error FROM schedules")).one() == (due, None)
