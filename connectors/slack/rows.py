"""Makes records of Slack's objects: messages and what rides on them. Pure; takes any JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.slack import readable
from connectors.slack.fields import integer, iso, micros, strings, text
from pdpp_worker.connector.json_fields import rest_of, table, tables

Obj = dict[str, Any]

NO_REPLIES = "0000000000.000000"
"""The value of `latest_reply` when all replies of a thread were deleted."""


_ICONS = ("emoji", "image_72", "image_64", "image_48", "image_36")
_MESSAGE_FIELDS = frozenset(
    {
        *(
            "type",
            "user",
            "bot_id",
            "team",
            "client_msg_id",
            "text",
            "ts",
            "thread_ts",
            "parent_user_id",
            "reply_count",
        ),
        *("reply_users", "latest_reply", "subtype", "edited", "files", "attachments", "reactions", "pinned_to"),
        *("username", "channel"),
    }
)
_REACTION_FIELDS = frozenset({"name", "users", "count"})
_ATTACHMENT_TEXTS = (
    *("fallback", "pretext", "service_name", "service_icon", "title", "title_link", "text", "from_url", "image_url"),
    *("thumb_url", "author_name", "author_link", "author_id", "author_subname", "footer", "color"),
)
_ATTACHMENT_FIELDS = frozenset({*_ATTACHMENT_TEXTS, "channel_id", "files"}) - {"text"}
"""Fields of an attachment that stand in the record whole; a text may have been made from others."""


DELETED = 253_402_300_799
"""The revision of a message that was deleted: no copy of it is newer."""


def message_id(channel: str, ts: str) -> str:
    """The key of a message."""
    return f"{channel}:{ts}"


def is_placeholder(raw: Obj) -> bool:
    """Whether this only stands where a message should: slackdump writes such a parent for a thread that is gone."""
    if raw.get("user") or raw.get("text"):
        return False
    said = (raw.get("bot_id"), raw.get("subtype"), raw.get("username"))
    return not any(said) and not any(raw.get(name) for name in ("blocks", "attachments", "files"))


def message(channel: str, ts: str, raw: Obj, before: Iterable[Obj] = ()) -> Obj:
    """The record of a message; `before` are earlier versions of it, newest first."""
    thread, subtype, said = text(raw.get("thread_ts")), text(raw.get("subtype")), raw.get("text")
    sent, edited, icons = micros(ts), table(raw.get("edited")), table(raw.get("icons"))
    return {
        "id": f"{channel}:{ts}",
        "channel_id": channel,
        "user_id": text(raw.get("user")),
        "bot_id": text(raw.get("bot_id")),
        "team_id": text(raw.get("team")) or text(raw.get("team_id")),
        "client_msg_id": text(raw.get("client_msg_id")),
        "ts": ts,
        "sent_at": iso(sent),
        "thread_ts": thread,
        "is_thread_parent": thread == ts,
        "parent_user_id": text(raw.get("parent_user_id")),
        "reply_count": integer(raw.get("reply_count")),
        "reply_user_ids": strings(raw.get("reply_users")),
        "latest_reply": text(raw.get("latest_reply")),
        "subtype": subtype,
        "is_tombstone": subtype == "tombstone",
        "text": readable.of_message(raw) or (said if isinstance(said, str) else None),
        "username": text(raw.get("username")),
        "icon": _icon(icons) if icons else None,
        "edited_ts": text(edited.get("ts")),
        "edited_by": text(edited.get("user")),
        "revision": _revision(sent, subtype, raw),
        **_riding(raw),
        "metadata_event_type": text(table(raw["metadata"]).get("event_type")) if "metadata" in raw else None,
        "earlier_texts": _earlier_texts(raw, before) if before else [],
        "extra": rest_of(raw, _MESSAGE_FIELDS),
    }


def _riding(raw: Obj) -> Obj:
    """The fields that tell what rides on a message; most have nothing."""
    return {
        "file_ids": [one for file in tables(raw["files"]) if (one := text(file.get("id")))] if "files" in raw else [],
        "attachment_count": len(tables(raw["attachments"])) if "attachments" in raw else 0,
        "has_blocks": bool(raw.get("blocks")),
        "reaction_count": sum(map(_reaction_count, tables(raw["reactions"]))) if "reactions" in raw else 0,
        "pinned_to": strings(raw.get("pinned_to")),
    }


def _revision(sent: int | None, subtype: str | None, raw: Obj) -> int:
    """The place of a copy of a message among others: the time of its last edit, else that of its sending, s."""
    if subtype == "tombstone":
        return DELETED
    edited = micros(table(raw["edited"]).get("ts")) if raw.get("edited") else None
    return (edited or sent or 0) // 1_000_000


def _icon(icons: Obj) -> str | None:
    return next(filter(None, map(text, map(icons.get, _ICONS))), None)


def _earlier_texts(raw: Obj, before: Iterable[Obj]) -> list[Obj]:
    """The texts that a message had before its last edit, newest first, each once."""
    found = {said: one for one in before if (said := readable.of_message(one)) is not None}
    found.pop(readable.of_message(raw) or "", None)
    return [{"text": said, "edited_ts": text(table(one.get("edited")).get("ts"))} for said, one in found.items()]


def _reaction_count(raw: Obj) -> int:
    """The number of people who reacted so; of many, Slack lists only the first."""
    return max(integer(raw.get("count")) or 0, len(set(strings(raw.get("users")))))


def attachments(channel: str, ts: str, raw: Obj) -> Iterator[Obj]:
    """The records of a message's attachments: previews of links, cards of apps, messages that are shared."""
    for index, one in enumerate(tables(raw.get("attachments"))):
        yield {
            "id": f"{message_id(channel, ts)}:att:{index}",
            "message_id": message_id(channel, ts),
            "channel_id": channel,
            "index": index,
            **{name: text(one.get(name)) for name in _ATTACHMENT_TEXTS},
            "text": readable.of_attachment(one),
            "fields": [_field(each) for each in tables(one.get("fields"))],
            "shared_channel_id": text(one.get("channel_id")),
            "shared_ts": text(one.get("ts")),
            "file_ids": [key for file in tables(one.get("files")) if (key := text(file.get("id")))],
            "extra": rest_of(one, _ATTACHMENT_FIELDS),
        }


def _field(raw: Obj) -> Obj:
    return {"title": text(raw.get("title")), "value": text(raw.get("value"))}


def shared_files(raw: Obj) -> Iterator[Obj]:
    """The files of what a message shares."""
    for one in tables(raw.get("attachments")):
        yield from tables(one.get("files"))


def reactions(channel: str, ts: str, raw: Obj) -> Iterator[Obj]:
    """The records of a message's reactions: one for each emoji and user."""
    of = message_id(channel, ts)
    for one in tables(raw.get("reactions")):
        emoji, others = text(one.get("name")), rest_of(one, _REACTION_FIELDS)
        more = {"extra": others} if others else {}
        for user in dict.fromkeys(strings(one.get("users")) if emoji else []):
            yield {
                "id": f"{of}:{emoji}:{user}",
                "message_id": of,
                "channel_id": channel,
                "user_id": user,
                "emoji": emoji,
                **more,
            }


def cut_emoji(raw: Obj) -> frozenset[str]:
    """The emoji of which a message lists fewer users than it counts: one that is not listed may still be there."""
    counted = ((text(one.get("name")), integer(one.get("count")) or 0, one) for one in tables(raw.get("reactions")))
    return frozenset(emoji for emoji, count, one in counted if emoji and count > len(set(strings(one.get("users")))))


def thread_mark(raw: Obj) -> str | None:
    """A text that changes when a thread gains or loses replies; None for a message without any."""
    count, latest = integer(raw.get("reply_count")) or 0, text(raw.get("latest_reply"))
    has_replies = latest is not None and latest != NO_REPLIES
    is_parent = raw.get("thread_ts") in (None, "", raw.get("ts"))
    return f"{count} {latest or ''}" if is_parent and (count or has_replies) else None
