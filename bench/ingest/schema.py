"""The schema of the records; peers read it too, so it needs the standard library only."""

from __future__ import annotations

from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "conversation_id", "author", "created_at", "updated_at", "text"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "conversation_id": {"type": "string"},
        "parent_id": {"type": ["string", "null"]},
        "author": {
            "type": "object",
            "required": ["role"],
            "properties": {
                "role": {"enum": ["user", "assistant", "tool"]},
                "name": {"type": ["string", "null"]},
            },
        },
        "created_at": {"type": "string"},
        "updated_at": {"type": "string"},
        "text": {"type": "string"},
        "model": {"type": ["string", "null"]},
        "weight": {"type": "number"},
        "edited": {"type": "boolean"},
        "usage": {"type": "object", "additionalProperties": {"type": "integer"}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
