"""`connection remove` leaves nothing, in any order with what works on the connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from pdpp_worker import trees
from pdpp_worker.browser import profile
from pdpp_worker.connector import Context, Message, Start
from pdpp_worker.pacing.bucket import Bucket
from pdpp_worker.runtime import removed_files
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.connections import ConnectionRow
from pdpp_worker.stored_files import quota, tree_lock
from pdpp_worker.stored_files.connection_files import files_dir
from tests.cli.conftest import Cli
from tests.support.backlog import missing
from tests.support.scripted import Scenario, manifest, record, state

TABLES = (
    "connections",
    "schedules",
    "runs",
    "run_streams",
    "record_versions",
    "records",
    "rejections",
    "checkpoints",
    "coverage",
    "gap_attempts",
    "gaps",
    "leases",
    "rate_states",
    "events",
)


@pytest.fixture
def row(scenario: Scenario) -> ConnectionRow:
    """The connection."""
    with scenario.db.begin() as connection:
        return connections.get(connection, "mine")


def keep_files(settings: Settings, row: ConnectionRow) -> tuple[Path, Path]:
    """A file and a browser profile of the connection, as this host keeps them."""
    files, browser = files_dir(settings, row.id, row.name), profile.profile_dir(settings, row)
    for directory in (files, browser):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "private").write_text("content")
    return files, browser


def test_nothing_is_left_of_it(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow, redis: Redis
) -> None:
    strict = {"type": "object", "required": ["id"]}
    scenario.manifest = manifest({"name": "items", "schema": strict})
    scenario.send(record("a"), record("b").model_copy(update={"data": {}}), *missing("c"), state(1))
    scenario.run()
    scenario.execute("INSERT INTO rate_states (connection_id, state) VALUES (:id, '{}')", id=row.id)
    Bucket(redis, row.id).take(1000.0, 1000.0, "lane")
    files, browser = keep_files(settings, row)

    cli.ok("connection", "remove", "mine", "--yes")

    counts = {table: scenario.one(f"SELECT count(*) FROM {table}")["count"] for table in TABLES}  # noqa: S608
    assert counts == dict.fromkeys(TABLES, 0)
    assert not files.exists()
    assert list(browser.parent.iterdir()) == []
    assert redis.keys() == []


def test_another_connection_keeps_its_own(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow, redis: Redis
) -> None:
    with scenario.db.begin() as connection:
        connections.add(connection, "other", "scripted", {}, {})
        other = connections.get(connection, "other")
    kept = keep_files(settings, other)
    keep_files(settings, row)
    Bucket(redis, other.id).take(1000.0, 1000.0)

    cli.ok("connection", "remove", "mine", "--yes")

    assert [path.exists() for path in kept] == [True, True]
    assert redis.keys() != []


def test_what_is_in_use_is_said_and_gone_when_it_is_repeated(
    cli: Cli, settings: Settings, row: ConnectionRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "_END_S", 0.1)
    files, browser = keep_files(settings, row)

    with profile.opened(browser, timeout_s=1.0):
        first = cli("connection", "remove", "mine", "--yes")
    left = browser.exists(), files.exists()
    again = cli.ok("connection", "remove", "mine", "--yes")

    assert first.exit_code == 0
    assert "Not removed yet" in first.stderr
    assert "in use" in first.stderr
    assert left == (True, False)
    assert "is gone now" in again
    assert not browser.exists()


def test_what_is_not_there_is_refused(cli: Cli) -> None:
    cli.refusal("connection", "remove", "nobody", "--yes")


def test_a_slice_that_works_meanwhile_leaves_nothing(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow
) -> None:
    def collect(_: Start, context: Context) -> Iterator[Message]:
        yield record("a")
        cli.ok("connection", "remove", "mine", "--yes")
        context.files.mkdir(parents=True, exist_ok=True)
        (context.files / "attachment.bin").write_text("private")
        yield record("b")

    scenario.install(collect)

    assert scenario.slice(scenario.queue()) is None
    assert not files_dir(settings, row.id, row.name).exists()
    assert scenario.rows("SELECT key FROM records") == []


def test_another_host_removes_what_it_keeps(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow, tmp_path: Path
) -> None:
    there = settings.model_copy(update={"data_dir": tmp_path})
    kept = keep_files(there, row)
    cli.ok("connection", "remove", "mine", "--yes")

    gone, left = removed_files.remove(there, scenario.db)

    assert (gone, left) == (2, [])
    assert [path.exists() for path in kept] == [False, False]


def test_its_name_is_not_left_beside_its_directory(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow
) -> None:
    files, _ = keep_files(settings, row)
    cli.ok("connection", "remove", "mine", "--yes")
    late = [files.with_name(f"{files.name}{suffix}") for suffix in (quota.SUFFIX, tree_lock.SUFFIX)]
    for path in late:  # by a slice that was still at work
        path.touch()

    assert removed_files.remove(settings, scenario.db) == (1, [])
    assert [path.exists() for path in late] == [False, False]


def test_what_another_process_removes_at_the_same_time_is_gone(
    cli: Cli, settings: Settings, row: ConnectionRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_another(top: Path, *, within_s: float = trees.REMOVE_S) -> None:
        remove(top, within_s=within_s)
        remove(top, within_s=within_s)

    remove = trees.remove
    monkeypatch.setattr(trees, "remove", after_another)
    files_dir(settings, row.id, row.name).mkdir(parents=True)

    assert "Not removed yet" not in cli("connection", "remove", "mine", "--yes").stderr


def test_a_directory_that_no_removal_names_is_left_alone(scenario: Scenario, settings: Settings) -> None:
    stranger = settings.data_dir / "files" / "77-somebody"
    stranger.mkdir(parents=True)

    assert removed_files.remove(settings, scenario.db) == (0, [])
    assert stranger.exists()


def test_a_directory_that_cannot_be_removed_costs_no_other_one_and_doctor_tells_why(
    cli: Cli, scenario: Scenario, settings: Settings, row: ConnectionRow
) -> None:
    files, browser = keep_files(settings, row)
    outside = settings.data_dir / "outside"
    files.rename(outside)
    files.symlink_to(outside)  # which is not followed
    cli("connection", "remove", "mine", "--yes")

    checks = {one["what"]: one for one in json.loads(cli("doctor", "--json").stdout)}

    assert not checks["removed connections"]["ok"]
    assert str(files) in checks["removed connections"]["found"]
    assert (browser.exists(), (outside / "private").exists()) == (False, True)
