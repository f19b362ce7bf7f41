"""Trees become rows: every node with a message, the visible branch marked."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.chatgpt import rows
from connectors.chatgpt.tree import Conversation

from .test_content import JSON


def node(parent: str | None, *children: str, message: Any = None) -> dict[str, Any]:
    return {"parent": parent, "children": list(children), "message": message}


def said(role: str, words: str, **fields: Any) -> dict[str, Any]:
    return {"author": {"role": role}, "content": {"content_type": "text", "parts": [words]}, **fields}


TREE = {
    "current_node": "new",
    "mapping": {
        "root": node(None, "ask"),
        "ask": node("root", "old", "new", message=said("user", "?")),
        "old": node("ask", message=said("assistant", "first try", end_turn=True)),
        "new": node("ask", message=said("assistant", "second try", end_turn=True)),
    },
}


def read(detail: dict[str, Any]) -> Conversation:
    return Conversation(json.dumps(detail).encode())


def flags(detail: dict[str, Any]) -> dict[str, bool]:
    return {row["id"]: row["on_current_branch"] for row in rows.messages("c", read(detail))}


def test_every_node_with_a_message_is_a_row_and_the_visible_branch_is_marked() -> None:
    assert flags(TREE) == {"ask": True, "old": False, "new": True}
    assert rows.conversation("c", {}, read(TREE))["message_count_on_current_branch"] == 2


def test_the_relations_of_the_tree_are_kept() -> None:
    ask = next(iter(rows.messages("c", read(TREE))))

    assert (ask["parent_id"], ask["children_ids"], ask["conversation_id"]) == ("root", ["old", "new"], "c")


def test_a_circle_in_the_tree_ends() -> None:
    detail = {"current_node": "a", "mapping": {"a": node("b", message=said("user", "x")), "b": node("a")}}

    assert flags(detail) == {"a": True}


def test_a_missing_parent_ends_the_branch() -> None:
    detail = {"current_node": "a", "mapping": {"a": node("gone", message=said("user", "x"))}}

    assert flags(detail) == {"a": True}


def test_an_empty_tree_has_no_messages() -> None:
    assert rows.conversation("c", {}, read({"mapping": {}}))["message_count_on_current_branch"] == 0


def test_a_message_to_a_tool_is_told_as_a_tool_call() -> None:
    content = {"content_type": "code", "language": "python", "text": "1+1"}
    message = {"author": {"role": "assistant"}, "recipient": "python", "end_turn": False, "content": content}
    (row,) = rows.messages("c", read({"mapping": {"n": node(None, message=message)}}))

    assert row["finish_reason"] == "tool_calls"
    assert row["tool_calls"] == [
        {
            "recipient": "python",
            "content_type": "code",
            "language": "python",
            "text": "1+1",
            "invoked_plugin": None,
        }
    ]


def test_metadata_is_read() -> None:
    metadata = {
        "model_slug": "gpt-4o",
        "finish_details": {"type": "stop"},
        "citations": [{"start_ix": 1}],
        "attachments": [{"id": "file-1"}, {"name": "no id"}],
        "tool_calls": [{"id": "t"}],
    }
    message = said("assistant", "x", metadata=metadata, create_time=1_700_000_000.5)
    (row,) = rows.messages("c", read({"mapping": {"n": node(None, message=message)}}))

    assert (row["model_slug"], row["finish_reason"]) == ("gpt-4o", "stop")
    assert (row["citations"], row["attachment_ids"], row["tool_calls"]) == (
        [{"start_ix": 1}],
        ["file-1"],
        [{"id": "t"}],
    )
    assert row["create_time"] == "2023-11-14T22:13:20.500Z"


def test_the_reason_that_the_platform_gives_comes_before_the_one_that_is_concluded() -> None:
    message = said("assistant", "half", end_turn=False, metadata={"finish_details": {"type": "interrupted"}})
    (row,) = rows.messages("c", read({"mapping": {"n": node(None, message=message)}}))

    assert row["finish_reason"] == "interrupted"


def test_what_no_field_holds_of_a_message_is_kept_as_it_came() -> None:
    picture = {"content_type": "image_asset_pointer", "metadata": {"dalle": {"prompt": "a red fox"}}}
    message = {
        "id": "another",
        "author": {"role": "tool", "name": "dalle.text2im", "metadata": {}},
        "content": {"content_type": "multimodal_text", "parts": ["see", picture]},
        "metadata": {"attachments": [{"id": "f", "name": "a.pdf", "size": 5}], "model_slug": "gpt-5", "gone": None},
        "status": "in_progress",
        "channel": None,
    }
    (row,) = rows.messages("c", read({"mapping": {"n": node(None, message=message)}}))

    assert row["extra"] == {
        "message_id": "another",
        "author": {"name": "dalle.text2im"},
        "content": message["content"],
        "metadata": {"attachments": [{"id": "f", "name": "a.pdf", "size": 5}]},
        "status": "in_progress",
    }


def test_what_the_fields_hold_whole_is_not_kept_twice() -> None:
    odd = {"author": {"role": "user"}, "content": {"content_type": "never seen", "x": 1}}
    mapping = {"n": node(None, message=said("user", "hi")), "m": node(None, message=odd)}

    assert [row["extra"] for row in rows.messages("c", read({"mapping": mapping}))] == [None, None]


def test_what_no_field_holds_of_a_conversation_is_kept_as_it_came() -> None:
    detail = read({"title": "t", "mapping": {}, "pinned_time": 5.0, "safe_urls": [], "default_model_slug": "auto"})

    assert rows.conversation("c", {}, detail)["extra"] == {"pinned_time": 5.0, "default_model_slug": "auto"}


def test_the_list_fills_in_what_the_detail_leaves_out() -> None:
    detail = read({"title": "read", "is_starred": None})
    row = rows.conversation("c", {"title": "listed", "is_starred": True}, detail)

    assert (row["title"], row["is_starred"]) == ("read", True)


def test_a_row_from_the_list_holds_no_null_and_no_count() -> None:
    row = rows.listed_conversation("c", {"title": "t", "current_node": None, "update_time": 0, "snippet": "s"})

    assert row == {"id": "c", "title": "t"}


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), JSON)
def test_no_tree_breaks_the_reader(mapping: dict[str, Any], current: Any) -> None:
    detail = {"mapping": mapping, "current_node": current}
    told = list(rows.messages("c", read(detail)))

    assert {row["id"] for row in told} <= mapping.keys()
    assert (
        sum(row["on_current_branch"] for row in told)
        == (rows.conversation("c", {}, read(detail))["message_count_on_current_branch"])
    )
