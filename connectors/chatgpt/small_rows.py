"""Records of the small streams; None stands for an item without a usable id."""

from __future__ import annotations

from typing import Any

from connectors.chatgpt.fields import identity, iso
from pdpp_worker.connector.json_fields import array, flag, rest_of, strings, table, tables, text

INSTRUCTIONS_ID = "user_custom_instructions"
_INSTRUCTIONS = frozenset({"about_user_message", "about_model_message", "enabled", "updated_at"})
_SHARE = frozenset({"id", "conversation_id", "share_url", "title", "create_time", "is_public", "highlighted_text"})


def memory(raw: Any) -> dict[str, Any] | None:
    """One thing that the platform remembers about its user."""
    item = table(raw)
    key = identity(item.get("id"))
    if key is None:
        return None
    return {
        "id": key,
        "content": item.get("content"),
        "created_at": iso(_first(item, "created_at", "create_time")),
        "updated_at": iso(_first(item, "updated_at", "update_time")),
        "extra": rest_of(item, {"id", "content", "created_at", "updated_at"}) or None,
    }


def custom_gpt(raw: Any) -> dict[str, Any] | None:
    """One GPT of the owner's, out of any of its wrappers."""
    gizmo = _unwrapped(table(raw))
    key = identity(gizmo.get("id"))
    display, author = table(gizmo.get("display")), table(gizmo.get("author"))
    tags = strings(gizmo.get("tags"))
    if key is None:
        return None
    return {
        "id": key,
        "short_url": text(gizmo.get("short_url")),
        "display_name": text(_first(display, "name")),
        "display_description": text(_first(display, "description")),
        "display_welcome_message": text(_first(display, "welcome_message")),
        "instructions": text(gizmo.get("instructions")),
        "tools": _tools(gizmo) or _tools(_beside(table(raw))),
        "created_at": iso(gizmo.get("created_at")),
        "updated_at": iso(gizmo.get("updated_at")),
        "author_id": text(_first(author, "user_id", "id")),
        "author_name": text(_first(author, "display_name", "name")),
        "is_public": flag(gizmo["is_public"]) if "is_public" in gizmo else "public" in tags,
        "category": text(_first(gizmo, "category")) or next(iter(strings(display.get("categories"))), None),
        "tags": tags,
        "extra": rest_of(table(raw), ()) or None,
    }


def project(raw: Any) -> dict[str, Any] | None:
    """One project of the owner's: conversations with instructions and files of their own."""
    item = table(raw)
    gizmo = _unwrapped(item)
    key = identity(gizmo.get("id"))
    display = table(gizmo.get("display"))
    if key is None:
        return None
    return {
        "id": key,
        "name": text(_first(display, "name")) or text(gizmo.get("name")),
        "description": text(_first(display, "description")),
        "instructions": text(gizmo.get("instructions")),
        "files": [_file(one) for one in tables(_first_of([item, *_wrappers(item), gizmo], "files"))],
        "created_at": iso(gizmo.get("created_at")),
        "updated_at": iso(gizmo.get("updated_at")),
        "workspace_id": text(item.get("workspace_id")) or text(gizmo.get("workspace_id")),
        "extra": rest_of(item, {"conversations", "workspace_id"}) or None,
    }


def custom_instructions(raw: Any) -> dict[str, Any] | None:
    """The owner's custom instructions; there is one record."""
    item = table(raw)
    return {
        "id": INSTRUCTIONS_ID,
        "about_user": text(_first(item, "about_user_message", "about_user")),
        "response_style": text(_first(item, "about_model_message", "response_style")),
        "enabled": flag(item.get("enabled")),
        "updated_at": iso(_first(item, "updated_at", "update_time_detail")),
        "extra": rest_of(item, _INSTRUCTIONS) or None,
    }


def shared_conversation(raw: Any) -> dict[str, Any] | None:
    """One link under which a conversation is shared."""
    item = table(raw)
    key = identity(item.get("id")) or identity(item.get("share_id"))
    if key is None:
        return None
    return {
        "id": key,
        "conversation_id": text(item.get("conversation_id")),
        "share_url": text(item.get("share_url")) or f"https://chatgpt.com/share/{key}",
        "title": text(item.get("title")),
        "created_at": iso(_first(item, "create_time", "created_at")),
        "anonymous": flag(_first(item, "anonymous", "is_anonymous")),
        "is_public": flag(item.get("is_public")),
        "highlighted_text": text(item.get("highlighted_text")),
        "extra": rest_of(item, _SHARE) or None,
    }


def _tools(holder: dict[str, Any]) -> list[str]:
    """The kinds of tools; the platform keeps them in a GPT or beside it."""
    found = array(holder.get("tools"))
    return strings([_first(tool, "type") if isinstance(tool, dict) else tool for tool in found])


def _beside(item: dict[str, Any]) -> dict[str, Any]:
    resource = table(item.get("resource"))
    return resource if "tools" in resource else item


def _wrappers(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [table(item.get("gizmo")), table(item.get("resource"))]


def _unwrapped(item: dict[str, Any]) -> dict[str, Any]:
    inner = [wrapper.get("gizmo") for wrapper in _wrappers(item)]
    candidates = (*inner, item.get("gizmo"), item.get("info"), item.get("resource"), item)
    return next(one for one in candidates if isinstance(one, dict))


def _file(item: dict[str, Any]) -> dict[str, Any]:
    """A file by the names that messages use; the rest as it came."""
    told = {
        "id": _first(item, "file_id", "id"),
        "name": item.get("name"),
        "mime_type": _first(item, "mime_type", "type"),
        "size_bytes": _first(item, "size", "size_bytes"),
    }
    return told | rest_of(item, {"file_id", "id", "name", "mime_type", "type", "size", "size_bytes"})


def _first_of(holders: list[dict[str, Any]], name: str) -> Any:
    return next((one[name] for one in holders if one.get(name) is not None), None)


def _first(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)
