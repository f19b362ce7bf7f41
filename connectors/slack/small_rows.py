"""Makes records of Slack's objects: the workspace, channels, people and files. Pure; takes any JSON."""

from __future__ import annotations

from typing import Any

from connectors.slack.fields import integer, iso_of_seconds, strings, text
from pdpp_worker.connector.json_fields import flag, rest_of, table

Obj = dict[str, Any]

_CHANNEL_FLAGS = (
    "is_channel",
    "is_group",
    "is_im",
    "is_mpim",
    "is_private",
    "is_shared",
    "is_ext_shared",
    "is_org_shared",
    "is_archived",
    "is_general",
    "is_member",
    "is_read_only",
)
_USER_FLAGS = (
    "deleted",
    "is_admin",
    "is_owner",
    "is_primary_owner",
    "is_restricted",
    "is_ultra_restricted",
    "is_stranger",
    "is_app_user",
    "is_bot",
    "is_invited_user",
    "has_2fa",
)
_WORKSPACE_FIELDS = frozenset({"ok", "team_id", "team", "url", "user_id", "user", "enterprise_id"})
_CHANNEL_FIELDS = frozenset(
    {
        *("id", "name", "name_normalized", "creator", "created", "topic", "purpose", "user", "shared_team_ids"),
        *("context_team_id", "previous_names", "num_members", *_CHANNEL_FLAGS),
    }
)
_USER_FIELDS = frozenset(
    {
        *("id", "team_id", "name", "real_name", "tz", "tz_label", "tz_offset", "color", "two_factor_type", "updated"),
        *("profile", *_USER_FLAGS),
    }
)
_PROFILE_FIELDS = frozenset(
    {
        *("real_name", "display_name", "first_name", "last_name", "email", "phone", "title", "status_text"),
        *("status_emoji", "status_expiration", "image_192"),
    }
)
_FILE_FIELDS = frozenset(
    {
        *("id", "name", "title", "mimetype", "filetype", "pretty_type", "size", "created", "user", "is_public"),
        *("is_external", "is_starred", "external_type", "mode", "permalink", "url_private", "original_w", "original_h"),
    }
)
_CANVAS_FIELDS = frozenset(
    {"id", "title", "created", "updated", "user", "channels", "groups", "ims", "permalink", "mode"}
)
CANVAS_MODES = frozenset({"quip", "canvas_in_message"})
"""Files that are canvases."""
GONE_MODES = frozenset({"tombstone", "hidden_by_limit"})
"""Files of which the platform says no more than that they were there."""


def workspace(raw: Obj) -> Obj | None:
    """The record of a workspace, from the answer of auth.test."""
    if (team := text(raw.get("team_id"))) is None:
        return None
    return {
        "id": team,
        "name": text(raw.get("team")),
        "url": text(raw.get("url")),
        "user_id": text(raw.get("user_id")),
        "user_name": text(raw.get("user")),
        "enterprise_id": text(raw.get("enterprise_id")),
        "extra": rest_of(raw, _WORKSPACE_FIELDS),
    }


def channel(raw: Obj) -> Obj:
    """The record of a conversation of any kind: channel, group, direct message."""
    canvas = table(table(raw.get("properties")).get("canvas"))
    properties = table(raw.get("properties"))
    return {
        "id": raw["id"],
        "name": text(raw.get("name")),
        "name_normalized": text(raw.get("name_normalized")),
        **{name: flag(raw.get(name)) for name in _CHANNEL_FLAGS},
        "creator": text(raw.get("creator")),
        "created": integer(raw.get("created")),
        "created_at": iso_of_seconds(raw.get("created")),
        **_note("topic", table(raw.get("topic"))),
        **_note("purpose", table(raw.get("purpose"))),
        "user": text(raw.get("user")),
        "shared_team_ids": strings(raw.get("shared_team_ids")),
        "context_team_id": text(raw.get("context_team_id")),
        "previous_names": strings(raw.get("previous_names")),
        "canvas_file_id": text(canvas.get("file_id")),
        "posting_restricted": bool(properties.get("posting_restricted_to")),
        "threads_restricted": bool(properties.get("threads_restricted_to")),
        "extra": rest_of(raw, _CHANNEL_FIELDS),
    }


def _note(name: str, raw: Obj) -> Obj:
    return {
        name: text(raw.get("value")),
        f"{name}_creator": text(raw.get("creator")),
        f"{name}_last_set": integer(raw.get("last_set")),
    }


def channel_stat(raw: Obj, day: str) -> Obj | None:
    """The number of members of a channel on a day (YYYY-MM-DD, UTC); None where the platform does not count them."""
    members = integer(raw.get("num_members"))
    if not members:
        return None
    return {"id": f"{raw['id']}:{day}", "channel_id": raw["id"], "observed_on": day, "num_members": members}


def membership(channel_id: str, user_id: str) -> Obj:
    """The membership of a user in a channel."""
    return {"id": f"{channel_id}:{user_id}", "channel_id": channel_id, "user_id": user_id}


def user(raw: Obj) -> Obj:
    """The record of a person or bot."""
    profile = table(raw.get("profile"))
    return {
        "id": raw["id"],
        "team_id": text(raw.get("team_id")),
        "name": text(raw.get("name")),
        "real_name": text(raw.get("real_name")) or text(profile.get("real_name")),
        "display_name": text(profile.get("display_name")),
        "first_name": text(profile.get("first_name")),
        "last_name": text(profile.get("last_name")),
        "email": text(profile.get("email")),
        "phone": text(profile.get("phone")),
        "title": text(profile.get("title")),
        "status_text": text(profile.get("status_text")),
        "status_emoji": text(profile.get("status_emoji")),
        "status_expiration": integer(profile.get("status_expiration")),
        "tz": text(raw.get("tz")),
        "tz_label": text(raw.get("tz_label")),
        "tz_offset": integer(raw.get("tz_offset")),
        "color": text(raw.get("color")),
        **{name: flag(raw.get(name)) for name in _USER_FLAGS},
        "two_factor_type": text(raw.get("two_factor_type")),
        "image_192_url": text(profile.get("image_192")),
        "enterprise_id": text(table(raw.get("enterprise_user")).get("enterprise_id")),
        "updated": integer(raw.get("updated")),
        "extra": _of_person(raw, profile),
    }


def _of_person(raw: Obj, profile: Obj) -> Obj:
    """The rest of a person's object, and of the profile within it."""
    others = rest_of(profile, _PROFILE_FIELDS)
    return {**rest_of(raw, _USER_FIELDS), **({"profile": others} if others else {})}


def file(raw: Obj) -> Obj:
    """The record of a file: what is known about it, never its bytes."""
    return {
        "id": raw["id"],
        "name": text(raw.get("name")),
        "title": text(raw.get("title")),
        "mimetype": text(raw.get("mimetype")),
        "filetype": text(raw.get("filetype")),
        "pretty_type": text(raw.get("pretty_type")),
        "size": integer(raw.get("size")),
        "created": integer(raw.get("created")),
        "created_at": iso_of_seconds(raw.get("created")),
        "uploader_id": text(raw.get("user")),
        "is_public": flag(raw.get("is_public")),
        "is_external": flag(raw.get("is_external")),
        "is_starred": flag(raw.get("is_starred")),
        "external_type": text(raw.get("external_type")),
        "mode": text(raw.get("mode")),
        "permalink": text(raw.get("permalink")),
        "url_private": text(raw.get("url_private")),
        "original_w": integer(raw.get("original_w")),
        "original_h": integer(raw.get("original_h")),
        "extra": rest_of(raw, _FILE_FIELDS),
    }


def canvas(raw: Obj) -> Obj:
    """The record of a canvas: what is known about it, never its text."""
    return {
        "id": raw["id"],
        "file_id": raw["id"],
        "title": text(raw.get("title")) or text(raw.get("name")),
        "created": integer(raw.get("created")),
        "updated": integer(raw.get("updated")) or integer(raw.get("timestamp")),
        "owner_id": text(raw.get("user")),
        "channel_ids": strings(raw.get("channels")) + strings(raw.get("groups")) + strings(raw.get("ims")),
        "permalink": text(raw.get("permalink")),
        "mode": text(raw.get("mode")),
        "extra": rest_of(raw, _CANVAS_FIELDS),
    }


def is_canvas(raw: Obj) -> bool:
    """Whether a file is a canvas."""
    return text(raw.get("mode")) in CANVAS_MODES or raw.get("filetype") == "quip"


def is_gone(raw: Obj) -> bool:
    """Whether a file or canvas is there no more."""
    return text(raw.get("mode")) in GONE_MODES
