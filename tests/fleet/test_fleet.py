"""Real workers and a real beat, as processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.dispatch import request_run
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.support.fleet import ROOT, beat, environment, worker
from tests.support.logs import write_session
from tests.support.waiting import PATIENCE_S, until

SESSIONS, LINES = 20, 700


def call(settings: Settings, task: str, kwargs: str) -> None:
    """`celery call`, as a person types it."""
    subprocess.run(
        [sys.executable, "-m", "celery", "-A", "pdpp_worker", "call", task, "--kwargs", kwargs],
        env=environment(settings),
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )


def add_logs(db: Database, projects: Path, *, due: bool = False) -> connections.ConnectionRow:
    """A claude_code connection on a directory, due at once if asked for."""
    (projects.parent / "home").mkdir()
    with db.begin() as connection:
        values = {"projects_dir": str(projects), "claude_dir": str(projects.parent / "home")}
        connection_id = connections.add(connection, "logs", "claude_code", values, {})
        if due:
            connections.schedule(
                connection, connection_id, every_s=3600, cron=None, jitter_s=0, next_run_at=datetime.now(UTC)
            )
        return connections.by_id(connection, connection_id)


def one(db: Database, query: str) -> Any:
    """The one value of a query."""
    with db.begin() as connection:
        return connection.execute(text(query)).scalar()


def ended(db: Database) -> bool:
    """Whether the newest run has ended."""
    return one(db, "SELECT ended_at IS NOT NULL FROM runs ORDER BY id DESC LIMIT 1") is True


def test_a_bad_argument_ends_as_a_failed_task_with_one_sentence(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    with worker(settings, tmp_path) as member:
        member.wait_for("ready.")

        call(settings, "pdpp.run", '{"connection": "nope"}')
        call(settings, "pdpp.run", '{"conection": "nope"}')

        member.wait_for("There is no connection named 'nope'")
        member.wait_for("pdpp.run: connection: Field required.")
        assert member.log.count("raised expected") == 2
        assert "Traceback" not in member.log


def test_beat_finds_what_is_due_and_a_worker_collects_it(settings: Settings, db: Database, tmp_path: Path) -> None:
    write_session(tmp_path / "projects", 1, 10)
    add_logs(db, tmp_path / "projects", due=True)

    with worker(settings, tmp_path) as member, beat(settings, tmp_path) as clock:
        until(lambda: ended(db), member, clock)

    assert one(db, "SELECT status FROM runs") == "succeeded"
    assert one(db, "SELECT count(*) FROM records WHERE stream = 'messages'") == 10


def test_emptying_redis_at_any_moment_loses_no_work(
    settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    write_session(tmp_path / "projects", 1, 10)
    row = add_logs(db, tmp_path / "projects")
    request_run(db, row, trigger="manual")
    redis.flushall()

    with worker(settings, tmp_path) as member, beat(settings, tmp_path) as clock:
        member.wait_for("ready.")
        redis.flushall()
        until(lambda: ended(db), member, clock)

    assert one(db, "SELECT status FROM runs") == "succeeded"


def test_a_worker_killed_at_any_instant_neither_loses_nor_doubles_a_record(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    for number in range(SESSIONS):
        write_session(tmp_path / "projects", number, LINES)
    row = add_logs(db, tmp_path / "projects")
    request_run(db, row, trigger="manual")
    spread = random.Random(7)
    small = {"PDPP_BATCH_RECORDS": "500", "PDPP_RUN_ATTEMPTS": "50"}

    with beat(settings, tmp_path) as clock:
        for _ in range(3):
            with worker(settings, tmp_path, **small) as member:
                begun = one(db, "SELECT slices FROM runs")
                until(partial(has_another_slice, db, begun), member, clock)
                # The instant of the kill is what varies here; nothing is waited for.
                time.sleep(spread.uniform(0, 0.6))
                member.kill()
                cursor_is_covered(db)
        with worker(settings, tmp_path) as member:
            until(lambda: ended(db), member, clock)

    assert one(db, "SELECT status FROM runs") == "succeeded"
    assert one(db, "SELECT count(*) FROM records WHERE stream = 'messages'") == SESSIONS * LINES
    assert one(db, "SELECT count(DISTINCT key) FROM records WHERE stream = 'messages'") == SESSIONS * LINES


def has_another_slice(db: Database, begun: int) -> bool:
    """Whether the run was taken up again, or is over."""
    return one(db, "SELECT slices FROM runs") > begun or ended(db)


def cursor_is_covered(db: Database) -> None:
    """No cursor is ahead of its records: whatever a checkpoint claims was committed with it."""
    claimed = one(
        db,
        """
        SELECT coalesce(sum((value ->> 'message_count')::int), 0)
        FROM records, LATERAL (SELECT data AS value) AS one WHERE stream = 'sessions'
        """,
    )
    assert claimed <= one(db, "SELECT count(*) FROM records WHERE stream = 'messages'")


def test_a_worker_that_is_told_to_stop_leaves_the_rest_to_the_next(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    for number in range(SESSIONS):
        write_session(tmp_path / "projects", number, LINES)
    row = add_logs(db, tmp_path / "projects")
    request_run(db, row, trigger="manual")

    with beat(settings, tmp_path) as clock:
        with worker(settings, tmp_path, PDPP_BATCH_RECORDS="500") as member:
            until(lambda: one(db, "SELECT count(*) FROM records") > 0, member, clock)
            os.kill(member.process.pid, signal.SIGTERM)
            member.process.wait(PATIENCE_S)
        stopped_at = one(db, "SELECT count(*) FROM records WHERE stream = 'messages'")
        with worker(settings, tmp_path) as member:
            until(lambda: ended(db), member, clock)

    assert stopped_at < SESSIONS * LINES
    assert one(db, "SELECT status FROM runs") == "succeeded"
    assert one(db, "SELECT count(*) FROM records WHERE stream = 'messages'") == SESSIONS * LINES


def test_every_beat_entry_names_a_task_that_exists(settings: Settings, own_environment: None) -> None:
    from beat_schedule import beat_schedule
    from pdpp_worker.tasks.app import app

    app.loader.import_default_modules()

    assert {entry["task"] for entry in beat_schedule(settings).values()} <= set(app.tasks)
    assert set(registry.all_connectors())
