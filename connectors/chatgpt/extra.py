"""The rest of an item: what the platform sends of it and no field of its record holds, as it came.

A null, an empty object or list says nothing, and is left out. So are metadata that a field holds whole.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector.json_fields import table

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
    return rest(detail.fields, held)


def message_extra(name: str, node: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of a message and of its node `name`: author, metadata, and content of which the text is but a part."""
    beside = rest(node, _NODE) | rest(body, _MESSAGE)
    parts = {
        "message_id": body.get("id") if body.get("id") != name else None,
        "author": rest(table(body.get("author")), {"role"}),
        "metadata": rest(table(body.get("metadata")), _METADATA),
        "content": None if _is_all_text(body.get("content")) else body["content"],
    }
    return beside | rest(parts, ())


def rest(item: Mapping[str, Any], held: Container[str]) -> dict[str, Any]:
    """What an object holds beside the fields `held`, and that says something."""
    return {name: value for name, value in item.items() if name not in held and value not in (None, [], {})}


def _is_all_text(content: Any) -> bool:
    if not isinstance(content, dict):
        return True
    fields = _WHOLE_CONTENT.get(str(content.get("content_type")))
    parts = content.get("parts", [])
    return fields is not None and content.keys() <= fields and all(isinstance(part, str) for part in parts or [])
