"""An outer program that dies half-way through its work: what it left on disk is taken, and the rest is known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from pdpp_worker.dispatch import request_run
from pdpp_worker.recovery.sweep import recover
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.connectors.slack import player
from tests.connectors.slack.account import said, stamp
from tests.support.fleet import beat, worker
from tests.support.waiting import until

CHANNELS = {f"C{number}": [said(stamp(number * 1000 + at)) for at in range(40)] for number in range(25)}
FAILED = "C017NG64T24"
PART = {"channel_id": FAILED}
WORDS = f"006 (Application Error): channel channel {FAILED}: slack server error: 500 Internal Server Error."


def rows(db: Database, query: str) -> list[dict[str, Any]]:
    """All rows of a query."""
    with db.begin() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def ended(db: Database, runs: int) -> bool:
    """Whether so many runs have ended."""
    return len(rows(db, "SELECT 1 FROM runs WHERE ended_at IS NOT NULL")) >= runs


def test_an_archive_whose_maker_died_is_taken_and_the_failed_part_is_one_gap_that_is_fetched_later(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    channels = {**CHANNELS, FAILED: [said(stamp(90_000 + at)) for at in range(10)]}
    program = player.install(tmp_path / "bin", channels, {"fails": FAILED, "exit": 6, "said": WORDS})
    began = datetime.now(UTC)
    with db.begin() as connection:
        values = {"archive": str(tmp_path / "archive"), "slackdump": str(program)}
        key = connections.add(connection, "work", "slack", values, {})
        row = connections.by_id(connection, key)
    request_run(db, row, trigger="manual")

    with worker(settings, tmp_path), beat(settings, tmp_path):
        until(lambda: ended(db, 1))
        [run] = rows(db, "SELECT * FROM runs")
        [gap] = rows(db, "SELECT * FROM gaps")
        held = rows(db, "SELECT count(*) FROM records WHERE stream = 'messages'")[0]["count"]

        recover(settings, db, [key])
        until(lambda: ended(db, 2))

    assert run["status"] == "partially_completed"
    assert run["skipped_by_reason"] == {"source_partition_failed": 1}
    assert held == 25 * 40 + player.PAGE
    assert (gap["stream"], gap["scope"], gap["status"]) == ("messages", {"partition": PART}, "open")
    assert "exit code 6" in gap["last_error"]
    assert datetime.fromisoformat(run["retry_hint"]["not_before"]) > began
    assert (run["retry_hint"]["exclude"], run["retry_hint"]["why"]) == ([PART], "source_partition_failed")

    [healed] = rows(db, "SELECT * FROM runs WHERE kind = 'recovery'")
    assert healed["status"] == "succeeded"
    assert rows(db, "SELECT status FROM gaps") == [{"status": "recovered"}]
    assert rows(db, "SELECT count(*) FROM records WHERE stream = 'messages'")[0]["count"] == 25 * 40 + 10
    assert [call[0] for call in player.called(program)] == ["archive", "archive"]
    assert player.called(program)[-1][-1] == FAILED
