"""A connector that never comes back costs one slot for a bounded time, and nothing of the others."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, runs
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import event_views
from pdpp_worker.tasks import health
from pdpp_worker.tasks.ending import live_runs, stuck_runs
from pdpp_worker.tasks.health import why_unwell
from tests.fleet.test_rate import one
from tests.support.fleet import beat, celery, worker
from tests.support.installed import HANGS, install
from tests.support.waiting import until

SOON = {"PDPP_SILENCE_S": "0.5", "PDPP_LEASE_S": "1"}


@pytest.fixture
def installed(tmp_path: Path, db: Database) -> dict[str, str]:
    """A run of a connector that hangs is queued; the environment in which that connector is installed."""
    with db.begin() as connection:
        connection_id = connections.add(connection, "mine", "hanging", {}, {})
        runs.create(connection, connection_id, trigger="manual", streams=[{"name": "items"}], version="1.0.0")
    return {**SOON, "PYTHONPATH": install(tmp_path / "site", "hanging", HANGS)}


def test_a_worker_of_threads_that_cannot_free_one_says_so_and_ends(
    settings: Settings, db: Database, installed: dict[str, str], tmp_path: Path
) -> None:
    with worker(settings, tmp_path, **installed) as member, beat(settings, tmp_path) as clock:
        until(lambda: member.poll() is not None, clock)

    assert member.poll() == 1
    assert "a thread cannot be freed" in member.log
    assert "did not end in time" in member.log
    assert one(db, "SELECT count(*) FROM events WHERE type = 'thread_stuck'") == 1
    with db.begin() as connection:
        assert event_views.stuck_lately(connection) == [("mine", 1)]
    assert one(db, "SELECT slices FROM runs") == 1, "the run was given a second thread beside the first"


def test_a_process_of_a_pool_that_does_not_come_back_is_replaced(
    settings: Settings, db: Database, installed: dict[str, str], tmp_path: Path
) -> None:
    options = ("worker", "-Q", "control,collect", "-P", "prefork", "-c", "1", "-l", "INFO")
    with celery(settings, tmp_path, *options, **installed) as member, beat(settings, tmp_path) as clock:
        until(lambda: one(db, "SELECT slices FROM runs") >= 2, member, clock)

    assert "a thread cannot be freed" in member.log


def test_a_worker_that_is_well_says_so_and_one_that_is_not_does_not_answer(
    settings: Settings, installed: dict[str, str], tmp_path: Path, own_environment: None
) -> None:
    with worker(settings, tmp_path, "local", **installed) as member:
        member.wait_for("ready.")
        node = re.findall(r"(\S+@\S+) ready\.", member.log)[0]
        assert why_unwell(node) is None

        os.kill(member.process.pid, signal.SIGSTOP)

        assert why_unwell(node) == f"{node} does not answer."


def test_the_health_check_names_the_runs_whose_threads_do_not_come_back(own_environment: None) -> None:
    with live_runs.entered(7):
        live_runs.note_stuck(7)

        assert health._why_stuck("collect@here", stuck_runs(None)) == (
            "collect@here: the threads of these runs do not come back: [7]."
        )
    assert health._why_stuck("collect@here", stuck_runs(None)) is None
