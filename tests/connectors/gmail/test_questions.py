"""Questions of an owner about mail, answered by SQL over the records as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.connectors.gmail.test_on_the_store import Account

MOST_WRITTEN_TO = """
SELECT person ->> 'email', count(*) FROM records, jsonb_array_elements(data -> 'to') AS person
WHERE stream = 'messages' AND deleted_at IS NULL AND data -> 'labels' ? '\\Sent'
GROUP BY 1 ORDER BY 2 DESC, 1
"""
CONVERSATION = """
SELECT string_agg(body.data ->> 'body_text', '' ORDER BY message.data ->> 'received_at', message.key)
FROM records AS message JOIN records AS body ON body.stream = 'message_bodies' AND body.key = message.key
WHERE message.stream = 'messages' AND message.data ->> 'thread_id' = :thread
"""
LARGE_FILES = """
SELECT data ->> 'filename', (data ->> 'size_bytes')::bigint, data ->> 'path' FROM records
WHERE stream = 'attachments' AND deleted_at IS NULL AND (data ->> 'size_bytes')::bigint > 5 * 1024 * 1024
"""
NEWSLETTERS = """
SELECT DISTINCT data ->> 'from_email', header ->> 1 FROM records, jsonb_array_elements(data -> 'headers') AS header
WHERE stream = 'messages' AND deleted_at IS NULL AND lower(header ->> 0) = 'list-unsubscribe'
"""


@pytest.fixture
def account(gmail: GmailServer, settings: Settings, db: Database, redis: Redis) -> Account:
    gmail.add(written("plan"), labels={"\\Sent"})
    gmail.add(written("plan again", "See above.", reply_to="plan"), labels={"\\Sent"}, thread=1_278_455_344_230_334_866)
    gmail.add(written("news", List_Unsubscribe="<mailto:leave@example.org>"))
    gmail.add(written("film", files={"film.bin": bytes(6 * 1024 * 1024), "note.txt": b"short"}))
    made = Account(gmail, settings, db, redis)
    assert made.run() == "succeeded"
    return made


def answers(db: Database, query: str, **values: Any) -> list[tuple[Any, ...]]:
    with db.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


@pytest.mark.usefixtures("account")
def test_whom_do_i_write_to_most(db: Database) -> None:
    assert answers(db, MOST_WRITTEN_TO) == [("bo@example.org", 2), ("owner@example.com", 2)]


@pytest.mark.usefixtures("account")
def test_a_conversation_as_one_text(db: Database) -> None:
    assert answers(db, CONVERSATION, thread="1278455344230334866") == [("Good morning.\nSee above.\n",)]


@pytest.mark.usefixtures("account")
def test_attachments_over_five_megabytes(db: Database, settings: Settings) -> None:
    ((name, size, path),) = answers(db, LARGE_FILES)

    assert (name, size) == ("film.bin", 6 * 1024 * 1024)
    assert [one.stat().st_size for one in Path(settings.data_dir).glob(f"files/*/{path}")] == [size]


@pytest.mark.usefixtures("account")
def test_newsletters_that_can_be_left(db: Database) -> None:
    assert answers(db, NEWSLETTERS) == [("ada@example.com", "<mailto:leave@example.org>")]
