"""Questions that owners ask of their Slack, answered by SQL over the records that the practice workspace leaves."""

from __future__ import annotations

import pytest
from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.connectors.slack.account import OWNER, Obj, file, said, stamp, user
from tests.connectors.slack.fleet import Fleet
from tests.connectors.slack.provider import Slack

MEGABYTE = 2**20
REPORT: Obj = {
    "subtype": "bot_message",
    "bot_id": "B1",
    "username": "Deploy bot",
    "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "Release 7 is out"}}],
    "attachments": [{"fields": [{"title": "Status", "value": "green"}, {"title": "Took", "value": "4 min"}]}],
}


def talk() -> list[Obj]:
    """A thread, an edited and a deleted message, and a bot's report."""
    head = said(stamp(1), "who is in?", thread_ts=stamp(1), reply_count=2, latest_reply=stamp(3))
    replies = [
        said(stamp(2), "me", "U0OTHER", thread_ts=stamp(1)),
        said(stamp(3), "me too", thread_ts=stamp(1)),
    ]
    changed = said(stamp(4), "at nine", edited={"ts": stamp(5), "user": OWNER})
    report = {**said(stamp(6), ""), **REPORT}
    shared = said(stamp(7), "the film", files=[file("F1", size=6 * MEGABYTE), file("F2", size=5 * MEGABYTE)])
    return [head, *replies, changed, report, shared, said(stamp(8), "oops")]


@pytest.fixture
def fleet(slack: Slack, settings: Settings, db: Database, redis: Redis) -> Fleet:
    """The records that are held after a message was deleted and two runs have seen it."""
    slack.users = [user(OWNER, profile={"real_name": "Ada"}), user("U0OTHER", profile={"real_name": "Bea"})]
    slack.add("C1", talk())
    slack.files = [file("F1", size=6 * MEGABYTE), file("F2", size=5 * MEGABYTE)]
    found = Fleet(settings, db, redis, base_url=slack.url)
    found.run()
    del slack.messages["C1"][-1]
    assert [found.run() for _ in range(2)] == ["succeeded"] * 2
    return found


def test_a_thread_is_read_as_one_text(fleet: Fleet) -> None:
    lines = fleet.rows("""
        SELECT person.data->>'real_name' || ': ' || (said.data->>'text') AS line FROM records said
        JOIN records person ON person.stream = 'users' AND person.key = said.data->>'user_id'
        WHERE said.stream = 'messages' AND said.data->>'thread_ts' = (
            SELECT data->>'ts' FROM records WHERE stream = 'messages' AND data->>'text' = 'who is in?')
        ORDER BY said.data->>'ts'
    """)

    assert [one["line"] for one in lines] == ["Ada: who is in?", "Bea: me", "Ada: me too"]


def test_messages_that_were_edited_or_deleted_are_found(fleet: Fleet) -> None:
    edited = "SELECT data->>'text' AS said FROM records WHERE stream = 'messages' AND data->>'edited_ts' IS NOT NULL"
    deleted = "SELECT data->>'text' AS said FROM records WHERE stream = 'messages' AND deleted_at IS NOT NULL"

    assert [one["said"] for one in fleet.rows(edited)] == ["at nine"]
    assert [one["said"] for one in fleet.rows(deleted)] == ["oops"]


def test_files_over_five_megabytes_are_found_with_where_they_were_shared(fleet: Fleet) -> None:
    found = fleet.rows("""
        SELECT file.data->>'name' AS name, said.data->>'text' AS shared_in FROM records file
        JOIN records said ON said.stream = 'messages' AND said.data->'file_ids' @> jsonb_build_array(file.key)
        WHERE file.stream = 'files' AND (file.data->>'size')::bigint > 5 * 1048576
    """)

    assert found == [{"name": "F1.txt", "shared_in": "the film"}]


def test_the_reports_of_a_bot_are_found_by_its_name(fleet: Fleet) -> None:
    found = fleet.rows("""
        SELECT said.data->>'text' AS said, card.data->'fields'->0->>'value' AS status FROM records said
        JOIN records card ON card.stream = 'message_attachments' AND card.data->>'message_id' = said.key
        WHERE said.stream = 'messages' AND said.data->>'username' = 'Deploy bot'
    """)

    assert found == [{"said": "Release 7 is out", "status": "green"}]
