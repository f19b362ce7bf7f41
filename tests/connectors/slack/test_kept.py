"""Slack through the runtime and its store: several sources, older copies, long gaps, an earlier version's database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.dispatch import request_run
from pdpp_worker.recovery.sweep import recover
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.connectors.slack import provider
from tests.connectors.slack.account import OWNER, Obj, archived, said, stamp, user
from tests.connectors.slack.exported import export
from tests.connectors.slack.provider import TOKEN, Slack

DAY = 86_400


class Fleet:
    """One connection, its runs and what is held."""

    def __init__(self, settings: Settings, db: Database, redis: Redis, **values: Any) -> None:
        self._parts = settings, db, redis
        self._db = db
        sealed = {"token": Vault(settings).seal(TOKEN)} if "base_url" in values else {}
        with db.begin() as connection:
            self.key = connections.add(connection, "work", "slack", values, sealed, 1.0)

    def set(self, **values: Any) -> None:
        """Other settings."""
        self.execute("UPDATE connections SET settings = settings || CAST(:more AS jsonb)", more=json.dumps(values))

    def run(self) -> str:
        """A run to its end; returns its status."""
        with self._db.begin() as connection:
            row = connections.by_id(connection, self.key)
        return self._work(request_run(self._db, row, trigger="manual")[0])

    def recover(self) -> str:
        """A recovery run to its end; returns its status."""
        settings, db, _ = self._parts
        (due,) = recover(settings, db, [self.key])
        return self._work(due.run_id)

    def _work(self, run_id: int) -> str:
        for _ in range(200):
            ended = run_slice(*self._parts, run_id, stopping=lambda: False)
            if ended is not None and ended.status is not None:
                return str(ended.status.value)
        raise AssertionError("the run has no end")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._db.begin() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

    def execute(self, statement: str, **values: Any) -> None:
        """Any statement."""
        with self._db.begin() as connection:
            connection.execute(text(statement), values)

    def held(self, stream: str) -> dict[str, Obj]:
        """The live records of a stream."""
        query = f"SELECT key, data FROM records WHERE stream = '{stream}' AND deleted_at IS NULL"  # noqa: S608
        return {row["key"]: row["data"] for row in self.rows(query)}


def edited(words: str, at: int) -> Obj:
    """A message that was edited."""
    return said(stamp(1), words, edited={"ts": stamp(at), "user": OWNER})


@pytest.fixture
def account(slack: Slack) -> Slack:
    """A workspace with an edited message."""
    slack.users = [user(OWNER)]
    slack.add("C1", [edited("newest", 9), said(stamp(50))])
    return slack


def test_an_export_that_comes_later_doubles_nothing_and_takes_no_edit_back(
    account: Slack, settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    fleet = Fleet(settings, db, redis, base_url=account.url)
    assert fleet.run() == "succeeded"
    old = said(stamp(-400 * DAY), "hidden by the plan")
    fleet.set(export=str(export(tmp_path / "export", {"C1": [edited("older", 5), old]})))

    assert fleet.run() == "succeeded"

    held = {key: one["text"] for key, one in fleet.held("messages").items()}
    assert held == {
        f"C1:{stamp(1)}": "newest",
        f"C1:{stamp(50)}": "hello",
        f"C1:{stamp(-400 * DAY)}": "hidden by the plan",
    }
    assert fleet.rows("SELECT 1 FROM gaps") == []


def test_a_source_may_be_changed_for_another_one(
    account: Slack, settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    path = export(tmp_path / "export", {"C1": [edited("older", 5), said(stamp(50))]})
    fleet = Fleet(settings, db, redis, export=str(path))
    assert fleet.run() == "succeeded"
    archived(tmp_path / "archive", {"C1": [edited("newest", 9), said(stamp(60))]}).close()
    fleet.set(archive=str(tmp_path / "archive"), run_slackdump=False)

    assert fleet.run() == "succeeded"

    assert {key: one["text"] for key, one in fleet.held("messages").items()} == {
        f"C1:{stamp(1)}": "newest",
        f"C1:{stamp(50)}": "hello",
        f"C1:{stamp(60)}": "hello",
    }


def test_a_long_gap_is_recovered_in_as_many_runs_as_it_takes(
    slack: Slack, settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "PAGE", 15)
    slack.add("C1", [said(stamp(at)) for at in range(50)])
    slack.faults["conversations.history"] = lambda _: {"ok": False, "error": "internal_error"}
    fleet = Fleet(settings, db, redis, base_url=slack.url)
    fleet.run()
    slack.faults.clear()

    runs = 0
    while fleet.rows("SELECT 1 FROM gaps WHERE closed_at IS NULL"):
        assert fleet.recover() == "succeeded" or runs < 3
        runs += 1

    assert (len(fleet.held("messages")), runs) == (50, 4)


def test_a_database_of_the_earlier_version_is_brought_along(
    settings: Settings, db: Database, redis: Redis, tmp_path: Path
) -> None:
    archived(tmp_path / "archive", {"C1": [said(stamp(1)), said(stamp(2))]}).close()
    fleet = Fleet(settings, db, redis, archive=str(tmp_path / "archive"), run_slackdump=False)
    fleet.run()
    fleet.execute("UPDATE records SET data = data - 'revision' - 'extra', version = NULL, version_digits = NULL")
    fleet.execute("UPDATE records SET content_hash = sha256(data::text::bytea)")
    fleet.execute("UPDATE checkpoints SET cursor = (CAST(cursor AS jsonb) - 'form')::text")

    assert fleet.run() == "succeeded"

    held = fleet.held("messages")
    assert set(held) == {f"C1:{stamp(1)}", f"C1:{stamp(2)}"}
    assert all("revision" in one for one in held.values())
    assert all("extra" in one for one in fleet.held("users").values())
