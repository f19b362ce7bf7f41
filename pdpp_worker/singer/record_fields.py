"""Reads key, time and deletion of a record from a Singer RECORD."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

_DELETED = "_sdc_deleted_at"
"""The field in which taps that read a database's log say that a row is gone."""


def key_of(row: Mapping[str, Any], key_properties: Sequence[str]) -> str | list[str]:
    """A row's key: its key properties as text. One without them goes by its content: equal rows are one record."""
    parts = [row.get(name) for name in key_properties]
    if not parts or any(part is None for part in parts):
        text = json.dumps(row, default=str, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return f"content:{blake2b(text.encode(), digest_size=16).hexdigest()}"
    texts = [
        part if isinstance(part, str) and part else json.dumps(part, default=str, sort_keys=True) for part in parts
    ]
    return texts[0] if len(texts) == 1 else texts


def time_of(text: Any) -> datetime | None:
    """When the tap read a row, in UTC where it names no zone; None where it names no time that can be read."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def is_deletion(row: Mapping[str, Any]) -> bool:
    """Whether the tap says that the row is gone at its source."""
    return row.get(_DELETED) is not None
