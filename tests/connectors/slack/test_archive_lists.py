"""Lists that only some archives hold: results of searches, saved items; and the inventory of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdpp_worker.connector import Inventory, Message, SourceMember
from tests.connectors.slack.account import ArchiveMaker, Obj, archived, file, said, stamp
from tests.connectors.slack.conftest import Holder, deleted, emitted, gaps, skips


@pytest.fixture
def maker(directory: Path) -> ArchiveMaker:
    """An archive with the later tables and one message."""
    made = archived(
        directory, {"C1": [said(stamp(1), "whole", reactions=[{"name": "a", "users": ["U1"], "count": 1}])]}
    )
    made.later_tables()
    return made


def members(sent: list[Message]) -> dict[str, SourceMember]:
    """The members of the inventory."""
    return {one.name: one for message in sent if isinstance(message, Inventory) for one in message.members}


def item(at: int, **more: object) -> Obj:
    """A saved message of C1."""
    return {"item_id": "C1", "item_type": "message", "ts": stamp(at), "date_created": 1_767_225_700, **more}


def test_messages_and_files_that_a_search_found_are_kept(maker: ArchiveMaker, on_disk: Holder) -> None:
    maker.search("C9", said(stamp(7), "found", permalink="https://x.example"), files=[file("F1")])

    sent = on_disk.run()

    assert (gaps(sent), skips(sent)) == ({}, {})
    assert on_disk.held("messages")[f"C9:{stamp(7)}"]["text"] == "found"
    assert set(on_disk.held("files")) == {"F1"}
    assert emitted(on_disk.run(), "messages") == []


def test_a_search_says_nothing_over_the_message_itself(maker: ArchiveMaker, on_disk: Holder) -> None:
    maker.search("C1", said(stamp(1), "cut …"))

    on_disk.run()

    held = on_disk.held("messages")[f"C1:{stamp(1)}"]
    assert (held["text"], held["reaction_count"]) == ("whole", 1)


def test_saved_items_are_kept_until_two_walks_do_not_find_them(maker: ArchiveMaker, on_disk: Holder) -> None:
    maker.saved(item(1, state="in_progress"), item(2, is_archived=True))
    on_disk.run()
    assert on_disk.held("stars")[f"message:C1:{stamp(1)}"]["state"] == "in_progress"
    assert on_disk.held("stars")[f"message:C1:{stamp(2)}"]["is_archived"] is True
    assert emitted(on_disk.run(), "stars") == []
    maker.saved(item(1, state="completed"))

    key = f"message:C1:{stamp(2)}"
    assert [deleted(on_disk.run(), "stars") for _ in range(3)] == [[key], [key], []]
    assert on_disk.held("stars")[f"message:C1:{stamp(1)}"]["state"] == "completed"


def test_every_table_is_named(maker: ArchiveMaker, on_disk: Holder) -> None:
    maker.execute("CREATE TABLE REACTION_LOG (ID INTEGER)")
    maker.execute("INSERT INTO REACTION_LOG VALUES (1), (2)")
    maker.saved(item(1))
    maker.execute("UPDATE SAVED_ITEM SET DATA = X'7B'")

    found = members(on_disk.run())

    assert (found["MESSAGE"].disposition, found["MESSAGE"].count) == ("collected", 1)
    assert (found["REACTION_LOG"].disposition, found["REACTION_LOG"].count) == ("unknown", 2)
    assert found["SESSION"].disposition == "declared"
    bad = found["rows of SAVED_ITEM that are no JSON"]
    assert (bad.disposition, bad.streams, bad.count) == ("unknown", ["stars"], 1)


def test_saved_items_of_an_archive_without_them_are_declared(directory: Path, on_disk: Holder) -> None:
    archived(directory, {"C1": []}).close()

    sent = on_disk.run()

    assert skips(sent) == {}
    assert members(sent)["saved items"].disposition == "declared"
