"""Content of messages beyond their `text`: blocks, cards, names of bots, shared files. Nothing of it is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.slack import readable, rows
from tests.connectors.slack.account import Obj, file, said, stamp
from tests.connectors.slack.conftest import Holder
from tests.connectors.slack.provider import Slack

CARD: Obj = {
    "color": "#f00",
    "fallback": "[no preview available]",
    "pretext": "Ticket moved",
    "fields": [{"title": "Status", "value": "Waiting", "short": True}, {"title": "Owner", "value": "Ada"}],
    "footer": "helpdesk 4.2",
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "The invoice is wrong"}}],
}


def message(**more: Any) -> Obj:
    """The record of a message without a text of its own."""
    return rows.message("C1", stamp(1), said(stamp(1), "", **more))


def rich(*elements: Obj) -> list[Obj]:
    """A block of rich text."""
    return [{"type": "rich_text", "elements": list(elements)}]


def section(*elements: Obj) -> Obj:
    """A line of rich text."""
    return {"type": "rich_text_section", "elements": list(elements)}


def word(text: str) -> Obj:
    """A word of rich text."""
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([{"type": "header", "text": {"type": "plain_text", "text": "Disk full"}}], "Disk full"),
        (
            [{"type": "section", "fields": [{"text": "*Used* 93 %"}, {"text": "*Since* 04:10"}]}],
            "*Used* 93 %\n*Since* 04:10",
        ),
        ([{"type": "context", "elements": [{"type": "mrkdwn", "text": "by Ada"}]}, {"type": "divider"}], "by Ada"),
        ([{"type": "actions", "elements": [{"type": "button", "text": {"text": "Approve"}}]}], "Approve"),
        ([{"type": "image", "alt_text": "A rose", "image_url": "https://x.example/r"}], "A rose\nhttps://x.example/r"),
        ([{"type": "markdown", "text": "**yes**"}], "**yes**"),
        ([{"type": "of_a_later_year", "text": {"text": "still read"}}], "still read"),
        (
            rich(section(word("see "), {"type": "link", "url": "https://x.example", "text": "it"})),
            "see <https://x.example|it>",
        ),
        (rich(section({"type": "user", "user_id": "U1"}, {"type": "emoji", "name": "owl"})), "<@U1>:owl:"),
        (rich({"type": "rich_text_quote", "elements": [word("said")]}), "> said"),
        (rich({"type": "rich_text_preformatted", "elements": [word("a = 1")]}), "a = 1"),
        (
            rich(
                {"type": "rich_text_list", "style": "ordered", "elements": [section(word("one")), section(word("two"))]}
            ),
            "1. one\n2. two",
        ),
        (rich({"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [section(word("in"))]}), "  • in"),
        (
            [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, {"type": "raw_text", "text": "b"}]]}],
            "a | b",
        ),
    ],
)
def test_text_that_stands_only_in_blocks_is_read(blocks: list[Obj], text: str) -> None:
    assert message(blocks=blocks)["text"] == text


def test_blocks_of_any_shape_are_passed_over() -> None:
    nested: Obj = {"type": "a"}
    for _ in range(200):
        nested = {"type": "a", "elements": [nested]}

    for blocks in (None, 5, "x", [None, 5], [{"text": 5}], [nested], [{"type": "table", "rows": [5]}], rich({})):
        assert readable.of_blocks(blocks) is None


def test_a_card_is_kept_whole_and_read_where_the_message_says_nothing() -> None:
    raw = said(stamp(1), "", attachments=[{**CARD, "actions": [{"text": "Close"}]}])

    card = next(rows.attachments("C1", stamp(1), raw))

    assert card["text"] == "Status: Waiting\nOwner: Ada\nThe invoice is wrong"
    assert (card["pretext"], card["footer"]) == ("Ticket moved", "helpdesk 4.2")
    assert card["fields"] == [{"title": "Status", "value": "Waiting"}, {"title": "Owner", "value": "Ada"}]
    assert card["extra"]["blocks"] == CARD["blocks"]
    assert card["extra"]["actions"] == [{"text": "Close"}]
    text = rows.message("C1", stamp(1), raw)["text"]
    assert text == "Ticket moved\nStatus: Waiting\nOwner: Ada\nThe invoice is wrong"


def test_the_name_and_icon_of_a_bot_are_kept() -> None:
    record = message(username="Night Watch", icons={"emoji": ":owl:"})

    assert (record["username"], record["icon"]) == ("Night Watch", ":owl:")
    assert message(icons={"image_48": "https://x.example/i"})["icon"] == "https://x.example/i"


def test_what_no_field_names_is_kept_beside_the_record() -> None:
    room = {"id": "R01", "participant_history": ["U1", "U2"], "has_ended": True}

    record = message(room=room, old_name="old-room", name="new-room", upload=None)

    assert record["extra"] == {"room": room, "old_name": "old-room", "name": "new-room"}


def test_a_text_of_its_own_stays_as_it_is() -> None:
    raw = said(stamp(1), "as sent", blocks=rich(section(word("as drawn"))))

    record = rows.message("C1", stamp(1), raw)

    assert (record["text"], record["extra"]["blocks"]) == ("as sent", raw["blocks"])


def test_files_of_a_shared_message_are_held(slack: Slack, holder: Holder) -> None:
    shared = {"is_msg_unfurl": True, "channel_id": "C2", "ts": stamp(0), "files": [file("F77", preview="three lines")]}
    slack.add("C1", [said(stamp(1), attachments=[shared])])

    holder.run()

    assert holder.held("files")["F77"]["name"] == "F77.txt"
    assert holder.held("files")["F77"]["extra"] == {"preview": "three lines"}
    card = holder.held("message_attachments")[f"C1:{stamp(1)}:att:0"]
    assert (card["shared_channel_id"], card["shared_ts"], card["file_ids"]) == ("C2", stamp(0), ["F77"])


def test_a_file_that_a_message_says_is_gone_is_noted(slack: Slack, holder: Holder) -> None:
    slack.files = [file("F1", title="Plan")]
    slack.add("C1", [said(stamp(1), files=[file("F1")])])
    holder.run()
    slack.files.clear()
    slack.messages["C1"][0]["files"] = [{"id": "F1", "mode": "tombstone"}]

    holder.run()

    assert (holder.held("files")["F1"]["title"], holder.held("files")["F1"]["mode"]) == ("Plan", "tombstone")
