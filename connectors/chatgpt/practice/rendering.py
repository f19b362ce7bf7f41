"""Conversations as JSON objects, in the shapes that the platform answers with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors.chatgpt.practice.conversation import Conversation, message_tree, title
from pdpp_worker.conformance.seeding import named_uuid

GIZMOS_IN_USE = 5


def details(conversation: Conversation) -> dict[str, Any]:
    """A conversation as its own endpoint shows it."""
    tree = message_tree(conversation)
    return {
        **_shared_fields(conversation),
        "create_time": _created(conversation),
        "update_time": _time(conversation.update_time, iso=conversation.index % 11 == 10),
        "mapping": tree.mapping,
        "moderation_results": [],
        "current_node": tree.current,
        "plugin_ids": None,
        "conversation_id": conversation.id,
        "default_model_slug": "auto",
    }


def export_item(conversation: Conversation) -> dict[str, Any]:
    """A conversation as batches and the export show it: with its id among the others."""
    return {"id": conversation.id, **details(conversation)}


def list_item(conversation: Conversation) -> dict[str, Any]:
    """A conversation as the list shows it: times mostly as ISO text, without messages."""
    iso = conversation.index % 7 != 6
    created = conversation.create_time if conversation.awkward != "unknown_time" else None
    return {
        "id": conversation.id,
        **_shared_fields(conversation),
        "create_time": created and _time(created, iso=iso),
        "update_time": _time(conversation.update_time, iso=iso),
        "mapping": None,
        "current_node": None,
        "snippet": None,
    }


def _shared_fields(conversation: Conversation) -> dict[str, Any]:
    index = conversation.index
    gizmo = gizmo_id(conversation.seed, index % GIZMOS_IN_USE) if index % 9 == 4 else None
    if conversation.project is not None:
        gizmo = project_id(conversation.seed, conversation.project)
    return {
        "title": title(conversation),
        "gizmo_id": gizmo,
        "conversation_template_id": gizmo,
        "is_archived": conversation.is_archived,
        "is_starred": (None, False, True)[index % 3],
        "workspace_id": workspace_id(conversation.seed, team=True) if conversation.is_of_team else None,
        "safe_urls": [],
    }


def _created(conversation: Conversation) -> float:
    return 0.0 if conversation.awkward == "unknown_time" else conversation.create_time


def _time(seconds: float, *, iso: bool) -> float | str:
    return iso_time(seconds) if iso else seconds


def iso_time(seconds: float) -> str:
    """Unix seconds as ISO 8601 UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def gizmo_id(seed: int, number: int) -> str:
    """The id of one of the account's GPTs."""
    return f"g-{named_uuid(seed, 'gizmo', number).replace('-', '')}"


def project_id(seed: int, number: int) -> str:
    """The id of one of the account's projects."""
    return f"g-p-{named_uuid(seed, 'project', number).replace('-', '')}"


def workspace_id(seed: int, *, team: bool = False) -> str:
    """The id of the owner's own workspace, or of the team's."""
    return named_uuid(seed, "workspace", "team" if team else "own")
