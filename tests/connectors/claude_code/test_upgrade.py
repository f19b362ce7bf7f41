"""A database of the version that had the project's directory in its keys, through the real migration and runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.connectors.claude_code.logs import PROJECT, A, said, write
from tests.connectors.claude_code.test_on_the_store import Account

FILE = f"{PROJECT}/{A}.jsonl"
# Keys and cursor as that version wrote them; it had fewer streams.
_OLD_FORM = f"""
    UPDATE records SET key = '{PROJECT}/' || key, data = jsonb_set(data, '{{id}}', to_jsonb('{PROJECT}/' || key))
    WHERE stream IN ('messages', 'attachments');
    DELETE FROM records WHERE stream IN ('usage', 'subagents', 'documents', 'prompts');
    DELETE FROM checkpoints WHERE stream <> 'sessions';
    UPDATE checkpoints SET covers = '{{sessions,messages,attachments,memory_notes,skills,slash_commands}}';
    TRUNCATE record_index, index_queue;
"""  # noqa: S608 - made of constants
_LIVE = "SELECT stream, key, data ->> 'id' AS id FROM records WHERE deleted_at IS NULL ORDER BY stream, key"
_GONE = "SELECT key FROM records WHERE deleted_at IS NOT NULL"


@pytest.fixture
def account(open_root: Path, settings: Settings, db: Database, redis: Redis) -> Account:
    """A session with a subagent, a line without uuid and a tool result, held in the old form."""
    write(open_root / FILE, said("u1"), {"type": "summary", "summary": "s"}, said("u2"))
    write(open_root / PROJECT / A / "subagents" / "agent-a1.jsonl", said("s1", isSidechain=True, agentId="a1"))
    write(open_root / PROJECT / A / "tool-results" / "r.txt", b"out")
    account = Account(open_root, settings, db, redis)
    account.run()
    account.before = account.rows(_LIVE)
    migrate.downgrade(db, "0020")
    with db.begin() as connection:
        connection.execute(text(_OLD_FORM))
    return account


@pytest.mark.parametrize("full", [False, True])
def test_records_under_old_keys_are_brought_along_by_any_kind_of_run(
    account: Account, db: Database, *, full: bool
) -> None:
    migrate.upgrade(db)

    assert account.run(full=full) == "succeeded"
    assert account.rows(_LIVE) == account.before
    assert all(row["key"].startswith(f"{PROJECT}/") for row in account.rows(_GONE))


def test_a_reader_sees_each_record_once_before_anything_is_collected(account: Account, db: Database) -> None:
    migrate.upgrade(db)

    kept = [row for row in account.before if row["stream"] in ("messages", "attachments", "sessions")]
    assert account.rows(_LIVE) == kept


def test_a_session_whose_files_are_gone_stays(account: Account, db: Database, open_root: Path) -> None:
    (open_root / FILE).unlink()
    write(open_root / PROJECT / "other.jsonl", said("o1", session="other"))
    migrate.upgrade(db)
    account.run()

    assert set(account.held_live("messages")) == {f"{A}#u1", f"{A}#u2", f"{A}/subagents/agent-a1#s1", "other#o1"}


def test_a_project_that_lay_there_twice_is_held_once(account: Account, db: Database) -> None:
    copy = (
        "INSERT INTO records SELECT (jsonb_populate_record(held, jsonb_build_object('key', {key}, 'data', {data}))).* "
    )
    key = f"replace(key, '{PROJECT}', '-copy')"
    data = "jsonb_set(data, '{file}', to_jsonb(replace(data ->> 'file', '" + PROJECT + "', '-copy')))"
    with db.begin() as connection:
        connection.execute(text(copy.format(key=key, data=data) + "FROM records AS held WHERE stream = 'messages'"))

    migrate.upgrade(db)

    assert set(account.held_live("messages")) == {f"{A}#u1", f"{A}#u2", f"{A}/subagents/agent-a1#s1"}


def test_what_is_brought_along_can_be_found_by_its_words(account: Account, db: Database) -> None:
    migrate.upgrade(db)

    queued = {key for row in account.rows("SELECT keys FROM index_queue") for key in row["keys"]}
    assert f"{A}#u1" in queued
    assert f"{PROJECT}/{A}#u1" in queued
