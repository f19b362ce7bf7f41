"""A run that is measured is a real one, in a process of its own."""

from __future__ import annotations

from pathlib import Path

from bench.worker import Job, work
from pdpp_worker.local.embedded import EmbeddedServers
from tests.support.logs import write_session


def test_a_connection_is_added_once_and_collected_each_time(
    servers: EmbeddedServers, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    write_session(tmp_path / "projects", number=1, lines=10)
    given = {"projects_dir": str(tmp_path / "projects"), "claude_dir": str(tmp_path / "home")}
    job = Job("logs", "claude_code", given, str(tmp_path / "data"))

    done = [work(database_url, servers.redis_url, job) for _ in range(2)]

    assert [one.status for one in done] == ["succeeded", "succeeded"]
    assert [one.new > 0 for one in done] == [True, False]
    assert all(one.peak_rss > 0 for one in done)
