"""The connector through the real runtime and store: slices, statuses, gaps that open and close."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.dispatch import request_run
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.connectors.claude_code.logs import PROJECT, A, B, Held, encoded, run, said, write

Drop = Callable[[], AbstractContextManager[None]]


class Account:
    """One connection of the connector."""

    def __init__(self, root: Path, settings: Settings, db: Database, redis: Redis) -> None:
        self._parts = (settings, db, redis)
        self._db = db
        self.slices = 0
        self.before: list[dict[str, Any]] = []
        """The records that were held, where a test compares with them."""
        with db.begin() as connection:
            given = {"projects_dir": str(root), "claude_dir": str(root.parent)}
            connections.add(connection, "mine", "claude_code", given, {})

    def run(self, *, full: bool = False) -> str:
        """A whole forward run; its status."""
        with self._db.begin() as connection:
            row = connections.get(connection, "mine")
        run_id = request_run(self._db, row, trigger="manual", full=full)[0]
        for _ in range(500):
            self.slices += 1
            result = run_slice(*self._parts, run_id, stopping=lambda: False)
            if result is not None and result.status is not None:
                return result.status.value
        raise AssertionError("the run does not end")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._db.begin() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

    def held_live(self, stream: str) -> list[str]:
        """The keys of a stream's records that are not deleted."""
        query = "SELECT stream, key FROM records WHERE deleted_at IS NULL"
        return [row["key"] for row in self.rows(query) if row["stream"] == stream]

    def held(self, stream: str) -> dict[str, dict[str, Any]]:
        """The records of a stream."""
        return {row["key"]: row["data"] for row in self.rows("SELECT * FROM records") if row["stream"] == stream}


@pytest.fixture
def account(open_root: Path, settings: Settings, db: Database, redis: Redis) -> Account:
    """A connection to the projects of `open_root`, worked in slices of few messages."""
    return Account(open_root, settings.model_copy(update={"slice_messages": 1500, "batch_records": 500}), db, redis)


def test_many_slices_hold_what_one_pass_brings(open_root: Path, account: Account) -> None:
    for number, session in enumerate((A, B)):
        lines = [said(f"u{n}", session=session, second=n + number) for n in range(6000)]
        write(open_root / PROJECT / f"{session}.jsonl", *lines)
    write(open_root / PROJECT / A / "tool-results" / "r.txt", b"out")

    assert account.run() == "succeeded"
    assert account.slices > 2
    expected = Held().take(run(open_root).sent)
    assert {name: account.held(name) for name in ("sessions", "messages", "attachments")} == expected.data


def test_a_run_that_finds_nothing_new_succeeds(open_root: Path, account: Account) -> None:
    write(open_root / PROJECT / f"{A}.jsonl", said("u1"))
    account.run()

    assert account.run() == "succeeded"


def test_a_broken_line_is_a_missing_part_and_not_a_failed_run(open_root: Path, account: Account) -> None:
    write(open_root / PROJECT / f"{A}.jsonl", said("u1"), b"broken", said("u2"))

    assert account.run() == "partially_completed"
    assert len(account.held("messages")) == 2
    gap = account.rows("SELECT * FROM gaps")[0]
    assert (gap["reason"], gap["status"]) == ("parse_failed", "open")


def test_a_gap_of_a_locked_file_closes_with_the_run_that_reads_it(
    open_root: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(open_root / PROJECT / f"{A}.jsonl", said("u1"))
    write(open_root / PROJECT / f"{B}.jsonl", said("b1", session=B))

    def refused(name: Path) -> Any:
        if name == path:
            raise PermissionError(13, "Permission denied")
        return name.open("rb")

    with monkeypatch.context() as locked:
        locked.setattr("connectors.claude_code.walk.open_file", refused)
        assert account.run() == "partially_completed"
    assert account.run() == "succeeded"
    assert [gap["status"] for gap in account.rows("SELECT * FROM gaps")] == ["recovered"]
    assert len(account.held("messages")) == 2


def test_a_missing_directory_is_a_gap_of_every_stream_that_lies_there(open_root: Path, account: Account) -> None:
    open_root.rmdir()

    assert account.run() == "partially_completed"
    missed = account.rows("SELECT stream, last_error FROM gaps ORDER BY stream")
    from_projects = ["attachments", "documents", "memory_notes", "messages", "sessions", "subagents", "usage"]
    assert [row["stream"] for row in missed] == from_projects
    assert all("projects_dir" in row["last_error"] for row in missed)


def test_the_gap_of_a_snapshot_that_was_cut_closes_when_the_whole_file_arrives(
    open_root: Path, account: Account
) -> None:
    path = open_root / PROJECT / f"{A}.jsonl"
    whole = encoded(said("u1"), said("u2"), said("u3"))
    write(path).write_bytes(whole[: len(encoded(said("u1"))) + 60])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    statuses = [account.run()]
    path.write_bytes(whole)
    statuses.append(account.run())

    assert statuses == ["partially_completed", "succeeded"]
    assert [gap["status"] for gap in account.rows("SELECT * FROM gaps")] == ["recovered"]
    assert len(account.held("messages")) == 3


def test_an_empty_mount_point_leaves_what_is_held_and_says_so(open_root: Path, account: Account) -> None:
    write(open_root / PROJECT / f"{A}.jsonl", said("u1"))
    account.run()
    (open_root / PROJECT).rename(open_root.parent / "elsewhere")
    without = account.run()
    (open_root.parent / "elsewhere").rename(open_root / PROJECT)

    assert (without, account.run()) == ("partially_completed", "succeeded")
    assert {gap["status"] for gap in account.rows("SELECT * FROM gaps")} == {"recovered"}
    assert len(account.held("messages")) == 1
