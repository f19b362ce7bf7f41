"""The connector through the real runtime and store: merges, deletions, gaps, and threads that are always right."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.dispatch import request_run
from pdpp_worker.protocol.manifest_parts import DailyBytes, Pacing
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, run_slices
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views import stream_views, wait_views
from pdpp_worker.stored_files.quota import Quota
from tests.connectors.gmail import dovecot
from tests.connectors.gmail.conftest import FILE
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import PASSWORD, GmailServer
from tests.connectors.gmail.mails import written
from tests.support.waiting import until


class Account:
    """One connection to a Gmail, or to a Dovecot."""

    def __init__(self, server: GmailServer | Dovecot, settings: Settings, db: Database, redis: Redis) -> None:
        self._parts = (settings, db, redis)
        self._db = db
        with db.begin() as connection:
            password = Vault(settings).seal(PASSWORD if isinstance(server, GmailServer) else dovecot.PASSWORD)
            connections.add(connection, "mail", "gmail", server.settings, {"password": password}, 1.0)

    def queue(self) -> int:
        """Queue a forward run."""
        with self._db.begin() as connection:
            row = connections.get(connection, "mail")
        return request_run(self._db, row, trigger="manual", full=False)[0]

    def run(self) -> str:
        """A whole forward run; its status."""
        run_id = self.queue()
        for _ in range(100):
            result = self.slice(run_id)
            if result is not None and result.status is not None:
                return result.status.value
        raise AssertionError("the run does not end")

    def slice(self, run_id: int) -> SliceResult | None:
        """One slice of a run."""
        return run_slice(*self._parts, run_id, stopping=lambda: False)

    def allow(self, settings: Settings) -> None:
        """Let the fleet have other settings."""
        self._parts = (settings, *self._parts[1:])

    def held(self, stream: str) -> dict[str, dict[str, Any]]:
        """The records of a stream that are not deleted."""
        query = text("SELECT key, data FROM records WHERE stream = :stream AND deleted_at IS NULL")
        with self._db.begin() as connection:
            return {row.key: row.data for row in connection.execute(query, {"stream": stream})}

    def make_gaps_due(self) -> None:
        """Let every open gap be tried by the next run."""
        with self._db.begin() as connection:
            connection.execute(
                text("UPDATE gaps SET next_attempt_at = now() - interval '1 hour' WHERE status = 'open'")
            )

    def open_gaps(self) -> int:
        """The number of gaps that are not closed."""
        with self._db.begin() as connection:
            return int(connection.execute(text("SELECT count(*) FROM gaps WHERE closed_at IS NULL")).scalar_one())

    def reasons(self) -> set[str]:
        """Why something is missing."""
        with self._db.begin() as connection:
            return set(connection.execute(text("SELECT reason FROM gaps WHERE closed_at IS NULL")).scalars())

    def set(self, name: str, value: str) -> None:
        """Change a setting of the connection."""
        statement = (
            "UPDATE connections SET settings = jsonb_set(settings::jsonb, ARRAY[:name], to_jsonb(CAST(:value AS text)))"
        )
        with self._db.begin() as connection:
            connection.execute(text(statement), {"name": name, "value": value})

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


def test_the_one_sign_in_of_a_run_waits_for_no_claim(
    gmail: GmailServer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = run_slices.claim_slice

    def claim_late(*given: Any, **named: Any) -> Any:
        until(lambda: len(gmail.asked("AUTHENTICATE")) == 2)
        return claim(*given, **named)

    account.run()  # which finds no bucket, and so waits for its turn
    monkeypatch.setattr(run_slices, "claim_slice", claim_late)

    status = account.run()

    assert status == "succeeded"
    assert len(gmail.asked("AUTHENTICATE")) == 2


def test_a_real_server_is_left_at_once_where_the_claim_fails(
    server: Dovecot, settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(server, settings, db, redis)
    account.run()  # which finds no bucket, and so signs in after its claim
    monkeypatch.setattr(run_slices, "claim_slice", Mock(return_value=None))

    account.slice(account.queue())

    def said(what: str) -> int:
        return sum(what in line and server.user in line for line in server.log().splitlines())

    until(lambda: said("Disconnected") == 2)
    assert (said("Login: "), said("Logged out")) == (2, 2)


def test_a_thread_is_right_after_news_changes_and_deletions(gmail: GmailServer, account: Account) -> None:
    first = gmail.add(written("plan"), labels={"\\Inbox"})
    for number in range(3):
        gmail.add(written(f"answer {number}"), thread=first.gm)
    assert account.run() == "succeeded"
    assert [(one["message_count"], one["unread_count"]) for one in account.threads()] == [(4, 4)]

    gmail.add(written("late answer", files={"a": b"1"}), thread=first.gm, labels={"Work"})
    gmail.change(1, flags={"\\Seen", "\\Flagged"})
    gmail.delete(2)
    assert [account.run(), account.run()] == ["succeeded", "succeeded"]

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


def test_a_message_that_goes_to_the_trash_and_back_is_live_with_all_its_parts(
    gmail: GmailServer, account: Account
) -> None:
    mail = gmail.add(written("plan", files={"a": b"1"}))
    gmail.add(written("other"))
    account.run()
    trashed = gmail.messages.pop(mail.uid)
    account.run()
    gmail.messages[mail.uid] = trashed
    gmail.move_out_and_back(mail.uid)

    statuses = [account.run() for _ in range(3)]

    assert statuses == ["succeeded"] * 3
    assert str(mail.gm) in account.held("messages")
    assert str(mail.gm) in account.held("message_bodies")
    assert f"{mail.gm}:0" in account.held("attachments")


def test_a_message_in_the_trash_is_deleted_by_the_second_walk_and_lives_again_when_it_returns(
    gmail: GmailServer, account: Account
) -> None:
    mail = gmail.add(written("plan", files={"a": b"1"}))
    for number in range(9):
        gmail.add(written(f"other {number}"))
    account.run()
    trashed = gmail.messages.pop(mail.uid)

    live = [(account.run(), str(mail.gm) in account.held("messages")) for _ in range(2)]
    deleted = account.held("attachments")
    gmail.messages[mail.uid] = trashed
    gmail.move_out_and_back(mail.uid)
    account.run()

    assert live == [("succeeded", True), ("succeeded", False)]
    assert deleted == {}
    assert str(mail.gm) in account.held("messages")
    assert f"{mail.gm}:0" in account.held("attachments")


def test_the_gap_of_a_mailbox_is_closed_by_an_ordinary_run(gmail: GmailServer, account: Account) -> None:
    for number in range(3):
        gmail.add(written(f"mail {number}", files={"a": b"1"}))
    gmail.phantoms = 1
    assert account.run() == "partially_completed"
    gmail.phantoms = 0
    account.make_gaps_due()

    account.run()

    assert account.open_gaps() == 0
    assert account.run() == "succeeded"


def test_another_account_behind_the_same_connection_is_not_mixed_in(gmail: GmailServer, account: Account) -> None:
    gmail.add(written("mine"))
    account.run()
    before = account.held("messages")
    gmail.add(written("of another"))
    account.set("host", "localhost")

    status = account.run()

    assert status != "succeeded"
    assert account.reasons() == {"another_account"}
    assert account.held("messages") == before


def test_a_spent_day_is_a_wait_with_an_end_and_a_reason(
    gmail: GmailServer, settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        gmail.add(written(f"letter {number}", "Good morning. " * 500))
    monkeypatch.setattr(Pacing, "daily_bytes_of", lambda *_: DailyBytes(most=1_000, source="a test"))
    account = Account(gmail, settings, db, redis)
    run_id = account.queue()

    result = run_slice(settings, db, redis, run_id, stopping=lambda: False)

    assert result is not None
    assert result.status is None
    assert result.pause_s == pytest.approx(24 * 3600, abs=60)
    with db.begin() as connection:
        [waits] = wait_views.read(connection)
    assert (waits.hold_reason, account.open_gaps()) == ("the day's 0 MB are used", 0)
    assert waits.run is not None
    assert waits.run.wait_reason == "the day's 0 MB are used"


def test_a_day_that_is_over_lets_the_run_go_on(
    gmail: GmailServer, settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    gmail.add(written("one", "Good morning. " * 500))
    monkeypatch.setattr(Pacing, "daily_bytes_of", lambda *_: DailyBytes(most=1_000, source="a test"))
    account = Account(gmail, settings, db, redis)
    run_id = account.queue()
    run_slice(settings, db, redis, run_id, stopping=lambda: False)
    with db.begin() as connection:
        connection.execute(text("UPDATE rate_states SET updated_at = updated_at - interval '25 hours'"))
        connection.execute(text("UPDATE runs SET not_before = now()"))
    monkeypatch.setattr(Pacing, "daily_bytes_of", lambda *_: DailyBytes(most=300_000, source="a test"))

    result = run_slice(settings, db, redis, run_id, stopping=lambda: False)

    assert result is not None
    assert (result.status, len(account.held("messages"))) == ("succeeded", 1)


def test_a_file_that_there_is_no_room_for_keeps_nothing_else_out_and_comes_once_there_is(
    gmail: GmailServer, settings: Settings, db: Database, redis: Redis
) -> None:
    gmail.add(written("plan", files={"plan.bin": FILE * 2}))
    gmail.add(written("small", files={"small.bin": b"x" * 1000}))
    one_mb = settings.model_copy(update={"connection_files_mb": 1, "gap_backoff_s": 600.0})  # it is not due at once
    account = Account(gmail, one_mb, db, redis)

    assert account.run() == "partially_completed"
    assert (account.reasons(), account.open_gaps()) == ({"storage_full"}, 1)
    assert [account.run(), len(account.held("messages")), len(account.held("message_bodies"))] == ["succeeded", 2, 2]
    assert {row.get("hydration_status") for row in account.held("attachments").values()} == {None, "hydrated"}
    account.allow(settings)
    account.make_gaps_due()

    assert account.run() == "succeeded"
    assert (len(account.held("attachments")), account.open_gaps()) == (2, 0)


def test_with_no_room_at_all_every_mail_is_told_with_its_text_and_its_files_are_gaps(
    gmail: GmailServer, settings: Settings, db: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        gmail.add(written(f"mail {number}", files={"small.bin": b"x" * 1000}))
    account = Account(gmail, settings, db, redis)
    with monkeypatch.context() as patch:
        patch.setattr(Quota, "_disk_is_full", lambda _: "the disk is full")
        assert account.run() == "partially_completed"

    assert (account.reasons(), account.open_gaps()) == ({"storage_full"}, 24)
    assert {row["body_text"].strip() for row in account.held("message_bodies").values()} == {"Good morning."}
    account.make_gaps_due()
    assert (account.run(), account.open_gaps()) == ("succeeded", 0)
    assert all(row["source"] for row in account.held("messages").values())
