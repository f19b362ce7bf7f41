"""Records of conversations and messages, built alike from the network's answers and from an export archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.chatgpt.content import content_text, raw_text
from connectors.chatgpt.extra import conversation_extra, message_extra
from connectors.chatgpt.fields import iso
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector.json_fields import array, flag, strings, table, text

_CONVERSATION = {
    "title": text,
    "create_time": iso,
    "update_time": iso,
    "is_archived": flag,
    "is_starred": flag,
    "workspace_id": text,
    "current_node": text,
    "gizmo_id": text,
}


def listed_fields(item: dict[str, Any]) -> dict[str, Any]:
    """The list's raw fields that a conversation row is made of; what a detail locator keeps."""
    return {name: item[name] for name in _CONVERSATION if name in item}


def listed_conversation(key: str, item: dict[str, Any]) -> dict[str, Any]:
    """The list's fields of a conversation: no count and no nulls, so that it hides nothing of a whole row."""
    told = {name: read(item.get(name)) for name, read in _CONVERSATION.items()}
    return {"id": key} | {name: value for name, value in told.items() if value is not None}


def conversation(key: str, item: dict[str, Any], detail: Conversation) -> dict[str, Any]:
    """The whole row of a conversation whose detail was read; the list fills in what the detail leaves out."""
    row: dict[str, Any] = {"id": key}
    for name, read in _CONVERSATION.items():
        value = read(detail.fields.get(name))
        row[name] = value if value is not None else read(item.get(name))
    row["current_node"] = detail.current_node
    row["message_count_on_current_branch"] = detail.messages_on_branch
    row["extra"] = conversation_extra(detail) or None
    return row


def messages(key: str, detail: Conversation) -> Iterator[dict[str, Any]]:
    """One row for every node that carries a message, the branches left behind by edits included."""
    for name, node in detail.messages():
        yield _message(key, name, node, on_branch=name in detail.branch)


def _message(key: str, node_id: str, node: dict[str, Any], *, on_branch: bool) -> dict[str, Any]:
    body = node["message"] if isinstance(node["message"], dict) else {"content": node["message"]}
    metadata, author, content = table(body.get("metadata")), table(body.get("author")), body.get("content")
    attached = array(metadata.get("attachments"))
    return {
        "id": node_id,
        "conversation_id": key,
        "parent_id": text(node.get("parent")),
        "children_ids": strings(node.get("children")),
        "role": text(author.get("role")),
        "content": content_text(content),
        "content_type": text(table(content).get("content_type")),
        "model_slug": text(metadata.get("model_slug")),
        "create_time": iso(body.get("create_time")),
        "finish_reason": _finish_reason(body, metadata),
        "citations": array(metadata.get("citations")),
        "tool_calls": array(metadata.get("tool_calls")) or _tool_call(body, author, metadata),
        "attachment_ids": strings([table(part).get("id") for part in attached]) if attached else [],
        "on_current_branch": on_branch,
        "extra": message_extra(node_id, node, body) or None,
    }


def _finish_reason(body: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    told = text(table(metadata.get("finish_details")).get("type"))
    return told or ("tool_calls" if body.get("end_turn") is False else None)


def _tool_call(body: dict[str, Any], author: dict[str, Any], metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """A call that the platform tells only by an assistant's message addressed to a tool."""
    recipient = body.get("recipient")
    if recipient == "all" or not isinstance(recipient, str) or author.get("role") != "assistant":
        return []
    content = table(body.get("content"))
    return [
        {
            "recipient": recipient,
            "content_type": text(content.get("content_type")),
            "language": text(content.get("language")),
            "text": raw_text(body.get("content")),
            "invoked_plugin": metadata.get("invoked_plugin"),
        }
    ]
