"""A field that the platform never sent, in every item of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connectors.chatgpt.practice.answers import Answer

FIELD = "hologram"
KINDS = (
    "conversations",
    "custom_gpts",
    "custom_instructions",
    "memories",
    "messages",
    "projects",
    "shared_conversations",
)
"""Kinds of items that have it."""


def with_new_field(answer: Answer, kind: str, text: str | None) -> Answer:
    """The answer to a request of this kind; each item has the text and the name of its own kind in the field."""
    if text is None:
        return answer
    body = json.loads(answer.body)
    for name, item in _items(kind, body):
        item[FIELD] = f"{text} {name}"
    return replace(answer, body=json.dumps(body).encode())


def _items(kind: str, body: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind in ("detail", "batch"):
        for one in [body] if isinstance(body, dict) else body:
            yield "conversations", one
            yield from (("messages", node["message"]) for node in one["mapping"].values() if node.get("message"))
    elif kind == "memories":
        yield from (("memories", one) for one in body["memories"])
    elif kind == "instructions":
        yield "custom_instructions", body
    elif kind == "shares":
        yield from (("shared_conversations", one) for one in body["items"])
    elif kind in ("gizmos", "projects"):
        yield from (("custom_gpts" if kind == "gizmos" else "projects", one) for one in _gizmos(body))


def _gizmos(body: Any) -> Iterator[dict[str, Any]]:
    """The objects under `gizmo` that hold an id, wherever in the answer they stand."""
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    for one in inner:
        yield from _gizmos(one)
    found = body.get("gizmo") if isinstance(body, dict) else None
    if isinstance(found, dict) and "id" in found:
        yield found
