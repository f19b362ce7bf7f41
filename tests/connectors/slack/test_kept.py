"""Slack through the runtime and its store: several sources, older copies, long gaps, an earlier version's database."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.connectors.slack import provider
from tests.connectors.slack.account import OWNER, Obj, archived, said, stamp, user
from tests.connectors.slack.exported import export
from tests.connectors.slack.fleet import Fleet
from tests.connectors.slack.provider import Slack

DAY = 86_400


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
