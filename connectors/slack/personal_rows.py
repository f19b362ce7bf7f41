"""Makes records of Slack's objects: user groups, saved items, reminders, read positions. Pure; takes any JSON."""

from __future__ import annotations

from connectors.slack.fields import integer, iso, iso_of_seconds, micros, strings, text
from connectors.slack.rows import Obj, message_id
from pdpp_worker.connector.json_fields import flag, rest_of, table

_GROUP_FIELDS = frozenset(
    {
        *("id", "team_id", "name", "handle", "description", "is_external", "auto_type", "created_by", "updated_by"),
        *("deleted_by", "date_create", "date_update", "date_delete", "users", "user_count"),
    }
)
_STAR_FIELDS = frozenset(
    {
        *("type", "channel", "date_create", "item_id", "item_type", "ts", "state", "todo_state", "date_created"),
        *("date_due", "date_completed", "is_archived"),
    }
)
_REMINDER_FIELDS = frozenset({"id", "creator", "user", "text", "recurring", "time", "complete_ts"})


def user_group(raw: Obj) -> Obj | None:
    """The record of a user group; None where it has no id."""
    if (key := text(raw.get("id"))) is None:
        return None
    return {
        "id": key,
        "team_id": text(raw.get("team_id")),
        "name": text(raw.get("name")),
        "handle": text(raw.get("handle")),
        "description": text(raw.get("description")),
        "is_external": flag(raw.get("is_external")),
        "auto_type": text(raw.get("auto_type")),
        "created_at": iso_of_seconds(raw.get("date_create")),
        "created_by": text(raw.get("created_by")),
        "updated_at": iso_of_seconds(raw.get("date_update")),
        "updated_by": text(raw.get("updated_by")),
        "disabled_at": iso_of_seconds(raw.get("date_delete")),
        "disabled_by": text(raw.get("deleted_by")),
        "user_count": integer(raw.get("user_count")),
        "user_ids": strings(raw.get("users")),
        "extra": rest_of(raw, _GROUP_FIELDS),
    }


def star(raw: Obj) -> Obj | None:
    """The record of a saved item, of stars.list or of the newer list; None where it does not say what was saved."""
    kind = text(raw.get("item_type")) or text(raw.get("type"))
    message, file = table(raw.get("message")), text(table(raw.get("file")).get("id"))
    channel = text(raw.get("item_id")) or text(raw.get("channel"))
    ts = text(raw.get("ts")) or text(message.get("ts"))
    saved = file or (message_id(channel, ts) if channel and ts else channel)
    if kind is None or saved is None:
        return None
    return {
        "id": f"{kind}:{saved}",
        "type": kind,
        "channel_id": channel,
        "message_id": message_id(channel, ts) if channel and ts else None,
        "file_id": file,
        "starred_at": iso_of_seconds(raw.get("date_create")) or iso_of_seconds(raw.get("date_created")),
        "state": text(raw.get("state")),
        "todo_state": text(raw.get("todo_state")),
        "due_at": iso_of_seconds(raw.get("date_due")),
        "completed_at": iso_of_seconds(raw.get("date_completed")),
        "is_archived": flag(raw.get("is_archived")),
        "extra": rest_of(raw, _STAR_FIELDS),
    }


def reminder(raw: Obj) -> Obj | None:
    """The record of a reminder; None where it has no id."""
    if (key := text(raw.get("id"))) is None:
        return None
    return {
        "id": key,
        "creator_id": text(raw.get("creator")),
        "user_id": text(raw.get("user")),
        "text": text(raw.get("text")),
        "is_recurring": flag(raw.get("recurring")),
        "scheduled_at": iso_of_seconds(raw.get("time")),
        "completed_at": iso_of_seconds(raw.get("complete_ts")),
        "extra": rest_of(raw, _REMINDER_FIELDS),
    }


def read_state(raw: Obj) -> Obj | None:
    """The record of how far a conversation was read; None where Slack does not say."""
    if (key := text(raw.get("id"))) is None or (last := text(raw.get("last_read"))) is None:
        return None
    return {
        "id": key,
        "channel_id": key,
        "last_read": last,
        "last_read_at": iso(micros(last)),
        "unread_count": integer(raw.get("unread_count")),
        "unread_count_display": integer(raw.get("unread_count_display")),
    }
