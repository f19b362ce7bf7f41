"""The rest of an item: what the platform sends of it and no field of its record holds, as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.chatgpt.content import KNOWN_TYPES
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector.json_fields import rest_of, table

_CONVERSATION = frozenset(
    {
        "id",
        "conversation_id",
        "title",
        "create_time",
        "update_time",
        "is_archived",
        "is_starred",
        "workspace_id",
        "gizmo_id",
    }
)
_NODE = frozenset({"id", "parent", "children", "message"})
_MESSAGE = frozenset({"id", "author", "content", "create_time", "metadata"})
_AUTHOR = frozenset({"role"})
_METADATA = frozenset({"model_slug", "citations", "tool_calls"})
_WHOLE_CONTENT = {
    "text": {"content_type", "parts"},
    "code": {"content_type", "language", "text"},
    "execution_output": {"content_type", "text"},
    "reasoning_recap": {"content_type", "content"},
}
"""Content types whose text is all that they hold, with the fields that it is made of."""


def conversation_extra(detail: Conversation) -> dict[str, Any]:
    """The rest of a conversation."""
    held = _CONVERSATION | ({"current_node"} if detail.fields.get("current_node") == detail.current_node else set())
    return rest_of(detail.fields, held)


def message_extra(name: str, node: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of a message and of its node `name`: author, metadata, and content of which the text is but a part."""
    beside = rest_of(node, _NODE) | rest_of(body, _MESSAGE)
    parts = {
        "message_id": body.get("id") if body.get("id") != name else None,
        "author": rest_of(table(body.get("author")), _AUTHOR),
        "metadata": rest_of(table(body.get("metadata")), _METADATA),
        "content": None if _is_all_text(body.get("content")) else body["content"],
    }
    return beside | rest_of(parts, ())


def _is_all_text(content: Any) -> bool:
    """Whether the record's own text holds the content whole; of an unknown type that is the JSON itself."""
    kind = str(table(content).get("content_type"))
    if not isinstance(content, dict) or kind not in KNOWN_TYPES:
        return True
    parts = content.get("parts") or []
    is_text = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    return is_text and content.keys() <= _WHOLE_CONTENT.get(kind, set())
