"""The connector through the real runtime and store: merges, deletions, gaps, and threads that are always right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.dispatch import request_run
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import stream_views
from tests.connectors.gmail.gmail_server import PASSWORD, GmailServer
from tests.connectors.gmail.mails import written


class Account:
    """One connection to a Gmail."""

    def __init__(self, server: GmailServer, settings: Settings, db: Database, redis: Redis) -> None:
        self._parts = (settings, db, redis)
        self._db = db
        with db.begin() as connection:
            password = Vault(settings).seal(PASSWORD)
            connections.add(connection, "mail", "gmail", server.settings, {"password": password}, 1.0)

    def run(self) -> str:
        """A whole forward run; its status."""
        with self._db.begin() as connection:
            row = connections.get(connection, "mail")
        run_id = request_run(self._db, row, trigger="manual", full=False)[0]
        for _ in range(100):
            result = run_slice(*self._parts, run_id, stopping=lambda: False)
            if result is not None and result.status is not None:
                return result.status.value
        raise AssertionError("the run does not end")

    def held(self, stream: str) -> dict[str, dict[str, Any]]:
        """The records of a stream that are not deleted."""
        query = text("SELECT key, data FROM records WHERE stream = :stream AND deleted_at IS NULL")
        with self._db.begin() as connection:
            return {row.key: row.data for row in connection.execute(query, {"stream": stream})}

    def threads(self) -> list[dict[str, Any]]:
        """The threads, as they are exported."""
        with self._db.begin() as connection:
            row = connections.get(connection, "mail")
            query = registry.get("gmail").view("threads")
            assert query is not None
            return [json.loads(one.json) for one in stream_views.records(connection, row.id, query)]


@pytest.fixture
def account(gmail: GmailServer, settings: Settings, db: Database, redis: Redis) -> Account:
    return Account(gmail, settings, db, redis)


def test_a_thread_is_right_after_news_changes_and_deletions(gmail: GmailServer, account: Account) -> None:
    first = gmail.add(written("plan"), labels={"\\Inbox"})
    for number in range(3):
        gmail.add(written(f"answer {number}"), thread=first.gm)
    assert account.run() == "succeeded"
    assert [(one["message_count"], one["unread_count"]) for one in account.threads()] == [(4, 4)]

    gmail.add(written("late answer", files={"a": b"1"}), thread=first.gm, labels={"Work"})
    gmail.change(1, flags={"\\Seen", "\\Flagged"})
    gmail.delete(2)
    assert account.run() == "succeeded"

    (thread,) = account.threads()
    assert (thread["id"], thread["subject"]) == (str(first.thread), "plan")
    assert (thread["message_count"], thread["unread_count"], thread["flagged_count"]) == (4, 3, 1)
    assert thread["labels"] == ["Work", "\\Inbox"]
    assert thread["participant_emails"] == ["ada@example.com", "bo@example.org", "owner@example.com"]
    assert thread["has_attachments"] is True


def test_a_changed_flag_is_merged_in_the_store(gmail: GmailServer, account: Account) -> None:
    mail = gmail.add(written("plan"))
    account.run()
    before = account.held("messages")[str(mail.gm)]
    gmail.change(1, flags={"\\Seen"})

    assert account.run() == "succeeded"

    assert account.held("messages")[str(mail.gm)] == {**before, "is_seen": True, "flags": ["\\Seen"]}
    assert account.held("message_bodies")[str(mail.gm)]["body_text"] == "Good morning.\n"


def test_a_miss_is_never_a_success(gmail: GmailServer, account: Account) -> None:
    for number in range(3):
        gmail.add(written(f"mail {number}"))
    gmail.garbled.add(2)

    assert account.run() == "partially_completed"
    assert len(account.held("messages")) == 2
