"""An owner who decides on deletions that wait: they are shown where one looks, and one command decides."""

from __future__ import annotations

import pytest

from pdpp_worker.connector import Message, Record, SourceAccount
from tests.cli.conftest import Cli
from tests.support.scripted import NOW, Scenario, manifest, record, state

GONE = 25


@pytest.fixture
def waiting(scenario: Scenario) -> Scenario:
    """A quarter of 100 chats is not found by two walks; a message belongs to each chat."""
    child = {
        "name": "messages",
        "parent_streams": ["chats"],
        "coverage_strategy": "parent_detail_accounting",
        "belongs_to": {"chats": "chat"},
    }
    scenario.manifest = manifest("chats", child)
    keys = [f"c{number:02}" for number in range(100)]
    messages: list[Message] = [record(f"m-{key}", "messages", chat=key) for key in keys]
    absent = [
        Record(stream="chats", key=key, data={"id": key}, emitted_at=NOW, op="delete", ground="absent")
        for key in keys[:GONE]
    ]
    scenario.send(*(record(key, "chats") for key in keys), *messages, state(1, "chats"))
    scenario.run()
    for cursor in (2, 3):
        scenario.send(*absent, state(cursor, "chats"))
        scenario.run()
    return scenario


def test_they_are_shown_wherever_one_looks(cli: Cli, waiting: Scenario) -> None:
    [chats] = [one for one in cli.json("coverage") if one["stream"] == "chats"]

    assert (chats["verdict"], chats["deletions_waiting"], chats["in_doubt"]) == ("waiting_for_owner", GONE, 0)
    assert chats["because"].startswith("Walks do not find 25 of the 100 records held")
    assert "pdpp-worker deletions confirm mine" in chats["next"]
    assert "deletions to decide on 25" in cli.ok("status")
    assert "25 until you decide" in cli.ok("report")


def test_they_are_listed_one_by_one(cli: Cli, waiting: Scenario) -> None:
    said, listed = cli.ok("deletions", "mine"), cli.json_lines("deletions", "mine")

    assert {one["state"] for one in listed} == {"waiting"}
    assert len(listed) == GONE
    assert "Decide with: pdpp-worker deletions confirm mine" in said


def test_confirming_deletes_them_with_what_belongs_to_them(cli: Cli, waiting: Scenario) -> None:
    assert "Records of mine that are deleted: 25." in cli.ok("deletions", "confirm", "mine")

    assert (len(waiting.held("chats")), len(waiting.held("messages"))) == (75, 75)
    assert [one["verdict"] for one in cli.json("coverage")] == ["complete", "complete"]


def test_confirming_drops_their_earlier_versions(cli: Cli, waiting: Scenario) -> None:
    waiting.execute("""
        INSERT INTO record_versions (connection_id, stream, key, place, bytes, partial, emitted_at, run_id,
            replaced_by_run_id)
        SELECT connection_id, stream, key, 1, 1, false, emitted_at, 1, 1 FROM records
        WHERE key IN ('c00', 'm-c00', 'c99', 'm-c99')
    """)

    cli.ok("deletions", "confirm", "mine")

    left = waiting.rows("SELECT key FROM record_versions ORDER BY key")
    assert [one["key"] for one in left] == ["c99", "m-c99"]


def test_keeping_ends_the_question_however_often_a_walk_says_it_again(cli: Cli, waiting: Scenario) -> None:
    assert "Records of mine that are kept: 25." in cli.ok("deletions", "keep", "mine", "--stream", "chats")

    waiting.run()

    assert len(waiting.held("chats")) == 100
    assert [one["verdict"] for one in cli.json("coverage")] == ["complete", "complete"]


def test_another_stream_is_left_alone(cli: Cli, waiting: Scenario) -> None:
    assert "Records of mine that are deleted: 0." in cli.ok("deletions", "confirm", "mine", "--stream", "messages")

    assert len(waiting.held("chats")) == 100


class TestAccounts:
    """The owner's word on another account at the source."""

    def test_it_is_accepted_by_one_command(self, cli: Cli, scenario: Scenario) -> None:
        for account in ("U1", "U2"):
            scenario.send(SourceAccount(identity=account), record("a"), state(1))
            scenario.run()
        [items] = cli.json("coverage")
        assert items["verdict"] == "waiting_for_owner"
        assert "It has read U1, and the source is now that of U2." in items["next"]

        assert "mine reads U2 from now on" in cli.ok("connection", "accept-account", "mine")

        assert cli.json("connection", "show", "mine")["account"] == "U2"

    @pytest.mark.usefixtures("scenario")
    def test_there_is_nothing_to_accept_where_none_was_met(self, cli: Cli) -> None:
        assert "No other account was met" in cli.refusal("connection", "accept-account", "mine")
