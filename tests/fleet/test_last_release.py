"""Workers of the last release go on working while the schema is brought to this version beside them."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.fleet.test_fleet import add_logs, call, ended, one
from tests.support.fleet import ROOT, Member, beat, environment
from tests.support.logs import write_session
from tests.support.waiting import until


def git(*arguments: str) -> bytes:
    """The output of git; the test is skipped where there is no history to ask."""
    done = subprocess.run([shutil.which("git") or "git", "-C", str(ROOT), *arguments], capture_output=True)
    if done.returncode or not done.stdout:
        pytest.skip("there is no history of an earlier version")
    return done.stdout


@pytest.fixture
def last_release(tmp_path: Path) -> Path:
    """The code at the oldest revision that this schema promises to keep working."""
    migration = f"pdpp_worker/store/migrations/versions/{migrate.OLDEST_CODE}*.py"
    made = git("log", "--diff-filter=A", "--format=%H", "-1", "--", migration).decode().strip()
    later = git("log", "--diff-filter=A", "--format=%H", "--reverse", f"{made}..", "--", str(Path(migration).parent))
    code = git("archive", f"{later.decode().split()[0]}^")
    with tarfile.open(fileobj=io.BytesIO(code)) as archive:
        archive.extractall(tmp_path / "last", filter="data")
    return tmp_path / "last"


@contextmanager
def old_worker(code: Path, settings: Settings, tmp_path: Path) -> Iterator[Member]:
    """A worker of other code, for all queues."""
    log = tmp_path / "old.log"
    command = ["worker", "-Q", "control,collect,local", "-P", "threads", "-c", "4", "-n", "old@%h", "-l", "INFO"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "pdpp_worker", *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment(settings), "PYTHONPATH": str(code)},
            cwd=code,
            start_new_session=True,
        )
    member = Member(process, log)
    try:
        yield member
    finally:
        member.kill()


def test_the_last_releases_workers_work_on_this_schema(
    settings: Settings, db: Database, last_release: Path, tmp_path: Path
) -> None:
    write_session(tmp_path / "projects", 1, 10)
    migrate.downgrade(db, migrate.OLDEST_CODE)

    # Tasks that it does not know would be refused with a traceback.
    rare = {"PDPP_INDEX_EVERY_S": "3600", "PDPP_SWEEP_EVERY_S": "3600"}
    with old_worker(last_release, settings, tmp_path) as member, beat(settings, tmp_path, **rare) as clock:
        member.wait_for("pdpp.dispatch")
        until(lambda: "succeeded in" in member.log, member)
        migrate.upgrade(db)
        add_logs(db, tmp_path / "projects")
        call(settings, "pdpp.run", '{"connection": "logs"}')
        until(lambda: ended(db), member, clock)

    assert one(db, "SELECT status FROM runs") == "succeeded"
    assert "Traceback" not in member.log
