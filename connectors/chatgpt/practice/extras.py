"""The account beside its conversations: memories, own GPTs, custom instructions and shared links."""

from __future__ import annotations

from typing import Any

from connectors.chatgpt.practice.account import NEWEST, SPAN_S, Account
from connectors.chatgpt.practice.content import sentence
from connectors.chatgpt.practice.conversation import title
from connectors.chatgpt.practice.rendering import gizmo_id, iso_time
from pdpp_worker.conformance.seeding import fraction, generator, named_uuid

MEMORIES = 14
GIZMOS = 23
GIZMOS_A_PAGE = 10
SHARE_EVERY = 25
"""One conversation in so many has a shared link."""


def memories(seed: int) -> dict[str, Any]:
    """All memories at once, as the platform answers."""
    return {
        "memories": [_memory(seed, number) for number in range(MEMORIES)],
        "memory_max_tokens": 10_000,
        "memory_num_tokens": 40 * MEMORIES,
    }


def _memory(seed: int, number: int) -> dict[str, Any]:
    created = moment(seed, "memory", number)
    return {
        "id": named_uuid(seed, "memory", number),
        "content": sentence(generator(seed, "memory", number)),
        "created_at": iso_time(created),
        "updated_at": iso_time(created + 3600 * number),
        "status": "warm",
    }


def gizmos(seed: int, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of GPTs; `cursor` is the one of the page before. Raises ValueError for a cursor that is none."""
    start = int(cursor, 16) if cursor else 0
    if start not in range(GIZMOS):
        raise ValueError(f"not a cursor: {cursor}")
    end = min(start + min(limit, GIZMOS_A_PAGE), GIZMOS)
    return {
        "items": [_wrapped(number, _gizmo(seed, number)) for number in range(start, end)],
        "cursor": f"{end:x}" if end < GIZMOS else None,
    }


def _gizmo(seed: int, number: int) -> dict[str, Any]:
    rng = generator(seed, "gizmo", number)
    created = moment(seed, "gizmo", number)
    identity = gizmo_id(seed, number)
    name = sentence(rng, 1, 3).rstrip(".")
    return {
        "id": identity,
        "short_url": f"{identity}-{name.lower().replace(' ', '-')}",
        "author": {"user_id": f"user-{named_uuid(seed, 'user')}", "display_name": "Owner"},
        "instructions": sentence(rng),
        "display": {"name": name, "description": sentence(rng), "welcome_message": "", "categories": ["other"]},
        "tools": [{"id": f"tool-{number}", "type": rng.choice(("browser", "python", "dalle"))}],
        "created_at": iso_time(created),
        "updated_at": iso_time(created + 86_400),
        "tags": ["private"] if number % 3 else ["public"],
    }


def _wrapped(number: int, gizmo: dict[str, Any]) -> dict[str, Any]:
    """The platform has wrapped its items in five ways over time; all of them are in use here."""
    wrappers: tuple[dict[str, Any], ...] = (
        {"resource": {"gizmo": gizmo}},
        {"gizmo": gizmo},
        {"info": gizmo, "list": []},
        {"resource": gizmo},
        gizmo,
    )
    return wrappers[number % len(wrappers)]


def user_system_messages(seed: int) -> dict[str, Any]:
    """The custom instructions."""
    rng = generator(seed, "instructions")
    return {
        "object": "user_system_message_detail",
        "enabled": True,
        "about_user_message": sentence(rng),
        "about_model_message": sentence(rng),
        "updated_at": iso_time(moment(seed, "instructions", 0)),
    }


def shared_conversations(account: Account, offset: int, limit: int) -> dict[str, Any]:
    """A page of shared links, newest first; a deleted conversation takes its link with it."""
    shared = [one for one in account if one.index % SHARE_EVERY == 3]
    shared.sort(key=lambda one: (one.create_time, one.id), reverse=True)
    items = [
        {
            "id": named_uuid(account.seed, "share", one.index),
            "conversation_id": one.id,
            "title": title(one),
            "create_time": iso_time(one.create_time + 60),
            "update_time": iso_time(one.create_time + 60),
            "anonymous": one.index % 2 == 1,
            "is_public": True,
            "highlighted_text": None,
        }
        for one in shared[offset : offset + limit]
    ]
    return {"items": items, "total": len(shared), "limit": limit, "offset": offset}


def moment(seed: int, name: str, number: int) -> float:
    """A time of something in the account (Unix seconds)."""
    return round(NEWEST - fraction(seed, name, "created", number) * SPAN_S, 6)
